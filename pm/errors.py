"""Errors that a user can cause, each with a message of three parts and an exit code that does not change.

::

    PmError                          1   base class; an error without a code of its own
    ├── SettingsError                3   a file of config/ or a PM_… variable is wrong
    ├── WorkspaceError               4   there is no workspace or no such folder, or its path is a file
    ├── InputError                   5   a file cannot be read as bars, or a named date, run or model does not exist
    ├── UnknownTickerError           6   there are no bars of a named ticker
    ├── SourceError                  7   a source failed or gave no usable bars
    ├── LakeError                    8   the lake or a snapshot does not exist, or the lake is damaged
    │   └── LakeBusyError            9   another process is writing
    ├── StorageError                10   the disk is full, or a folder cannot be used
    ├── QueryError                  11   SQL fails, the console refuses it, or it exceeds a limit
    ├── StageError                  12   a stage failed for an unforeseen reason
    ├── ReconciliationError         13   rows that landed are neither in the bars nor in the quarantine
    ├── EngineError                 14   the engine or its cluster is not available
    │   └── WorkerError             15   workers died repeatedly while they computed the same tickers
    ├── NoResultsError              16   no run is done yet, every ticker was left out, or no policy trained
    ├── IncompleteError             17   some tickers or files could not be fetched; the others are in
    ├── ScheduleError               18   nothing can be scheduled here, or the scheduled nights do not go well
    ├── StaleError                  19   the newest bars of some tickers are too old, though their vendors answered
    ├── ModelError                  20   a language model is missing, damaged or too large, or its process died
    ├── BrokerError                 21   a broker cannot be reached, refuses, or answers what cannot be understood
    ├── HaltedError                 22   trading is halted, the ledger and the broker differ, or a condition is missing
    ├── AuditError                  23   the ledger was changed, or an order cannot be computed again as it was
    ├── DegradedError               24   a check of the system finds something that is worse than it should be
    └── FailingError                25   a check of the system finds something that is broken

Exit code 2 is a wrong command line, and 130 is Ctrl-C. docs/errors.md has this table for users.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AuditError",
    "BrokerError",
    "DegradedError",
    "EngineError",
    "FailingError",
    "HaltedError",
    "IncompleteError",
    "InputError",
    "LakeBusyError",
    "LakeError",
    "ModelError",
    "NoResultsError",
    "PmError",
    "QueryError",
    "ReconciliationError",
    "ScheduleError",
    "SettingsError",
    "SourceError",
    "StageError",
    "StaleError",
    "StorageError",
    "UnknownTickerError",
    "WorkerError",
    "WorkspaceError",
    "did_you_mean",
    "is_failure",
]

_PANIC = "PanicException"
"""Name of what a failed assertion in polars, or another library in Rust, raises: a class of its own in each library,
and no `Exception`."""


class PmError(Exception):
    """An error with a message of three parts: what is wrong, where, and what to do.

    Parameters
    ----------
    what
        What is wrong, as one sentence.
    where
        The file, table, ticker or setting that is wrong; empty if `what` names it.
    hint
        What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.hint:
            parts.append(f"  try:   {self.hint}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # An error that a worker raises is pickled. By default, pickle would not pass the keyword-only arguments.
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(kind: type[PmError], what: str, where: str, hint: str) -> PmError:
    return kind(what, where=where, hint=hint)


class SettingsError(PmError):
    """A file of config/ or a `PM_…` variable is wrong."""

    exit_code = 3


class WorkspaceError(PmError):
    """There is no workspace in this folder, or no such folder, or the path of the workspace is a file."""

    exit_code = 4


class InputError(PmError):
    """A file cannot be read as bars, or a date, run, model, time zone or scheduler that is named does not exist."""

    exit_code = 5


class UnknownTickerError(PmError):
    """There are no bars of a ticker that the user named."""

    exit_code = 6

    @classmethod
    def from_missing(
        cls, missing: Iterable[str], available: Iterable[str], *, where: str, hint: str | None = None
    ) -> UnknownTickerError:
        """Return an error that lists the missing tickers and some of the available ones.

        Parameters
        ----------
        missing
            Tickers that the user named and that have no bars; at least one.
        available
            Tickers that have bars.
        where
            Where the bars were looked for.
        hint
            What to do about it; by default, to use one of the available tickers.
        """
        missing, available = sorted(missing), sorted(available)
        shown = ", ".join(available[:12]) + (f", … ({len(available)} in all)" if len(available) > 12 else "")
        guess = did_you_mean(missing[0], available)
        return cls(
            f"Unknown ticker{'s' if len(missing) > 1 else ''}: {', '.join(missing)}.{guess}",
            where=where,
            hint=hint
            or (f"use one of: {shown}" if available else "there are no bars yet; import some: pm import PATH"),
        )


class SourceError(PmError):
    """A source failed, or gave no usable bars."""

    exit_code = 7


class LakeError(PmError):
    """The lake or a snapshot of it does not exist, or the catalog or a data file is damaged."""

    exit_code = 8


class LakeBusyError(LakeError):
    """Another process is writing to this workspace."""

    exit_code = 9


class StorageError(PmError):
    """The disk is full, or a folder cannot be written."""

    exit_code = 10


class QueryError(PmError):
    """SQL fails, the read-only console refuses it, or it exceeds a limit of time, memory or rows."""

    exit_code = 11


class StageError(PmError):
    """A stage of the pipeline failed for an unforeseen reason."""

    exit_code = 12


class ReconciliationError(PmError):
    """Rows that landed are neither in the bars nor in the quarantine."""

    exit_code = 13


class EngineError(PmError):
    """The engine is unknown or not installed, or no cluster answers at the address."""

    exit_code = 14


class WorkerError(EngineError):
    """Workers died repeatedly while they computed the same tickers."""

    exit_code = 15


class NoResultsError(PmError):
    """There is nothing to show: no run is done yet, or every ticker was left out."""

    exit_code = 16


class IncompleteError(PmError):
    """Some tickers could not be fetched, or files of watched folders not be read; the others have landed.

    Whatever was asked for is done with them.
    """

    exit_code = 17


class ScheduleError(PmError):
    """No scheduler is there or it refuses, or the last night failed, was missed, or its command no longer exists."""

    exit_code = 18


class StaleError(PmError):
    """Vendors have no bars of some tickers that are new enough; whatever was asked for is done and recorded."""

    exit_code = 19


class ModelError(PmError):
    """A language model does not exist, is not installed, damaged, too large or too slow, or its process died.

    Only commands about models end so: a run goes on without a model.
    """

    exit_code = 20


class BrokerError(PmError):
    """A broker cannot be reached, has refused something, or its answer cannot be understood."""

    exit_code = 21


class HaltedError(PmError):
    """Trading is halted, the broker's account differs from the ledger, or a condition of live trading is missing."""

    exit_code = 22


class AuditError(PmError):
    """A row of the ledger was changed or removed, or an order is not what its inputs make of it."""

    exit_code = 23


class DegradedError(PmError):
    """A check of the system finds something that is worse than it should be, though results are still right."""

    exit_code = 24


class FailingError(PmError):
    """A check of the system finds something that is broken, so that results are missing or cannot be relied on."""

    exit_code = 25


_COMPARED = 100
"""Number of characters of a word that are compared with the known ones: comparing takes quadratic time."""


def is_failure(error: BaseException) -> bool:
    """Return whether something failed: not so if the user pressed Ctrl-C, or the program ends."""
    return isinstance(error, Exception) or type(error).__name__ == _PANIC


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean …?' with the known word nearest to `word`, or an empty string if none is near.

    Capital letters are no difference.
    """
    by_lower_case = {name.lower(): name for name in known}
    near = get_close_matches(word[:_COMPARED].lower(), list(by_lower_case), n=1, cutoff=0.6)
    return f" Did you mean {by_lower_case[near[0]]!r}?" if near else ""
