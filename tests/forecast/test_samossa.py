from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.forecast.base import Forecasts, Panel
from pm.forecast.models.samossa import SamossaForecaster
from pm.forecast.spectral.prices import LINE, PriceHistory, fit_prices, fit_representation

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.typing import FloatArray

BARS, HORIZON = 1000, 20
ORIGINS = [839 + 20 * k for k in range(8)]
DAYS = [date(2010, 1, 1) + timedelta(days=bar) for bar in range(BARS)]


def panel_of(series: dict[str, FloatArray], groups: dict[str, str] | None = None) -> Panel:
    """Build a panel of series on common days that all end on the last one."""
    parts = [
        pl.DataFrame(
            {
                "ticker": ticker,
                "date": DAYS[BARS - values.size :],
                "bar": np.arange(values.size),
                "log_price": values,
            }
        )
        for ticker, values in sorted(series.items())
    ]
    return Panel(pl.concat(parts), groups or {})


def origins_of(panel: Panel, bars: list[int]) -> pl.DataFrame:
    return panel.bars.filter(pl.col("date").is_in([DAYS[bar] for bar in bars])).select("ticker", origin_date="date")


def forecast(panel: Panel, bars: list[int] | None = None) -> Forecasts:
    return SamossaForecaster().forecast(panel, origins_of(panel, ORIGINS if bars is None else bars), HORIZON)


def means_of(forecasts: Forecasts, ticker: str) -> FloatArray:
    means = forecasts.means.filter(pl.col("ticker") == ticker).sort("origin_date", "step")["mean"].to_numpy()
    return means.reshape(-1, HORIZON)


def relative_error(values: FloatArray, means: FloatArray) -> float:
    """Return the RMSE relative to naive's."""
    origins = np.array(ORIGINS)
    actual = values[origins[:, None] + np.arange(1, HORIZON + 1)]
    base = actual - values[origins][:, None]
    return float(np.sqrt(np.mean((actual - means) ** 2) / np.mean(base**2)))


def walk(seed: int, bars: int = BARS) -> FloatArray:
    return np.asarray(4.6 + np.cumsum(np.random.default_rng(seed).normal(0, 0.015, bars)), dtype=np.float64)


def autoregressive(seed: int, phi: float, sigma: float) -> FloatArray:
    shocks = np.random.default_rng(seed).normal(0, sigma, BARS)
    values = np.zeros(BARS)
    for t in range(1, BARS):
        values[t] = phi * values[t - 1] + shocks[t]
    return values


def wavy(seed: int) -> FloatArray:
    t = np.arange(BARS)
    waves = 0.1 * np.sin(2 * np.pi * t / 23 + seed) + 0.05 * np.sin(2 * np.pi * t / 61)
    return np.asarray(4.6 + waves + autoregressive(seed, 0.6, 0.01))


def seasonal(seed: int) -> FloatArray:
    pattern = np.random.default_rng(seed + 90).normal(0, 0.03, 5)
    t = np.arange(BARS)
    return np.asarray(4.6 + pattern[t % 5] + 0.0003 * t + autoregressive(seed, 0.5, 0.01))


def broken(seed: int) -> FloatArray:
    breaks = np.sort(np.random.default_rng(seed + 50).integers(50, 780, 4))
    slopes = 0.003 * (-1.0) ** np.searchsorted(breaks, np.arange(BARS))
    return np.asarray(4.6 + np.cumsum(slopes) + autoregressive(seed, 0.5, 0.005))


@pytest.mark.parametrize("build", [wavy, seasonal, broken])
def test_structured_series_are_forecast_much_better_than_by_naive(build: Callable[[int], FloatArray]) -> None:
    series = {f"S{seed}": build(seed) for seed in range(4)}
    for groups in ({}, dict.fromkeys(series, "all")):
        forecasts = forecast(panel_of(series, groups))
        errors = [relative_error(values, means_of(forecasts, name)) for name, values in series.items()]
        assert np.median(errors) < 0.5
        assert max(errors) < 0.75


def test_random_walks_are_forecast_about_as_by_naive() -> None:
    series = {f"W{seed}": walk(seed) for seed in range(12)}
    forecasts = forecast(panel_of(series))
    errors = [relative_error(values, means_of(forecasts, name)) for name, values in series.items()]
    assert 0.97 < np.mean(errors) < 1.03
    assert max(errors) < 1.15


def test_real_prices_are_forecast_about_as_by_naive(sample_prices: pl.DataFrame) -> None:
    series = {
        f"{key[0]}{end}": np.log((rows["close"] * rows["adj_factor"]).to_numpy()[end - BARS : end])
        for key, rows in sample_prices.group_by("ticker", maintain_order=True)
        for end in range(rows.height, BARS - 1, -BARS)
    }
    forecasts = forecast(panel_of(series))
    assert forecasts.failures == {}
    errors = [relative_error(values, means_of(forecasts, name)) for name, values in series.items()]
    assert len(errors) == 11
    assert np.median(errors) < 1.01
    assert np.mean(errors) < 1.03


def test_the_line_is_chosen_for_waves_and_returns_for_random_walks() -> None:
    dates = np.array(DAYS, dtype="datetime64[D]")
    chosen = fit_prices({"X": PriceHistory(dates, wavy(1))}, HORIZON)
    assert chosen.detrendings == fit_representation({"X": PriceHistory(dates, wavy(1))}, LINE).detrendings
    for seed in range(8):
        assert fit_prices({"X": PriceHistory(dates, walk(seed))}, HORIZON).detrendings[0].lost == 1


@pytest.mark.parametrize("period", [5, 15, 27, 29, 30, 60])
def test_a_wave_without_noise_is_extrapolated_with_any_period(period: int) -> None:
    # √(840 / 4) = 14 lags make 15 rows of returns; twice as many make 29 rows about the line.
    t = np.arange(BARS)
    values = 4.6 + 0.001 * t + 0.2 * np.sin(2 * np.pi * t / period + 0.3)
    means = means_of(forecast(panel_of({"X": values})), "X")
    actual = values[np.array(ORIGINS)[:, None] + np.arange(1, HORIZON + 1)]
    # The ratio of the signal's singular values is of the order of 1,000, so that rounding errors of 1,000·ε = 2e-13
    # grow to about 2e-10 at most; a wrong rank or number of rows would give errors above 1e-3.
    assert np.abs(means - actual).max() < 1e-6


def test_a_constant_drift_is_extrapolated() -> None:
    t = np.arange(BARS)
    line = np.asarray(4.6 + 0.001 * t, dtype=np.float64)
    means = means_of(forecast(panel_of({"X": line}), [600]), "X")[0]
    np.testing.assert_allclose(means, 4.6 + 0.001 * (600 + np.arange(1, HORIZON + 1)), atol=1e-9)


@pytest.mark.parametrize("groups", [{}, {"A": "g", "B": "g", "C": "g"}])
def test_forecasts_do_not_depend_on_later_bars(groups: dict[str, str]) -> None:
    series = {"A": wavy(1), "B": wavy(2)[-900:], "C": walk(3), "D": seasonal(4)}
    spoilt = {ticker: np.concatenate([v[: v.size - 100], v[v.size - 100 :] * 3 - 7]) for ticker, v in series.items()}
    bars = [800, BARS - 101]
    whole, other = forecast(panel_of(series, groups), bars), forecast(panel_of(spoilt, groups), bars)
    assert whole.means.height == 4 * 2 * HORIZON
    assert whole.means.equals(other.means)


def test_parameters_are_estimated_at_the_first_origin() -> None:
    panel = panel_of({"A": wavy(1), "B": wavy(2)}, {"A": "g", "B": "g"})
    early = forecast(panel, [450, 600])
    # Bars between the first origin and the last window of the second have no influence.
    values = {ticker: values.copy() for ticker, values in {"A": wavy(1), "B": wavy(2)}.items()}
    for each in values.values():
        each[451:540] += 0.3
    late = forecast(panel_of(values, {"A": "g", "B": "g"}), [450, 600])
    np.testing.assert_array_equal(means_of(early, "A")[0], means_of(late, "A")[0])
    # The same numbers in the last window, below 10 and combined in 20 steps.
    np.testing.assert_allclose(means_of(early, "A")[1], means_of(late, "A")[1], atol=1e-12)
    assert not np.allclose(means_of(early, "A")[1], means_of(forecast(panel, [600]), "A")[0], atol=1e-9)


def test_forecasts_depend_on_the_group_but_not_on_other_tickers() -> None:
    series = {"A": wavy(1), "B": wavy(2), "C": walk(3), "D": wavy(4)[-800:]}
    whole = forecast(panel_of(series, {"A": "g", "B": "g"}))
    pair_alone = forecast(panel_of({"A": series["A"], "B": series["B"]}, {"A": "g", "B": "g"}))
    for ticker in ("A", "B"):
        np.testing.assert_array_equal(means_of(whole, ticker), means_of(pair_alone, ticker))
    for ticker in ("C", "D"):
        alone = forecast(panel_of({ticker: series[ticker]}))
        np.testing.assert_array_equal(means_of(whole, ticker), means_of(alone, ticker))
    single = forecast(panel_of({"A": series["A"]}))
    assert not np.allclose(means_of(whole, "A"), means_of(single, "A"), atol=1e-9)


def test_tickers_of_a_group_with_different_first_origins_are_fitted_up_to_their_own() -> None:
    panel = panel_of({"A": wavy(1), "B": wavy(2)}, {"A": "g", "B": "g"})
    together = panel.bars.filter(pl.col("bar") == 600).select("ticker", origin_date="date")
    apart = together.with_columns(
        origin_date=pl.when(pl.col("ticker") == "B").then(pl.lit(DAYS[650])).otherwise("origin_date")
    )
    same, own = (SamossaForecaster().forecast(panel, each, HORIZON) for each in (together, apart))
    np.testing.assert_array_equal(means_of(same, "A"), means_of(own, "A"))


def test_a_ticker_with_few_bars_is_fitted_alone() -> None:
    series = {"A": wavy(1), "B": wavy(2), "C": wavy(3), "YOUNG": wavy(4)[-240:]}
    grouped = forecast(panel_of(series, dict.fromkeys(series, "g")), [850, 900])
    alone = forecast(panel_of({"YOUNG": series["YOUNG"]}), [850, 900])
    assert grouped.failures == {}
    np.testing.assert_array_equal(means_of(grouped, "YOUNG"), means_of(alone, "YOUNG"))
    others = forecast(panel_of({t: series[t] for t in "ABC"}, dict.fromkeys("ABC", "g")), [850, 900])
    np.testing.assert_array_equal(means_of(grouped, "A"), means_of(others, "A"))


def test_tickers_that_cannot_be_fitted_have_a_reason_and_do_not_affect_others() -> None:
    broken_off = walk(5)
    broken_off[100] = np.nan
    late = walk(6)
    late[950] = np.inf
    series = {"A": wavy(1), "B": wavy(2), "GAP": broken_off, "LATE": late, "TINY": walk(7, 5)}
    forecasts = forecast(panel_of(series, dict.fromkeys(series, "g")), [905, 950, 998])
    tiny = panel_of({"TINY": series["TINY"]})
    assert forecasts.failures == {
        "GAP": "a log price up to its first origin is not finite",
        "LATE": "a log price up to its last origin is not finite",
        "TINY": "needs 30 bars up to its first origin, has 4",
    }
    assert SamossaForecaster().forecast(tiny, tiny.last_origins(), 3).failures == {
        "TINY": "needs 30 bars up to its first origin, has 5"
    }
    assert sorted(forecasts.means["ticker"].unique()) == ["A", "B"]
    assert forecasts.means["mean"].is_finite().all()


@pytest.mark.parametrize("groups", [{}, dict.fromkeys(["FLAT", "JUMP", "STEPS", "WALK", "WILD"], "g")])
def test_unusual_series_have_plausible_forecasts(groups: dict[str, str]) -> None:
    jump = walk(1)
    jump[300:] += np.log(100)
    series = {
        "FLAT": np.full(BARS, 4.6),
        "JUMP": jump,
        "STEPS": np.asarray(4.6 + 0.01 * (np.arange(BARS) // 100)),
        "WALK": walk(2),
        "WILD": np.asarray(4.6 + np.cumsum(np.random.default_rng(3).standard_cauchy(BARS) * 0.02)),
    }
    forecasts = forecast(panel_of(series, groups))
    assert forecasts.failures == {}
    np.testing.assert_allclose(means_of(forecasts, "FLAT"), 4.6, rtol=1e-14)
    for ticker, values in series.items():
        moved = means_of(forecasts, ticker) - values[ORIGINS][:, None]
        assert np.abs(moved).max() < 0.5 * max(float(np.ptp(values)), 1e-6)
    assert np.abs(means_of(forecasts, "JUMP") - jump[ORIGINS][:, None]).max() < 0.1


@pytest.mark.parametrize("bars", [30, 31, 45, 60, 100, 139, 200])
def test_short_histories_are_forecast(bars: int) -> None:
    series = {"A": walk(1, bars), "B": walk(2, bars)}
    for groups in ({}, {"A": "g", "B": "g"}):
        panel = panel_of(series, groups)
        forecasts = SamossaForecaster().forecast(panel, panel.last_origins(), HORIZON)
        assert forecasts.failures == {}
        assert np.abs(forecasts.means["mean"].to_numpy() - 4.6).max() < 2
