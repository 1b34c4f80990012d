from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pm.forecast.cross_validation import Backtest
from pm.forecast.spread import estimate_spreads
from pm.forecast.weights import ENSEMBLE, Ensemble
from pm.tables.vocabulary import Evidence

ORIGINS, STEPS = 16, 10


def ensemble(skill: np.ndarray, *, edge: bool) -> Ensemble:
    """Build an ensemble whose errors are naive's times the `skill` of each step."""
    rng = np.random.default_rng(3)
    naive = rng.normal(0, 0.02, (ORIGINS, STEPS)) * np.sqrt(np.arange(1, STEPS + 1))
    origin = np.full(ORIGINS, 4.6)
    means = np.stack([np.full((ORIGINS, STEPS), 4.6), 4.6 + naive * (1 - skill)])
    days = tuple(date(2020, 1, 1) + timedelta(days=20 * n) for n in range(ORIGINS))
    backtest = Backtest(
        "X",
        ("naive", ENSEMBLE),
        days,
        days[-1],
        4.6 + naive,
        means,
        origin,
        np.full(ORIGINS, 0.01),
        np.full(ORIGINS, 4e-4),
    )
    return Ensemble({"naive": 1.0}, edge=edge, evidence=Evidence.OWN, backtest=backtest, scores={})


def spread(skill: np.ndarray) -> np.ndarray:
    frame = estimate_spreads({"X": ensemble(skill, edge=True)}).filter(model=ENSEMBLE).sort("step")
    assert frame["step"].to_list() == list(range(1, STEPS + 1))
    return frame["spread"].to_numpy()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 1.5])
def test_the_spread_is_that_of_the_errors_drawn_towards_one_at_the_first_steps(share: float) -> None:
    # The part of its square that comes from the errors is proportional to theirs.
    prior = (8 / np.arange(1, STEPS + 1)) / (ORIGINS + 8 / np.arange(1, STEPS + 1))
    own = spread(np.full(STEPS, share)) ** 2 - prior
    np.testing.assert_allclose(own, share**2 * (spread(np.ones(STEPS)) ** 2 - prior))


def test_naive_has_no_spread() -> None:
    frame = estimate_spreads({"X": ensemble(np.full(STEPS, 0.5), edge=True)})
    assert frame["model"].unique().to_list() == [ENSEMBLE]


def test_errors_as_large_as_the_volatility_give_a_spread_near_one() -> None:
    # Estimated from 16 origins, and multiplied by √(1 + 2/16) = 1.06.
    np.testing.assert_allclose(spread(np.ones(STEPS)), 1.06, atol=0.25)


def test_distant_steps_have_different_spreads() -> None:
    found = spread(np.linspace(0.2, 0.8, STEPS))
    assert found[0] < 0.65
    assert found[-1] > 0.6


def test_the_spread_equals_a_loop() -> None:
    skill = np.linspace(0.2, 0.8, STEPS)
    own = ensemble(skill, edge=True).backtest
    for step, found in enumerate(spread(skill), start=1):
        squares = [
            own.errors[1, origin, near - 1] ** 2 / (near * own.variance[origin])
            for near in range(1, STEPS + 1)
            if step / 2 <= near <= 2 * step
            for origin in range(ORIGINS)
        ]
        prior = 8 / step
        square = (ORIGINS * np.mean(squares) * (1 + 2 / ORIGINS) + prior) / (ORIGINS + prior)
        assert found == pytest.approx(square**0.5)


def test_tickers_without_an_edge_have_no_spread() -> None:
    assert estimate_spreads({"X": ensemble(np.full(STEPS, 0.1), edge=False)}).is_empty()
    assert estimate_spreads({}).schema == estimate_spreads({"X": ensemble(np.full(STEPS, 0.1), edge=True)}).schema
    assert isinstance(estimate_spreads({}), pl.DataFrame)
