"""Scales: a place leads back to its value, and ticks are round, within the bounds, and told apart by their texts."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pm.report.scales import Scale, date_ticks, round_ticks, scale_over, thinned, tick_text

NUMBERS = st.floats(-1e9, 1e9)
SPANS = st.tuples(NUMBERS, st.floats(1e-6, 1e9)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(SPANS, st.floats(0, 1))
def test_a_place_leads_back_to_its_value(span: tuple[float, float], share: float) -> None:
    low, high = span
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return
    scale = Scale(low, high, 190, 8)
    value = low + share * (high - low)
    assert scale.place(low) == 190
    assert math.isclose(scale.place(high), 8)
    assert math.isclose(scale.value(scale.place(value)), value, rel_tol=1e-6, abs_tol=1e-6 * (high - low))


@given(st.lists(st.one_of(NUMBERS, st.sampled_from([math.nan, math.inf])), max_size=20), st.floats(0, 0.2))
def test_a_scale_holds_all_finite_values(values: list[float], margin: float) -> None:
    scale = scale_over(values, 100, 0, margin=margin)
    known = [value for value in values if math.isfinite(value)]
    if not known:
        assert scale is None
        return
    assert scale is not None
    assert scale.low < scale.high
    assert all(-1e-6 <= scale.place(value) <= 100 + 1e-6 for value in known)


@given(SPANS, st.integers(2, 8))
def test_ticks_are_multiples_of_one_two_or_five_times_a_power_of_ten(span: tuple[float, float], count: int) -> None:
    low, high = span
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return
    ticks = round_ticks(low, high, count)
    room = (high - low) * 1e-6
    assert len(ticks) <= count + 1
    assert all(low - room <= tick <= high + room for tick in ticks)
    if len(ticks) > 1:
        # The obvious computation, by the decimal digits of the gap.
        gap = Decimal(repr(float(f"{ticks[1] - ticks[0]:.6g}")))
        assert gap.normalize().as_tuple().digits in {(1,), (2,), (5,)}
        step = float(gap)
        assert all(math.isclose(tick / step, round(tick / step), abs_tol=1e-6) for tick in ticks)
        assert ticks[0] - step < low + room
        assert ticks[-1] + step > high - room


@given(SPANS, st.booleans())
def test_the_texts_of_ticks_tell_them_apart(span: tuple[float, float], percent: bool) -> None:
    low, high = span
    if high - low <= 0.01 * max(abs(low), abs(high)):  # a scale far from 0 is short of digits
        return
    texts = tick_text(round_ticks(low, high), percent=percent)
    assert len(set(texts)) == len(texts)
    assert all(text.endswith("%") is percent for text in texts)


def test_ticks_are_what_one_would_write_by_hand() -> None:
    assert round_ticks(0.13, 1.02) == [0.5, 1.0]
    assert round_ticks(-0.31, 0.0) == [-0.3, -0.2, -0.1, 0.0]
    assert tick_text([-0.3, -0.2, -0.1, 0.0], percent=True) == ["−30%", "−20%", "−10%", "0%"]
    assert tick_text([0.025, 0.05], percent=True) == ["2.5%", "5.0%"]
    assert tick_text([1000.0, 1500.0]) == ["1,000", "1,500"]
    assert tick_text([1e9, 2e9]) == ["1e+09", "2e+09"]


@given(st.dates(date(1970, 1, 1), date(2080, 1, 1)), st.integers(1, 30_000), st.integers(3, 6))
def test_dates_are_in_order_within_the_span_and_few(first: date, days: int, count: int) -> None:
    last = first + timedelta(days=days)
    ticks = date_ticks(first, last, count)
    dates = [day for day, _ in ticks]
    assert dates == sorted(set(dates))
    assert len(dates) <= count + 1
    assert all(first <= day <= last for day in dates)
    assert len({text for _, text in ticks}) == len(ticks) or days > 365  # '1 Mar' returns after a year
    if days > 14 * count:
        assert all(day.day == 1 for day in dates)


@given(st.lists(NUMBERS, min_size=1, max_size=500), st.integers(10, 100))
def test_a_thinned_line_keeps_its_ends_its_highest_and_its_lowest_value(values: list[float], count: int) -> None:
    kept = thinned(values, count)
    assert kept == sorted(set(kept))
    assert len(kept) <= max(count + 2, len(values) if len(values) <= count else 0)
    assert {kept[0], kept[-1]} == {0, len(values) - 1}
    assert {min(values), max(values)} <= {values[n] for n in kept}
