"""Which trials are judged together: those of other days too, and none without those that were removed."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from pm.errors import AuditError
from pm.settings import ValidationSettings
from pm.validation.judging import trial_tests

SETTINGS = ValidationSettings(step=20, benchmark="equal", prior_trials=0, paths=0, bootstrap=200, seed=1)
DAYS = pl.date_range(date(2015, 1, 1), date(2020, 1, 1), eager=True)[:1500].to_list()


def returns_of(trial: str, net: np.ndarray[Any, np.dtype[np.float64]], days: list[date]) -> pl.DataFrame:
    columns = {"trial_id": trial, "date": days, "net": net, "benchmark": np.zeros(len(days))}
    return pl.DataFrame(columns, schema_overrides={"trial_id": pl.String})


def row(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of a table
    return {"state": "done", "fills": 10, "cost": 0.001} | more


def test_a_trial_of_today_is_compared_with_those_of_the_days_before() -> None:
    """Each was run a day after the one before, so that each has a session more."""
    generator = np.random.default_rng(3)
    names = [f"t{place:02}" for place in range(6)]
    frames = [
        returns_of(name, generator.normal(0, 0.01, 200 + place), DAYS[: 200 + place])
        for place, name in enumerate(names)
    ]
    tests, splits = trial_tests({name: row() for name in names}, pl.concat(frames), SETTINGS)
    newest = tests.row(by_predicate=pl.col("trial_id") == names[-1], named=True)
    assert (newest["compared"], newest["days"], newest["trials"]) == (6, 205, 6)
    assert newest["overfitting"] is not None
    assert set(splits.filter(trial_id=names[-1])["trials"]) == {6}
    own = frames[-1]["net"].to_numpy()
    assert newest["sharpe"] == pytest.approx(own.mean() / own.std(ddof=1))  # of all of its own sessions


def test_trials_of_other_years_count_and_are_not_compared() -> None:
    generator = np.random.default_rng(4)
    frames = [
        returns_of("early", generator.normal(0, 0.01, 700), DAYS[:700]),
        returns_of("late", generator.normal(0.004, 0.01, 900), DAYS[600:]),
        returns_of("whole", generator.normal(0, 0.01, 1500), DAYS),
    ]
    tests, _ = trial_tests({name: row() for name in ("early", "late", "whole")}, pl.concat(frames), SETTINGS)
    compared = dict(tests.select("trial_id", "compared").iter_rows())
    assert compared == {"early": 2, "late": 2, "whole": 1}
    assert set(tests["trials"]) == {3}
    late = tests.row(by_predicate=pl.col("trial_id") == "late", named=True)
    assert "overfitting" in late["reasons"] or late["verdict"] == "proven"


def test_what_is_best_among_trials_that_cannot_be_compared_is_not_proven() -> None:
    good = returns_of("good", np.random.default_rng(5).normal(0.004, 0.01, 400), DAYS[1100:])
    early = returns_of("early", np.random.default_rng(6).normal(0, 0.01, 400), DAYS[:400])
    alone, _ = trial_tests({"good": row()}, good, SETTINGS)
    assert alone["verdict"].to_list() == ["proven"]
    both, _ = trial_tests({"good": row(), "early": row()}, pl.concat([good, early]), SETTINGS)
    found = both.row(by_predicate=pl.col("trial_id") == "good", named=True)
    assert found["verdict"] == "not_proven"
    assert "those of 1 were not compared" in found["reasons"]


def test_a_trial_that_is_repeated_is_no_choice() -> None:
    """Of two equal trials the better is none, so that choosing it cannot be overfitting."""
    net = np.random.default_rng(5).normal(0.004, 0.01, 400)
    frames = [returns_of(name, net, DAYS[:400]) for name in ("first", "again")]
    tests, _ = trial_tests({"first": row(), "again": row()}, pl.concat(frames), SETTINGS)
    assert tests["overfitting"].to_list() == [None, None]
    assert tests["verdict"].to_list() == ["proven", "proven"]
    assert all("1 of 2 trials repeats another" in reasons for reasons in tests["reasons"])


def test_trials_are_not_judged_without_those_whose_rows_were_removed() -> None:
    frames = [returns_of(name, np.random.default_rng(7).normal(0, 0.01, 100), DAYS[:100]) for name in ("kept", "gone")]
    with pytest.raises(AuditError, match="rows of trial gone are missing"):
        trial_tests({"kept": row()}, pl.concat(frames), SETTINGS)
