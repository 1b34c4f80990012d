from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.errors import SettingsError
from pm.forecast.models import FORECASTERS, forecaster
from pm.forecast.smoothing import ets, theta

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.forecast.base import Forecaster, Panel

HORIZON = 12


def build(name: str) -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast import models

    builders: dict[str, Callable[[], Any]] = {
        "naive": models.Naive,
        "drift": models.RandomWalkWithDrift,
    }
    return builders[name]()


def unit_of(values: NDArray[np.float64]) -> Any:  # noqa: ANN401 - mypy does not know numpy's scalars
    return np.sqrt(np.mean(np.diff(values) ** 2))


@pytest.fixture(scope="module")
def series() -> dict[str, NDArray[np.float64]]:
    rng = np.random.default_rng(6)
    walk = 4.6 + np.cumsum(rng.normal(0, 0.02, 320))
    trend = 4.6 + np.cumsum(rng.normal(0.003, 0.01, 300))
    moving = 4.6 + np.cumsum(np.convolve(rng.normal(0, 0.02, 281), [1, 0.5])[:280])
    return {"WALK": walk, "TREND": trend, "MOVING": moving}


@pytest.fixture(scope="module")
def panel(series: dict[str, NDArray[np.float64]], as_panel: Callable[..., Panel]) -> Panel:
    return as_panel(series)


def means_of(name: str, panel: Panel, origins: pl.DataFrame) -> pl.DataFrame:
    forecasts = FORECASTERS[name].forecast(panel, origins, HORIZON)
    assert forecasts.failures == {}
    return forecasts.means.sort("ticker", "origin_date", "step")


@pytest.mark.parametrize("name", ["naive", "drift"])
def test_forecasts_equal_those_of_statsforecast_in_a_loop(
    name: str, series: dict[str, NDArray[np.float64]], panel: Panel
) -> None:
    means = means_of(name, panel, panel.last_origins())
    for ticker, values in series.items():
        expected = build(name).forecast(values, HORIZON)["mean"]
        ours = means.filter(pl.col("ticker") == ticker)["mean"].to_numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["theta", "auto_ets"])
def test_forecasts_from_later_origins_have_the_parameters_of_the_first(
    name: str, series: dict[str, NDArray[np.float64]], panel: Panel
) -> None:
    bars = [200, 230, 255]
    origins = panel.bars.filter(pl.col("bar").is_in(bars)).select("ticker", origin_date="date")
    means = means_of(name, panel, origins)
    kernels = {"theta": (theta.fit_theta, theta.forecast_theta), "auto_ets": (ets.fit_ets, ets.forecast_ets)}
    fit, forecast = kernels[name]
    for ticker, values in series.items():
        scaled = (values - values[0]) / unit_of(values[:201])
        expected = [forecast(scaled[: bar + 1], fit(scaled[:201]), np.array([bar]), HORIZON)[0] for bar in bars]
        ours = means.filter(ticker=ticker)["mean"].to_numpy().reshape(3, HORIZON)
        np.testing.assert_allclose((ours - values[0]) / unit_of(values[:201]), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["theta", "auto_ets"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_a_series_in_another_unit_has_the_same_fit(
    name: str, scale: float, series: dict[str, NDArray[np.float64]], panel: Panel, as_panel: Callable[..., Panel]
) -> None:
    of_scaled = as_panel({ticker: scale * values for ticker, values in series.items()})
    ours = means_of(name, of_scaled, of_scaled.last_origins())["mean"].to_numpy() / scale
    np.testing.assert_allclose(ours, means_of(name, panel, panel.last_origins())["mean"].to_numpy(), rtol=1e-8)


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_series_with_small_changes_is_forecast_like_one_with_large_changes(
    name: str, series: dict[str, NDArray[np.float64]], panel: Panel, as_panel: Callable[..., Panel]
) -> None:
    means = means_of(name, panel, panel.last_origins())
    scales = (0.01, 0.2, 10.0)
    scaled = as_panel(
        {f"{ticker} × {scale}": 0.1 + scale * (v - v[0]) for scale in scales for ticker, v in series.items()}
    )
    of_scaled = means_of(name, scaled, scaled.last_origins())
    differences = {
        f"{ticker} × {scale}": float(
            np.abs(
                (of_scaled.filter(ticker=f"{ticker} × {scale}")["mean"].to_numpy() - 0.1) / scale
                - (means.filter(ticker=ticker)["mean"].to_numpy() - values[0])
            ).max()
            / unit_of(values)
        )
        for scale in scales
        for ticker, values in series.items()
    }
    # In units of a session's change; optimisers stop about that close to the optimum.
    assert {name: size for name, size in differences.items() if size > 1e-4} == {}


def test_drift_extrapolates_the_line_through_the_first_and_last_bar(as_panel: Callable[..., Panel]) -> None:
    panel = as_panel({"X": np.array([4.0, 9.0, 1.0, 4.6])})
    means = means_of("drift", panel, panel.last_origins())["mean"].to_numpy()
    np.testing.assert_allclose(means, 4.6 + 0.2 * np.arange(1, HORIZON + 1))


def test_drift_from_an_earlier_origin_uses_no_later_bar(as_panel: Callable[..., Panel]) -> None:
    panel = as_panel({"X": np.array([4.0, 9.0, 1.0, 4.6])})
    origins = pl.DataFrame({"ticker": ["X", "X"], "origin_date": [date(2010, 1, 2), date(2010, 1, 3)]})
    means = means_of("drift", panel, origins)["mean"].to_numpy().reshape(2, HORIZON)
    np.testing.assert_allclose(means[0], 9.0 + 5.0 * np.arange(1, HORIZON + 1))
    np.testing.assert_allclose(means[1], 1.0 - 1.5 * np.arange(1, HORIZON + 1))


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_do_not_depend_on_bars_after_the_last_origin(
    name: str, series: dict[str, NDArray[np.float64]], as_panel: Callable[..., Panel]
) -> None:
    whole = as_panel(series)
    spoilt = as_panel({ticker: np.concatenate([v[:250], v[250:] * 3 - 7]) for ticker, v in series.items()})
    origins = whole.bars.filter(pl.col("bar").is_in([200, 249])).select("ticker", origin_date="date")
    assert means_of(name, whole, origins).equals(means_of(name, spoilt, origins))


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasts_do_not_depend_on_other_tickers(name: str, panel: Panel) -> None:
    whole = means_of(name, panel, panel.last_origins())
    alone = [panel.only([ticker]) for ticker in panel.bar_counts()]
    assert pl.concat(means_of(name, part, part.last_origins()) for part in alone).equals(whole)


WALK = 4.6 + np.cumsum(np.random.default_rng(8).normal(0, 0.02, 300))
UNUSABLE = {
    "FIVE BARS": (WALK[:5], "needs 20 bars up to the first origin, has 5"),
    "ONE NAN": (np.where(np.arange(300) == 70, np.nan, WALK), "1 of 300 log prices are not finite"),
    "ALL NAN": (np.full(300, np.nan), "300 of 300 log prices are not finite"),
    "INFINITE": (np.where(np.arange(300) == 299, np.inf, WALK), "1 of 300 log prices are not finite"),
    "CONSTANT": (np.full(300, 4.6), "the first 300 log prices are all equal"),
}


@pytest.mark.parametrize("name", ["auto_arima", "theta", "auto_ets"])
def test_tickers_that_cannot_be_fitted_do_not_affect_the_others(
    name: str, series: dict[str, NDArray[np.float64]], as_panel: Callable[..., Panel]
) -> None:
    panel = as_panel({**series, **{ticker: values for ticker, (values, _) in UNUSABLE.items()}})
    forecasts = FORECASTERS[name].forecast(panel, panel.last_origins(), HORIZON)
    unexplained = [t for t, (_, reason) in UNUSABLE.items() if reason not in forecasts.failures.get(t, "")]
    assert unexplained == []
    assert set(forecasts.failures) == set(UNUSABLE)
    others = as_panel(series)
    assert forecasts.means.sort("ticker", "step").equals(means_of(name, others, others.last_origins()))


@pytest.mark.parametrize("name", ["auto_arima", "theta", "auto_ets"])
def test_unusual_series_are_forecast_without_a_warning(name: str, as_panel: Callable[..., Panel]) -> None:
    series = {
        "HUNDREDFOLD JUMP": WALK + np.where(np.arange(300) >= 150, np.log(100), 0.0),
        "STRAIGHT LINE": 4.6 + 0.001 * np.arange(300),
        "ONE CHANGE": np.where(np.arange(300) < 40, 4.6, 4.7),
        "TWO LEVELS": 4.6 + 0.1 * (np.arange(300) % 2),
    }
    panel = as_panel(series)
    means = means_of(name, panel, panel.last_origins())
    implausible = [
        ticker
        for ticker, values in series.items()
        if np.abs(means.filter(ticker=ticker)["mean"].to_numpy() - values[-1]).max() >= np.ptp(values) + 0.05
    ]
    assert implausible == []


def test_a_ticker_without_an_origin_is_not_forecast(panel: Panel) -> None:
    origins = panel.last_origins().filter(pl.col("ticker") == "WALK")
    for model in FORECASTERS.values():
        assert model.forecast(panel, origins, 3).means["ticker"].to_list() == ["WALK"] * 3


@pytest.mark.parametrize("model", FORECASTERS.values(), ids=list(FORECASTERS))
def test_an_empty_panel_gives_an_empty_frame(model: Forecaster, panel: Panel) -> None:
    empty = panel.only([])
    forecasts = model.forecast(empty, empty.last_origins(), 3)
    assert forecasts.means.is_empty()
    assert forecasts.means.columns == ["ticker", "origin_date", "step", "mean"]


def test_for_an_unknown_name_the_most_similar_is_suggested() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'auto_arima'"):
        forecaster("autoarima")


def test_forecasters_are_registered_by_their_names() -> None:
    assert [model.name for model in FORECASTERS.values()] == list(FORECASTERS)
    assert list(FORECASTERS) == ["naive", "drift", "auto_arima", "theta", "auto_ets", "samossa", "mssa_cp"]
