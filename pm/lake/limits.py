"""Run a query so that it can be ended: by Ctrl-C, and when it exceeds a limit of time, memory or rows.

DuckDB works in a thread of its own, and the thread that waits looks at the clock, at the process's memory and for
Ctrl-C. DuckDB ends a query between two pieces of its work. A single call of a function can be a piece that takes
minutes, and DuckDB's own limit of memory does not count what such a call takes: its thread is then left behind.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import duckdb
import psutil

from pm.errors import QueryError
from pm.lake.connection import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["QueryLimits", "Watch"]

Result = TypeVar("Result")

_POLL = 0.05
"""Seconds between two looks at a query that runs."""
_GRACE = 0.3
"""Seconds that DuckDB has to end a query before its thread is left behind: Ctrl-C is to end a command in a second."""
_MEGABYTE = 1_000_000
_BESIDE = 500
"""Memory in MB that a process may take beside what DuckDB counts: rows on their way out, what an allocator keeps."""


@dataclass(frozen=True)
class QueryLimits:
    """Limits of a query.

    Attributes
    ----------
    seconds
        Time after which it is ended, in seconds, not counting the time its reader takes; 0 for no limit.
    memory_mb
        Memory that it can take before it uses the disk, in MB of 1,000,000 bytes; 0 for 80% of the machine's.
    rows
        Largest number of rows of its result; 0 for no limit.
    """

    seconds: float = 0
    memory_mb: int = 0
    rows: int = 0

    def refuse_rows(self, count: int) -> None:
        """Refuse a result of more rows than allowed.

        Raises
        ------
        QueryError
            There are too many rows.
        """
        if self.rows and count > self.rows:
            raise QueryError(
                f"The result has more than {self.rows:,} rows.",
                where="pm sql",
                hint="narrow the query, or allow more with --max-rows or lake.query_rows (0 for no limit)",
            )

    def too_slow(self) -> QueryError:
        """Return the error for a query that took too long."""
        return QueryError(
            f"The query was ended after {self.seconds:,g} s.",
            where="pm sql",
            hint="narrow it, look for a join without a condition, or allow more time with --timeout or "
            "lake.query_seconds (0 for no limit)",
        )

    def too_large(self) -> QueryError:
        """Return the error for a query that needs more memory, or more of the disk, than it can have."""
        return QueryError(
            "The query needs more memory than it can take"
            f"{f' ({self.memory_mb:,} MB)' if self.memory_mb else ''}, and cannot use the disk in its place.",
            where="pm sql",
            hint="narrow it to fewer rows or columns, or allow more with --memory or lake.query_memory_mb",
        )


class Watch:
    """Runs the work of one connection in threads, and ends what exceeds the limits of a query.

    Parameters
    ----------
    connection
        The connection; only this class may use it while work runs.
    limits
        The limits of the query.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, limits: QueryLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._process = psutil.Process()
        self._spent = 0.0
        self._memory_before = 0
        self._done: threading.Event | None = None

    @property
    def left_behind(self) -> bool:
        """Whether DuckDB still works although it was told to stop. The connection cannot be closed then."""
        return self._done is not None and not self._done.is_set()

    def start(self) -> None:
        """Count time and memory from here: a query begins."""
        self._spent = 0.0
        self._memory_before = self._process.memory_info().rss

    def run(self, work: Callable[[], Result]) -> Result:
        """Return what a piece of work returns.

        Raises
        ------
        QueryError
            The query exceeds its limit of time or memory.
        KeyboardInterrupt
            Ctrl-C was pressed.
        """
        self._check(self._spent)  # pieces that are done before the first look at the clock add up too
        results: list[Result] = []
        errors: list[BaseException] = []

        def perform() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
                errors.append(error)
            finally:
                done.set()

        # The thread itself cannot be asked: Python takes it for ended once Ctrl-C has interrupted a wait for it.
        done = threading.Event()
        started = time.monotonic()
        try:
            self._done = done
            threading.Thread(target=perform, name="query", daemon=True).start()  # where Ctrl-C can come as well
            while not done.wait(_POLL):
                self._check(self._spent + time.monotonic() - started)
        except (KeyboardInterrupt, QueryError):
            self._end(done)
            raise
        finally:
            self._spent += time.monotonic() - started
        if errors:
            raise self._understood(errors[0])
        return results[0]

    def _check(self, seconds: float) -> None:
        if self._limits.seconds and seconds > self._limits.seconds:
            raise self._limits.too_slow()
        if self._limits.memory_mb:
            taken = (self._process.memory_info().rss - self._memory_before) / _MEGABYTE
            if taken > self._limits.memory_mb + _BESIDE:
                raise self._limits.too_large()

    def _end(self, done: threading.Event) -> None:
        """Tell DuckDB to stop; again and again, since between two statements it does not listen."""
        until = time.monotonic() + _GRACE
        while not done.is_set() and time.monotonic() < until:
            self._connection.interrupt()
            done.wait(_POLL)

    def _understood(self, error: BaseException) -> BaseException:
        """Return the error of a thread as what it means."""
        if isinstance(error, OSError) and not isinstance(error, duckdb.Error):
            error = _of_duckdb(error)
        if isinstance(error, duckdb.OutOfMemoryException):
            return self._limits.too_large()
        if isinstance(error, RuntimeError) and str(error) == INTERRUPTED:
            return KeyboardInterrupt()
        return error


_BY_KIND = {
    "Binder": duckdb.BinderException,
    "Conversion": duckdb.ConversionException,
    "Fatal": duckdb.FatalException,
    "HTTP": duckdb.HTTPException,
    "INTERNAL": duckdb.InternalException,
    "INTERRUPT": duckdb.InterruptException,
    "IO": duckdb.IOException,
    "Invalid Input": duckdb.InvalidInputException,
    "Not implemented": duckdb.NotImplementedException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "Out of Range": duckdb.OutOfRangeException,
    "Permission": duckdb.PermissionException,
    "Serialization": duckdb.SerializationException,
}
"""DuckDB's errors by the kind that their messages name first."""


def _of_duckdb(error: OSError) -> duckdb.Error:
    """Return the error of DuckDB that Arrow, which hands out its rows, raised as an error of its own."""
    kind, _, _ = str(error).partition(" Error: ")
    return _BY_KIND.get(kind, duckdb.Error)(str(error))
