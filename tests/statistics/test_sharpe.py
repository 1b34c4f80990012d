"""Sharpe ratios against published values (docs/evidence.md says whose), simulations and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pm.statistics.sharpe import (
    Sharpe,
    annualisation,
    annualisation_of,
    deflated_sharpe,
    effective_number,
    expected_maximum,
    hac_error,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_of,
)

PAPER = Sharpe(0.458, -2.448, 10.164, 24)
"""Example of Bailey and López de Prado (2012)."""
AUTHORS = Sharpe(0.036 / 0.079, -2.448, 10.164, 24)
"""Example in the test file of López de Prado, Lipton and Zoonekynd (2025)."""


def test_the_probability_of_the_paper_of_2012() -> None:
    assert probabilistic_sharpe(PAPER) == pytest.approx(0.913, abs=5e-4)
    assert probabilistic_sharpe(Sharpe(0.458, 0, 3, 24)) == pytest.approx(0.982, abs=5e-4)
    assert minimum_track_record(PAPER) == pytest.approx(34.56, abs=5e-3)
    assert minimum_track_record(Sharpe(0.458, 0, 3, 24)) == pytest.approx(15.25, abs=5e-3)


def test_the_variance_at_the_null_of_the_paper_of_2025() -> None:
    assert math.sqrt(AUTHORS.variance(AUTHORS.ratio) / 24) == pytest.approx(0.329, abs=5e-4)
    assert math.sqrt(Sharpe(AUTHORS.ratio, 0, 3, 24).variance(AUTHORS.ratio) / 24) == pytest.approx(0.214, abs=5e-4)
    assert probabilistic_sharpe(AUTHORS, at="null") == pytest.approx(0.987, abs=5e-4)
    assert probabilistic_sharpe(AUTHORS, null=0.1, at="null") == pytest.approx(0.939, abs=5e-4)
    assert minimum_track_record(AUTHORS, at="null") == pytest.approx(13.029, abs=5e-4)


@pytest.mark.parametrize(("count", "largest"), [(1, 0), (10, 1.5746), (100, 2.5306), (1000, 3.2551)])
def test_the_expected_maximum(count: int, largest: float) -> None:
    assert expected_maximum(count) == pytest.approx(largest, abs=5e-5)


def test_the_deflated_ratio_of_the_paper_of_2014() -> None:
    daily = Sharpe(2.5 / math.sqrt(250), -3, 10, 1250)
    probability, bar = deflated_sharpe(daily, trials=100, variance=0.5 / 250)
    assert probability == pytest.approx(0.9004, abs=5e-5)
    assert bar == pytest.approx(0.11317, abs=5e-6)
    assert deflated_sharpe(daily, trials=46, variance=0.5 / 250)[0] == pytest.approx(0.9505, abs=5e-5)
    normal = Sharpe(daily.ratio, 0, 3, 1250)
    assert deflated_sharpe(normal, trials=88, variance=0.5 / 250)[0] == pytest.approx(0.9505, abs=5e-5)


def test_the_effective_number_of_series() -> None:
    assert effective_number(np.eye(3)) == pytest.approx(3)
    assert effective_number(np.array([[1, 0.1, 0.7], [0.1, 1, 0.8], [0.7, 0.8, 1]])) == pytest.approx(1.84, abs=5e-3)
    assert effective_number(np.ones((5, 5))) == pytest.approx(1)


def test_annualisation_of_lo() -> None:
    assert annualisation_of(np.array([0.2**lag for lag in range(1, 12)]), 12) == pytest.approx(2.8788, abs=5e-5)
    assert annualisation_of(np.array([(-0.1) ** lag for lag in range(1, 252)]), 252) == pytest.approx(17.543, abs=5e-4)
    assert annualisation_of(np.zeros(5), 12) == pytest.approx(math.sqrt(12))
    noise = np.random.default_rng(3).normal(size=20_000)
    assert annualisation(noise, 252) == pytest.approx(math.sqrt(252), rel=0.1)
    smoothed = (noise[1:] + noise[:-1]) / 2  # autocorrelation of 0.5 at lag 1
    assert annualisation(smoothed, 252) == pytest.approx(annualisation_of(np.array([0.5]), 252), rel=0.1)


@given(st.lists(st.floats(-0.2, 0.2).map(lambda value: round(value, 8)), min_size=3, max_size=60))
def test_moments_are_those_of_scipy(values: list[float]) -> None:
    returns = np.array(values)
    found = sharpe_of(returns)
    if returns.std() <= 1e-9 * np.abs(returns).max():
        assert math.isnan(found.ratio)
    elif returns.std() > 1e-6 * np.abs(returns).max():
        assert found.ratio == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-6)
        assert found.skewness == pytest.approx(stats.skew(returns), rel=1e-6, abs=1e-6)
        assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-6)


@pytest.mark.parametrize("returns", [[], [0.1], [0.01] * 40, [0.0] * 40])
def test_a_ratio_that_is_not_defined_is_not_zero(returns: list[float]) -> None:
    found = sharpe_of(np.array(returns, dtype=float))
    assert math.isnan(found.ratio)
    assert math.isnan(probabilistic_sharpe(found))
    assert math.isnan(minimum_track_record(found))
    assert math.isnan(hac_error(np.array(returns, dtype=float)))


def test_a_ratio_that_is_not_above_the_null_needs_for_ever() -> None:
    assert minimum_track_record(Sharpe(0.1, 0, 3, 100), null=0.1) == math.inf


def test_the_error_without_lags_is_that_of_independent_returns() -> None:
    returns = np.random.default_rng(4).standard_t(6, 5000) * 0.01 + 0.001
    found = sharpe_of(returns)
    assert hac_error(returns, lags=0) == pytest.approx(math.sqrt(found.variance(found.ratio) / 5000), rel=1e-3)


def test_the_error_equals_that_of_a_regression_of_its_influence() -> None:
    """statsmodels' HAC error of a mean, applied to what each return adds to the ratio."""
    statsmodels = pytest.importorskip("statsmodels.api")
    generator = np.random.default_rng(5)
    noise = generator.normal(size=1501)
    returns = 0.01 * (noise[1:] + 0.5 * noise[:-1]) + 0.0005
    mean, deviation = returns.mean(), returns.std()
    influence = (returns - mean) / deviation - mean / (2 * deviation**3) * ((returns - mean) ** 2 - deviation**2)
    model = statsmodels.OLS(influence, np.ones(len(returns)))
    known = model.fit(cov_type="HAC", cov_kwds={"maxlags": 7, "use_correction": False}).bse[0]
    assert hac_error(returns, lags=7) == pytest.approx(known, rel=1e-9)


def test_of_noise_the_ratio_is_within_its_errors() -> None:
    generator = np.random.default_rng(6)
    scores = []
    for _ in range(400):
        noise = generator.normal(size=401)
        returns = noise[1:] + 0.4 * noise[:-1]
        scores.append(sharpe_of(returns).ratio / hac_error(returns))
    assert 0.9 < np.std(scores) < 1.15  # with errors of independent returns 1.25
