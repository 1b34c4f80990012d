"""Remember how many requests of a day are spent, over all commands of a workspace."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from filelock import FileLock

from pm.errors import StorageError
from pm.open_files import write_whole
from pm.sources.vendors.problems import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pm.sources.vendors.limits import Clock

__all__ = ["DayBudget"]


class DayBudget:
    """Requests that are left of a day in UTC.

    Parameters
    ----------
    vendor
        Name of the vendor.
    per_day
        Requests a day; None if they are not limited, and then nothing is written.
    folder
        Folder in which a file `VENDOR-requests.json` keeps the number spent.
    clock
        Clock that tells the day.
    """

    def __init__(self, vendor: str, per_day: float | None, folder: Path, clock: Clock) -> None:
        self._vendor = vendor
        self._per_day = None if per_day is None else max(1, int(per_day))
        self._file = folder / f"{vendor}-requests.json"
        self._clock = clock

    def left(self) -> int | None:
        """Return the number of requests left today; None if they are not limited."""
        return None if self._per_day is None else max(0, self._per_day - self._spent())

    def take(self, number: int = 1) -> None:
        """Count requests as spent.

        Raises
        ------
        BudgetSpentError
            Fewer are left; none is counted then.
        """
        if self._per_day is None:
            return
        with self._locked():
            spent = self._spent()
            if spent + number > self._per_day:
                raise BudgetSpentError(
                    f"{spent:,} of the {self._per_day:,} requests a day are spent; the next day begins at 00:00 UTC.",
                    retry_after=self.tomorrow(),
                )
            self._write(spent + number)

    def spend_all(self) -> None:
        """Count all requests as spent, for the vendor says that they are."""
        if self._per_day is not None:
            with self._locked():
                self._write(self._per_day)

    def tomorrow(self) -> datetime:
        """Return the beginning of the next day, in UTC."""
        return datetime.combine(self._clock.now().date() + timedelta(days=1), time())

    def _spent(self) -> int:
        try:
            kept = json.loads(self._file.read_text("utf-8"))
            return max(0, int(kept["spent"])) if kept["day"] == self._clock.now().date().isoformat() else 0
        except (OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged: the vendor counts too
            return 0

    def _write(self, spent: int) -> None:
        write_whole(self._file, json.dumps({"day": self._clock.now().date().isoformat(), "spent": spent}))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._file.with_suffix(".lock")):
                yield
        except OSError as error:
            raise StorageError(
                f"The number of requests that {self._vendor} was sent cannot be kept: {error.strerror}.",
                where=str(self._file),
                hint="correct the permissions of the folder, or free some space",
            ) from None
