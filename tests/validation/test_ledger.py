"""The chain of trials: what is changed or removed is seen, and nothing is added to a chain that is broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.errors import AuditError
from pm.tables.validation import OVERFITTING_TESTS, TRIAL_FILLS, TRIAL_RETURNS, TRIAL_TARGETS, TRIAL_TESTS
from pm.tables.vocabulary import TrialState
from pm.validation.ledger import RecordedTrials, TrialLedger, content_hash, rows_hash, verify_trials

if TYPE_CHECKING:
    from pm.tables.declaration import Table

SAME = {
    "settings_hash": "s", "code_hash": "c", "universe_hash": "u", "from_date": date(2020, 1, 1),
    "to_date": date(2021, 1, 1), "step": 20, "costs": "settings", "cost": 0.001, "benchmark": "equal",
}  # fmt: skip
FILLS = TRIAL_FILLS.polars_schema.to_frame()


def rows_of(table: Table, **values: object) -> pl.DataFrame:
    """Return a row of a table with these values, and null in the other columns."""
    return pl.DataFrame([dict.fromkeys(table.polars_schema) | values], schema=table.polars_schema)


def returns_of(trial: str, net: float) -> pl.DataFrame:
    return rows_of(TRIAL_RETURNS, trial_id=trial, date=date(2020, 1, 2), net=net)


@pytest.fixture(name="recorded")
def give_recorded() -> RecordedTrials:
    """Return three trials, of which one ended and was judged, one was killed, and one more ended and was judged."""
    rows: list[dict[str, Any]] = []
    judgements: list[dict[str, Any]] = []
    made: dict[Table, list[pl.DataFrame]] = {}
    for trial, state in (("t1", TrialState.DONE), ("t2", TrialState.KILLED), ("t3", TrialState.DONE)):
        ledger = TrialLedger(rows, trial, judgements)
        started = ledger.start({"trial_id": trial, "name": trial, **SAME})
        if state is not TrialState.DONE:
            ledger.end(started, state)
            rows += ledger.drain().to_dicts()
            continue
        own = {
            TRIAL_RETURNS: returns_of(trial, 0.01),
            TRIAL_TARGETS: rows_of(TRIAL_TARGETS, trial_id=trial, cutoff=date(2020, 1, 1), ticker="A", weight=0.5),
            TRIAL_TESTS: rows_of(TRIAL_TESTS, run_id=trial, trial_id=trial, verdict="not_proven", deflated=0.2),
            OVERFITTING_TESTS: rows_of(OVERFITTING_TESTS, run_id=trial, trial_id=trial, blocks=4, probability=0.5),
        }
        hashes = {"returns_hash": content_hash(own[TRIAL_RETURNS], FILLS)}
        hashes["targets_hash"] = rows_hash(TRIAL_TARGETS, own[TRIAL_TARGETS])
        ledger.end(started, state, **hashes)
        rows += ledger.drain().to_dicts()
        judgements += ledger.judge(own[TRIAL_TESTS], own[OVERFITTING_TESTS]).to_dicts()
        for table, frame in own.items():
            made.setdefault(table, []).append(frame)
    returns, targets, tests, splits = (pl.concat(frames) for frames in made.values())
    return RecordedTrials(rows, returns, FILLS, targets, judgements, tests, splits)


def reason(recorded: RecordedTrials) -> str:
    """Return what is wrong, in words; '' if nothing is."""
    fault = verify_trials(recorded)[1]
    return "" if fault is None else fault.reason


def test_a_whole_chain_has_no_fault(recorded: RecordedTrials) -> None:
    head, fault = verify_trials(replace(recorded, named={"t1", "t2", "t3"}))
    assert (head.sequence, fault) == (8, None)
    assert [row["parent"] for row in recorded.trials] == [None, None, "t1", "t1", "t1", "t1"]
    # Whatever the order in which a lake returns the rows.
    again = {name: getattr(recorded, name).reverse() for name in ("returns", "targets", "tests", "splits")}
    assert verify_trials(replace(recorded, **again))[1] is None


@pytest.mark.parametrize(
    ("kept", "judged", "named", "words"),
    [
        ([0, 1, 2, 3, 4], 1, set[str](), "Trial t3 has returns, fills or targets"),
        ([0, 1, 2, 3], 1, set[str](), "trial t3 are missing"),  # its returns are there
        ([0, 1], 1, {"t2"}, "trial t2 and 1 other trial are missing"),
        ([], 0, set[str](), "trial t1 and 1 other trial are missing"),
        ([0, 1, 4, 5], 2, set[str](), "row at position 4 is missing"),
        ([0, 1, 2, 3, 4, 5], 1, set[str](), "Run t3 judged trials, and the row of its judgement is missing"),
    ],
)
def test_rows_that_are_removed_are_missed(
    recorded: RecordedTrials, kept: list[int], judged: int, named: set[str], words: str
) -> None:
    rows, judgements = [recorded.trials[place] for place in kept], recorded.judgements[:judged]
    assert words in reason(replace(recorded, trials=rows, judgements=judgements, named=named))


def test_the_returns_of_a_trial_that_has_not_ended_are_a_fault(recorded: RecordedTrials) -> None:
    """Returns and the row of the end are one commit: without the row, somebody took it away or added the returns."""
    more = pl.concat([recorded.returns, returns_of("t2", 0.5)])
    assert "has not ended" in reason(replace(recorded, returns=more))


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("returns", "net", 0.010000000000000002, "Returns or fills of trial t1"),
        ("targets", "weight", 0.5000000000000001, "Targets of trial t1"),
        ("targets", "reason", "limited", "Targets of trial t1"),
        ("tests", "verdict", "proven", "Rows of trial_tests that run t1 found"),
        ("tests", "deflated", None, "Rows of trial_tests that run t1 found"),
        ("tests", "superior", True, "Rows of trial_tests that run t1 found"),
        ("splits", "probability", 0.1, "Rows of overfitting_tests that run t1 found"),
    ],
)
def test_what_a_trial_made_and_a_judgement_found_cannot_be_changed(
    recorded: RecordedTrials, name: str, column: str, value: object, words: str
) -> None:
    frame = getattr(recorded, name)
    changed = frame.with_columns(
        pl.when(trial_id=pl.lit("t1")).then(pl.lit(value, frame.schema[column])).otherwise(column).alias(column)
    )
    for tampered in (changed, frame.filter(pl.col("trial_id") != "t1"), pl.concat([frame, frame.head(1)])):
        assert reason(replace(recorded, **{name: tampered})).startswith(words)


def test_judgements_of_older_versions_have_no_row(recorded: RecordedTrials) -> None:
    old = rows_of(TRIAL_TESTS, run_id="t0", trial_id="t1", verdict="not_proven")
    assert not reason(replace(recorded, tests=pl.concat([old, recorded.tests])))
    new = rows_of(TRIAL_TESTS, run_id="t9", trial_id="t1", verdict="proven")
    assert "Run t9 judged trials" in reason(replace(recorded, tests=pl.concat([recorded.tests, new])))


def test_every_column_of_a_row_is_in_its_hash(recorded: RecordedTrials) -> None:
    rows = recorded.trials
    others: dict[type, object] = {str: "other", int: 99, float: 9.9, date: date(1999, 1, 1)}
    for name, value in rows[1].items():
        if value is not None:
            changed = [dict(row) for row in rows]
            changed[1][name] = others.get(type(value), value.replace(year=1999) if hasattr(value, "year") else value)
            assert verify_trials(replace(recorded, trials=changed))[1] is not None, name


def test_nothing_is_added_to_a_broken_chain(recorded: RecordedTrials) -> None:
    rows = list(recorded.trials)
    with pytest.raises(AuditError, match="position 4 is missing"):
        TrialLedger(rows[:2] + rows[4:], "t4", recorded.judgements)
    cheaper = [dict(row, cost=0.5) if row["sequence"] == 1 else row for row in rows]
    with pytest.raises(AuditError, match="was changed"):
        TrialLedger(cheaper, "t4", recorded.judgements)
