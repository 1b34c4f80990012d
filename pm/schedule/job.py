"""What is scheduled for a workspace: when, and which command."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pm.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, time

__all__ = ["TASKS", "Installed", "Job", "job_key", "task_words"]

TASKS = ("run", "refresh")
"""What a night can do: the commands of `pm` of these names."""

_NIGHT = ("schedule", "night")
_WORKSPACE = "--workspace"
_ONLY = "--only="
_ON_FAILURE = "--on-failure="
_YEAR = timedelta(days=365)
_KEY_LENGTH = 10
"""Number of hexadecimal digits of a key: two of a million workspaces have the same one with a chance of 1 in 2."""


def job_key(workspace: Path) -> str:
    """Return a name for a workspace's job that no other workspace on the machine has, from its absolute path."""
    return hashlib.sha256(os.path.normcase(workspace).encode(errors="surrogatepass")).hexdigest()[:_KEY_LENGTH]


def task_words(program: Sequence[str], workspace: Path, *words: str) -> tuple[str, ...]:
    """Return the words of a command of `pm` in a workspace."""
    return (*program, _WORKSPACE, str(workspace), *words)


@dataclass(frozen=True)
class Job:
    """A night at a time of every day.

    Parameters
    ----------
    workspace
        Absolute path of the workspace.
    program
        Words that start `pm`; the first is the absolute path of a program.
    at
        Time of day, in hours and minutes.
    zone
        IANA name of the time zone that `at` is meant in; None for the machine's.
    task
        What the night does: 'run' or 'refresh'.
    on_failure
        Command line for the system's shell when a night fails; None for none.
    """

    workspace: Path
    program: tuple[str, ...]
    at: time
    zone: str | None = None
    task: str = "run"
    on_failure: str | None = None

    @property
    def key(self) -> str:
        """Name of the job, unique to the workspace's path."""
        return job_key(self.workspace)

    @property
    def words(self) -> tuple[str, ...]:
        """Words of the command that carries out a night.

        Raises
        ------
        ScheduleError
            A word has a control character, such as a line end, which no scheduler takes.
        """
        options = [f"{_ONLY}{self.task}"] if self.task != TASKS[0] else []
        options += [f"{_ON_FAILURE}{self.on_failure}"] if self.on_failure is not None else []
        words = task_words(self.program, self.workspace, *_NIGHT, *options)
        for word in words:
            if any(ord(character) < ord(" ") or ord(character) == 0x7F for character in word):
                raise ScheduleError(
                    "A line end or another control character cannot be scheduled.",
                    where=repr(word),
                    hint="rename the folder, or put the command into a script and name that",
                )
        return words

    @classmethod
    def from_words(cls, words: Sequence[str], *, at: time, zone: str | None) -> Self | None:
        """Return the job whose command has these words; None if they are not those of a night."""
        if _WORKSPACE not in words:
            return None
        place = words.index(_WORKSPACE)
        workspace, command, options = words[place + 1 : place + 2], words[place + 2 : place + 4], words[place + 4 :]
        if not workspace or tuple(command) != _NIGHT or not place:
            return None
        task, on_failure = TASKS[0], None
        for option in options:
            if option.startswith(_ONLY):
                task = option.removeprefix(_ONLY)
            elif option.startswith(_ON_FAILURE):
                on_failure = option.removeprefix(_ON_FAILURE)
        return cls(Path(workspace[0]), tuple(words[:place]), at, zone, task, on_failure)


@dataclass(frozen=True)
class Installed:
    """A job that a scheduler holds.

    Parameters
    ----------
    job
        The job, as read from the scheduler; None if somebody has changed it beyond recognition.
    since
        Moment at which it was installed, with a time zone; None if that is not known.
    where
        Where a person finds it: the scheduler and the name that the job has there.
    problem
        Sentence on why the scheduler will not start it; None if nothing is known against it.
    """

    job: Job | None
    since: datetime | None
    where: str
    problem: str | None = None

    def is_current(self, job: Job, now: datetime) -> bool:
        """Return whether installing a job would change nothing: it is the same, is started, and is not a year old.

        What is written for some schedulers lists days ahead, and is renewed after a year.
        """
        recent = self.since is not None and now - self.since < _YEAR
        return self.job == job and self.problem is None and recent
