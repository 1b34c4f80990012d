"""Hand jobs to the user's systemd: a timer and a service for each workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import ScheduleError, StorageError
from pm.open_files import write_whole
from pm.schedule.job import Installed
from pm.schedule.programs import answer, refuse, run_program
from pm.schedule.times import find_zone, local_zone
from pm.schedule.units import parse_units, render_service, render_timer
from pm.settings import user_config_folder

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pm.schedule.job import Job

__all__ = ["Systemd"]

_NO_MANAGER = "log in as the user whose nights these are (not by sudo or su), or choose another --backend"


class Systemd:
    """The user's systemd: it catches up on nights that were missed, and knows time zones."""

    name = "systemd"
    own_zone_only = False

    def is_there(self) -> bool:
        """Return whether the user's systemd answers."""
        return answer("systemctl", "--user", "show-environment") is not None

    def preview(self, job: Job, since: datetime) -> str:
        """Return what `install` writes."""
        zone = find_zone(job.zone) if job.zone else local_zone()
        timer, service = _units(job.key)
        return f"# {timer}\n{render_timer(job, zone, since)}\n# {service}\n{render_service(job)}"

    def find(self, key: str) -> Installed | None:
        """Return the job of a key; None if there is none."""
        timer, service = _units(key)
        texts = [_read(unit) for unit in (timer, service)]
        if texts == [None, None]:
            return None
        job, since = parse_units(texts[0] or "", texts[1] or "")
        stopped = self.is_there() and answer("systemctl", "--user", "is-active", timer.name) is None
        problem = f"Its timer is stopped: systemctl --user enable --now {timer.name}" if stopped else None
        return Installed(job, since, f"systemd, {timer.name}", problem)

    def install(self, job: Job, since: datetime) -> None:
        """Write the job's units and start its timer, in place of an earlier one.

        Raises
        ------
        ScheduleError
            systemd does not answer, or refuses the timer. Then the units are as they were before.
        StorageError
            The units cannot be written.
        """
        zone = find_zone(job.zone) if job.zone else local_zone()
        timer, service = _units(job.key)
        texts = {service: render_service(job), timer: render_timer(job, zone, since)}
        former = {unit: _read(unit) for unit in texts}
        try:
            timer.parent.mkdir(parents=True, exist_ok=True)
            for unit, text in texts.items():
                write_whole(unit, text)
        except OSError as error:
            raise StorageError(
                f"The unit cannot be written: {error.strerror}.",
                where=str(error.filename or timer),
                hint="correct the permissions of the folder, or choose another --backend",
            ) from None
        try:
            self._systemctl("daemon-reload")
            self._systemctl("enable", timer.name)
            self._systemctl("restart", timer.name)  # a timer that runs keeps its former times
        except ScheduleError:
            for unit, old in former.items():
                if old is None:
                    unit.unlink(missing_ok=True)
                else:
                    write_whole(unit, old)
            raise

    def remove(self, key: str) -> bool:
        """Stop and delete the job of a key, and return whether there was one.

        Raises
        ------
        ScheduleError
            systemd refuses.
        StorageError
            The units cannot be deleted.
        """
        units = [unit for unit in _units(key) if unit.exists()]
        if not units:
            return False
        if self.is_there():
            self._systemctl("disable", "--now", units[0].name)
        try:
            for unit in units:
                unit.unlink()
                (unit.parent / "timers.target.wants" / unit.name).unlink(
                    missing_ok=True
                )  # where systemd did not answer
        except OSError as error:
            raise StorageError(
                f"The unit cannot be deleted: {error.strerror}.",
                where=str(error.filename),
                hint="correct the permissions of its folder",
            ) from None
        if self.is_there():
            self._systemctl("daemon-reload")
        return True

    def hints(self) -> list[str]:
        """Return what the user should do so that the nights take place."""
        if answer("loginctl", "show-user", "--property=Linger", "--value", *_user()) == "yes":
            return []
        hint = (
            "The nights take place only while you are logged in; those missed are made up for at the next login. For "
            "nights at any time: loginctl enable-linger"
        )
        return [hint]

    @staticmethod
    def _systemctl(*words: str) -> None:
        line = ["systemctl", "--user", *words]
        done = run_program(line)
        if done.returncode:
            raise refuse(line, done, hint=_NO_MANAGER)


def _units(key: str) -> tuple[Path, Path]:
    folder = user_config_folder() / "systemd" / "user"
    return folder / f"portfolio-maximizer-{key}.timer", folder / f"portfolio-maximizer-{key}.service"


def _read(unit: Path) -> str | None:
    try:
        return unit.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(
            f"The unit cannot be read: {error.strerror}.", where=str(unit), hint="correct its permissions"
        ) from None


def _user() -> list[str]:
    import getpass

    try:
        return [getpass.getuser()]
    except (KeyError, OSError):  # a container's user without a name
        return []
