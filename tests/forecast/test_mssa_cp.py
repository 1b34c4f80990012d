from __future__ import annotations

import pickle
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.forecast.base import Panel
from pm.forecast.cross_validation import outcomes
from pm.forecast.models import FORECASTERS
from pm.forecast.models.mssa_cp import MssaCpForecaster, skill_weight
from pm.forecast.policy import FIXED, Action, Policy
from pm.forecast.policy.bandit import Arm
from pm.forecast.policy.state import STATES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Series = dict[str, NDArray[np.float64]]

HORIZON = 20
MODEL = MssaCpForecaster()
LONG_AGO = date(2000, 1, 1)


def always(action: Action, cutoff: date = LONG_AGO) -> Policy:
    return Policy({state: {action: Arm(100, 1.0, 1.0)} for state in STATES}, cutoff, HORIZON, 0, ("X",))


def rolling(panel: Panel, count: int = 8, step: int = 20) -> pl.DataFrame:
    last = pl.col("bar").max().over("ticker") - HORIZON
    behind = last - pl.col("bar")
    chosen = panel.bars.filter(behind >= 0, behind % step == 0, behind < count * step)
    return chosen.select("ticker", origin_date="date")


def against_naive(panel: Panel, model: MssaCpForecaster = MODEL) -> dict[str, float]:
    """Return each ticker's step-scaled loss relative to naive's."""
    origins = rolling(panel)
    forecasts = model.forecast(panel, origins, HORIZON)
    assert forecasts.failures == {}
    now = panel.bars_at(origins).select("ticker", "origin_date", "log_price")
    errors = (
        outcomes(panel, origins, HORIZON)
        .join(forecasts.means, on=["ticker", "origin_date", "step"])
        .join(now, on=["ticker", "origin_date"])
        .group_by("ticker")
        .agg(
            own=((pl.col("mean") - pl.col("actual")) ** 2 / pl.col("step")).sum(),
            naive=((pl.col("log_price") - pl.col("actual")) ** 2 / pl.col("step")).sum(),
        )
    )
    return {ticker: own / naive for ticker, own, naive in errors.sort("ticker").iter_rows()}


def autoregression(bars: int, rng: np.random.Generator) -> NDArray[np.float64]:
    shocks, noise = rng.normal(0, 0.01, bars), np.zeros(bars)
    for bar in range(1, bars):
        noise[bar] = 0.5 * noise[bar - 1] + shocks[bar]
    return noise


def structured(kind: str, seed: int, bars: int = 1000) -> NDArray[np.float64]:
    rng, time = np.random.default_rng(seed), np.arange(bars)
    if kind == "waves":
        phases = rng.uniform(0, 6, 2)
        signal = 0.05 * np.sin(2 * np.pi * time / 17 + phases[0]) + 0.08 * np.sin(2 * np.pi * time / 43 + phases[1])
    elif kind == "season":
        signal = 0.05 * np.convolve(np.tile(rng.normal(size=21), 3), np.ones(3) / 3)[22:43][time % 21] + 0.0005 * time
    elif kind == "trend breaks":
        breaks = np.sort(rng.choice(np.arange(150, bars - 100), 3, replace=False))
        slopes = rng.choice([-1, 1], 4) * rng.uniform(0.003, 0.008, 4)
        signal = np.cumsum(slopes[np.searchsorted(breaks, time, side="right")])
    else:  # the wave's period changes
        breaks = np.sort(rng.choice(np.arange(250, bars - 200), 2, replace=False))
        periods = rng.choice([13, 19, 27, 41], 3, replace=False)
        signal = 0.05 * np.sin(2 * np.pi * np.cumsum(1 / periods[np.searchsorted(breaks, time, side="right")]))
    series: NDArray[np.float64] = 4.6 + signal + autoregression(bars, rng)
    return series


@pytest.mark.parametrize(
    ("kind", "ratio"), [("waves", 0.2), ("season", 0.4), ("trend breaks", 0.5), ("wave breaks", 0.2)]
)
def test_structured_series_are_forecast_much_better_than_by_naive(
    kind: str, ratio: float, as_panel: Callable[[Series], Panel]
) -> None:
    found = against_naive(as_panel({f"S{seed:02}": structured(kind, seed) for seed in range(12)}))
    assert np.median(list(found.values())) < ratio


def test_most_random_walks_are_forecast_as_by_naive(as_panel: Callable[[Series], Panel]) -> None:
    rng = np.random.default_rng(8)
    walks = {f"R{n:02}": 4.6 + np.cumsum(0.01 * rng.standard_t(4, 1000)) for n in range(30)}
    found = list(against_naive(as_panel(walks)).values())
    assert np.mean([ratio == 1 for ratio in found]) >= 0.85
    assert np.mean(found) < 1.02


def test_real_prices_are_forecast_about_as_by_naive(sample_prices: pl.DataFrame) -> None:
    priced = sample_prices.with_columns(log_price=(pl.col("close") * pl.col("adj_factor")).log())
    found: list[float] = []
    for years in (2004, 2007, 2010, 2013):
        recent = priced.filter(pl.col("date") < date(years, 3, 1)).group_by("ticker", maintain_order=True).tail(1000)
        recent = recent.filter(pl.len().over("ticker") > 500).with_columns(
            bar=pl.int_range(pl.len(), dtype=pl.Int64).over("ticker")
        )
        found += against_naive(Panel(recent.select("ticker", "date", "bar", "log_price"))).values()
    assert len(found) >= 14
    assert np.median(found) <= 1
    assert np.mean(found) < 1.02


def test_policies_with_different_actions_give_different_forecasts(as_panel: Callable[[Series], Panel]) -> None:
    panel = as_panel({"X": structured("waves", 1), "Y": structured("season", 2)})
    origins = rolling(panel)
    fixed, same, short, rich = (
        MssaCpForecaster(policy).forecast(panel, origins, HORIZON).means
        for policy in (None, always(FIXED), always(Action(2, 125)), always(Action("gavish_donoho", 500)))
    )
    assert fixed.equals(same)
    for one, other in ((fixed, short), (fixed, rich), (short, rich)):
        apart = one.with_columns(gap=(one["mean"] - other["mean"]).abs())
        assert apart.group_by("ticker").agg(pl.col("gap").max())["gap"].min() > 1e-3  # type: ignore[operator]


def test_a_policy_is_not_used_up_to_its_cutoff(as_panel: Callable[[Series], Panel]) -> None:
    panel = as_panel({"X": structured("waves", 1)})
    origins = rolling(panel)
    last = panel.bars["date"][-1]
    fixed = MODEL.forecast(panel, origins, HORIZON).means
    action = Action(2, 125)
    assert MssaCpForecaster(always(action, last)).forecast(panel, origins, HORIZON).means.equals(fixed)
    middle = origins["origin_date"][3]
    later = MssaCpForecaster(always(action, middle)).forecast(panel, origins, HORIZON).means
    changed = fixed.with_columns(changed=later["mean"] != fixed["mean"]).filter("changed")["origin_date"].unique()
    assert set(changed) == set(origins["origin_date"][4:])


def test_forecasts_do_not_depend_on_later_bars(as_panel: Callable[[Series], Panel]) -> None:
    rng = np.random.default_rng(3)
    series = {
        "X": structured("wave breaks", 3),
        "Y": structured("waves", 4),
        "Z": 4.6 + np.cumsum(rng.normal(0, 0.02, 900)),
    }
    groups = {"X": "g", "Y": "g"}
    model = MssaCpForecaster(always(Action("gavish_donoho", 500)))
    whole = Panel(as_panel(series).bars, groups)
    origins = whole.bars.filter(pl.col("bar").is_in([500, 640, 800])).select("ticker", origin_date="date")
    means = model.forecast(whole, origins, HORIZON).means
    for ticker in series:
        for day in origins.filter(pl.col("ticker") == ticker)["origin_date"]:
            # Later bars of the group are changed too.
            spoilt = whole.bars.with_columns(
                pl.when(pl.col("date") > day).then(9 - pl.col("log_price")).otherwise(pl.col("log_price"))
            )
            asked = origins.filter(pl.col("ticker") == ticker, pl.col("origin_date") <= day)
            for bars in (spoilt, whole.bars.filter(pl.col("date") <= day)):
                again = model.forecast(Panel(bars, groups), asked, HORIZON).means
                same = means.filter(pl.col("ticker") == ticker, pl.col("origin_date") <= day)
                assert again.equals(same)


def test_forecasts_do_not_depend_on_tickers_outside_the_group(as_panel: Callable[[Series], Panel]) -> None:
    series = {name: structured("waves", seed) for seed, name in enumerate("ABCD")}
    panel = Panel(as_panel(series).bars, {"A": "g", "C": "g"})
    origins = rolling(panel)
    whole = MODEL.forecast(panel, origins, HORIZON).means
    for part in (["A", "C"], ["B"], ["D"]):
        alone = MODEL.forecast(panel.only(part), origins, HORIZON).means
        assert alone.equals(whole.filter(pl.col("ticker").is_in(part)))


def test_forecasts_use_the_other_tickers_of_a_group() -> None:
    rng = np.random.default_rng(5)
    signal = 0.04 * np.sin(2 * np.pi * np.arange(700) / 23)
    bars = pl.concat(
        pl.DataFrame(
            {
                "ticker": f"T{n}",
                "date": [date(2010, 1, 1) + timedelta(days=bar) for bar in range(700)],
                "bar": range(700),
                "log_price": 4.6 + signal + rng.normal(0, 0.04, 700),
            }
        )
        for n in range(5)
    )
    singly = np.mean(list(against_naive(Panel(bars)).values()))
    together = np.mean(list(against_naive(Panel(bars, {f"T{n}": "g" for n in range(5)})).values()))
    assert together < singly < 1


def test_a_short_history_is_forecast_as_by_naive(as_panel: Callable[[Series], Panel]) -> None:
    panel = as_panel({"X": structured("waves", 1)[:200]})
    means = MODEL.forecast(panel, panel.last_origins(), HORIZON).means
    assert means["mean"].unique().to_list() == [structured("waves", 1)[199]]


def test_a_ticker_that_cannot_be_fitted_does_not_affect_the_others(as_panel: Callable[[Series], Panel]) -> None:
    broken = structured("waves", 1)
    broken[300] = np.nan
    panel = as_panel({"BAD": broken, "GOOD": structured("waves", 2)})
    forecasts = MODEL.forecast(panel, panel.last_origins(), HORIZON)
    assert set(forecasts.failures) == {"BAD"}
    assert forecasts.means["ticker"].unique().to_list() == ["GOOD"]
    assert forecasts.means["mean"].is_finite().all()


@pytest.mark.parametrize("jump", [0.01, 100.0])
def test_a_large_jump_is_not_extrapolated(jump: float, as_panel: Callable[[Series], Panel]) -> None:
    # Cross-validation would reject an implausible forecast; this test is about numerical failure.
    walk = 4.6 + np.cumsum(np.random.default_rng(1).normal(0, 0.01, 800))
    walk[600:] += np.log(jump)
    panel = as_panel({"X": walk})
    means = MODEL.forecast(panel, panel.last_origins(), HORIZON).means["mean"].to_numpy()
    np.testing.assert_allclose(means, walk[-1], atol=0.1)


def test_skill_weight_is_one_for_true_forecasts_and_zero_for_noise() -> None:
    rng = np.random.default_rng(6)
    predicted = rng.normal(size=(20, 10))
    assert skill_weight(predicted, predicted) == pytest.approx(1)
    assert skill_weight(predicted, 0.5 * predicted) == pytest.approx(0.5)
    assert skill_weight(predicted, 3 * predicted) == pytest.approx(1)
    assert skill_weight(predicted, -predicted) == 0
    assert skill_weight(np.zeros((20, 10)), predicted) == skill_weight(predicted, np.zeros((20, 10))) == 0
    walks = np.cumsum(rng.normal(size=(2, 1000, 20, 10)), axis=3)
    positive = [skill_weight(*pair) > 0 for pair in zip(*walks, strict=True)]
    assert np.mean(positive) < 0.02
    assert skill_weight(predicted, predicted + rng.normal(0, 0.5, (20, 10))) > 0.8


def test_skill_weight_equals_its_formula() -> None:
    # Paths of one step have cosines of 1 or −1; `wrong` of the 20 origins have −1.
    for wrong, significant in ((0, True), (2, True), (3, True), (6, False)):
        cosines = np.repeat([-1.0, 1.0], [wrong, 20 - wrong])
        threshold = 2.5 * 1.1 * np.std(cosines, ddof=1) / np.sqrt(20)
        found = skill_weight(np.ones((20, 1)), cosines[:, None])
        expected = cosines.mean() * (1 - (threshold / cosines.mean()) ** 4)
        assert found == (pytest.approx(expected) if significant else 0)


def test_one_large_error_does_not_outweigh_all_other_origins() -> None:
    rng = np.random.default_rng(7)
    predicted = rng.normal(1, 0.1, (20, 1)) * np.arange(1, 11)
    actual = predicted + rng.normal(0, 0.3, (20, 10))
    actual[11] *= -30
    assert skill_weight(predicted, actual) > 0.6


def test_the_forecaster_is_registered_and_can_be_pickled() -> None:
    assert FORECASTERS["mssa_cp"] == MODEL
    carried = MssaCpForecaster(always(FIXED))
    assert pickle.loads(pickle.dumps(carried)) == carried  # noqa: S301 - of our own making
