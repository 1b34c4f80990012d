"""Verdicts on nights: what is right holds, what is wrong is refuted, and too little is too early."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp

from pm.validation.nightly import (
    MIN_DATES,
    PIT_MIDDLES,
    Finding,
    compared,
    excess_finding,
    forecast_findings,
    independent_dates,
    mean_test,
    risk_findings,
    validation_rows,
)

if TYPE_CHECKING:
    from pm.typing import FloatArray

FIRST = date(2024, 1, 1)


def daily(values: FloatArray, *, horizon: int = 1, reference: float = 0.0, outcomes: int = 10) -> pl.DataFrame:
    days = [FIRST + timedelta(days=place) for place in range(len(values))]
    return pl.DataFrame(
        {"origin": days, "known": [on + timedelta(days=horizon) for on in days], "value": values},
        schema_overrides={"origin": pl.Date, "known": pl.Date, "value": pl.Float64},
    ).with_columns(outcomes=pl.lit(outcomes, pl.Int64), reference=pl.lit(reference))


def verdicts(*findings: Finding) -> list[dict[str, Any]]:
    return validation_rows(findings).to_dicts()


@given(
    windows=st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=30, unique_by=lambda w: w[0]
    )
)
def test_windows_that_count_never_overlap_and_none_is_left_out_that_fits(windows: list[tuple[int, int]]) -> None:
    frame = pl.DataFrame(
        [(FIRST + timedelta(days=start), FIRST + timedelta(days=start + length)) for start, length in windows],
        schema={"origin": pl.Date, "known": pl.Date}, orient="row",
    )  # fmt: skip
    kept = independent_dates(frame).rows()
    assert all(second[0] >= first[1] for first, second in pairwise(kept))
    for origin, known in set(frame.rows()) - set(kept):
        assert any(origin < end and start < known for start, end in kept)


def test_the_mean_is_tested_as_scipy_does() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 40)
    expected = ttest_1samp(values, 0)
    assert mean_test(values) == pytest.approx((expected.statistic, expected.pvalue))
    assert mean_test(np.zeros(9)) == (0.0, 1.0)
    assert np.isnan(mean_test(np.full(9, 0.1))).all()


def test_a_series_that_follows_itself_is_less_certain() -> None:
    """The standard error of Newey and West (the oracle of tests/statistics/test_regression) is that of a regression."""
    from pm.statistics.regression import regress

    values = np.random.default_rng(2).normal(0.1, 1, 300).cumsum() / 10
    fitted = regress(values, np.empty((300, 0)), lags=6)
    t, _ = mean_test(values, lags=6)
    assert t == pytest.approx(fitted.coefficients[0] / fitted.errors[0])
    assert abs(t) < abs(mean_test(values)[0])


def test_what_is_said_right_holds_and_what_is_said_wrong_is_refuted() -> None:
    rng = np.random.default_rng(3)
    happened = rng.binomial(10, 0.4, 200) / 10
    right = excess_finding("signals", "m", "", daily(happened, reference=0.4), is_claim=True, due=None)
    wrong = excess_finding("signals", "m", "", daily(happened, reference=0.55), is_claim=True, due=None)
    rows = verdicts(right, wrong)
    assert [row["verdict"] for row in rows] == ["holds", "refuted"]
    assert rows[0]["outcomes"] == 2000
    assert rows[0]["value"] == pytest.approx(happened.mean())


def test_of_twenty_windows_that_overlap_one_counts() -> None:
    """Twenty copies of each outcome are no evidence: a test that took them for independent would refute this."""
    rng = np.random.default_rng(11)
    values = np.repeat(rng.normal(0.0, 1, 10) + 0.35, 20)
    (row,) = verdicts(excess_finding("signals", "m", "", daily(values, horizon=20), is_claim=True, due=None))
    assert (row["independent"], row["verdict"]) == (10, "holds")
    (naive,) = verdicts(excess_finding("signals", "m", "", daily(values, horizon=1), is_claim=True, due=None))
    assert (naive["independent"], naive["verdict"]) == (200, "refuted")


@pytest.mark.parametrize(("mean", "verdict"), [(0.5, "better"), (0.0, "not_better"), (-0.5, "worse")])
def test_what_has_to_be_beaten(mean: float, verdict: str) -> None:
    values = np.random.default_rng(5).normal(mean, 1, 150)
    (row,) = verdicts(excess_finding("signals", "m", "", daily(values), is_claim=False, due=None))
    assert row["verdict"] == verdict


@pytest.mark.parametrize("count", [0, 1, MIN_DATES - 1])
def test_too_few_dates_are_too_early_and_say_when_the_next_is_due(count: int) -> None:
    due = date(2024, 3, 1)
    values = np.random.default_rng(6).normal(5, 1, count)
    (row,) = verdicts(excess_finding("signals", "m", "", daily(values), is_claim=True, due=due))
    assert (row["verdict"], row["due"], row["p_value"]) == ("too_early", due, None)
    assert "2024-03-01" in row["reason"]
    assert (row["value"] is None) == (count == 0)


def test_outcomes_that_are_all_alike_prove_nothing() -> None:
    """One ticker whose price was inside its 90% interval on the first nine dates: that happens with probability .39."""
    (row,) = verdicts(excess_finding("forecasts", "m", "", daily(np.ones(9), reference=0.9), is_claim=True, due=None))
    assert row["verdict"] == "too_early"
    assert "not all alike" in row["reason"]


def test_of_many_tests_of_what_is_right_few_refute() -> None:
    """Forty right claims a night, of which a test at 5% each would refute two: 200 nights."""
    rng = np.random.default_rng(7)
    refuted = 0
    for _ in range(200):
        findings = [
            excess_finding("signals", "m", str(part), daily(rng.normal(0, 1, 20)), is_claim=True, due=None)
            for part in range(40)
        ]
        refuted += any(row["verdict"] == "refuted" for row in verdicts(*findings))
    assert refuted <= 20  # 10 are expected; more than 20 have a probability of 0.1%


def transformed(shift: float, scale: float, horizon: int = 5, last: int = 5) -> pl.DataFrame:
    """Return 40 dates with 50 forecasts each of a standard normal outcome, whose distributions are shifted and scaled.

    The tickers of a date share half of the variance.
    """
    generator = np.random.default_rng(11)
    common = generator.normal(size=(40, 1))
    outcomes = np.sqrt(0.5) * common + np.sqrt(0.5) * generator.normal(size=(40, 50))
    levels = np.array([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975])
    places = np.searchsorted(levels, norm.cdf((outcomes - shift) / scale))
    middles = np.array(PIT_MIDDLES)[places]
    origins = [FIRST + timedelta(days=7 * place) for place in range(40)]
    return pl.DataFrame(
        {
            "step": horizon,
            "origin": origins,
            "is_last": horizon == last,
            "known": [day + timedelta(days=horizon) for day in origins],
            "outcomes": 50,
            "inside": ((places > 1) & (places < 8)).mean(axis=1),
            "gain": generator.normal(size=40),
            "pit": middles.mean(axis=1),
            "pit_square": ((middles - 0.5) ** 2).mean(axis=1),
        }
    )


@pytest.mark.parametrize(
    ("shift", "scale", "refuted"),
    [
        (0.0, 1.0, set[str]()),
        (0.7, 1.0, {"mean of the PIT"}),
        (0.0, 0.6, {"spread of the PIT"}),
        (0.0, 2.0, {"spread of the PIT"}),
    ],
)
def test_whether_the_transform_is_uniform(shift: float, scale: float, refuted: set[str]) -> None:
    rows = validation_rows(forecast_findings(transformed(shift, scale), None))
    found = set(rows.filter(pl.col("measure").str.contains("PIT"), verdict="refuted")["measure"])
    assert refuted <= found
    assert refuted or not found
    spread = rows.filter(measure="spread of the PIT")["value"].item()
    if not shift:
        assert (spread > 1.1) == (scale < 1)
        assert (spread < 0.9) == (scale > 1)


def test_the_middles_of_a_uniform_transform_have_its_mean() -> None:
    drawn = np.random.default_rng(12).random(200_000)
    middles = np.array(PIT_MIDDLES)[np.searchsorted([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975], drawn)]
    whole = transformed(0.0, 1.0).head(1).with_columns(
        pit=pl.lit(middles.mean()), pit_square=pl.lit(((middles - 0.5) ** 2).mean())
    )  # fmt: skip
    values = {one.measure: one.value for one in forecast_findings(whole, None)}
    assert values["mean of the PIT"] == pytest.approx(0.5, abs=0.002)
    assert values["spread of the PIT"] == pytest.approx(1.0, abs=0.01)


def test_the_last_step_of_each_run_is_tested_after_the_horizon_was_changed() -> None:
    """Nights forecast 20 sessions ahead, and later ones 10."""
    steps = pl.concat(
        [transformed(0, 1, step, last) for step, last in ((1, 20), (5, 20), (10, 10), (15, 20), (20, 20))]
    )
    found = {one.part for one in forecast_findings(steps, None)}
    assert found == {"1 session", "5 sessions", "10 sessions", "20 sessions"}


def test_value_at_risk_needs_as_many_forecasts_as_one_exception_takes() -> None:
    common = {"portfolio": "main", "horizon": 1, "exceptions": 0, "share": 0.0, "kupiec": 1.0, "kupiec_p": 0.3}
    tests = pl.DataFrame(
        [common | {"level": level, "forecasts": count} for level, count in ((0.99, 99), (0.99, 100), (0.9, 10))]
    ).with_columns(horizon=pl.Series([1, 5, 20]))
    found = {row["part"]: row["verdict"] for row in verdicts(*risk_findings(tests, None))}
    assert found == {
        "main, 0.99, 1 session": "too_early",
        "main, 0.99, 5 sessions": "holds",
        "main, 0.9, 20 sessions": "holds",
    }
    (nothing,) = verdicts(*risk_findings(tests.clear(), date(2024, 1, 2)))
    assert (nothing["verdict"], nothing["outcomes"]) == ("too_early", 0)


def test_an_account_is_judged_against_equal_weights_from_a_quarter_on() -> None:
    rng = np.random.default_rng(8)
    base = rng.normal(0, 0.01, 250)
    better = verdicts(compared("main", base + rng.normal(0.002, 0.003, 250), base))[0]
    assert (better["verdict"], better["part"], better["independent"]) == ("better", "main", 250)
    assert better["value"] > better["reference"]
    assert verdicts(compared("main", base[:30], base[:30]))[0]["verdict"] == "too_early"
    assert verdicts(compared("main", base[:0], base[:0]))[0]["outcomes"] == 0
    assert verdicts(compared("main", base, base))[0]["verdict"] == "not_better"
