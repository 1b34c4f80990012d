from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.report.charts import TickerFrames, ticker_figure

if TYPE_CHECKING:
    from pm.report import ReportData

COLUMNS = {"history": "date", "features": "date", "forecast": "target_date", "volatility": "target_date"}


@pytest.fixture(scope="module")
def frames(report_data: ReportData) -> TickerFrames:
    dates = report_data.forecasts.select("ticker", "step", "target_date")
    parts = {
        "history": report_data.history,
        "features": report_data.features,
        "forecast": report_data.forecasts,
        "volatility": report_data.volatility.join(dates, on=["ticker", "step"]),
    }
    own = {name: part.filter(pl.col("ticker") == "AAPL").sort(COLUMNS[name]).tail(120) for name, part in parts.items()}
    return TickerFrames(**own, stop=374.6, target=475.6)


def traces(figure: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {trace["name"]: trace for trace in figure["data"]}


def test_plotly_accepts_the_figure_once_its_colours_are_replaced(frames: TickerFrames) -> None:
    import plotly.graph_objects as go

    def painted(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, str) and value.startswith("--"):
            return "sans-serif" if value == "--sans" else "#123456"
        if isinstance(value, list):
            return [painted(item) for item in value]
        return {key: painted(item) for key, item in value.items()} if isinstance(value, dict) else value

    assert len(go.Figure(painted(ticker_figure(frames))).data) == 9


def test_intervals_are_the_stored_quantiles_and_start_at_the_last_close(frames: TickerFrames) -> None:
    drawn = traces(ticker_figure(frames))

    close = frames.history["close"][-1]
    for level, low, high in (("50%", "q25", "q75"), ("80%", "q10", "q90"), ("90%", "q05", "q95")):
        half = len(drawn[level]["y"]) // 2
        upper, lower = drawn[level]["y"][:half], drawn[level]["y"][half:][::-1]
        assert upper == pytest.approx([close, *frames.forecast[high]], rel=1e-5)
        assert lower == pytest.approx([close, *frames.forecast[low]], rel=1e-5)
        assert drawn[level]["x"][:half] == drawn[level]["x"][half:][::-1]
    assert drawn["Close"]["x"][-1] == drawn["Median"]["x"][0] == "2013-03-01"
    assert drawn["Median"]["y"] == pytest.approx([close, *frames.forecast["q50"]], rel=1e-5)


def test_volatility_is_per_year(frames: TickerFrames) -> None:
    drawn = traces(ticker_figure(frames))

    assert drawn["Forecast"]["y"] == pytest.approx([value * 252**0.5 for value in frames.volatility["sigma"]], rel=1e-5)
    assert drawn["Weighted"]["y"][-1] == pytest.approx(frames.features["ewm_volatility"][-1] * 252**0.5, rel=1e-5)


def test_stop_and_target_are_drawn_if_the_signal_has_them(frames: TickerFrames) -> None:
    held = TickerFrames(frames.history, frames.features, frames.forecast, frames.volatility, None, None)

    def levels(figure: dict[str, Any]) -> set[float]:
        return {shape["y0"] for shape in figure["layout"]["shapes"] if shape.get("yref") != "paper"}

    assert levels(ticker_figure(frames)) == {374.6, 475.6}
    assert levels(ticker_figure(held)) == set()


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_figure_without_one_of_the_frames_has_the_others(frames: TickerFrames, missing: str) -> None:
    parts = {name: getattr(frames, name) for name in COLUMNS}
    parts[missing] = parts[missing].clear()

    figure = ticker_figure(TickerFrames(**parts, stop=None, target=None))

    assert 0 < len(figure["data"]) < 9
    json.dumps(figure, allow_nan=False)


def test_a_figure_without_data_has_no_traces(frames: TickerFrames) -> None:
    empty = {name: getattr(frames, name).clear() for name in COLUMNS}

    assert ticker_figure(TickerFrames(**empty, stop=None, target=None))["data"] == []


def test_a_price_that_is_not_finite_leaves_a_gap(frames: TickerFrames) -> None:
    holed = frames.history.with_columns(
        close=pl.when(pl.int_range(pl.len()) == 3).then(float("nan")).otherwise("close")
    )

    figure = ticker_figure(TickerFrames(holed, frames.features, frames.forecast, frames.volatility, float("inf"), None))

    assert traces(figure)["Close"]["y"][3] is None
    json.dumps(figure, allow_nan=False)
