"""Verify the chain of hashes over all rows of the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pm.ledger.journal import START, Head, row_hash
from pm.tables.ledger import AUDIT_HEADS, CHAINED_TABLES
from pm.tables.risk import LIMIT_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pm.tables.declaration import Table

__all__ = ["Fault", "limit_events_hash", "verify_chain"]


@dataclass(frozen=True)
class Fault:
    """The first place at which a chain is broken.

    Attributes
    ----------
    table
        Table of the row; None if a row is missing.
    sequence
        Position in the chain.
    reason
        What is wrong, in a sentence.
    """

    table: str | None
    sequence: int
    reason: str


def limit_events_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the hash of rows of limit_events, in the order of their key."""
    last = START.hash
    for row in sorted(rows, key=lambda row: tuple(str(row[name]) for name in LIMIT_EVENTS.key)):
        last = row_hash(last, LIMIT_EVENTS, row)
    return last


def verify_chain(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    head: str | None = None,
    limit_events: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> tuple[Head, Fault | None]:
    """Return the end of the chain, and the first place at which it is broken; None if it is whole.

    Parameters
    ----------
    rows
        For each table of `CHAINED_TABLES`, by its name, all of its rows.
    head
        Hash that must be in the chain, such as one printed in a report: it shows whether rows at the end are missing.
    limit_events
        For each run, the rows of limit_events that its stages made; None if they are not to be verified.

    Notes
    -----
    The hash of a row covers the hash of the row before it: whoever changes a row must compute all later hashes
    anew, and so changes the head, which reports have.
    """
    without = next(
        ((table, row) for table in CHAINED_TABLES for row in rows.get(table.qualified, ()) if row["sequence"] is None),
        None,
    )
    if without is not None:
        return START, Fault(without[0].qualified, 0, f"{_named(*without)} has lost its position in the chain.")
    chained: list[tuple[int, Table, Mapping[str, Any]]] = sorted(
        ((row["sequence"], table, row) for table in CHAINED_TABLES for row in rows.get(table.qualified, ())),
        key=lambda item: item[0],
    )
    last, hashes = START, set()
    for sequence, table, row in chained:
        fault = _fault(last, table, row, limit_events)
        if fault is not None:
            return last, fault
        last = Head(sequence, row["hash"])
        hashes.add(row["hash"])
    if head is not None and head not in hashes:
        return last, Fault(None, last.sequence + 1, f"No row has the hash {head[:16]}…: rows at the end are missing.")
    return last, None


def _fault(
    last: Head,
    table: Table,
    row: Mapping[str, Any],
    limit_events: Mapping[str, Sequence[Mapping[str, Any]]] | None,
) -> Fault | None:
    """Return what is wrong with a row that follows the end of the chain so far; None if nothing is."""
    sequence, expected = row["sequence"], last.sequence + 1
    if sequence < expected:
        return Fault(table.qualified, sequence, f"Two rows have position {sequence}.")
    if sequence > expected:
        return Fault(None, expected, f"The row at position {expected} is missing.")
    if row_hash(last.hash, table, row) != row["hash"]:
        return Fault(table.qualified, sequence, f"{_named(table, row)} was changed.")
    if table is AUDIT_HEADS:
        if (row["rows"], row["head"]) != (last.sequence, last.hash):
            return Fault(table.qualified, sequence, "The head of a run is not that of the rows before it.")
        told = row["limit_events"]
        if limit_events is not None and told not in {None, limit_events_hash(limit_events.get(row["run_id"], ()))}:
            return Fault(None, sequence, f"The rows of limit_events of run {row['run_id']} were changed.")
    return None


def _named(table: Table, row: Mapping[str, Any]) -> str:
    """Return a row in words: its table, its key, and when it was recorded."""
    key = ", ".join(f"{name} {row[name]}" for name in table.key if name != "sequence")
    recorded = f"{row['recorded_at']:%Y-%m-%d %H:%M}" if row["recorded_at"] is not None else "an unknown time"
    return f"A row of {table.qualified}{f' ({key})' if key else ''}, recorded at {recorded},"
