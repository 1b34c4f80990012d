from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from statistics import stdev
from typing import TYPE_CHECKING

import pytest

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


def log_closes(bars: pl.DataFrame) -> list[float]:
    return [log(close * factor) for close, factor in bars.select("close", "adj_factor").rows()]


def test_log_returns_are_those_of_the_vendors_adjusted_closes(
    sample_bars: pl.DataFrame, assert_near: Callable[..., None]
) -> None:
    apple = sample_bars.filter(ticker="AAPL")
    levels = log_closes(apple)
    expected = [None, *(after - before for before, after in pairwise(levels))]
    assert_near(compute_features(apple)["log_return"], expected, within=1e-14)


@pytest.mark.parametrize("window", [5, 20, 60])
def test_volatility_is_the_sample_deviation_of_full_windows(
    sample_bars: pl.DataFrame, window: int, assert_near: Callable[..., None]
) -> None:
    facebook = sample_bars.filter(ticker="FB")
    levels = log_closes(facebook)
    returns = [after - before for before, after in pairwise(levels)]
    expected = [stdev(returns[end - window : end]) if end >= window else None for end in range(len(levels))]
    assert_near(compute_features(facebook)[f"volatility_{window}"], expected, rel=1e-11)


@pytest.mark.parametrize("lag", [5, 20, 60, 120, 250])
def test_momentum_is_the_log_return_over_its_sessions(
    sample_bars: pl.DataFrame, lag: int, assert_near: Callable[..., None]
) -> None:
    google = sample_bars.filter(ticker="GOOG")
    levels = log_closes(google)
    expected = [levels[end] - levels[end - lag] if end >= lag else None for end in range(len(levels))]
    assert_near(compute_features(google)[f"momentum_{lag}"], expected, within=1e-13)


def test_ewm_volatility_weights_every_return_so_far(
    sample_bars: pl.DataFrame, assert_near: Callable[..., None]
) -> None:
    facebook = sample_bars.filter(ticker="FB")
    levels = log_closes(facebook)
    returns = [after - before for before, after in pairwise(levels)]
    expected: list[float | None] = []
    for end in range(len(levels)):
        weights = [0.94**age for age in range(end)]
        squares = [value * value for value in reversed(returns[:end])]
        total = sum(weight * square for weight, square in zip(weights, squares, strict=True))
        expected.append(sqrt(total / sum(weights)) if end >= 20 else None)
    assert_near(compute_features(facebook)["ewm_volatility"], expected, rel=1e-11)


def test_steps_of_one_size_up_and_down_have_that_volatility(make_bars: Callable[..., pl.DataFrame]) -> None:
    row = compute_features(make_bars([100.0, 101.0] * 40)).tail(1)
    step = log(1.01)
    assert row["ewm_volatility"].item() == pytest.approx(step, rel=1e-12)
    assert row["volatility_60"].item() == pytest.approx(step * sqrt(60 / 59), rel=1e-12)
