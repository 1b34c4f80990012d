"""The chain of trials: what is changed or removed is seen, and nothing is added to a chain that is broken."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from pm.errors import AuditError
from pm.tables.validation import TRIAL_FILLS, TRIAL_RETURNS
from pm.tables.vocabulary import TrialState
from pm.validation.ledger import TrialLedger, content_hash, verify_trials

SAME = {
    "settings_hash": "s", "code_hash": "c", "universe_hash": "u", "from_date": date(2020, 1, 1),
    "to_date": date(2021, 1, 1), "step": 20, "costs": "settings", "cost": 0.001, "benchmark": "equal",
}  # fmt: skip
FILLS = TRIAL_FILLS.polars_schema.to_frame()


def returns_of(trial: str, net: float) -> pl.DataFrame:
    frame = pl.DataFrame({"trial_id": [trial], "date": [date(2020, 1, 2)], "net": [net]})
    return TRIAL_RETURNS.conform(
        frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in TRIAL_RETURNS.polars_schema.items()
                           if name not in frame.columns)
    )  # fmt: skip


@pytest.fixture(name="recorded")
def give_recorded() -> tuple[list[dict[str, Any]], pl.DataFrame]:
    """Return the rows and returns of three trials: one that ended, one that was killed, and one more that ended."""
    rows: list[dict[str, Any]] = []
    made = []
    for trial, state in (("t1", TrialState.DONE), ("t2", TrialState.KILLED), ("t3", TrialState.DONE)):
        ledger = TrialLedger(rows, trial)
        started = ledger.start({"trial_id": trial, "name": trial, **SAME})
        more: dict[str, object] = {}
        if state is TrialState.DONE:
            made.append(returns_of(trial, 0.01))
            more = {"returns_hash": content_hash(made[-1], FILLS)}
        ledger.end(started, state, **more)
        rows += ledger.drain().to_dicts()
    return rows, pl.concat(made)


def test_a_whole_chain_has_no_fault(recorded: tuple[list[dict[str, Any]], pl.DataFrame]) -> None:
    rows, returns = recorded
    head, fault = verify_trials(rows, returns, FILLS, {"t1", "t2", "t3"})
    assert (head.sequence, fault) == (6, None)
    assert [row["parent"] for row in rows] == [None, None, "t1", "t1", "t1", "t1"]


@pytest.mark.parametrize(
    ("kept", "named", "words"),
    [
        ([0, 1, 2, 3, 4], set[str](), "Trial t3 has returns or fills"),
        ([0, 1, 2, 3], set[str](), "trial t3 are missing"),  # its returns are there
        ([0, 1], {"t2"}, "trial t2 and 1 other trial are missing"),
        ([], set[str](), "trial t1 and 1 other trial are missing"),
        ([0, 1, 4, 5], set[str](), "row at position 3 is missing"),
    ],
)
def test_rows_that_are_removed_are_missed(
    recorded: tuple[list[dict[str, Any]], pl.DataFrame], kept: list[int], named: set[str], words: str
) -> None:
    rows, returns = recorded
    _, fault = verify_trials([rows[place] for place in kept], returns, FILLS, named)
    assert fault is not None
    assert words in fault.reason


def test_the_returns_of_a_trial_that_has_not_ended_are_a_fault(
    recorded: tuple[list[dict[str, Any]], pl.DataFrame],
) -> None:
    """Returns and the row of the end are one commit: without the row, somebody took it away or added the returns."""
    rows, returns = recorded
    _, fault = verify_trials(rows, pl.concat([returns, returns_of("t2", 0.5)]), FILLS)
    assert fault is not None
    assert "has not ended" in fault.reason


def test_every_column_of_a_row_is_in_its_hash(recorded: tuple[list[dict[str, Any]], pl.DataFrame]) -> None:
    rows, returns = recorded
    others: dict[type, object] = {str: "other", int: 99, float: 9.9, date: date(1999, 1, 1)}
    for name, value in rows[1].items():
        if value is not None:
            changed = [dict(row) for row in rows]
            changed[1][name] = others.get(type(value), value.replace(year=1999) if hasattr(value, "year") else value)
            assert verify_trials(changed, returns, FILLS)[1] is not None, name


def test_nothing_is_added_to_a_broken_chain(recorded: tuple[list[dict[str, Any]], pl.DataFrame]) -> None:
    rows, _ = recorded
    with pytest.raises(AuditError, match="position 3 is missing"):
        TrialLedger(rows[:2] + rows[4:], "t4")
    cheaper = [row | {"cost": 0.5} if row["sequence"] == 1 else row for row in rows]
    with pytest.raises(AuditError, match="was changed"):
        TrialLedger(cheaper, "t4")
