from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import talib
from numpy.testing import assert_allclose

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

TICKERS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


@pytest.fixture(scope="module", params=TICKERS)
def ticker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def features(sample_bars: pl.DataFrame) -> pl.DataFrame:
    return compute_features(sample_bars)


def adjusted(bars: pl.DataFrame, ticker: str, name: str) -> NDArray[np.float64]:
    return bars.filter(ticker=ticker).select(pl.col(name) * pl.col("adj_factor")).to_series().to_numpy()


def assert_agrees(features: pl.DataFrame, ticker: str, name: str, expected: NDArray[np.float64], first: int) -> None:
    ours = features.filter(ticker=ticker)[name].to_numpy()
    assert np.flatnonzero(~np.isnan(expected))[0] == first
    assert_allclose(ours[first:], expected[first:], rtol=1e-9, atol=1e-9)


def test_rsi_agrees_with_talib(sample_bars: pl.DataFrame, features: pl.DataFrame, ticker: str) -> None:
    close = adjusted(sample_bars, ticker, "close")
    assert_agrees(features, ticker, "rsi_14", talib.RSI(close, 14), first=14)
    assert features.filter(ticker=ticker)["rsi_14"].head(14).null_count() == 14


def test_atr_agrees_with_talib(sample_bars: pl.DataFrame, features: pl.DataFrame, ticker: str) -> None:
    high, low, close = (adjusted(sample_bars, ticker, name) for name in ("high", "low", "close"))
    assert_agrees(features, ticker, "atr_14", talib.ATR(high, low, close, 14) / close, first=14)
    assert features.filter(ticker=ticker)["atr_14"].head(14).null_count() == 14


def test_macd_agrees_with_talib(sample_bars: pl.DataFrame, features: pl.DataFrame, ticker: str) -> None:
    close = adjusted(sample_bars, ticker, "close")
    for name, expected in zip(("macd", "macd_signal", "macd_histogram"), talib.MACD(close, 12, 26, 9), strict=True):
        assert_agrees(features, ticker, name, expected / close, first=33)
    mine = features.filter(ticker=ticker)
    assert mine["macd"].is_not_null().arg_max() == 25
    assert mine["macd_signal"].is_not_null().arg_max() == 33


def test_bollinger_position_agrees_with_talib(sample_bars: pl.DataFrame, features: pl.DataFrame, ticker: str) -> None:
    close = adjusted(sample_bars, ticker, "close")
    upper, _, lower = talib.BBANDS(close, 20, 2, 2)
    assert_agrees(features, ticker, "bollinger_position", (close - lower) / (upper - lower), first=19)
    assert features.filter(ticker=ticker)["bollinger_position"].head(19).null_count() == 19


@pytest.mark.parametrize(("step", "expected"), [(1.0, 100.0), (-1.0, 0.0)])
def test_rsi_of_a_one_way_market(make_bars: Callable[..., pl.DataFrame], step: float, expected: float) -> None:
    closes = [100 + step * day for day in range(40)]
    assert compute_features(make_bars(closes))["rsi_14"][14:].to_list() == [expected] * 26


def test_a_constant_price_has_no_rsi_and_no_position_in_its_bands(
    make_bars: Callable[..., pl.DataFrame],
) -> None:
    last = compute_features(make_bars([36743.6] * 80)).tail(1)
    assert last["rsi_14"].item() is None
    assert last["bollinger_position"].item() is None
    for name in ("atr_14", "volatility_5", "volatility_20", "volatility_60", "ewm_volatility", "yang_zhang_20"):
        assert last[name].item() == 0.0
    assert last["macd"].item() == pytest.approx(0.0, abs=1e-12)
