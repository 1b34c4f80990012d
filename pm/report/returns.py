"""Show what a series of daily returns made, as readers of tearsheets expect: growth, falls, months, statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.number_format import percent, ratio, signed_percent
from pm.plural import plural
from pm.report.charts import Line, line_chart
from pm.statistics.performance import deepest_drawdowns, drawdowns, performance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from markupsafe import Markup

    from pm.report.frames import Row
    from pm.statistics.performance import Performance
    from pm.typing import FloatArray

__all__ = ["ReturnSeries", "describe", "monthly_returns", "rolling"]

ROLLING_SESSIONS = 63
"""Number of sessions of a rolling measure: a quarter."""
_YEARLY_SESSIONS = 60
"""Minimum number of returns to state a return per year: fewer would be multiplied into nonsense."""
_ROLLING_POINTS = 300
"""Largest number of windows that a rolling measure is computed on."""
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEAT = (0.005, 0.02, 0.05, 0.1)
"""Sizes of a month's return from which its colour is stronger."""


@dataclass(frozen=True)
class ReturnSeries:
    """Simple returns by session, oldest first.

    Attributes
    ----------
    name
        What made them: an account, a trial, a ticker, '1/N'.
    dates
        Session to whose close each return is.
    returns
        Shape (observations,), all finite.
    """

    name: str
    dates: Sequence[date]
    returns: FloatArray = field(repr=False)

    @classmethod
    def from_frame(cls, name: str, frame: pl.DataFrame, column: str = "daily_return") -> ReturnSeries:
        """Return the series of a frame with `date` and a column of returns; rows without a return are left out."""
        rows = frame.select("date", pl.col(column).cast(pl.Float64)).filter(pl.col(column).is_finite()).sort("date")
        return cls(name, rows["date"].to_list(), rows[column].to_numpy())

    @classmethod
    def from_closes(cls, name: str, frame: pl.DataFrame) -> ReturnSeries:
        """Return the series of the changes of `close` in a frame with `date`."""
        closes = frame.sort("date")
        return cls.from_frame(name, closes.select("date", daily_return=pl.col("close").pct_change()))

    def within(self, first: date, last: date) -> ReturnSeries:
        """Return the part of the series whose sessions are between two dates, both included."""
        kept = [n for n, day in enumerate(self.dates) if first <= day <= last]
        return ReturnSeries(self.name, [self.dates[n] for n in kept], self.returns[kept])

    @property
    def start(self) -> date:
        """Day before the first session, from which growth counts."""
        return self.dates[0] - timedelta(days=1)


def describe(series: ReturnSeries, others: Sequence[ReturnSeries] = ()) -> Row:
    """Return the charts and the tables of a series beside others, which are cut to its days.

    The series has at least one return.

    Returns
    -------
    dict
        name, sessions, first, last; legend: name and class of each line; growth, falls: charts; months: rows of
        `monthly_returns`; worst: the deepest drawdowns; statistics: rows of name and values.
    """
    beside = [kept for other in others if (kept := other.within(series.dates[0], series.dates[-1])).dates]
    shown = [series, *beside]
    styles = ("ink", "accent", "second")
    grown = [
        Line([one.start, *one.dates], [1.0, *np.cumprod(1 + one.returns).tolist()], style)
        for one, style in zip(shown, styles, strict=False)
    ]
    total = {one.name: float(np.prod(1 + one.returns)) - 1 for one in shown}
    fallen = drawdowns(series.returns)
    return {
        "name": series.name,
        "sessions": len(series.returns),
        "first": series.dates[0],
        "last": series.dates[-1],
        "legend": [
            {"name": one.name, "style": style, "band": False} for one, style in zip(shown, styles, strict=False)
        ],
        "growth": line_chart(
            grown,
            title=f"Growth of {series.name} since {series.start}",
            description="; ".join(f"{name} {signed_percent(value)}" for name, value in total.items()),
            level=1.0,
        ),
        "falls": line_chart(
            [Line([series.start, *series.dates], [0.0, *fallen.tolist()], "loss", filled=True)],
            title=f"Drawdown of {series.name} from its highest value",
            description=f"The deepest is {percent(float(fallen.min()))}.",
            percent=True,
            height=120,
        ),
        "months": monthly_returns(series),
        "worst": _worst(series),
        "statistics": _statistics([performance(one.returns) for one in shown]),
        "columns": [one.name for one in shown],
    }


def monthly_returns(series: ReturnSeries) -> list[Row]:
    """Return a row for each year: the year, its return, and for each month the return and the class of its colour.

    A month without a session has None. The first and the last month hold the sessions that the series has of them.
    """
    frame = pl.DataFrame({"date": list(series.dates), "growth": 1 + series.returns}, schema_overrides={"date": pl.Date})
    by_month = frame.group_by(year=pl.col("date").dt.year(), month=pl.col("date").dt.month()).agg(
        made=pl.col("growth").product() - 1
    )
    made = {(row["year"], row["month"]): row["made"] for row in by_month.to_dicts()}
    rows = []
    for year in sorted({year for year, _ in made}, reverse=True):
        values = [made.get((year, month)) for month in range(1, 13)]
        whole = float(np.prod([1 + value for value in values if value is not None])) - 1
        cells = [
            {"month": name, "value": value, "heat": _heat(value)}
            for name, value in zip(_MONTH_NAMES, values, strict=True)
        ]
        rows.append({"year": year, "months": cells, "whole": whole, "heat": _heat(whole)})
    return rows


def _heat(value: float | None) -> str:
    """Return the class of a month's colour: 'gain-0' to 'gain-4', or 'loss-…'; '' without a return."""
    if value is None:
        return ""
    strength = sum(abs(value) >= bound for bound in _HEAT)
    return f"{'gain' if value >= 0 else 'loss'}-{strength}"


def rolling(series: ReturnSeries) -> Row:
    """Return charts of volatility and Sharpe ratio over the last quarter's sessions; empty below two quarters."""
    n = len(series.returns)
    if n < 2 * ROLLING_SESSIONS:
        return {"volatility": "", "sharpe": ""}
    step = max(1, (n - ROLLING_SESSIONS) // _ROLLING_POINTS)
    ends = list(range(n, ROLLING_SESSIONS - 1, -step))[::-1]
    found = [performance(series.returns[end - ROLLING_SESSIONS : end]) for end in ends]
    dates = [series.dates[end - 1] for end in ends]

    def drawn(values: list[float], name: str, *, is_share: bool) -> Markup:
        title = f"{name} of {series.name} over the last {ROLLING_SESSIONS} sessions, per year"
        return line_chart([Line(dates, values, "ink")], title=title, percent=is_share, height=130, level=0.0)

    return {
        "volatility": drawn([one.annual_volatility for one in found], "Volatility", is_share=True),
        "sharpe": drawn([one.sharpe for one in found], "Sharpe ratio", is_share=False),
    }


def _worst(series: ReturnSeries) -> list[Row]:
    """Return the deepest drawdowns with the dates of their peak, valley and recovery (None if it has none yet)."""
    dates = [series.start, *series.dates]
    rows = []
    for fall in deepest_drawdowns(series.returns):
        peak, valley = dates[fall.peak + 1], dates[fall.valley + 1]
        recovered = None if fall.recovered is None else dates[fall.recovered + 1]
        end = (recovered or series.dates[-1]) - peak
        rows.append(
            {
                "depth": fall.depth,
                "peak": peak,
                "valley": valley,
                "recovered": recovered,
                "lasted": plural(end.days, "day"),
            }
        )
    return rows


def _statistics(found: Sequence[Performance]) -> list[Row]:
    """Return a row for each statistic that any of the series has: its name, and the values as texts."""

    def yearly(one: Performance, value: float) -> float:
        return value if one.observations >= _YEARLY_SESSIONS else math.nan

    rows = [
        ("Return", [signed_percent(one.total_return) for one in found]),
        ("Return per year", [signed_percent(yearly(one, one.annual_return)) for one in found]),
        ("Volatility per year", [percent(one.annual_volatility) for one in found]),
        ("Sharpe ratio", [ratio(yearly(one, one.sharpe)) for one in found]),
        ("Sortino ratio", [ratio(yearly(one, one.sortino)) for one in found]),
        ("Largest drawdown", [percent(one.max_drawdown) for one in found]),
        ("Calmar ratio", [ratio(yearly(one, one.calmar)) for one in found]),
        ("Ulcer index", [percent(one.ulcer) for one in found]),
        ("Gains over losses (omega)", [ratio(one.omega) for one in found]),
        ("Tail ratio", [ratio(yearly(one, one.tail_ratio)) for one in found]),
    ]
    return [{"name": name, "values": values} for name, values in rows if any(value != "–" for value in values)]
