from __future__ import annotations

import itertools
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.errors import InputError
from pm.forecast.base import Panel
from pm.forecast.policy import (
    ACTIONS,
    FIXED,
    Policy,
    PolicyAssessment,
    confirmed_out_of_fold,
    out_of_fold_gains,
    train_policy,
)
from pm.forecast.policy.aligned import AlignedSeries
from pm.forecast.policy.bandit import PRIOR_VISITS
from pm.forecast.policy.state import State
from pm.forecast.policy.train import Visits, _origins
from pm.forecast.spectral import GAVISH_DONOHO

if TYPE_CHECKING:
    from pm.settings import ForecastSettings

CUTOFF = date(2010, 1, 1) + timedelta(days=1299)


def test_a_policy_chooses_more_components_for_series_that_have_more(trained: Policy) -> None:
    frequent = [state for state, arms in trained.arms.items() if arms[FIXED].visits >= 20]
    assert frequent
    assert {trained.choose(state).rank for state in frequent} == {GAVISH_DONOHO}


def test_visits_and_rewards_equal_those_of_a_loop(
    waves: Panel, rolling: ForecastSettings, trained_on_w0: Policy
) -> None:
    log_prices = waves.only(["W0"]).bars["log_price"].to_numpy()
    policy = trained_on_w0
    origins = _origins("W0", 1300, rolling, 1)
    assert 250 <= origins.start < 250 + rolling.origin_step
    assert origins[-1] + rolling.horizon < 1300 <= origins[-1] + rolling.origin_step + rolling.horizon
    assert len(origins) == sum(arms[FIXED].visits for arms in policy.arms.values())
    rewards = []
    for bar in origins:
        aligned = AlignedSeries(log_prices[None, : bar + 1])
        actual = log_prices[bar + 1 : bar + 11]
        weights = 1 / np.arange(1, 11)
        naive = np.mean(weights * (actual - log_prices[bar]) ** 2)
        own = [np.mean(weights * (actual - aligned.path(0, bar, action, 10)) ** 2) for action in ACTIONS]
        rewards.append(np.clip(np.log(naive / np.array(own)), -2, 2))
    total = np.sum(rewards, axis=0)
    rows = policy.arms.values()
    np.testing.assert_allclose([sum(row[a].reward * row[a].visits for row in rows) for a in ACTIONS], total, rtol=1e-6)
    gains = [sum(row[a].gain * (row[a].visits + PRIOR_VISITS) for row in rows) for a in ACTIONS]
    np.testing.assert_allclose(gains, total - total[0], atol=1e-6)


def test_bars_after_the_cutoff_do_not_change_a_policy(
    waves: Panel, rolling: ForecastSettings, trained_on_w0: Policy
) -> None:
    bars = waves.only(["W0"]).bars
    spoilt = bars.with_columns(
        pl.when(pl.col("date") > CUTOFF).then(pl.col("log_price") * 3 - 7).otherwise(pl.col("log_price"))
    )
    assert train_policy(Panel(spoilt), settings=rolling, cutoff=CUTOFF, seed=1) == trained_on_w0
    cut = Panel(bars.filter(pl.col("date") <= CUTOFF))
    assert train_policy(cut, settings=rolling, cutoff=CUTOFF, seed=1) == trained_on_w0


def test_the_seed_determines_the_origins(waves: Panel, rolling: ForecastSettings, trained_on_w0: Policy) -> None:
    single = waves.only(["W0"])
    again, other = (train_policy(single, settings=rolling, cutoff=CUTOFF, seed=seed) for seed in (1, 7))
    assert again == trained_on_w0
    assert other.arms != trained_on_w0.arms
    assert (other.seed, other.cutoff, other.tickers, other.horizon) == (7, CUTOFF, ("W0",), 10)


def test_too_few_origins_are_refused(waves: Panel, rolling: ForecastSettings) -> None:
    with pytest.raises(InputError, match="origins to train on, too few") as raised:
        train_policy(waves, settings=rolling, cutoff=date(2010, 9, 20), seed=1)
    assert "later cutoff" in raised.value.hint
    with pytest.raises(InputError, match="0 origins"):
        train_policy(waves.only([]), settings=rolling, cutoff=CUTOFF, seed=1)


def test_policies_are_tested_on_dates_that_they_did_not_learn_from() -> None:
    """A twin that learns and chooses by plain loops, on made-up rewards in two states."""
    rng = np.random.default_rng(4)
    count, horizon = 240, 20
    starts = np.sort(rng.integers(0, 2000, count))
    ends = starts + horizon
    states = [State("wild" if place % 2 else "calm", "recent", "none") for place in range(count)]
    rewards = rng.normal(0, 0.3, (count, len(ACTIONS)))
    rewards[::2, 1] += 0.2
    visits = Visits(list(zip(states, rewards, strict=True)), starts, ends, ("T",), CUTOFF)
    found = out_of_fold_gains(visits)

    days = sorted(set(starts.tolist()))
    group = {day: place * 6 // len(days) for place, day in enumerate(days)}
    embargo = -(-int(ends.max() + 1 - starts.min()) // 100)
    tested: dict[tuple[int, int], list[float]] = {}
    for chosen in itertools.combinations(range(6), 2):
        tests = [i for i in range(count) if group[starts[i]] in chosen]
        learnt = [
            i for i in range(count)
            # Windows of whole days: one that ends on a day on which another begins, elsewhere, shares that day.
            if all(ends[i] < starts[j] or starts[i] > ends[j] + embargo for j in tests) and i not in set(tests)
        ]  # fmt: skip
        for i in tests:
            own = [rewards[k] - rewards[k][0] for k in learnt if states[k] == states[i]]
            gains = np.sum(own, axis=0) / (len(own) + 50)
            best = int(np.argmax(gains)) if gains.max() > 0 else 0
            tested.setdefault((group[starts[i]], i), []).append(float(rewards[i][best] - rewards[i][0]))
    twin = []
    for path in range(5):
        daily: dict[int, list[float]] = {}
        for (_, i), values in tested.items():
            daily.setdefault(int(starts[i]), []).append(values[path])
        twin.append(np.mean([np.mean(values) for values in daily.values()]))
    assert found.tolist() == pytest.approx(twin)
    assert found.mean() > 0.05


def test_without_anything_to_learn_a_policy_gains_nothing_out_of_fold_and_is_refused() -> None:
    accepted = PolicyAssessment(True, "it is", {}, {}, 3.0, 0.001, CUTOFF, CUTOFF, 40, 40, 0.5)
    refused = confirmed_out_of_fold(accepted, np.array([0.01, -0.02]))
    assert (refused.accepted, "+0.0100, -0.0200" in refused.reason) == (False, True)
    assert confirmed_out_of_fold(accepted, np.empty(0)).accepted is False
    assert confirmed_out_of_fold(accepted, np.array([0.02, -0.01])) is accepted
    starts = np.array([1, 1, 2, 3])
    assert out_of_fold_gains(Visits([], starts, starts + 1, (), CUTOFF)).size == 0
