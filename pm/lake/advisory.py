"""The right to write to a shared lake: a lock in its catalog's database, which names its owner and dies with it.

DuckLake lets two merges of equal keys both succeed if neither saw the other's rows. So whoever writes holds an advisory
lock of PostgreSQL, and commits only if nobody has committed since the transaction began; see `attach`. The server gives
the lock to those who wait in the order in which they came, and takes it back when the connection of its owner ends.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pm.errors import LakeBusyError, LakeError
from pm.lake.shared import catalog_session, translated_shared

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    import psycopg

    from pm.lake.location import LakeLocation

__all__ = ["AdvisoryLock", "is_being_written"]

_WRITES, _IS_ACTIVE = 1_886_216_556, 1_886_216_557
"""First numbers of the locks on the right to write, and on the sign that a command that writes is active."""
_HOLDERS = """
SELECT pid, application_name, usename, host(client_addr), backend_start AT TIME ZONE 'UTC'
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND classid = %s::bigint::oid AND objid = %s::bigint::oid
    AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""Query for the connections that hold a lock."""
_DEAD_PEER = ("tcp_keepalives_idle = 30", "tcp_keepalives_interval = 10", "tcp_keepalives_count = 3")
"""Settings with which the server notices within a minute that the machine at the other end is gone."""
_LONGEST_WAIT = 2_000_000
"""Longest wait that the server can be told, in seconds."""


class AdvisoryLock:
    """The right to write to a shared lake, from `with` to its end.

    Parameters
    ----------
    location
        The lake.
    command
        Name of the command, which those who wait are told.
    wait_seconds
        Longest wait for others who hold it, or came before, in seconds.
    on_wait
        Function that is told in a sentence which command is waited for: at most once.

    Raises
    ------
    LakeBusyError
        Another command still holds it; the message names it.
    LakeError
        The database cannot be used.
    """

    def __init__(
        self,
        location: LakeLocation,
        command: str,
        *,
        wait_seconds: float = 0,
        on_wait: Callable[[str], object] | None = None,
    ) -> None:
        self._location = location
        self._wait_seconds = min(wait_seconds, _LONGEST_WAIT)
        self._on_wait = on_wait
        self._number = zlib.crc32(location.schema.encode()) - 2**31  # the server takes signed numbers of 32 bits
        self._connecting = catalog_session(location, command)
        self._session: psycopg.Connection | None = None

    def __enter__(self) -> Self:
        self._connect()
        try:
            self._acquire()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._session = None
        self._connecting.__exit__(None, None, None)

    def prove(self) -> None:
        """Ask the server whether this connection still holds the lock.

        Raises
        ------
        LakeError
            It does not: another command can have written meanwhile.
        """
        try:
            held = self._session is not None and any(
                pid == self._session.info.backend_pid for pid, *_ in self._holders(_WRITES)
            )
        except LakeError:
            held = False
        if not held:
            raise LakeError(
                "The connection to the catalog's server was lost, and the right to write with it; what was not "
                "committed was not written.",
                where=self._location.where,
                hint="run this again: it goes on where it stopped",
            )

    def _connect(self) -> None:
        self._session = self._connecting.__enter__()
        with translated_shared(self._location):
            for setting in (*_DEAD_PEER, "idle_session_timeout = 0", "statement_timeout = 0"):
                self._set(setting)
            self._call("SELECT pg_advisory_lock_shared(%s, %s)", _IS_ACTIVE)

    def _set(self, setting: str) -> None:
        import psycopg

        assert self._session is not None  # noqa: S101 - it is asked of an open lock only
        try:
            self._session.execute(f"SET {setting}".encode())
        except psycopg.errors.UndefinedObject:  # of a later version of PostgreSQL than the server's
            return

    def _acquire(self) -> None:
        with translated_shared(self._location):
            if self._call("SELECT pg_try_advisory_lock(%s, %s)", _WRITES):
                return
        if not self._wait_seconds:
            raise self._busy()
        if self._on_wait is not None:
            self._on_wait(
                f"Waiting up to {self._wait_seconds:,g} s for another command to finish writing to this lake: "
                f"{self._holder()}."
            )
            self._on_wait = None
        self._wait()

    def _wait(self) -> None:
        import psycopg

        milliseconds = max(1, int(self._wait_seconds * 1000))
        self._set(f"lock_timeout = {milliseconds}")
        try:
            with translated_shared(self._location):
                try:
                    self._call("SELECT pg_advisory_lock(%s, %s)", _WRITES)
                except psycopg.errors.LockNotAvailable:
                    raise self._busy() from None
        finally:
            with suppress(psycopg.Error):  # of a connection that is lost, which the error in hand tells
                self._set("lock_timeout = 0")

    def _busy(self) -> LakeBusyError:
        return LakeBusyError(
            f"Another command is writing to this lake: {self._holder()}.",
            where=self._location.where,
            hint="wait for it to end, or raise lake.wait_seconds; reading (pm sql, pm runs, …) works meanwhile",
        )

    def _holder(self) -> str:
        """Describe who holds the lock, as far as the server tells this user."""
        for pid, name, user, address, since in self._holders(_WRITES):
            from_where = f" from {address}" if address else ""
            known = f"`{name}` of user {user}{from_where}, since {since:%Y-%m-%d %H:%M:%S} UTC" if name else ""
            return f"{known or 'of another user'} (server process {pid})"
        return "it is just starting or ending"

    def _holders(self, lock: int) -> list[tuple]:  # type: ignore[type-arg]
        assert self._session is not None  # noqa: S101 - it is asked of an open lock only
        with translated_shared(self._location):
            return self._session.execute(_HOLDERS, [lock, self._number % 2**32]).fetchall()

    def _call(self, function: str, lock: int) -> object:
        assert self._session is not None  # noqa: S101 - it is asked of an open lock only
        row = self._session.execute(function.encode(), [lock, self._number]).fetchone()
        return row[0] if row else None


def is_being_written(location: LakeLocation) -> bool:
    """Return whether a command that writes to a shared lake is active, on any machine."""
    number = zlib.crc32(location.schema.encode()) - 2**31
    with catalog_session(location, "pm") as session:
        return session.execute(_HOLDERS, [_IS_ACTIVE, number % 2**32]).fetchone() is not None
