"""Keep messages in a file until they are sent, so that each is sent once, also after a crash.

A file of its own and not the lake: the message that matters most is that the lake cannot be written.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pm.clock import utc_now
from pm.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pm.notify.message import Message

__all__ = ["OUTBOX", "Entry", "Outbox", "State"]

OUTBOX = "messages.sqlite"
"""Name of the file in the workspace's folder of logs."""
_WAIT_SECONDS = 30.0
"""Seconds to wait for another process that writes to the file."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    key TEXT NOT NULL,
    channel TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    urgent INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    changed_at TEXT NOT NULL,
    problem TEXT,
    PRIMARY KEY (key, channel)
)
"""
_INSERT = "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, NULL)"
_COLUMNS = "key, channel, subject, body, urgent, created_at, state, attempts, changed_at, problem"


class State(StrEnum):
    """State of a message on a channel."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True)
class Entry:
    """A message on a channel, and what became of it.

    Attributes
    ----------
    key, channel
        What it is known by.
    subject, body, urgent
        The message.
    created_at, changed_at
        Times of its planning and of its newest state, in UTC, as ISO text.
    state
        `sending` after the end of the process means that it is not known whether it arrived.
    attempts
        Number of attempts.
    problem
        What the last attempt met; None if nothing.
    """

    key: str
    channel: str
    subject: str
    body: str
    urgent: bool
    created_at: str
    state: State
    attempts: int
    changed_at: str
    problem: str | None


class Outbox:
    """The messages of a workspace.

    Parameters
    ----------
    logs
        The workspace's folder of logs; it is made if it does not exist.

    Raises
    ------
    StorageError
        The file cannot be read or written.
    """

    def __init__(self, logs: Path) -> None:
        self._file = logs / OUTBOX
        try:
            logs.mkdir(exist_ok=True)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        with self._open() as connection:
            connection.execute(_SCHEMA)

    def plan(self, message: Message, channels: Sequence[str]) -> int:
        """Record a message for channels, and return for how many it is new: one with the same key is there already."""
        now = _now()
        common = (message.key, message.subject, message.body, message.urgent)
        with self._open() as connection:
            return sum(
                connection.execute(_INSERT, (*common[:1], channel, *common[1:], now, State.PLANNED.value, now)).rowcount
                for channel in channels
            )

    def planned(self) -> list[Entry]:
        """Return the messages that are to be sent, in the order of their planning."""
        return self._entries("WHERE state = ? ORDER BY created_at, key, channel", (State.PLANNED.value,))

    def newest(self, limit: int) -> list[Entry]:
        """Return the newest messages, the newest first."""
        return self._entries("ORDER BY created_at DESC, key, channel LIMIT ?", (limit,))

    def claim(self, entry: Entry) -> bool:
        """Take a message for sending; return whether no other process was faster."""
        with self._open() as connection:
            return (
                connection.execute(
                    "UPDATE messages SET state = ?, attempts = attempts + 1, changed_at = ? "
                    "WHERE key = ? AND channel = ? AND state = ?",
                    (State.SENDING.value, _now(), entry.key, entry.channel, State.PLANNED.value),
                ).rowcount
                == 1
            )

    def settle(self, entry: Entry, state: State, problem: str | None = None) -> None:
        """Record what became of a message."""
        with self._open() as connection:
            connection.execute(
                "UPDATE messages SET state = ?, changed_at = ?, problem = ? WHERE key = ? AND channel = ?",
                (state.value, _now(), problem, entry.key, entry.channel),
            )

    def _entries(self, clause: str, values: tuple[object, ...]) -> list[Entry]:
        with self._open() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM messages {clause}", values).fetchall()  # noqa: S608 - own words
        return [
            Entry(key, channel, subject, body, bool(urgent), created, State(state), attempts, changed, problem)
            for key, channel, subject, body, urgent, created, state, attempts, changed, problem in rows
        ]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._file, timeout=_WAIT_SECONDS)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise self._unusable(str(error)) from None

    def _unusable(self, reason: str) -> StorageError:
        return StorageError(
            f"The messages cannot be recorded: {reason}.",
            where=str(self._file),
            hint="free some space, or correct its permissions; a damaged file can be moved away",
        )


def _now() -> str:
    return utc_now().isoformat(timespec="seconds")
