"""Growth, months, drawdowns and statistics of returns, against plain loops and another package."""

from __future__ import annotations

import calendar
import math
import re
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.report.returns import ROLLING_SESSIONS, ReturnSeries, describe, monthly_returns, rolling

RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=120)
FIRST = date(2023, 11, 20)


def series(returns: list[float], name: str = "main") -> ReturnSeries:
    return ReturnSeries(name, [FIRST + timedelta(days=n) for n in range(len(returns))], np.array(returns))


@given(RETURNS)
def test_months_and_years_compound_the_returns_of_their_days(returns: list[float]) -> None:
    made = series(returns)
    # Twin: pandas groups the days by month, and by year.
    daily = pd.DataFrame(
        {"growth": 1 + made.returns, "year": [d.year for d in made.dates], "month": [d.month for d in made.dates]}
    )
    months = daily.groupby(["year", "month"])["growth"].prod() - 1
    years = daily.groupby("year")["growth"].prod() - 1
    rows = monthly_returns(made)
    assert [row["year"] for row in rows] == sorted(set(daily["year"]), reverse=True)
    for row in rows:
        assert row["whole"] == pytest.approx(years[row["year"]])
        assert [cell["month"] for cell in row["months"]] == list(calendar.month_abbr)[1:]
        for number, cell in enumerate(row["months"], start=1):
            if (row["year"], number) in months.index:
                assert cell["value"] == pytest.approx(months[(row["year"], number)])
                assert cell["heat"].startswith("gain" if cell["value"] >= 0 else "loss")
            else:
                assert (cell["value"], cell["heat"]) == (None, "")


@pytest.mark.parametrize(
    ("value", "heat"), [(0.0, "gain-0"), (0.006, "gain-1"), (-0.03, "loss-2"), (0.07, "gain-3"), (-0.5, "loss-4")]
)
def test_a_larger_return_has_a_stronger_colour(value: float, heat: str) -> None:
    assert monthly_returns(series([value]))[0]["heat"] == heat


@given(RETURNS)
def test_drawdowns_have_the_dates_of_peak_valley_and_recovery(returns: list[float]) -> None:
    made = series(returns)
    shown = describe(made)
    dates = [made.start, *made.dates]
    value = [1.0, *np.cumprod(1 + made.returns)]
    for fall in shown["worst"]:
        peak, valley = dates.index(fall["peak"]), dates.index(fall["valley"])
        assert value[peak] == pytest.approx(max(value[: valley + 1]))
        assert fall["depth"] == pytest.approx(value[valley] / value[peak] - 1)
        end = len(dates) if fall["recovered"] is None else dates.index(fall["recovered"])
        assert all(value[n] < value[peak] * (1 + 1e-12) for n in range(peak + 1, end))
        if fall["recovered"] is not None:
            assert value[end] >= value[peak] * (1 - 1e-12)
    depth = min(value[n] / max(value[: n + 1]) - 1 for n in range(len(value)))
    deepest = min((fall["depth"] for fall in shown["worst"]), default=0.0)
    assert deepest == pytest.approx(depth, abs=1e-12)


def test_statistics_are_those_of_their_definitions_and_are_left_out_where_they_say_nothing() -> None:
    rng = np.random.default_rng(5)
    long, short = series(list(rng.normal(0.001, 0.01, 80))), series(list(rng.normal(0.001, 0.01, 20)))
    other = series(list(rng.normal(0, 0.01, 80)), "1/N")
    shown = describe(long, [other])
    rows = {row["name"]: row["values"] for row in shown["statistics"]}
    assert shown["columns"] == ["main", "1/N"]
    for column, one in enumerate((long, other)):
        r = one.returns
        yearly = np.prod(1 + r) ** (252 / 80) - 1
        assert rows["Return"][column] == f"{np.prod(1 + r) - 1:+.1%}".replace("-", "−")
        assert rows["Return per year"][column] == f"{yearly:+.1%}".replace("-", "−")
        assert rows["Sharpe ratio"][column] == f"{r.mean() / r.std(ddof=1) * math.sqrt(252):.2f}"
    few = {row["name"] for row in describe(short)["statistics"]}
    assert "Volatility per year" in few
    assert not few & {"Return per year", "Sharpe ratio", "Sortino ratio", "Calmar ratio", "Tail ratio"}


def test_a_comparison_is_cut_to_the_days_of_the_series() -> None:
    made = series([0.01] * 10)
    longer = ReturnSeries("1/N", [FIRST + timedelta(days=n) for n in range(-5, 15)], np.full(20, 0.1))
    shown = describe(made, [longer, ReturnSeries("none", [date(1999, 1, 1)], np.array([0.1]))])
    assert shown["columns"] == ["main", "1/N"]
    text = ET.fromstring(shown["growth"]).findtext("desc")  # noqa: S314 - our own
    assert text == f"main {1.01**10 - 1:+.1%}; 1/N {1.1**10 - 1:+.1%}"


def test_rolling_measures_begin_after_two_quarters_and_end_on_the_last_session() -> None:
    rng = np.random.default_rng(6)
    assert rolling(series(list(rng.normal(0, 0.01, 2 * ROLLING_SESSIONS - 1)))) == {"volatility": "", "sharpe": ""}
    made = series(list(rng.normal(0, 0.01, 200)))
    charts = rolling(made)
    for chart in charts.values():
        (line,) = ET.fromstring(chart).iter("polyline")  # noqa: S314 - our own
        points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert len(points) == 200 - ROLLING_SESSIONS + 1
    # The height of the last point is that of the last window's volatility, by the labels of the scale.
    svg = ET.fromstring(charts["volatility"])  # noqa: S314 - our own
    labels = [(text.text or "", float(text.attrib["y"]) - 4) for text in svg.iter("text")]
    scale = [(float(re.sub(r"[%−]", "", text)) / 100, y) for text, y in labels if text.endswith("%")]
    (low, at_low), (high, at_high) = scale[0], scale[-1]
    (line,) = svg.iter("polyline")
    y = float(line.attrib["points"].split()[-1].split(",")[1])
    expected = made.returns[-ROLLING_SESSIONS:].std(ddof=1) * math.sqrt(252)
    assert low + (y - at_low) / (at_high - at_low) * (high - low) == pytest.approx(expected, abs=0.002)


def test_a_series_of_closes_has_their_changes() -> None:
    days = [FIRST + timedelta(days=n) for n in range(3)]
    frame = pl.DataFrame({"date": days[::-1], "close": [110.0, 99.0, 100.0]})
    made = ReturnSeries.from_closes("X", frame)
    assert made.dates == days[1:]
    assert made.returns == pytest.approx([-0.01, 110 / 99 - 1])
