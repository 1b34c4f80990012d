"""Signs that all machines which share a lake see at once: texts that are set and removed without the right to write.

They are rows of a table of their own beside the catalog's, each statement a commit. A command that writes can hold the
right to write for minutes, and what a sign says, such as that trading is to stop, must not wait for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.lake.binding import identifier
from pm.lake.shared import catalog_session, holds_lake

if TYPE_CHECKING:
    from pm.lake.location import LakeLocation

__all__ = ["remove_sign", "set_sign", "sign"]

_TABLE = "pm_signs"


def set_sign(location: LakeLocation, name: str, text: str) -> bool:
    """Set a sign of a shared lake, and return whether there is a lake to have it; one that is set keeps its text.

    Raises
    ------
    LakeError
        The catalog's database cannot be used.
    """
    if not holds_lake(location):
        return False
    table = _qualified(location)
    insert = f"INSERT INTO {table} (name, text) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"  # noqa: S608 - quoted
    with catalog_session(location, "pm") as session:
        session.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (name text PRIMARY KEY, text text NOT NULL, "
            "set_at timestamptz NOT NULL DEFAULT now())".encode()
        )
        session.execute(insert.encode(), [name, text])
    return True


def remove_sign(location: LakeLocation, name: str) -> None:
    """Remove a sign of a shared lake, if it is set.

    Raises
    ------
    LakeError
        The catalog's database cannot be used.
    """
    if sign(location, name) is None:
        return
    delete = f"DELETE FROM {_qualified(location)} WHERE name = %s"  # noqa: S608 - quoted
    with catalog_session(location, "pm") as session:
        session.execute(delete.encode(), [name])


def sign(location: LakeLocation, name: str) -> str | None:
    """Return the text of a sign of a shared lake; None if it is not set.

    Raises
    ------
    LakeError
        The catalog's database cannot be used.
    """
    import psycopg

    query = f"SELECT text FROM {_qualified(location)} WHERE name = %s"  # noqa: S608 - quoted
    with catalog_session(location, "pm") as session:
        try:
            row = session.execute(query.encode(), [name]).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return None
    return None if row is None else str(row[0])


def _qualified(location: LakeLocation) -> str:
    return f"{identifier(location.schema)}.{identifier(_TABLE)}"
