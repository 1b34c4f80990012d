from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.features.smoothing import ema, wilder

if TYPE_CHECKING:
    from collections.abc import Callable


def twin(values: list[float | None], window: int, alpha: float, skip: int) -> list[float | None]:
    seen: list[float] = []
    average: float | None = None
    result: list[float | None] = []
    for value in values:
        if value is None:
            result.append(None)
            continue
        seen.append(value)
        if len(seen) == skip + window:
            average = sum(seen[skip:]) / window
        elif average is not None:
            average += alpha * (value - average)
        result.append(average)
    return result


def evaluate(expression: pl.Expr, values: list[float | None]) -> pl.Series:
    return pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}).select(expression).to_series()


VALUES = st.lists(st.none() | st.floats(-1e3, 1e3), max_size=50)


@given(VALUES, st.integers(1, 14), st.integers(0, 14))
@settings(max_examples=150, deadline=None)
def test_ema_equals_its_recursion(
    assert_near: Callable[..., None], values: list[float | None], window: int, skip: int
) -> None:
    expected = twin(values, window, 2 / (window + 1), skip)
    assert_near(evaluate(ema(pl.col("x"), window, skip=skip), values), expected, rel=1e-9, within=1e-9)


@given(VALUES, st.integers(1, 14))
@settings(max_examples=150, deadline=None)
def test_wilder_equals_its_recursion(assert_near: Callable[..., None], values: list[float | None], window: int) -> None:
    expected = twin(values, window, 1 / window, 0)
    assert_near(evaluate(wilder(pl.col("x"), window), values), expected, rel=1e-9, within=1e-9)


def test_a_null_is_skipped() -> None:
    values = [None, 1.0, None, 3.0, None, 4.0]
    assert evaluate(wilder(pl.col("x"), 2), values).to_list() == [None, None, None, 2.0, None, 3.0]
