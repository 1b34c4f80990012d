from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pm.tables.quantiles import QUANTILES
from pm.volatility.pooled_levels import corrected_levels, level_counts, no_counts, pooled_levels

NOMINAL = np.array(QUANTILES)


def test_counts_of_parts_are_those_of_the_whole_and_unknown_outcomes_are_not_counted() -> None:
    rng = np.random.default_rng(1)
    levels = rng.random((60, 4))
    levels[rng.random((60, 4)) < 0.2] = np.nan
    whole = level_counts(levels)
    np.testing.assert_array_equal(level_counts(levels[:20]) + level_counts(levels[20:]), whole)
    np.testing.assert_array_equal(whole.sum(axis=1), np.isfinite(levels).sum(axis=0))


def test_pooled_levels_are_the_quantiles_of_the_outcomes() -> None:
    levels = np.random.default_rng(2).beta(2, 3, (20_000, 2))
    found = pooled_levels(level_counts(levels), 40, stride=2)
    np.testing.assert_allclose(found.levels, np.quantile(levels, QUANTILES, axis=0).T, atol=0.004)


def test_the_weight_grows_with_outcomes_and_tickers_and_falls_with_overlap() -> None:
    one = level_counts(np.random.default_rng(3).random((250, 20)))
    few, many = pooled_levels(one, 1, stride=2), pooled_levels(40 * one, 40, stride=2)
    assert (many.weight > few.weight).all()
    # 250 outcomes of one session; 25 of twenty sessions whose windows do not overlap.
    assert few.weight[0] == pytest.approx(250 / 350 / 4)
    assert many.weight[19] == pytest.approx(25 / 125 * 40 / 43)
    assert pooled_levels(no_counts(3), 0, stride=2).weight.tolist() == [0, 0, 0]


def test_levels_of_forecasts_that_are_too_narrow_give_their_nominal_coverage() -> None:
    """A forecast sigma of two thirds of the true one: read at the pooled levels, 90% of later outcomes are inside."""
    rng = np.random.default_rng(4)
    reached = norm.cdf(1.5 * rng.normal(size=(4000, 1)))
    pooled = pooled_levels(level_counts(reached), 40, stride=1)

    def coverage(levels: np.ndarray) -> float:
        low, high = norm.ppf(levels[1]) / 1.5, norm.ppf(levels[7]) / 1.5
        return float(norm.cdf(high) - norm.cdf(low))

    assert coverage(NOMINAL) == pytest.approx(0.727, abs=0.001)
    assert coverage(pooled.levels[0]) == pytest.approx(0.9, abs=0.02)
    # Half of the correction, by the weight of 100 outcomes each of 40 tickers.
    corrected = corrected_levels(NOMINAL[np.newaxis], pooled)[0]
    np.testing.assert_allclose(corrected - NOMINAL, 20 / 43 * (pooled.levels[0] - NOMINAL), atol=1e-12)


def test_without_others_a_quarter_of_the_own_correction_is_used() -> None:
    own = np.clip(NOMINAL + 0.04, 0.002, 0.998)[np.newaxis]
    nobody = pooled_levels(no_counts(1), 0, stride=2)
    np.testing.assert_allclose(corrected_levels(own, nobody), NOMINAL + 0.25 * (own - NOMINAL))
