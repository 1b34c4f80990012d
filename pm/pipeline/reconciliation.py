"""Prove that no row that landed has disappeared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import ReconciliationError

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["RECONCILED", "verify_reconciliation"]

RECONCILED = frozenset({"raw.batches", "raw.bars", "bars", "quarantine", "reconciliation"})
"""Names of the tables whose rows are counted."""

_DISAGREEING = """
SELECT b.batch_id, b.bars AS said, coalesce(l.landed, 0) AS landed,
       r.inserted + r.updated + r.unchanged + r.quarantined AS accounted,
       r.quarantined, coalesce(q.refused, 0) AS refused
FROM raw.batches b
LEFT JOIN reconciliation r USING (batch_id)
LEFT JOIN (SELECT batch_id, count(*) AS landed FROM raw.bars GROUP BY batch_id) l USING (batch_id)
LEFT JOIN (SELECT batch_id, count(*) AS refused FROM quarantine GROUP BY batch_id) q USING (batch_id)
WHERE said <> coalesce(l.landed, 0)
   OR coalesce(l.landed, 0) IS DISTINCT FROM accounted
   OR r.quarantined IS DISTINCT FROM coalesce(q.refused, 0)
ORDER BY b.batch_id
"""

_NAMELESS = "SELECT batch_id FROM (SELECT DISTINCT batch_id FROM raw.bars) ANTI JOIN raw.batches USING (batch_id)"

_INSERTED = "SELECT (SELECT count(*) FROM bars), (SELECT coalesce(sum(inserted), 0) FROM reconciliation)"

_HINT = "something outside pm has changed the lake; look with `pm lake snapshots`"


def verify_reconciliation(lake: Lake) -> None:
    """Check that every row that landed is accounted for.

    Of every batch: the rows it said it landed = those in raw.bars = inserted + updated + unchanged + quarantined, and
    the quarantined are in quarantine. Of all: no landed row is of an unknown batch, and bars has as many rows as were
    ever inserted.

    Raises
    ------
    ReconciliationError
        Rows are not all accounted for.
    """
    for row in lake.rows(_DISAGREEING):
        raise ReconciliationError(
            f"Batch {row['batch_id']} landed {row['said']} bars; {row['landed']} are there, {row['accounted'] or 0} "
            f"are accounted for, and {row['refused']} of {row['quarantined'] or 0} refused ones are in quarantine.",
            where="tables raw.bars, reconciliation, quarantine",
            hint=_HINT,
        )
    unknown = lake.scalar(_NAMELESS)
    if unknown is not None:
        raise ReconciliationError(
            f"There are bars of batch {unknown!r}, which never landed.", where="table raw.bars", hint=_HINT
        )
    there, inserted = lake.rows(_INSERTED)[0].values()
    if there != inserted:
        raise ReconciliationError(
            f"Table bars has {there} rows, and {inserted} were inserted.",
            where="tables bars, reconciliation",
            hint=_HINT,
        )
