"""Draw charts as SVG, which a browser shows without a script; colours are classes of the stylesheet.

A picture has a title and a description for those who do not see it. All text in it is escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.report.scales import Scale, date_ticks, round_ticks, scale_over, thinned, tick_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from markupsafe import Markup

__all__ = ["Band", "Line", "Mark", "Share", "calibration_chart", "line_chart", "range_bar", "sparkline", "weight_bar"]

_WIDTH = 520
_RIGHT, _TOP, _BOTTOM = 52, 8, 22
"""Room beside the panel: for the values at its right, and for the dates below it."""
_TEXT_HEIGHT = 13
"""Height of a line of text: marks nearer than this to each other would overprint."""
_POINTS = 400
"""Number of points from which a line is thinned: more cannot be told apart on a screen."""


@dataclass(frozen=True)
class Line:
    """A line: dates, values (None where missing), its class in the stylesheet, and whether to fill it towards 0."""

    dates: Sequence[date]
    values: Sequence[float | None]
    style: str
    filled: bool = False


@dataclass(frozen=True)
class Band:
    """A band between two lines over the same dates."""

    dates: Sequence[date]
    low: Sequence[float]
    high: Sequence[float]
    style: str


@dataclass(frozen=True)
class Mark:
    """A horizontal line at a value between two dates, named at the right of the panel."""

    value: float
    name: str
    since: date
    until: date


@dataclass(frozen=True)
class Share:
    """A share that was expected and the one that was realised, with the ends of its interval where one is known."""

    expected: float
    realised: float
    low: float | None = None
    high: float | None = None
    weight: float = 1.0


def line_chart(  # noqa: PLR0913 - what a chart shows is named by the caller
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    *,
    title: str,
    description: str = "",
    percent: bool = False,
    height: int = 190,
    marks: Sequence[Mark] = (),
    since: date | None = None,
    level: float | None = None,
    until: date | None = None,
) -> Markup:
    """Return an SVG of lines over bands, with dates below and values at the right; empty with fewer than two dates.

    Parameters
    ----------
    title, description
        What the picture shows, and what it says, for those who do not see it.
    percent
        Whether values are shares, to be shown as percentages.
    height
        Height of the picture, in units of which it is 520 wide.
    marks
        Values to mark, such as the price of a stop.
    since
        Date of a vertical line, such as that of a forecast.
    level
        Value that the scale must have, drawn as a line across, such as 0 or 1.
    until
        Date that the picture goes on to, if it is later, so that it is beneath another.
    """
    from markupsafe import Markup

    days = sorted({day.toordinal() for dates in _all_dates(lines, bands) for day in dates})
    if days and until is not None:
        days.append(max(days[-1], until.toordinal()))
    heights = scale_over(_values(lines, bands, marks, level), height - _BOTTOM, _TOP, margin=0.04)
    if heights is None or len(days) < 2:
        return Markup()
    across = Scale(days[0], days[-1], 1, _WIDTH - _RIGHT)
    named = [(heights.place(mark.value), mark.name) for mark in marks]
    parts = [
        _opening(_WIDTH, height, title, description),
        *_grid(heights, percent, [place for place, _ in named]),
        *_dates(across, days, height),
    ]
    if level is not None:
        parts.append(_across("level", heights.place(level)))
    if since is not None:
        parts.append(_segment("since", across.place(since.toordinal()), _TOP, 0, height - _BOTTOM - _TOP))
    parts += [_polygon(band, across, heights) for band in bands]
    for line in lines:
        parts += _drawn(line, across, heights)
    for mark in marks:
        start, end = (across.place(day.toordinal()) for day in (mark.since, mark.until))
        parts.append(_segment("mark", start, heights.place(mark.value), end - start, 0))
    parts += [_label(place, name, "named") for place, name in _apart(named, height)]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - made here, with all text escaped


def calibration_chart(shares: Sequence[Share], *, title: str, description: str = "") -> Markup:
    """Return an SVG of realised over expected shares, with a diagonal on which both are equal; empty without any.

    The area of a point is proportional to its weight. A vertical line shows the interval of a realised share.
    """
    from markupsafe import Markup

    if not shares:
        return Markup()
    height, left = 300, 54
    across, heights = Scale(0, 1, left, 310), Scale(0, 1, height - 40, _TOP)
    largest = max(share.weight for share in shares) or 1.0
    parts = [_opening(320, height, title, description)]
    for tick, text in zip((0, 0.25, 0.5, 0.75, 1), ("0%", "25%", "50%", "75%", "100%"), strict=True):
        x, y = across.place(tick), heights.place(tick)
        parts += [
            _segment("grid", left, y, across.end - left, 0),
            _segment("grid", x, _TOP, 0, heights.start - _TOP),
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>',
            f'<text x="{x:.1f}" y="{heights.start + 16:.1f}" text-anchor="middle">{text}</text>',
        ]
    parts.append(f'<path class="level" d="M{left} {heights.start}L{across.end} {_TOP}"/>')
    for share in shares:
        x = across.place(share.expected)
        if share.low is not None and share.high is not None:
            top = heights.place(share.high)
            parts.append(_segment("accent", x, top, 0, heights.place(share.low) - top))
        radius = 2 + 5 * math.sqrt(share.weight / largest)
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{heights.place(share.realised):.1f}" r="{radius:.1f}"/>')
    middle = (heights.start + heights.end) / 2
    parts += [
        f'<text x="{(left + across.end) / 2}" y="{height - 6}" text-anchor="middle">said</text>',
        f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">happened</text>',
    ]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - as above


def sparkline(values: Sequence[float | None], *, points: int = 24) -> Markup:
    """Return a small SVG of a line without scales, for a cell of a table; empty with fewer than two values."""
    from markupsafe import Markup

    known = [value for value in values if value is not None and math.isfinite(value)]
    if len(known) < 2:
        return Markup()
    across, heights = Scale(0, len(known) - 1, 0, 100), scale_over(known, 22, 2)
    assert heights is not None  # noqa: S101 - all are finite
    kept = thinned(known, points)
    line = " ".join(f"{across.place(n):.0f},{heights.place(known[n]):.0f}" for n in kept)
    drawn = f'<svg class="spark" viewBox="0 0 100 24" aria-hidden="true"><polyline class="ink" points="{line}"/></svg>'
    return Markup(drawn)  # noqa: S704 - numbers


def range_bar(low: float, middle: float, high: float, reach: float) -> Markup:
    """Return a small SVG of an interval with its middle on a scale from −reach to reach, with a line at 0.

    What is beyond the scale is cut at its ends.
    """
    from markupsafe import Markup

    scale = Scale(-reach, reach, 0, 100)
    left, centre, right = (scale.place(max(-reach, min(reach, value))) for value in (low, middle, high))
    drawn = (
        '<svg class="range" viewBox="0 0 100 12" aria-hidden="true"><path class="level" d="M50 0V12"/>'
        f'<rect class="fan-50" x="{left:.0f}" y="4" width="{max(1.0, right - left):.0f}" height="4"/>'
        f'<path class="accent" d="M{centre:.0f} 2V10"/></svg>'
    )
    return Markup(drawn)  # noqa: S704 - numbers


def weight_bar(now: float | None, target: float | None, reach: float) -> Markup:
    """Return a small SVG of a weight as a bar and its target as a mark, on a scale that holds 0 and `reach`.

    A bar of a negative weight ends at 0.
    """
    from markupsafe import Markup

    weights = [weight for weight in (now, target) if weight is not None]
    scale = Scale(min(0.0, *weights, 0.0), max(reach, *weights, 1e-9), 0, 100)
    zero, parts = scale.place(0.0), []
    if now is not None:
        start, end = sorted((zero, scale.place(now)))
        parts.append(f'<rect class="bar" x="{start:.1f}" y="3" width="{end - start:.1f}" height="6"/>')
    if target is not None:
        parts.append(f'<path class="target" d="M{scale.place(target):.1f} 0V12"/>')
    drawn = f'<svg class="range" viewBox="-1 0 102 12" aria-hidden="true"><path class="level" d="M{zero:.1f} 0V12"/>'
    return Markup(f"{drawn}{''.join(parts)}</svg>")  # noqa: S704 - numbers


def _opening(width: int, height: int, title: str, description: str) -> str:
    from markupsafe import escape

    words = f"<desc>{escape(description)}</desc>" if description else ""
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img"><title>{escape(title)}</title>{words}'


def _all_dates(lines: Sequence[Line], bands: Sequence[Band]) -> Iterable[Sequence[date]]:
    yield from (line.dates for line in lines)
    yield from (band.dates for band in bands)


def _values(
    lines: Sequence[Line], bands: Sequence[Band], marks: Sequence[Mark], level: float | None
) -> Iterable[float]:
    for line in lines:
        yield from (value for value in line.values if value is not None)
        if line.filled:
            yield 0.0
    for band in bands:
        yield from band.low
        yield from band.high
    yield from (mark.value for mark in marks)
    if level is not None:
        yield level


def _grid(heights: Scale, percent: bool, taken: Sequence[float]) -> list[str]:
    """Return lines across at round values, named at the right unless something else is named there."""
    ticks = round_ticks(heights.low, heights.high)
    parts = []
    for tick, text in zip(ticks, tick_text(ticks, percent=percent), strict=True):
        place = heights.place(tick)
        parts.append(_across("grid", place))
        if all(abs(place - other) >= _TEXT_HEIGHT for other in taken):
            parts.append(_label(place, text))
    return parts


def _dates(across: Scale, days: Sequence[int], height: int) -> list[str]:
    from datetime import date

    parts = []
    for day, text in date_ticks(date.fromordinal(days[0]), date.fromordinal(days[-1]), 4):
        place = across.place(day.toordinal())
        anchor = "start" if place < 24 else "end" if place > across.end - 24 else "middle"
        parts.append(f'<text x="{place:.1f}" y="{height - 6}" text-anchor="{anchor}">{text}</text>')
    return parts


def _across(style: str, place: float) -> str:
    return _segment(style, 0, place, _WIDTH - _RIGHT, 0)


def _segment(style: str, x: float, y: float, width: float, height: float) -> str:
    move = f"h{width:.1f}" if width else f"v{height:.1f}"
    return f'<path class="{style}" d="M{x:.1f} {y:.1f}{move}"/>'


def _label(place: float, text: str, style: str = "") -> str:
    from markupsafe import escape

    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{_WIDTH - _RIGHT + 6}" y="{place + 4:.1f}">{escape(text)}</text>'


def _apart(named: Sequence[tuple[float, str]], height: int) -> list[tuple[float, str]]:
    """Return names with their places moved so that none overprints the one above it, nor leaves the panel."""
    moved: list[tuple[float, str]] = []
    for place, name in sorted(named):
        free = place if not moved else max(place, moved[-1][0] + _TEXT_HEIGHT)
        moved.append((max(free, _TOP), name))
    over = max(0.0, moved[-1][0] - (height - _BOTTOM)) if moved else 0.0
    return [(place - over, name) for place, name in moved]


def _polygon(band: Band, across: Scale, heights: Scale) -> str:
    forth = [_point(across, heights, day, value) for day, value in zip(band.dates, band.high, strict=True)]
    back = [_point(across, heights, day, value) for day, value in zip(band.dates, band.low, strict=True)]
    return f'<polygon class="{band.style}" points="{" ".join(forth + back[::-1])}"/>'


def _drawn(line: Line, across: Scale, heights: Scale) -> list[str]:
    """Return each piece of a line between missing values; a piece of one value is no line."""
    pieces: list[list[tuple[date, float]]] = [[]]
    for n in thinned(line.values, _POINTS):
        value = line.values[n]
        if value is None or not math.isfinite(value):
            pieces.append([])
        else:
            pieces[-1].append((line.dates[n], value))
    parts = []
    for piece in pieces:
        if len(piece) < 2:
            continue
        points = " ".join(_point(across, heights, day, value) for day, value in piece)
        if line.filled:
            ends = (across.place(piece[at][0].toordinal()) for at in (-1, 0))
            closed = " ".join(f"{end:.1f},{heights.place(0.0):.1f}" for end in ends)
            parts.append(f'<polygon class="{line.style}-fill" points="{points} {closed}"/>')
        parts.append(f'<polyline class="{line.style}" points="{points}"/>')
    return parts


def _point(across: Scale, heights: Scale, day: date, value: float) -> str:
    return f"{across.place(day.toordinal()):.1f},{heights.place(value):.1f}"
