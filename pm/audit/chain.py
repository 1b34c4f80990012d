"""Verify a chain of hashes: that over all rows of the ledger, or that of the trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pm.ledger.journal import START, Head, row_hash
from pm.tables.ledger import AUDIT_HEADS, CHAINED_TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.tables.declaration import Table

__all__ = ["Fault", "verify_chain"]


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


def verify_chain(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    tables: Sequence[Table] = CHAINED_TABLES,
    head: str | None = None,
) -> tuple[Head, Fault | None]:
    """Return the end of the chain, and the first place at which it is broken; None if it is whole.

    Parameters
    ----------
    rows
        For each table of the chain, by its name, all of its rows.
    tables
        Tables of the chain: those of the ledger, or table `trials`.
    head
        Hash that must be in the chain, such as one printed in a report: it shows whether rows at the end are missing.

    Notes
    -----
    The hash of a row covers the hash of the row before it: whoever changes a row must compute all later hashes
    anew, and so changes the head, which reports have.
    """
    chained: list[tuple[int, Table, Mapping[str, Any]]] = sorted(
        ((row["sequence"], table, row) for table in tables for row in rows.get(table.qualified, ())),
        key=lambda item: item[0],
    )
    last, hashes = START, set()
    for sequence, table, row in chained:
        expected = last.sequence + 1
        if sequence < expected:
            return last, Fault(table.qualified, sequence, f"Two rows have position {sequence}.")
        if sequence > expected:
            return last, Fault(None, expected, f"The row at position {expected} is missing.")
        if row_hash(last.hash, table, row) != row["hash"]:
            return last, Fault(table.qualified, sequence, f"A row of {table.qualified} was changed.")
        if table is AUDIT_HEADS and (row["rows"], row["head"]) != (last.sequence, last.hash):
            return last, Fault(table.qualified, sequence, "The head of a run is not that of the rows before it.")
        last = Head(sequence, row["hash"])
        hashes.add(row["hash"])
    if head is not None and head not in hashes:
        return last, Fault(None, last.sequence + 1, f"No row has the hash {head[:16]}…: rows at the end are missing.")
    return last, None
