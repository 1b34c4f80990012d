"""Prove that no row that landed has disappeared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import ReconciliationError

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["verify_reconciliation"]

_DISAGREEING = """
SELECT b.batch_id, b.bars AS said, coalesce(l.landed, 0) AS landed,
       r.inserted + r.updated + r.unchanged + r.quarantined AS accounted,
       r.quarantined, coalesce(q.refused, 0) AS refused
FROM raw.batches b
JOIN reconciliation r USING (batch_id)
LEFT JOIN (SELECT batch_id, count(*) AS landed FROM raw.bars GROUP BY batch_id) l USING (batch_id)
LEFT JOIN (SELECT batch_id, count(*) AS refused FROM quarantine GROUP BY batch_id) q USING (batch_id)
WHERE said <> coalesce(l.landed, 0) OR coalesce(l.landed, 0) <> accounted OR r.quarantined <> coalesce(q.refused, 0)
ORDER BY b.batch_id
"""


def verify_reconciliation(lake: Lake) -> None:
    """Hold every checked batch to: rows in raw.bars = inserted + updated + unchanged + rows in quarantine.

    Raises
    ------
    ReconciliationError
        A batch's rows are not all accounted for.
    """
    wrong = lake.query(_DISAGREEING)
    if not wrong.is_empty():
        row = wrong.row(0, named=True)
        raise ReconciliationError(
            f"Batch {row['batch_id']} landed {row['landed']} bars but {row['accounted']} are accounted for, "
            f"and {row['refused']} of {row['quarantined']} refused ones are in quarantine.",
            where="tables raw.bars, reconciliation, quarantine",
            hint="something outside pm has changed the lake; look with `pm lake snapshots`",
        )
