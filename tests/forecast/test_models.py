from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.errors import SettingsError
from pm.forecast.models import FORECASTERS, forecaster

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
        "theta": models.DynamicOptimizedTheta,
        "auto_ets": lambda: models.AutoETS(model="AZN"),
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


@pytest.mark.parametrize("name", ["naive", "drift", "theta", "auto_ets"])
def test_equals_statsforecast_called_in_a_loop(name: str, series: dict[str, NDArray[np.float64]], panel: Panel) -> None:
    means = means_of(name, panel, panel.last_origins())
    for ticker, values in series.items():
        scaled = (values - values[0]) / unit_of(values)
        expected = values[0] + unit_of(values) * build(name).forecast(scaled, HORIZON)["mean"]
        ours = means.filter(pl.col("ticker") == ticker)["mean"].to_numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["naive", "theta", "auto_ets"])
def test_rolls_forward_as_statsforecast_cross_validates(
    name: str, series: dict[str, NDArray[np.float64]], panel: Panel
) -> None:
    from statsforecast import StatsForecast

    windows, step = 4, 9
    places = {ticker: [len(v) - HORIZON - 1 - step * k for k in range(windows)] for ticker, v in series.items()}
    chosen = pl.DataFrame(
        [(ticker, bar) for ticker, bars in places.items() for bar in sorted(bars)],
        schema={"ticker": pl.String, "bar": pl.Int64},
        orient="row",
    )
    origins = panel.bars.join(chosen, on=["ticker", "bar"]).select("ticker", origin_date="date")
    ours = means_of(name, panel, origins)

    units = {ticker: unit_of(values[: min(places[ticker]) + 1]) for ticker, values in series.items()}
    begins = {ticker: values[0] for ticker, values in series.items()}
    begin, unit = (pl.col("unique_id").replace_strict(known, return_dtype=pl.Float64) for known in (begins, units))
    long = panel.bars.select(pl.col("ticker").alias("unique_id"), pl.col("bar").alias("ds"), y="log_price")
    long = long.with_columns((pl.col("y") - begin) / unit)
    cross: Any = StatsForecast(models=[build(name)], freq=1, n_jobs=1).cross_validation(
        df=long, h=HORIZON, step_size=step, n_windows=windows, refit=name == "naive"
    )
    cross = cross.sort("unique_id", "cutoff", "ds").select(begin + unit * pl.col(cross.columns[-1])).to_series()
    np.testing.assert_allclose(ours["mean"].to_numpy(), cross.to_numpy(), rtol=1e-10)


@pytest.mark.parametrize("name", FORECASTERS)
@pytest.mark.parametrize("scale", [0.01, 0.2, 10.0])
def test_a_quiet_series_is_forecast_as_a_wild_one(
    name: str, scale: float, series: dict[str, NDArray[np.float64]], panel: Panel, as_panel: Callable[..., Panel]
) -> None:
    means = means_of(name, panel, panel.last_origins())
    scaled = as_panel({ticker: 0.1 + scale * (values - values[0]) for ticker, values in series.items()})
    of_scaled = means_of(name, scaled, scaled.last_origins())
    for ticker, values in series.items():
        own, other = (frame.filter(ticker=ticker)["mean"].to_numpy() for frame in (means, of_scaled))
        np.testing.assert_allclose((other - 0.1) / scale, own - values[0], rtol=0, atol=1e-4 * unit_of(values))


def test_drift_is_the_line_through_the_ends(as_panel: Callable[..., Panel]) -> None:
    panel = as_panel({"X": np.array([4.0, 9.0, 1.0, 4.6])})
    means = means_of("drift", panel, panel.last_origins())["mean"].to_numpy()
    np.testing.assert_allclose(means, 4.6 + 0.2 * np.arange(1, HORIZON + 1))


def test_drift_at_an_earlier_origin_knows_no_later_bar(as_panel: Callable[..., Panel]) -> None:
    panel = as_panel({"X": np.array([4.0, 9.0, 1.0, 4.6])})
    origins = pl.DataFrame({"ticker": ["X", "X"], "origin_date": [date(2010, 1, 2), date(2010, 1, 3)]})
    means = means_of("drift", panel, origins)["mean"].to_numpy().reshape(2, HORIZON)
    np.testing.assert_allclose(means[0], 9.0 + 5.0 * np.arange(1, HORIZON + 1))
    np.testing.assert_allclose(means[1], 1.0 - 1.5 * np.arange(1, HORIZON + 1))


@pytest.mark.parametrize("name", FORECASTERS)
def test_bars_after_the_last_origin_change_nothing(
    name: str, series: dict[str, NDArray[np.float64]], as_panel: Callable[..., Panel]
) -> None:
    whole = as_panel(series)
    spoilt = as_panel({ticker: np.concatenate([v[:250], v[250:] * 3 - 7]) for ticker, v in series.items()})
    origins = whole.bars.filter(pl.col("bar").is_in([200, 249])).select("ticker", origin_date="date")
    assert means_of(name, whole, origins).equals(means_of(name, spoilt, origins))


@pytest.mark.parametrize("name", FORECASTERS)
def test_company_changes_nothing(name: str, panel: Panel) -> None:
    whole = means_of(name, panel, panel.last_origins())
    alone = [panel.only([ticker]) for ticker in panel.bar_counts()]
    assert pl.concat(means_of(name, part, part.last_origins()) for part in alone).equals(whole)


WALK = 4.6 + np.cumsum(np.random.default_rng(8).normal(0, 0.02, 300))
SPOILT = {
    "five bars": (WALK[:5], "needs 20 bars up to the first origin, has 5"),
    "one NaN": (np.where(np.arange(300) == 70, np.nan, WALK), "1 of 300 log prices are not finite"),
    "all NaN": (np.full(300, np.nan), "300 of 300 log prices are not finite"),
    "an infinite one": (np.where(np.arange(300) == 299, np.inf, WALK), "1 of 300 log prices are not finite"),
    "constant": (np.full(300, 4.6), "the first 300 log prices are all equal"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("name", ["auto_arima", "theta", "auto_ets"])
def test_a_ticker_that_cannot_be_fitted_leaves_the_others_alone(
    name: str, spoilt: str, series: dict[str, NDArray[np.float64]], as_panel: Callable[..., Panel]
) -> None:
    values, reason = SPOILT[spoilt]
    panel = as_panel({"BAD": values, **series})
    forecasts = FORECASTERS[name].forecast(panel, panel.last_origins(), HORIZON)
    assert set(forecasts.failures) == {"BAD"}
    assert reason in forecasts.failures["BAD"]
    rest = as_panel({"NOBODY": np.array([4.6]), **series}).only(series)
    assert forecasts.means.sort("ticker", "step").equals(means_of(name, rest, rest.last_origins()))


@pytest.mark.parametrize("name", ["auto_arima", "theta", "auto_ets"])
@pytest.mark.parametrize("case", ["hundredfold jump", "straight line", "one change", "two levels"])
def test_a_strange_series_is_forecast_without_a_warning(name: str, case: str, as_panel: Callable[..., Panel]) -> None:
    values = {
        "hundredfold jump": WALK + np.where(np.arange(300) >= 150, np.log(100), 0.0),
        "straight line": 4.6 + 0.001 * np.arange(300),
        "one change": np.where(np.arange(300) < 40, 4.6, 4.7),
        "two levels": 4.6 + 0.1 * (np.arange(300) % 2),
    }[case]
    panel = as_panel({"X": values})
    means = means_of(name, panel, panel.last_origins())["mean"].to_numpy()
    assert np.abs(means - values[-1]).max() < np.ptp(values) + 0.05


def test_a_ticker_without_an_origin_is_passed_over(panel: Panel) -> None:
    origins = panel.last_origins().filter(pl.col("ticker") == "WALK")
    for model in FORECASTERS.values():
        assert model.forecast(panel, origins, 3).means["ticker"].to_list() == ["WALK"] * 3


@pytest.mark.parametrize("model", FORECASTERS.values(), ids=list(FORECASTERS))
def test_an_empty_panel_gives_an_empty_frame(model: Forecaster, panel: Panel) -> None:
    nobody = panel.only([])
    forecasts = model.forecast(nobody, nobody.last_origins(), 3)
    assert forecasts.means.is_empty()
    assert forecasts.means.columns == ["ticker", "origin_date", "step", "mean"]


def test_an_unknown_name_is_met_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'auto_arima'"):
        forecaster("autoarima")


def test_names_are_their_own() -> None:
    assert [model.name for model in FORECASTERS.values()] == list(FORECASTERS)
    assert list(FORECASTERS) == ["naive", "drift", "auto_arima", "theta", "auto_ets", "samossa", "mssa_cp"]
