"""Errors a user can cause, each with a message of three parts and a stable exit code.

::

    PmError                          1   anything below, and what has no better place
    ├── SettingsError                3   config/ or a PM_… variable is wrong
    ├── WorkspaceError               4   no workspace here, or one where it may not be
    ├── InputError                   5   a file or a frame handed in cannot be read as bars
    ├── UnknownTickerError           6   a ticker nobody has bars for
    ├── SourceError                  7   a vendor failed or gave nothing
    ├── LakeError                    8   the lake cannot be opened, or is not a lake
    │   └── LakeBusyError            9   another process is writing
    ├── StorageError                10   the disk is full, or a folder is read-only
    ├── QueryError                  11   SQL that fails, or that this console refuses
    ├── StageError                  12   a stage of the pipeline failed
    ├── ReconciliationError         13   rows landed are not all accounted for
    └── EngineError                 14   the workers asked for cannot be had
        └── WorkerError             15   workers died over the same work again and again

Exit code 2 is a wrong command line; 130 is Ctrl-C. The table is repeated in docs/errors.md.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "EngineError",
    "InputError",
    "LakeBusyError",
    "LakeError",
    "PmError",
    "QueryError",
    "ReconciliationError",
    "SettingsError",
    "SourceError",
    "StageError",
    "StorageError",
    "UnknownTickerError",
    "WorkerError",
    "WorkspaceError",
    "did_you_mean",
]


class PmError(Exception):
    """An error with a remedy: what went wrong, where, and what to try.

    Parameters
    ----------
    what
        One sentence, in the user's words.
    where
        The file, table, ticker or setting it happened at; empty when `what` says it.
    hint
        The next thing to try.
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
        # Errors cross process borders when a worker raises them; keyword-only arguments need help to.
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(kind: type[PmError], what: str, where: str, hint: str) -> PmError:
    return kind(what, where=where, hint=hint)


class SettingsError(PmError):
    """A file in config/ or a `PM_…` variable is wrong."""

    exit_code = 3


class WorkspaceError(PmError):
    """There is no workspace here, or one where it may not be."""

    exit_code = 4


class InputError(PmError):
    """A file handed in cannot be read as bars."""

    exit_code = 5


class UnknownTickerError(PmError):
    """A ticker was asked for that nobody has bars for."""

    exit_code = 6

    @classmethod
    def from_missing(cls, missing: Iterable[str], available: Iterable[str], *, where: str) -> UnknownTickerError:
        """Build the message from the tickers asked for and those there are."""
        missing, available = sorted(missing), sorted(available)
        shown = ", ".join(available[:12]) + (f", … ({len(available)} in all)" if len(available) > 12 else "")
        guess = did_you_mean(missing[0], available)
        return cls(
            f"Unknown ticker{'s' if len(missing) > 1 else ''}: {', '.join(missing)}.{guess}",
            where=where,
            hint=f"use one of: {shown}" if available else "there are none yet: pm import PATH, then pm run",
        )


class SourceError(PmError):
    """A vendor failed, or gave nothing."""

    exit_code = 7


class LakeError(PmError):
    """The lake cannot be opened, or is not a lake."""

    exit_code = 8


class LakeBusyError(LakeError):
    """Another process is writing to this workspace."""

    exit_code = 9


class StorageError(PmError):
    """The disk is full, or a folder cannot be written."""

    exit_code = 10


class QueryError(PmError):
    """SQL that fails, or that the read-only console refuses."""

    exit_code = 11


class StageError(PmError):
    """A stage of the pipeline failed."""

    exit_code = 12


class ReconciliationError(PmError):
    """Rows that landed are not all accounted for."""

    exit_code = 13


class EngineError(PmError):
    """The workers asked for cannot be had: no such engine, or no cluster at the address."""

    exit_code = 14


class WorkerError(EngineError):
    """Workers died over the same work again and again."""

    exit_code = 15


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ' Did you mean …?' for the nearest known word, or an empty string."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
