"""The generalised Pareto tail, against the Danish fire losses of the literature and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from pm.errors import InputError
from pm.risk.measures import risk_measure
from pm.risk.tails import ParetoTail, fit_tail


def test_danish_fire_losses() -> None:
    """The estimates of McNeil (1997): u = 10, 109 of 2167 losses beyond, ξ = .497, β = 6.98."""
    tail = ParetoTail(10.0, 0.497, 6.98, 109 / 2167)
    assert tail.value_at_risk(0.99) == pytest.approx(27.30, abs=0.05)
    assert tail.expected_shortfall(0.99) == pytest.approx(58.27, abs=0.15)


def test_the_fit_is_that_of_scipy() -> None:
    losses = np.random.default_rng(1).standard_t(4, 5000)
    tail = fit_tail(losses, np.full(5000, 1 / 5000), level=0.9)
    shape, _, scale = genpareto.fit(losses[losses > tail.threshold] - tail.threshold, floc=0)
    assert (tail.shape, tail.scale) == pytest.approx((shape, scale), abs=2e-4)
    assert tail.probability == pytest.approx(0.1, abs=1e-3)


def test_weights_count_like_repeated_losses() -> None:
    generator = np.random.default_rng(2)
    losses, copies = generator.standard_t(5, 800), generator.integers(1, 4, 800)
    weighted = fit_tail(losses, copies / copies.sum(), level=0.85)
    repeated = np.repeat(losses, copies)
    plain = fit_tail(repeated, np.full(len(repeated), 1 / len(repeated)), level=0.85)
    assert (weighted.shape, weighted.scale) == pytest.approx((plain.shape, plain.scale), abs=1e-4)


def test_an_exponential_tail() -> None:
    tail = ParetoTail(1.0, 0.0, 2.0, 0.1)
    assert tail.value_at_risk(0.99) == pytest.approx(1.0 + 2.0 * np.log(10))
    assert tail.expected_shortfall(0.99) == pytest.approx(tail.value_at_risk(0.99) + 2.0)
    almost = ParetoTail(1.0, 1e-7, 2.0, 0.1)
    assert almost.value_at_risk(0.99) == pytest.approx(tail.value_at_risk(0.99), rel=1e-6)


def test_the_tail_continues_the_scenarios() -> None:
    losses = np.random.default_rng(3).standard_t(4, 200_000)
    equal = np.full(len(losses), 1 / len(losses))
    tail = fit_tail(losses, equal, level=0.95)
    for level in (0.99, 0.999):
        found = risk_measure(losses, equal, level)
        assert tail.value_at_risk(level) == pytest.approx(found.var, rel=0.03)
        assert tail.expected_shortfall(level) == pytest.approx(found.es, rel=0.08)


def test_too_few_losses_and_a_level_below_the_threshold_are_refused() -> None:
    with pytest.raises(InputError, match="Only 10 losses"):
        fit_tail(np.arange(100.0), np.full(100, 0.01), level=0.9 - 1e-9)
    with pytest.raises(ValueError, match="below"):
        ParetoTail(1.0, 0.1, 1.0, 0.1).value_at_risk(0.8)
