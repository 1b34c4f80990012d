"""Measure how fast features are computed, also against plain pandas: `python benchmarks/features.py`.

`compute_features` is called with simulated bars of 250 tickers at a time, as the pipeline does, for 2,000 tickers ×
5,000 sessions. The simulation is not timed. The bars and features of a chunk are deleted before the next one is made,
so that the peak memory is that of one chunk. The program in pandas computes seven of the features for the first 50
tickers. Its values must be equal, and its time is compared with that of all features; each is the best of three runs.
"""

from __future__ import annotations

import argparse
import resource
import sys
from datetime import date, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

Frame = TypeVar("Frame")

TWIN_TICKERS = 50
"""Number of tickers that are computed in pandas too."""


def simulate(first: int, tickers: int, sessions: int) -> pl.DataFrame:
    """Return consistent OHLCV bars of geometric random walks with overnight gaps; equal arguments give equal bars."""
    rng = np.random.default_rng([first, tickers, sessions])
    shape = (tickers, sessions)
    gap, move = rng.normal(0, 0.008, shape), rng.normal(0, 0.015, shape)
    close = np.log(50) + np.cumsum(gap + move, axis=1)
    start = close - move
    high = np.maximum(start, close) + np.abs(rng.normal(0, 0.006, shape))
    low = np.minimum(start, close) - np.abs(rng.normal(0, 0.006, shape))
    days = [date(2000, 1, 3) + timedelta(days=day) for day in range(sessions)]
    prices = {"open": start, "high": high, "low": low, "close": close}
    names = pl.Series("ticker", [f"T{number:05d}" for number in range(first, first + tickers)])
    return pl.DataFrame(
        {
            "ticker": names.gather(np.repeat(np.arange(tickers), sessions)),
            "date": pl.Series("date", days).gather(np.tile(np.arange(sessions), tickers)),
            **{name: np.exp(values).ravel() for name, values in prices.items()},
            "volume": rng.lognormal(12, 0.5, tickers * sessions),
            "adj_factor": np.ones(tickers * sessions),
        }
    )


def features_in_pandas(bars: pd.DataFrame) -> pd.DataFrame:
    """Return seven of the features, computed in plain pandas, for bars sorted by ticker and date."""

    def rolling(values: pd.Series[float], window: int, how: str) -> pd.Series[float]:
        return values.groupby(bars["ticker"]).rolling(window).agg(how).reset_index(level=0, drop=True)

    close = bars["close"] * bars["adj_factor"]
    log_close = close.transform(np.log)
    log_return = log_close.groupby(bars["ticker"]).diff()
    span = (bars["high"] / bars["low"]).transform(np.log)
    deviation = rolling(close, 20, "std") * np.sqrt(19 / 20)
    return bars[["ticker", "date"]].assign(
        log_return=log_return,
        volatility_20=rolling(log_return, 20, "std"),
        volatility_60=rolling(log_return, 60, "std"),
        momentum_20=log_close.groupby(bars["ticker"]).diff(20),
        parkinson_20=np.sqrt(rolling(span**2, 20, "mean") / (4 * np.log(2))),
        bollinger_position=0.5 + (close - rolling(close, 20, "mean")) / (4 * deviation),
        drawdown_250=close / rolling(close, 250, "max") - 1,
    )


def best_of_three(compute: Callable[[], Frame]) -> tuple[Frame, float]:
    """Return the result, and the seconds of the fastest of three runs."""
    seconds = []
    for _ in range(3):
        started = perf_counter()
        result = compute()
        seconds.append(perf_counter() - started)
    return result, min(seconds)


def compare_with_pandas(sessions: int) -> None:
    """Print the seconds that pandas takes for seven features, and this package for all, of the same bars."""
    bars = simulate(0, TWIN_TICKERS, sessions)
    frame = bars.to_pandas()
    theirs, pandas_seconds = best_of_three(lambda: features_in_pandas(frame))
    ours, seconds = best_of_three(lambda: compute_features(bars))
    names = [name for name in theirs.columns if name not in {"ticker", "date"}]
    for name in names:
        np.testing.assert_allclose(ours[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-7, atol=1e-9, err_msg=name)
    computed = ours.width - 3
    print(f"pandas, {len(names)} features of {bars.height:,} bars   {pandas_seconds:8.2f} s")
    print(f"pm, all {computed} features of the same bars  {seconds:8.2f} s, values equal")
    each = (pandas_seconds / len(names)) / (seconds / computed)
    print(
        f"ratio                                {pandas_seconds / seconds:8.1f} × in all, {each:.0f} × for each feature"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tickers", type=int, default=2000)
    parser.add_argument("--sessions", type=int, default=5000)
    parser.add_argument("--chunk", type=int, default=250, help="tickers per call")
    options = parser.parse_args()
    rows, seconds = 0, 0.0
    for first in range(0, options.tickers, options.chunk):
        bars = simulate(first, min(options.chunk, options.tickers - first), options.sessions)
        started = perf_counter()
        features = compute_features(bars)
        seconds += perf_counter() - started
        rows += features.height
        del bars, features
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"polars {pl.__version__}, {pl.thread_pool_size()} threads, {options.chunk} tickers per call")
    print(f"rows                                 {rows:>11,}")
    print(f"seconds                              {seconds:8.2f}")
    print(f"rows/s                               {rows / seconds:>11,.0f}")
    print(f"peak memory, one chunk at a time     {peak / 2**30:8.2f} GiB")
    compare_with_pandas(options.sessions)


if __name__ == "__main__":
    main()
