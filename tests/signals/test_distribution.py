from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, skewnorm, t

from pm.signals import PriceDistribution
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = np.array(QUANTILES)


def repeated(log_quantiles: NDArray[np.float64], rows: int) -> PriceDistribution:
    """Return the same distribution for `rows` tickers, to read many prices of it in one call."""
    return PriceDistribution(np.tile(log_quantiles, (rows, 1)))


def test_probabilities_of_a_lognormal_price_are_exact_in_the_tails_too() -> None:
    mean, sigma = 0.013, 0.08
    moves = np.linspace(-0.6, 0.6, 241)
    distribution = repeated(norm(mean, sigma).ppf(LEVELS), len(moves))

    assert distribution.probability_below(np.exp(moves)) == pytest.approx(norm(mean, sigma).cdf(moves), abs=1e-13)
    assert distribution.probability_above(np.exp(moves)) == pytest.approx(norm(mean, sigma).sf(moves), abs=1e-13)
    levels = np.linspace(0.001, 0.999, len(moves))
    assert np.log(distribution.quantile(levels)) == pytest.approx(norm(mean, sigma).ppf(levels), abs=1e-13)


@pytest.mark.parametrize("truth", [t(4, 0.002, 0.05), t(8, -0.01, 0.02), skewnorm(-4, 0.05, 0.09)])
def test_between_the_outer_quantiles_heavy_tailed_and_skewed_returns_are_within_one_percentage_point(truth: t) -> None:
    moves = truth.ppf(np.linspace(0.05, 0.95, 200))
    distribution = repeated(truth.ppf(LEVELS), len(moves))

    read = distribution.probability_below(np.exp(moves))

    assert np.abs(read - truth.cdf(moves)).max() < 0.01


def test_beyond_the_outer_quantiles_a_student_t_is_within_two_percentage_points() -> None:
    truth = t(4, 0.0, 0.05)
    moves = truth.ppf(np.concatenate([np.linspace(0.001, 0.05, 50), np.linspace(0.95, 0.999, 50)]))
    distribution = repeated(truth.ppf(LEVELS), len(moves))

    read = distribution.probability_below(np.exp(moves))

    assert np.abs(read - truth.cdf(moves)).max() < 0.02


def test_each_stored_quantile_has_its_level_as_probability() -> None:
    knots = np.log([84.0, 88.0, 90.5, 96.0, 101.0, 104.0, 111.0, 130.0, 131.0])
    distribution = repeated(knots, len(LEVELS))

    assert distribution.probability_below(np.exp(knots)) == pytest.approx(LEVELS, abs=1e-12)
    assert distribution.quantile(LEVELS) == pytest.approx(np.exp(knots), rel=1e-12)


def test_a_probability_can_be_computed_by_hand() -> None:
    # Halfway, in log price, between the 50% quantile at 100 and the 75% one at 110.
    distribution = PriceDistribution(np.log([[75.0, 80.0, 85.0, 93.0, 100.0, 110.0, 118.0, 121.0, 124.0]]))
    score = (0 + norm.ppf(0.75)) / 2

    assert distribution.probability_below(np.array([math.sqrt(100 * 110)])) == pytest.approx([norm.cdf(score)])


gaps = st.lists(st.floats(1e-4, 0.5), min_size=len(LEVELS) - 1, max_size=len(LEVELS) - 1)


@given(start=st.floats(-5, 5), steps=gaps, low=st.floats(-8, 8), high=st.floats(-8, 8))
def test_probabilities_never_fall_as_the_price_rises_and_both_sides_sum_to_one(
    start: float, steps: list[float], low: float, high: float
) -> None:
    distribution = repeated(start + np.cumsum([0.0, *steps]), 2)
    prices = np.exp([min(low, high), max(low, high)])

    below = distribution.probability_below(prices)

    assert below[0] <= below[1]
    assert ((below >= 0) & (below <= 1)).all()
    assert below + distribution.probability_above(prices) == pytest.approx([1, 1], abs=1e-14)


@given(start=st.floats(-5, 5), steps=gaps, level=st.floats(0.001, 0.999))
def test_a_quantile_has_its_level_as_probability(start: float, steps: list[float], level: float) -> None:
    distribution = repeated(start + np.cumsum([0.0, *steps]), 1)

    assert distribution.probability_below(distribution.quantile(np.array([level]))) == pytest.approx([level], abs=1e-9)


def test_a_ticker_does_not_change_the_probabilities_of_another() -> None:
    wide, narrow = norm(0, 0.5).ppf(LEVELS), norm(0.1, 0.01).ppf(LEVELS)
    price = np.exp([0.1, 0.1])

    both = PriceDistribution(np.array([wide, narrow])).probability_below(price)

    assert both == pytest.approx([norm(0, 0.5).cdf(0.1), 0.5])


def test_quantile_columns_are_found_by_name() -> None:
    frame = pl.DataFrame({quantile_column("q", level): [math.exp(level)] for level in reversed(QUANTILES)})

    assert PriceDistribution.from_forecasts(frame).log_quantiles == pytest.approx(LEVELS[None, :])


def test_no_price_is_below_equal_lowest_quantiles() -> None:
    knots = np.log([80.0, 80.0, 80.0, 96.0, 101.0, 104.0, 111.0, 130.0, 131.0])
    prices = np.array([1.0, 79.999, 80.0, 96.0])
    distribution = repeated(knots, len(prices))
    assert distribution.probability_below(prices) == pytest.approx([0.0, 0.0, LEVELS[2], LEVELS[3]])
    assert distribution.probability_above(prices) == pytest.approx([1.0, 1.0, 1 - LEVELS[2], 1 - LEVELS[3]])
    assert distribution.quantile(np.array([0.001, 0.03, 0.1, 0.25])) == pytest.approx([80.0, 80.0, 80.0, 96.0])
