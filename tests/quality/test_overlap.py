from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pm.quality.overlap import COMMON_DATES, agreement, basis_change, unit_change

DAY = date(2024, 1, 1)
closes = st.lists(st.floats(0.5, 5_000).map(lambda value: round(value, 2)), min_size=1, max_size=12)


def bars(values: list[float | None], first: int = 0) -> pl.DataFrame:
    days = [DAY + timedelta(days=first + place) for place in range(len(values))]
    return pl.DataFrame({"date": days, "close": values}, schema={"date": pl.Date, "close": pl.Float64})


@given(closes)
def test_equal_closes_agree_from_five_common_dates_on(values: list[float]) -> None:
    found = agreement(bars([*values, 7.0]), bars(list(values)), tolerance=1e-4)
    assert found.dates == len(values)
    assert found.largest_difference == 0
    assert found.agrees == (len(values) >= COMMON_DATES)


@given(closes, st.data())
def test_one_close_that_differs_is_enough_to_disagree(values: list[float], data: st.DataObject) -> None:
    other = list(values)
    place = data.draw(st.integers(0, len(values) - 1))
    other[place] *= 1.02
    assert not agreement(bars(list(other)), bars(list(values)), tolerance=1e-4).agrees


def test_closes_rounded_to_cents_agree_with_finer_ones() -> None:
    fine = [20.004, 20.116, 20.231, 20.3449, 20.2]
    assert agreement(bars([round(close, 2) for close in fine]), bars([*fine]), tolerance=1e-4).agrees
    assert not agreement(bars([round(close, 1) + 0.01 for close in fine]), bars([*fine]), tolerance=1e-4).agrees


def test_without_common_dates_nothing_agrees() -> None:
    assert not agreement(bars([1.0] * 6, first=10), bars([1.0] * 6), tolerance=1e-4).agrees
    assert agreement(bars([None] * 6), bars([1.0] * 6), tolerance=1e-4).dates == 0


@given(closes, st.sampled_from([100.0, 0.01]), st.floats(0.99, 1.01))
def test_a_hundredfold_on_all_common_dates_is_a_change_of_unit(values: list[float], unit: float, noise: float) -> None:
    sent = [close * unit * noise for close in values]
    assert unit_change(bars([*sent, 3.0]), bars(list(values))) == pytest.approx(unit)
    assert unit_change(bars([*sent[:-1], values[-1]]), bars(list(values))) is None


@given(closes, st.floats(0.02, 50))
def test_any_other_ratio_is_none(values: list[float], ratio: float) -> None:
    assert unit_change(bars([close * ratio for close in values]), bars(list(values))) is None
    assert unit_change(bars([]), bars(list(values))) is None


ratios = st.sampled_from([1.05, 1.1, 1.5, 2.0, 4.0, 20.0, 0.1, 0.5, 0.9])
longer = st.lists(st.integers(5, 5_000).map(lambda value: value + 0.37), min_size=2, max_size=8)  # quoted in cents


@given(longer, ratios, st.booleans(), st.data())
def test_closes_that_differ_by_a_split_up_to_its_day_show_that_it_is_half_recorded(
    values: list[float], ratio: float, is_inverse: bool, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(values)))
    factor = 1 / ratio if is_inverse else ratio
    sent = [close * (factor if place < cut else 1.0) for place, close in enumerate(values)]
    told = [(DAY + timedelta(days=cut), ratio)]
    assert basis_change(bars([*sent]), bars([*values]), told) == pytest.approx(factor)
    unknown = basis_change(bars([*sent]), bars([*values]), [])
    assert unknown == (pytest.approx(factor) if cut >= 2 else None)


@given(longer, ratios, st.data())
def test_a_split_that_is_recorded_in_full_changes_no_close_as_traded(
    values: list[float], ratio: float, data: st.DataObject
) -> None:
    day = DAY + timedelta(days=data.draw(st.integers(0, len(values))))
    assert basis_change(bars([*values, 1.0]), bars([*values]), [(day, ratio)]) is None
    corrected = list(values)
    corrected[-1] *= 1.2  # a correction of the last close
    assert basis_change(bars([*corrected]), bars([*values]), []) is None
    assert basis_change(bars([]), bars([*values]), [(day, ratio)]) is None


@given(longer, ratios, ratios)
def test_two_splits_can_be_half_recorded_together(values: list[float], first: float, second: float) -> None:
    assume(abs(first * second - 1) > 0.04)
    splits = [(DAY + timedelta(days=len(values)), ratio) for ratio in (first, second)]
    sent = [close * first * second for close in values]
    assert basis_change(bars([*sent]), bars([*values]), splits) == pytest.approx(first * second)
