"""Charts as SVG: what is drawn is where its value belongs."""

from __future__ import annotations

import re
from datetime import date, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from pm.serve.drawing import Band, Line, chart, sparkline

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(5)]
VALUES = st.lists(st.floats(-1e9, 1e9), min_size=5, max_size=5)


def points(svg: str) -> list[tuple[float, float]]:
    (line,) = ET.fromstring(svg).iter("polyline")  # noqa: S314 - our own
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


@given(VALUES)
def test_a_line_has_a_point_for_each_value_in_the_order_of_the_values(values: list[float]) -> None:
    svg = chart([Line(DAYS, values, "ink")], label='"<script>&', form=lambda value: f"<{value:g}>")
    found = points(svg)
    assert len(found) == 5
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    width, height = (float(part) for part in re.findall(r"viewBox=\"0 0 (\d+) (\d+)\"", svg)[0])
    assert all(0 <= x <= width and 0 <= y <= height for x, y in found)
    by_value = [y for _, (_, y) in sorted(zip(values, found, strict=True), key=lambda pair: pair[0])]
    assert by_value == sorted(by_value, reverse=True)  # a larger value is higher up
    assert "<script>" not in svg


def test_a_missing_value_interrupts_the_line() -> None:
    svg = chart([Line(DAYS, [1, 2, None, 3, float("nan")], "ink")], label="x", form=str)
    assert svg.count("<polyline") == 1  # a single point is no line
    whole = chart([Line(DAYS, [1, 2, None, 3, 4], "ink")], label="x", form=str)
    assert whole.count("<polyline") == 2


def test_nothing_is_drawn_of_nothing_or_of_one_day() -> None:
    assert chart([Line([], [], "ink")], label="x", form=str) == ""
    assert chart([Line(DAYS[:1], [1.0], "ink")], label="x", form=str) == ""
    assert chart([Line(DAYS, [None] * 5, "ink")], [Band([], [], [], "fan-90")], label="x", form=str) == ""
    assert sparkline([1.0]) == ""
    assert sparkline([1.0, None, 2.0]).count(",") == 2
