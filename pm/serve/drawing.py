"""Draw lines and bands as SVG, which a browser shows without a script; colours are classes of the stylesheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

__all__ = ["Band", "Line", "chart", "sparkline"]

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 4, 4, 26, 30
_TICKS = 5
_MIN_DATES = 2
"""Number of dates below which there is no line to draw."""


@dataclass(frozen=True)
class Line:
    """A line: dates, values (None where missing), and its class in the stylesheet."""

    dates: Sequence[date]
    values: Sequence[float | None]
    style: str


@dataclass(frozen=True)
class Band:
    """A band between two lines over the same dates."""

    dates: Sequence[date]
    low: Sequence[float]
    high: Sequence[float]
    style: str


def chart(lines: Sequence[Line], bands: Sequence[Band] = (), *, label: str, form: Callable[[float], str]) -> str:
    """Return an SVG of lines over bands, with values at the left and dates below; empty with fewer than two dates.

    Parameters
    ----------
    label
        What the picture shows, for those who do not see it.
    form
        Function that formats a value of the scale.
    """
    days = [day.toordinal() for line in lines for day in line.dates] + [d.toordinal() for b in bands for d in b.dates]
    values = [v for line in lines for v in line.values if v is not None and math.isfinite(v)]
    values += [v for band in bands for v in (*band.low, *band.high)]
    if not values or len(set(days)) < _MIN_DATES:
        return ""
    first, last, low, high = min(days), max(days), min(values), max(values)
    if high == low:
        low, high = low - abs(low) * 0.01 - 1e-9, high + abs(high) * 0.01 + 1e-9

    def x(day: date) -> float:
        return _LEFT + (day.toordinal() - first) / max(1, last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">']
    words = []
    for value in _ticks(low, high):
        height = y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>')
        words.append(f'<text x="{_LEFT}" y="{height - 5:.1f}">{escape(form(value))}</text>')
    for day, anchor in _days(first, last):
        parts.append(f'<text x="{x(day):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{day:%Y-%m-%d}</text>')
    for band in bands:
        forth = [f"{x(day):.1f},{y(value):.1f}" for day, value in zip(band.dates, band.high, strict=True)]
        back = [f"{x(day):.1f},{y(value):.1f}" for day, value in zip(band.dates, band.low, strict=True)]
        parts.append(f'<polygon class="{band.style}" points="{" ".join(forth + back[::-1])}"/>')
    parts += [f'<polyline class="{line.style}" points="{points}"/>' for line in lines for points in _points(line, x, y)]
    return "".join([*parts, *words, "</svg>"])


def sparkline(values: Sequence[float | None]) -> str:
    """Return a small SVG of a line without scales, for a cell of a table; empty with fewer than two values."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step, span = 100 / (len(known) - 1), (high - low) or 1
    points = " ".join(f"{n * step:.1f},{22 - (value - low) / span * 20:.1f}" for n, value in enumerate(known))
    return f'<svg class="spark" viewBox="0 0 100 24" aria-hidden="true"><polyline class="ink" points="{points}"/></svg>'


def _points(line: Line, x: Callable[[date], float], y: Callable[[float], float]) -> list[str]:
    """Return the points of each piece of a line between missing values."""
    pieces: list[list[str]] = [[]]
    for day, value in zip(line.dates, line.values, strict=True):
        if value is None or not math.isfinite(value):
            pieces.append([])
        else:
            pieces[-1].append(f"{x(day):.1f},{y(value):.1f}")
    return [" ".join(piece) for piece in pieces if len(piece) > 1]


def _ticks(low: float, high: float) -> list[float]:
    """Return round values between two bounds, about five."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    start = math.ceil(low / step)
    return [step * number for number in range(start, math.floor(high / step) + 1)]


def _days(first: int, last: int) -> list[tuple[date, str]]:
    from datetime import date

    middle = (first + last) // 2
    shown = {first: "start", middle: "middle", last: "end"}
    return [(date.fromordinal(day), anchor) for day, anchor in shown.items()]
