from __future__ import annotations

from math import log, sqrt
from statistics import fmean, variance
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
import pytest

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

N = 20


class Bar(NamedTuple):
    open: float
    high: float
    low: float
    close: float


def parkinson(bars: list[Bar], _: float) -> float:
    return sqrt(sum(log(bar.high / bar.low) ** 2 for bar in bars) / (4 * N * log(2)))


def garman_klass(bars: list[Bar], _: float) -> float:
    terms = (0.5 * log(bar.high / bar.low) ** 2 - (2 * log(2) - 1) * log(bar.close / bar.open) ** 2 for bar in bars)
    return sqrt(sum(terms) / N)


def yang_zhang(bars: list[Bar], close_before: float) -> float:
    closes_before = [close_before, *(bar.close for bar in bars[:-1])]
    overnight = [log(bar.open / before) for bar, before in zip(bars, closes_before, strict=True)]
    move = [log(bar.close / bar.open) for bar in bars]
    rogers_satchell = [
        log(bar.high / bar.close) * log(bar.high / bar.open) + log(bar.low / bar.close) * log(bar.low / bar.open)
        for bar in bars
    ]
    k = 0.34 / (1.34 + (N + 1) / (N - 1))
    return sqrt(variance(overnight) + k * variance(move) + (1 - k) * fmean(rogers_satchell))


@pytest.mark.parametrize(
    ("twin", "first"),
    [(parkinson, N - 1), (garman_klass, N - 1), (yang_zhang, N)],
    ids=["parkinson", "garman_klass", "yang_zhang"],
)
@pytest.mark.parametrize("ticker", ["FB", "IBM"])
def test_volatility_equals_the_formula_of_its_paper(
    sample_bars: pl.DataFrame,
    ticker: str,
    twin: Callable[[list[Bar], float], float],
    first: int,
    assert_near: Callable[..., None],
) -> None:
    frame = sample_bars.filter(ticker=ticker).head(400)
    prices = frame.select(pl.col("open", "high", "low", "close") * pl.col("adj_factor"))
    bars = [Bar(*row) for row in prices.rows()]
    expected = [
        twin(bars[end - N + 1 : end + 1], bars[end - N].close) if end >= first else None for end in range(len(bars))
    ]
    assert_near(compute_features(frame)[f"{twin.__name__}_20"], expected, rel=1e-10)


def test_each_estimator_recovers_the_volatility_of_a_simulated_diffusion(
    make_bars: Callable[..., pl.DataFrame],
) -> None:
    sessions, steps, sigma = 1500, 2000, 0.02
    rng = np.random.default_rng(7)
    path = np.cumsum(rng.normal(0, sigma / sqrt(steps), (sessions, steps)), axis=1)
    start = np.concatenate(([0.0], np.cumsum(path[:-1, -1])))
    high, low, close = (np.exp(start + part) for part in (path.max(axis=1), path.min(axis=1), path[:, -1]))
    features = compute_features(make_bars(close, open=np.exp(start), high=high, low=low))
    for name in ("volatility_20", "parkinson_20", "garman_klass_20", "yang_zhang_20"):
        found = (features[name] ** 2).drop_nulls().mean()
        assert isinstance(found, float)
        # Extremes are only seen at 2,000 steps a session, which hides some 2% of the range.
        assert sqrt(found) == pytest.approx(sigma, rel=0.05)


def test_a_close_outside_of_its_range_gives_null(make_bars: Callable[..., pl.DataFrame]) -> None:
    features = compute_features(make_bars([11.0] * 30, open=10.0, high=10.5, low=10.0))
    assert features["garman_klass_20"].null_count() == features.height
    assert features["parkinson_20"].null_count() == N - 1
