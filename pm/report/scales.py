"""Map values and dates to places of a picture, and choose the round values and the dates that mark a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Scale", "date_ticks", "round_step", "round_ticks", "scale_over", "thinned", "tick_text"]

_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
"""Numbers of months from one mark to the next, of which the smallest that gives few enough marks is used."""
_LEAST_SPAN = 1e-100
"""Span below which a step cannot be computed with floating-point numbers."""
_DAYS = (1, 2, 7, 14)
"""Numbers of days from one mark to the next over a span of a few weeks."""


@dataclass(frozen=True)
class Scale:
    """A linear map of the values from `low` to `high` to the places from `start` to `end`, which may be smaller.

    Examples
    --------
    >>> Scale(0, 10, 100, 0).place(2.5)
    75.0
    >>> Scale(0, 10, 100, 0).value(75)
    2.5
    """

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return the place of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def value(self, place: float) -> float:
        """Return the value at a place."""
        return self.low + (place - self.start) / (self.end - self.start) * (self.high - self.low)


def scale_over(values: Iterable[float], start: float, end: float, *, margin: float = 0.0) -> Scale | None:
    """Return the scale of the finite values among some; None if there is none.

    Parameters
    ----------
    values
        Values that the scale must have.
    start, end
        Places of the smallest and of the largest value.
    margin
        Share of the span that is added below and above.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return None
    low, high = min(known), max(known)
    # So many equal values have a span of rounding errors, on which no scale can be drawn.
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, _LEAST_SPAN):
        room = size * 0.01 if size > _LEAST_SPAN else 1.0
        low, high = low - room, high + room
    room = (high - low) * margin
    return Scale(low - room, high + room, start, end)


def round_step(low: float, high: float, count: int) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that divides the span into at most `count` parts."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= raw * (1 - 1e-9))


def round_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return the multiples of a round step between two values, both included.

    Examples
    --------
    >>> round_ticks(0.13, 1.02)
    [0.5, 1.0]
    """
    step = round_step(low, high, count)
    # Multiples of a step below one are computed as quotients, so that 3 × 0.1 is 0.3.
    inverse = round(1 / step) if step < 1 else None
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number / inverse if inverse else number * step for number in range(first, last + 1)]


def tick_text(ticks: Sequence[float], *, percent: bool = False) -> list[str]:
    """Return the texts of marks with as many decimals as tell them apart.

    Examples
    --------
    >>> tick_text([1000.0, 1200.0])
    ['1,000', '1,200']
    >>> tick_text([-0.05, 0.0, 0.05], percent=True)
    ['−5%', '0%', '5%']
    """
    factor, unit = (100, "%") if percent else (1, "")
    gaps = [abs(after - before) * factor for before, after in pairwise(ticks)]
    step = min(gaps, default=max((abs(tick) * factor for tick in ticks), default=1.0)) or 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(round(step, decimals) - step) > 1e-6 * step:
        decimals += 1  # of a step such as 2.5
    texts = [f"{tick * factor:,.{decimals}f}" for tick in ticks]
    if max(map(len, texts), default=0) > 7:
        texts = [f"{tick * factor:.3g}" for tick in ticks]
    return [text.replace("-", "−") + unit for text in texts]


def date_ticks(first: date, last: date, count: int = 5) -> list[tuple[date, str]]:
    """Return at most `count` + 1 dates between two, and their texts: days, first days of months, or of years."""
    span = (last - first).days
    if span <= 14 * count:
        step = next(step for step in _DAYS if span <= step * count)
        return [(day, f"{day.day} {day:%b}") for day in (first + timedelta(n) for n in range(0, span + 1, step))]
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((step for step in _MONTHS if months <= step * count), 12 * math.ceil(months / 12 / count))
    start = first.year * 12 + first.month - 1
    found = []
    for number in range(-(-start // step) * step, last.year * 12 + last.month, step):
        day = date(number // 12, number % 12 + 1, 1)
        if day < first:
            continue
        found.append((day, f"{day.year}" if step >= 12 or day.month == 1 else f"{day:%b %Y}"))
    return found


def thinned(values: Sequence[float | None], count: int) -> list[int]:
    """Return the positions of about `count` values that show the same line: the ends, and each part's low and high.

    A series that is short enough keeps all positions. A value that is missing is left out of a long one.
    """
    if len(values) <= count:
        return list(range(len(values)))
    known = [(n, value) for n, value in enumerate(values) if value is not None and math.isfinite(value)]
    parts = max(1, count // 2)
    kept = {known[0][0], known[-1][0]} if known else set()
    for part in range(parts):
        own = known[part * len(known) // parts : (part + 1) * len(known) // parts]
        if own:
            kept.add(min(own, key=lambda pair: pair[1])[0])
            kept.add(max(own, key=lambda pair: pair[1])[0])
    return sorted(kept)
