"""Charts: what is drawn is where its value belongs, inside the picture, and told in words too."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.report.charts import Band, Line, Mark, Share, calibration_chart, line_chart, range_bar, sparkline, weight_bar
from pm.report.tickers import TickerFrames, price_chart, ticker_charts

if TYPE_CHECKING:
    from pm.report import ReportData

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(5)]
VALUES = st.lists(st.floats(-1e9, 1e9), min_size=5, max_size=5)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def points(svg: str, tag: str = "polyline") -> list[list[tuple[float, float]]]:
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]
        for line in parsed(svg).iter(tag)
    ]


def size(svg: str) -> tuple[float, float]:
    _, _, width, height = map(float, parsed(svg).attrib["viewBox"].split())
    return width, height


def words(svg: str) -> list[tuple[str, float]]:
    return [(text.text or "", float(text.attrib["y"])) for text in parsed(svg).iter("text")]


@given(VALUES, TEXT)
def test_a_line_has_a_point_for_each_value_in_the_order_of_the_values(values: list[float], title: str) -> None:
    svg = line_chart([Line(DAYS, values, "ink")], title=title + '"<script>&', description=title)
    (found,) = points(svg)
    width, height = size(svg)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    assert all(0 <= x <= width and 0 <= y <= height for x, y in found)
    by_value = [y for _, (_, y) in sorted(zip(values, found, strict=True), key=lambda pair: pair[0])]
    assert by_value == sorted(by_value, reverse=True)  # a larger value is higher up
    assert parsed(svg).findtext("title") == title + '"<script>&'
    assert "<script>" not in svg


@given(VALUES)
def test_a_value_is_at_its_place_between_the_marks_of_the_scale(values: list[float]) -> None:
    # The obvious computation: the labels of the scale give two values and their heights, and so every other height.
    svg = line_chart([Line(DAYS, values, "ink")], title="x")
    labels = [(text, y - 4) for text, y in words(svg) if y < size(svg)[1] - 12]  # below are the dates
    scale = [(float(text.replace("−", "-").replace(",", "")), y) for text, y in labels]
    if len(scale) < 2 or max(map(abs, values)) > 1e6 * (max(values) - min(values)):
        return
    (low, at_low), (high, at_high) = scale[0], scale[-1]
    (found,) = points(svg)
    for value, (_, y) in zip(values, found, strict=True):
        expected = at_low + (value - low) / (high - low) * (at_high - at_low)
        assert abs(y - expected) <= 0.2 + 0.02 * abs(at_high - at_low)  # labels are rounded to three digits


def test_a_missing_value_interrupts_the_line() -> None:
    svg = line_chart([Line(DAYS, [1, 2, None, 3, float("nan")], "ink")], title="x")
    assert svg.count("<polyline") == 1  # a single point is no line
    whole = line_chart([Line(DAYS, [1, 2, None, 3, 4], "ink")], title="x")
    assert whole.count("<polyline") == 2


def test_nothing_is_drawn_of_nothing_or_of_one_day() -> None:
    assert line_chart([Line([], [], "ink")], title="x") == ""
    assert line_chart([Line(DAYS[:1], [1.0], "ink")], title="x") == ""
    assert line_chart([Line(DAYS, [None] * 5, "ink")], [Band([], [], [], "fan-90")], title="x") == ""
    assert calibration_chart([], title="x") == ""
    assert sparkline([1.0]) == ""
    assert sparkline([1.0, None, 2.0]).count(",") == 2


def test_a_filled_line_reaches_down_to_zero() -> None:
    svg = line_chart([Line(DAYS, [-0.1, -0.2, -0.3, -0.2, -0.1], "loss", filled=True)], title="x", percent=True)
    ((*_, end, start),) = points(svg, "polygon")
    zero = next(y - 4 for text, y in words(svg) if text == "0%")
    assert end[1] == start[1] == pytest.approx(zero, abs=0.1)


def test_marks_near_each_other_do_not_overprint_each_other_or_the_scale() -> None:
    marks = [Mark(value, name, DAYS[0], DAYS[-1]) for value, name in ((2.0, "stop"), (2.001, "target"))]
    svg = line_chart([Line(DAYS, [1, 2, 3, 2, 1], "ink")], title="x", marks=marks)
    heights = sorted(y for text, y in words(svg) if not text[-1].isalpha() or text in {"stop", "target"})
    assert {"stop", "target"} <= {text for text, _ in words(svg)}
    assert all(after - before >= 12.9 for before, after in pairwise(heights))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8))
def test_a_point_of_calibration_is_above_the_diagonal_if_more_happened_than_was_said(
    pairs: list[tuple[float, float]],
) -> None:
    svg = calibration_chart([Share(*pair) for pair in pairs], title="x")
    diagonal = next(path for path in parsed(svg).iter("path") if path.attrib["class"] == "level").attrib["d"]
    left, bottom, right, top = map(float, re.findall(r"[\d.]+", diagonal))
    circles = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in parsed(svg).iter("circle")]
    assert len(circles) == len(pairs)
    for (said, happened), (x, y) in zip(pairs, circles, strict=True):
        assert x == pytest.approx(left + said * (right - left), abs=0.06)
        assert y == pytest.approx(bottom + happened * (top - bottom), abs=0.06)


@given(st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1))
def test_an_interval_is_drawn_around_its_middle_within_the_scale(low: float, first: float, second: float) -> None:
    middle, high = low + first, low + first + second
    svg = parsed(range_bar(low, middle, high, 1.0))
    (bar,) = svg.iter("rect")
    start, width = float(bar.attrib["x"]), float(bar.attrib["width"])
    cut = [50 + 50 * max(-1.0, min(1.0, value)) for value in (low, high)]
    assert start == pytest.approx(cut[0], abs=0.51)
    assert start + width == pytest.approx(max(cut[1], start + 1), abs=1.01)
    assert 0 <= start <= start + width <= 101


@pytest.mark.parametrize(("now", "target"), [(0.2, 0.3), (None, 0.1), (0.2, None), (-0.1, 0.3), (0.0, 0.0)])
def test_a_weight_and_its_target_share_a_scale(now: float | None, target: float | None) -> None:
    svg = parsed(weight_bar(now, target, 0.4))
    places = {path.attrib["class"]: float(re.findall(r"M([\d.]+)", path.attrib["d"])[0]) for path in svg.iter("path")}
    low = min(0.0, now or 0.0, target or 0.0)

    def place(weight: float) -> float:
        return (weight - low) / (0.4 - low) * 100

    assert places["level"] == pytest.approx(place(0.0), abs=0.06)
    assert ("target" in places) is (target is not None)
    if target is not None:
        assert places["target"] == pytest.approx(place(target), abs=0.06)
    bars = [(float(bar.attrib["x"]), float(bar.attrib["width"])) for bar in svg.iter("rect")]
    assert len(bars) == (now is not None)
    if now is not None:
        assert bars[0][0] == pytest.approx(min(place(0.0), place(now)), abs=0.06)
        assert bars[0][1] == pytest.approx(abs(place(now) - place(0.0)), abs=0.11)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200))
def test_a_sparkline_stays_inside_and_is_short(values: list[float]) -> None:
    (found,) = points(sparkline(values))
    assert all(0 <= x <= 100 and 0 <= y <= 24 for x, y in found)
    assert len(found) <= 32
    assert (found[0][0], found[-1][0]) == (0, 100)


# A ticker's charts -------------------------------------------------------------------------------------------------

COLUMNS = {"history": "date", "features": "date", "forecast": "target_date", "volatility": "target_date"}


@pytest.fixture(scope="module")
def frames(report_data: ReportData) -> TickerFrames:
    dates = report_data.forecasts.select("ticker", "step", "target_date")
    assert report_data.record is not None
    parts = {
        "history": report_data.history,
        "features": report_data.features,
        "forecast": report_data.forecasts,
        "volatility": report_data.volatility.join(dates, on=["ticker", "step"]),
    }
    own = {name: part.filter(pl.col("ticker") == "IBM").sort(COLUMNS[name]).tail(120) for name, part in parts.items()}
    return TickerFrames(**own, past=report_data.record.past_forecasts, stop=192.0, target=213.0)


def test_the_intervals_start_at_the_last_close_and_end_at_the_stored_quantiles(frames: TickerFrames) -> None:
    svg = price_chart("IBM", frames)
    close, fan = points(svg)[0], points(svg)[1]
    bands = points(svg, "polygon")
    assert len(bands) == 3
    last = frames.forecast.row(-1, named=True)
    # Two values with known heights, the close and the stop, give the scale.
    stop = next(y - 4 for text, y in words(svg) if text == "stop")
    slope = (stop - close[-1][1]) / (192.0 - frames.history["close"][-1])
    for band, (low, high) in zip(bands, (("q05", "q95"), ("q10", "q90"), ("q25", "q75")), strict=True):
        half = len(band) // 2
        assert half == frames.forecast.height + 1
        assert band[0] == band[-1] == fan[0] == close[-1]
        for point, name in ((band[half - 1], high), (band[half], low)):
            expected = close[-1][1] + slope * (last[name] - frames.history["close"][-1])
            assert point[1] == pytest.approx(expected, abs=0.3)
            assert point[0] == fan[-1][0]


def test_each_line_of_a_chart_has_its_own_entry_in_the_legend(frames: TickerFrames) -> None:
    for chart in ticker_charts("IBM", frames):
        styles = [line.attrib["class"] for line in parsed(chart["chart"]).iter("polyline")]
        assert len(styles) == len(set(styles))
        if chart["legend"]:
            assert set(styles) == {entry["style"] for entry in chart["legend"] if not entry["band"]}
            assert len({entry["name"] for entry in chart["legend"]}) == len(chart["legend"])


def test_past_forecasts_are_moved_with_the_prices_they_were_made_from(frames: TickerFrames) -> None:
    """A split halves all closes before it: bands of forecasts made before must be where the halved closes are."""
    halved = replace(
        frames,
        history=frames.history.with_columns(close=pl.col("close") / 2),
    )
    plain, moved = (ticker_charts("IBM", each)[-1] for each in (frames, halved))
    assert plain["caption"] == moved["caption"]
    assert points(plain["chart"], "polygon") == points(moved["chart"], "polygon")
    assert points(plain["chart"]) == points(moved["chart"])


def test_how_many_closes_came_inside_is_counted(frames: TickerFrames) -> None:
    closes = dict(frames.history.select("date", "close").iter_rows())
    inside = 0
    for row in frames.past.to_dicts():
        scale = closes[row["origin_date"]] / row["origin_close"]
        inside += row["q05"] * scale <= closes[row["outcome_date"]] <= row["q95"] * scale
    caption = ticker_charts("IBM", frames)[-1]["caption"]
    assert f"{inside} of 3 closes came inside the 90% interval." in caption


def test_a_ticker_without_data_has_no_chart(frames: TickerFrames) -> None:
    names = ("history", "features", "forecast", "volatility", "past")
    empty = TickerFrames(**{name: getattr(frames, name).clear() for name in names})
    assert ticker_charts("IBM", empty) == []
    assert [one["caption"] for one in ticker_charts("IBM", replace(empty, history=frames.history))] == [
        "Close and forecast"
    ]
