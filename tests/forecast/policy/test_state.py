from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from pm.forecast.policy.aligned import AlignedSeries, TickerView
from pm.forecast.policy.state import STATES, State, state_at, volatility_percentiles


def view_of(values: np.ndarray) -> TickerView:
    days = np.datetime64("2010-01-01") + np.arange(values.size)
    return TickerView(AlignedSeries(values[None]), 0, days)


def walk(bars: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 4.6 + np.cumsum(rng.normal(0, np.exp(np.cumsum(rng.normal(0, 0.1, bars))) * 0.01))


def test_percentiles_are_ranks_of_a_volatility_within_its_own_past() -> None:
    values = walk(800, 1)
    percentiles = volatility_percentiles(values)
    sigmas = {bar: float(np.std(np.diff(values[bar - 20 : bar + 1]))) for bar in range(20, 800)}
    for bar in (20, 21, 100, 519, 520, 700, 799):
        past = [sigmas[b] for b in range(max(20, bar - 499), bar + 1)]
        assert percentiles[bar] == pytest.approx(percentileofscore(past, sigmas[bar], kind="mean") / 100)
    assert (percentiles[:20] == 0.5).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bar=st.integers(0, 599))
def test_a_state_does_not_depend_on_later_bars(seed: int, bar: int) -> None:
    values = walk(600, seed)
    spoilt = np.concatenate([values[: bar + 1], 5 * np.random.default_rng(seed).normal(size=599 - bar)])
    whole, known = view_of(values), view_of(values[: bar + 1])
    state = state_at(whole, volatility_percentiles(values), bar)
    assert state == state_at(known, volatility_percentiles(values[: bar + 1]), bar)
    assert state == state_at(view_of(spoilt), volatility_percentiles(spoilt), bar)
    assert state in STATES


def test_levels_follow_the_volatility() -> None:
    rng = np.random.default_rng(2)
    sigma = np.concatenate([np.full(400, 0.02), np.full(30, 0.08), np.full(100, 0.004)])
    values = 4.6 + np.cumsum(rng.normal(0, sigma))
    view = view_of(values)
    percentiles = volatility_percentiles(values)
    assert [state_at(view, percentiles, bar).volatility for bar in (425, 529)] == ["wild", "calm"]


def test_the_age_counts_from_the_last_change_that_was_detected() -> None:
    rng = np.random.default_rng(3)
    values = 4.6 + np.cumsum(rng.normal(0, np.where(np.arange(900) < 400, 0.01, 0.05)))
    view = view_of(values)
    percentiles = volatility_percentiles(values)
    points = view.aligned.changes
    assert points
    ages = set()
    for bar in (*range(60, 900, 20), points[0].alarm - 1, points[0].alarm):
        since = bar - max((point.change for point in points if point.alarm <= bar), default=0)
        age = "recent" if since < 60 else "settling" if since < 250 else "settled"
        assert state_at(view, percentiles, bar).change_age == age
        ages.add(age)
    assert ages == {"recent", "settling", "settled"}


def test_autocorrelation_distinguishes_a_random_walk_from_noise_about_a_wave() -> None:
    rng = np.random.default_rng(4)
    time = np.arange(400)
    wave = 4.6 + 0.05 * np.sin(2 * np.pi * time / 20) + rng.normal(0, 0.01, 400)
    wander = 4.6 + np.cumsum(rng.normal(0, 0.02, 400))

    def autocorrelations(values: np.ndarray) -> list[str]:
        view, percentiles = view_of(values), volatility_percentiles(values)
        return [state_at(view, percentiles, bar).autocorrelation for bar in range(260, 400, 20)]

    assert set(autocorrelations(wave)) == {"none"}
    assert set(autocorrelations(wander)) <= {"some", "much"}


def test_there_are_27_states() -> None:
    assert len(set(STATES)) == 27
    assert str(State("calm", "recent", "none")) == "calm / recent / none"
