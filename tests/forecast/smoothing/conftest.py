from __future__ import annotations

import gzip
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@pytest.fixture(scope="session")
def log_levels() -> dict[str, NDArray[np.float64]]:
    """Log adjusted closes of the embedded sample and of arch's two indices."""
    from arch.data import nasdaq, sp500

    packed = (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    sample = pl.read_csv(gzip.decompress(packed), try_parse_dates=True).sort("Ticker", "Date")
    levels = {
        str(ticker): rows["Adj Close"].to_numpy()
        for (ticker,), rows in sample.partition_by("Ticker", as_dict=True, maintain_order=True).items()
    }
    for name, index in (("SP500", sp500), ("NASDAQ", nasdaq)):
        levels[name] = index.load()["Adj Close"].to_numpy()
    return {name: np.log(closes) for name, closes in levels.items()}


@pytest.fixture(scope="session")
def windows(log_levels: dict[str, NDArray[np.float64]]) -> Callable[[int], list[NDArray[np.float64]]]:
    """A function that cuts windows of real log prices, from their first value, in units of the root mean square change.

    Windows have 100 to 1,000 values, or a whole series if it is shorter.
    """

    def cut(count: int) -> list[NDArray[np.float64]]:
        rng = np.random.default_rng(5)
        cuts = []
        for number in range(count):
            values = log_levels[sorted(log_levels)[number % len(log_levels)]]
            size = min(int(rng.choice([100, 250, 680, 1000])), len(values))
            first = int(rng.integers(0, len(values) - size + 1))
            window = values[first : first + size]
            cuts.append((window - window[0]) / np.sqrt(np.mean(np.diff(window) ** 2)))
        return cuts

    return cut
