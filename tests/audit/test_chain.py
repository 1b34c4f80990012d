"""What the audit finds besides changed rows of the ledger: events of limits that were changed or removed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pm.audit.chain import limit_events_hash, verify_chain
from pm.ledger.ledger import Ledger
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.risk import LIMIT_EVENTS


def event(subject: str, value: float) -> dict[str, Any]:
    return dict.fromkeys(LIMIT_EVENTS.polars_schema) | {
        "run_id": "run-1", "cutoff": date(2024, 1, 2), "portfolio": "main proposed", "limit_name": "max_weight",
        "subject": subject, "value": value, "bound": 0.25, "action": "scale", "value_after": 0.25,
    }  # fmt: skip


EVENTS = [event("AAA", 0.3), event("BBB", 0.4)]


@pytest.mark.parametrize(
    ("found", "is_whole"),
    [
        (EVENTS, True),
        (EVENTS[::-1], True),
        (EVENTS[:1], False),
        ([], False),
        ([EVENTS[0], event("BBB", 0.26)], False),
        ([*EVENTS, event("CCC", 0.3)], False),
    ],
)
def test_changed_events_of_limits_are_found(found: list[dict[str, Any]], is_whole: bool) -> None:
    ledger = Ledger({}, "run-1")
    ledger.add_head(rows=0, head="0" * 64, cutoff=date(2024, 1, 2), limit_events=limit_events_hash(EVENTS))
    rows = {table.qualified: ledger.journal.rows(table) for table in CHAINED_TABLES}
    assert verify_chain(rows)[1] is None
    fault = verify_chain(rows, limit_events={"run-1": found})[1]
    assert (fault is None) == is_whole
    if fault is not None:
        assert fault.reason == "The rows of limit_events of run run-1 were changed."


def test_a_run_without_events_is_whole() -> None:
    ledger = Ledger({}, "run-1")
    ledger.add_head(rows=0, head="0" * 64, cutoff=None, limit_events=limit_events_hash([]))
    rows = {table.qualified: ledger.journal.rows(table) for table in CHAINED_TABLES}
    assert verify_chain(rows, limit_events={})[1] is None
