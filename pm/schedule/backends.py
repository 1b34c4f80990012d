"""The schedulers that a job can be handed to, and which one this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pm.errors import InputError, ScheduleError, did_you_mean
from pm.schedule.cron import Cron
from pm.schedule.systemd import Systemd
from pm.schedule.task_scheduler import TaskScheduler

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pm.schedule.job import Installed, Job

__all__ = ["BACKENDS", "Backend", "choose_backend", "find_everywhere", "remove_everywhere"]


class Backend(Protocol):
    """A scheduler of the system."""

    @property
    def name(self) -> str:
        """Return its name, as --backend takes it."""
        ...

    @property
    def own_zone_only(self) -> bool:
        """Return whether it knows no other time zone than the machine's."""
        ...

    def is_there(self) -> bool:
        """Return whether this machine has it, and it answers this user."""

    def preview(self, job: Job, since: datetime) -> str:
        """Return what `install` writes."""

    def find(self, key: str) -> Installed | None:
        """Return the job of a key; None if there is none."""

    def install(self, job: Job, since: datetime) -> None:
        """Add a job, in place of an earlier one of its key."""

    def remove(self, key: str) -> bool:
        """Remove the job of a key, and return whether there was one."""

    def hints(self) -> list[str]:
        """Return what the user should do so that the nights take place."""


BACKENDS: Sequence[Backend] = (Systemd(), Cron(), TaskScheduler())
"""All schedulers, the one to be preferred first."""


def find_everywhere(key: str) -> tuple[list[tuple[Backend, Installed]], list[ScheduleError]]:
    """Return what the schedulers of this machine hold for a key, and the errors of those that refuse to tell."""
    found, refusals = [], []
    for backend in BACKENDS:
        try:
            installed = backend.find(key)
        except ScheduleError as error:
            refusals.append(error)
            continue
        if installed is not None:
            found.append((backend, installed))
    return found, refusals


def remove_everywhere(backends: Sequence[Backend], key: str) -> tuple[list[str], list[ScheduleError]]:
    """Remove the job of a key from schedulers.

    Returns
    -------
    The names of those that had it, and the errors of those that refuse, such as a crontab that the user may not use.
    """
    removed, refusals = [], []
    for backend in backends:
        try:
            if backend.remove(key):
                removed.append(backend.name)
        except ScheduleError as error:
            refusals.append(error)
    return removed, refusals


def choose_backend(name: str | None, *, must_be_there: bool = True) -> Backend:
    """Return a scheduler.

    Parameters
    ----------
    name
        Its name; None for the first that this machine has.
    must_be_there
        Whether one that this machine lacks is refused.

    Raises
    ------
    InputError
        There is no scheduler of this name.
    ScheduleError
        The machine does not have it, or has none.
    """
    names = [backend.name for backend in BACKENDS]
    if name is not None and name not in names:
        raise InputError(
            f"There is no backend {name!r}.{did_you_mean(name, names)}",
            where="--backend",
            hint=f"use one of: {', '.join(names)}",
        )
    for backend in BACKENDS:
        if name in {None, backend.name} and (backend.is_there() or (name is not None and not must_be_there)):
            return backend
    raise ScheduleError(
        f"This machine has no {name} that answers." if name else "This machine has no scheduler that answers.",
        where="tried: systemctl --user, crontab, schtasks" if name is None else f"--backend {name}",
        hint="install cron, or keep a process running: pm schedule serve --at 22:30",
    )
