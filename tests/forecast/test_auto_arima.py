from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from scipy.signal import lfilter

from pm.errors import SettingsError
from pm.forecast import forecast_tickers
from pm.forecast.arima_order import penalty
from pm.forecast.base import Panel
from pm.forecast.calendar import calendar_columns, with_calendar
from pm.forecast.models.auto_arima import AutoArimaForecaster, fit_arima
from pm.settings import CALENDAR_FEATURES, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from pm.settings import ForecastSettings

    Floats = NDArray[np.float64]

NO_FEATURES = np.empty((5000, 0))


def series(phi: list[float], theta: list[float], n: int, *, seed: int, drift: float = 0.0) -> Floats:
    noise = np.random.default_rng(seed).normal(0, 0.02, n + 200)
    changes = drift + lfilter([1, *theta], [1, *(-np.array(phi))], noise)[200:]
    return np.asarray(4.6 + np.cumsum(changes))


def by_statsmodels(changes: Floats, order: tuple[int, int, int], *, mean: bool) -> Any:  # noqa: ANN401 - untyped
    from statsmodels.tsa.arima.model import ARIMA

    return ARIMA(changes, order=order, trend="c" if mean else "n").fit(method_kwargs={"maxiter": 200})


@pytest.mark.parametrize(
    ("phi", "theta", "drift"),
    [([0.4], [], 0.0), ([], [-0.3], 0.0), ([0.5, -0.3], [], 0.004), ([0.7], [-0.3], 0.0)],
)
def test_fit_and_forecasts_equal_those_of_statsmodels(phi: list[float], theta: list[float], drift: float) -> None:
    y = series(phi, theta, 900, seed=1, drift=drift)
    fitted = fit_arima(y[:800], NO_FEATURES)
    assert (fitted.order, fitted.mean) == ((len(phi), 1, len(theta)), drift != 0)
    changes = np.diff(y) / fitted.scale
    theirs = by_statsmodels(changes[:799], (len(phi), 0, len(theta)), mean=fitted.mean)
    lags = len(phi) + len(theta)
    assert fitted.criterion == pytest.approx(-2 * theirs.llf + penalty(lags, 799, mean=fitted.mean), abs=0.01)
    ahead = y[799] + fitted.scale * np.cumsum(theirs.forecast(15))
    np.testing.assert_allclose(fitted.forecast(y[:800], NO_FEATURES, 15), ahead, atol=2e-4)
    # At later origins the parameters are kept and the state is updated.
    later = y[859] + fitted.scale * np.cumsum(theirs.apply(changes[:859]).forecast(15))
    np.testing.assert_allclose(fitted.forecast(y[:860], NO_FEATURES, 15), later, atol=2e-4)


def test_a_random_walk_is_forecast_with_its_drift_or_as_constant() -> None:
    walk = series([], [], 600, seed=2)
    fitted = fit_arima(walk, NO_FEATURES)
    assert (fitted.order, fitted.mean, fitted.arma) == ((0, 1, 0), False, None)
    np.testing.assert_array_equal(fitted.forecast(walk, NO_FEATURES, 4), np.full(4, walk[-1]))
    rising = series([], [], 600, seed=2, drift=0.005)
    fitted = fit_arima(rising, NO_FEATURES)
    assert (fitted.order, fitted.mean) == ((0, 1, 0), True)
    slope = (rising[-1] - rising[0]) / 599
    np.testing.assert_allclose(fitted.forecast(rising, NO_FEATURES, 4), rising[-1] + slope * np.arange(1, 5))
    theirs = by_statsmodels(np.diff(rising) / fitted.scale, (0, 0, 0), mean=True)
    assert fitted.criterion == pytest.approx(-2 * theirs.llf + penalty(0, 599, mean=True), abs=1e-3)


def test_forecasts_equal_those_of_the_full_search_for_a_clear_structure() -> None:
    from statsforecast.models import AutoARIMA

    y = series([], [-0.5], 1000, seed=3)
    full = AutoARIMA(season_length=1, seasonal=False, max_d=1).fit(y)
    assert tuple(full.model_["arma"][i] for i in (0, 5, 1)) == fit_arima(y, NO_FEATURES).order
    ours = fit_arima(y, NO_FEATURES).forecast(y, NO_FEATURES, 20)
    np.testing.assert_allclose(ours, full.predict(20)["mean"], atol=5e-4)


def test_a_slope_is_not_extrapolated_without_end() -> None:
    # The slope is a random walk, so that unit-root tests choose two differences.
    slope = np.cumsum(np.random.default_rng(4).normal(0, 0.0005, 300))
    y = 4.6 + np.cumsum(slope + np.random.default_rng(5).normal(0, 0.003, 300))
    from statsforecast.models import AutoARIMA

    assert AutoARIMA(seasonal=False).fit(y).model_["arma"][5] == 2
    fitted = fit_arima(y, NO_FEATURES)
    steps = np.diff(fitted.forecast(y, NO_FEATURES, 2000))
    long_run = float(fitted.coefficients[0]) * fitted.scale if fitted.mean else 0.0
    assert abs(steps[0] - long_run) > 1e-3
    assert steps[-1] == pytest.approx(long_run, abs=1e-6)


def business_days(first: date, count: int) -> list[date]:
    days = (first + timedelta(days=k) for k in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


def weekly_panel(bars: int, ahead: int, seed: int) -> tuple[Panel, pl.DataFrame, Floats]:
    """Simulate returns of ±3% by weekday with 1% noise; return a panel, the later sessions, and all log prices."""
    days = business_days(date(2018, 1, 2), bars + ahead)
    effect = np.array([0.03, -0.03, 0.0, 0.03, -0.03])
    noise = np.random.default_rng(seed).normal(0, 0.01, bars + ahead)
    values = 4.6 + np.cumsum(effect[[day.weekday() for day in days]] + noise)
    frame = pl.DataFrame({"ticker": "X", "date": days, "bar": np.arange(bars + ahead), "log_price": values})
    targets = pl.DataFrame({"ticker": "X", "step": range(1, ahead + 1), "target_date": days[bars:]})
    return Panel(frame.head(bars)), targets, values


def test_an_effect_of_the_day_of_the_week_is_used_if_configured() -> None:
    panel, targets, values = weekly_panel(500, 10, seed=6)
    origins = panel.bars.filter(pl.col("bar").is_in([399, 419, 439, 459, 479])).select("ticker", origin_date="date")
    model = AutoArimaForecaster()
    informed = with_calendar(panel, targets, ["day_of_week"])

    def error(given: Panel) -> float:
        forecasts = model.forecast(given, origins, 10)
        assert forecasts.failures == {}
        means = forecasts.means["mean"].to_numpy().reshape(5, 10)
        realised = np.array([values[o + 1 : o + 11] for o in (399, 419, 439, 459, 479)])
        changes = np.diff(means, axis=1) - np.diff(realised, axis=1)
        return float(np.sqrt(np.mean(changes**2)))

    assert error(informed) < 0.6 * error(panel)
    # The current forecast takes the features of future sessions from the targets.
    today = model.forecast(informed, informed.last_origins(), 10).means["mean"].to_numpy()
    np.testing.assert_allclose(np.diff(today), np.diff(values[500:]), atol=0.035)
    effect = np.array([0.03, -0.03, 0.0, 0.03, -0.03])[[day.weekday() for day in targets["target_date"]]]
    np.testing.assert_allclose(np.diff(today), effect[1:], atol=0.006)


def test_a_fit_with_regressors_equals_that_of_statsmodels() -> None:
    panel, targets, values = weekly_panel(600, 8, seed=7)
    dummies = with_calendar(panel, targets, ["day_of_week"]).known_ahead
    assert dummies is not None
    features = dummies.drop("ticker", "bar").to_numpy()
    disturbed = values + series([0.5], [], 608, seed=8)
    fitted = fit_arima(disturbed[:600], features)
    assert (fitted.order, fitted.mean) == ((1, 1, 0), True)
    assert fitted.used.tolist() == [True] * 4 + [False] * 2  # no session on a weekend
    from statsmodels.tsa.arima.model import ARIMA

    changes = np.diff(disturbed[:600]) / fitted.scale
    theirs = ARIMA(changes, exog=features[1:600, :4], order=(1, 0, 0), trend="c").fit()
    ahead = disturbed[599] + fitted.scale * np.cumsum(theirs.forecast(8, exog=features[600:, :4]))
    np.testing.assert_allclose(fitted.forecast(disturbed[:600], features, 8), ahead, atol=2e-4)
    # All orders have the regressors, which have no penalty.
    assert fitted.criterion == pytest.approx(-2 * theirs.llf + penalty(1, 599, mean=False), abs=0.01)


def test_forecasts_with_features_do_not_depend_on_bars_after_the_last_origin() -> None:
    panel, targets, _ = weekly_panel(400, 5, seed=9)
    origins = panel.bars.filter(pl.col("bar").is_in([300, 349])).select("ticker", origin_date="date")
    late = pl.col("bar") > 349
    spoilt = Panel(panel.bars.with_columns(log_price=pl.when(late).then(-3.0).otherwise("log_price")))
    whole, other = (
        AutoArimaForecaster().forecast(with_calendar(given, targets, CALENDAR_FEATURES), origins, 5)
        for given in (panel, spoilt)
    )
    assert whole.failures == {}
    assert whole.means.equals(other.means)


def test_missing_sessions_are_a_reason_of_failure() -> None:
    panel, targets, _ = weekly_panel(300, 5, seed=10)
    informed = with_calendar(panel, targets.head(3), ["month_end"])
    forecasts = AutoArimaForecaster().forecast(informed, informed.last_origins(), 5)
    assert "features are known for 3 of the 5 sessions" in forecasts.failures["X"]


def test_calendar_features_equal_those_computed_from_the_date() -> None:
    days = pl.DataFrame({"date": pl.date_range(date(2023, 1, 1), date(2024, 12, 31), eager=True)})
    known = days.select("date", *calendar_columns(CALENDAR_FEATURES))
    for row in known.iter_rows(named=True):
        day = row["date"]
        assert [row[f"day_of_week_{k}"] for k in range(2, 8)] == [float(day.isoweekday() == k) for k in range(2, 8)]
        assert [row[f"month_{k}"] for k in range(2, 13)] == [float(day.month == k) for k in range(2, 13)]
        if day.isoweekday() < 6:
            month = [d for d in days["date"] if (d.year, d.month) == (day.year, day.month) and d.isoweekday() < 6]
            assert row["month_start"] == float(day == month[0])
            assert row["month_end"] == float(day == month[-1])


def test_a_panel_without_features_is_returned_unchanged() -> None:
    panel, targets, _ = weekly_panel(30, 5, seed=11)
    assert with_calendar(panel, targets, []) is panel


def test_a_restricted_panel_keeps_its_tickers_features() -> None:
    panel, targets, _ = weekly_panel(30, 5, seed=12)
    both = Panel(pl.concat([panel.bars, panel.bars.with_columns(ticker=pl.lit("Y"))]))
    ahead = pl.concat([targets, targets.with_columns(ticker=pl.lit("Y"))])
    informed = with_calendar(both, ahead, ["month"]).only(["Y"])
    assert informed.known_ahead is not None
    assert informed.known_ahead["ticker"].unique().to_list() == ["Y"]
    assert informed.known_ahead["bar"].to_list() == list(range(35))


@pytest.mark.parametrize(
    ("features", "complaint"),
    [
        ("[volume]", "volume is not a feature that is known for future sessions; choose from day_of_week, month"),
        ("[month, month]", "a feature is listed twice in arima_features"),
    ],
)
def test_settings_refuse_unknown_features(features: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "forecast.yml").write_text(f"arima_features: {features}", encoding="utf-8")
    with pytest.raises(SettingsError, match=complaint):
        load_settings(tmp_path)


def test_features_of_the_settings_are_used_by_the_model(
    settings: ForecastSettings,
    sample_prices: pl.DataFrame,
    flat_volatility: Callable[..., pl.DataFrame],
    next_days: Callable[..., pl.DataFrame],
) -> None:
    prices = sample_prices.filter(pl.col("ticker") == "IBM").tail(400)
    given: dict[str, Any] = {
        "settings": settings.model_copy(update={"models": ["naive", "auto_arima"]}),
        "as_of": date(2013, 3, 1),
    }
    work = (prices, flat_volatility(prices, settings.horizon), next_days(prices, settings.horizon))
    plain = forecast_tickers(*work, **given)
    given["settings"] = given["settings"].model_copy(update={"arima_features": ["day_of_week"]})
    informed = forecast_tickers(*work, **given)
    chosen = [result.forecasts.filter(pl.col("model") == "auto_arima") for result in (plain, informed)]
    assert [frame.height for frame in chosen] == [settings.horizon] * 2
    assert not np.allclose(chosen[0]["mean"], chosen[1]["mean"], rtol=1e-4)
    # Expected returns repeat after a week, except for a remainder of the ARMA errors.
    returns = np.diff(chosen[1]["mean_log_return"].to_numpy())
    np.testing.assert_allclose(returns[-1], returns[-8], atol=1e-4)
