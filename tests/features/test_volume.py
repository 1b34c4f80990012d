from __future__ import annotations

from math import log, sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import pytest

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


def test_zscore_of_log_volume_within_its_last_20_sessions(
    sample_bars: pl.DataFrame, assert_near: Callable[..., None]
) -> None:
    facebook = sample_bars.filter(ticker="FB")
    volumes = [log(volume) for volume in facebook["volume"]]
    windows = [volumes[end - 19 : end + 1] if end >= 19 else None for end in range(len(volumes))]
    expected = [(window[-1] - fmean(window)) / stdev(window) if window else None for window in windows]
    assert_near(compute_features(facebook)["volume_zscore_20"], expected, rel=1e-9, within=1e-11)


def test_a_single_large_volume_reaches_the_bound(make_bars: Callable[..., pl.DataFrame]) -> None:
    features = compute_features(make_bars([10.0] * 20, volume=[1000.0] * 19 + [50_000.0]))
    assert features["volume_zscore_20"][-1] == pytest.approx(19 / sqrt(20), rel=1e-12)


@pytest.mark.parametrize("volume", [[1000.0] * 25, [None] * 25, [1000.0, 2000.0] * 10 + [0.0] + [1000.0] * 4])
def test_constant_volume_or_a_session_without_trade_gives_null(
    make_bars: Callable[..., pl.DataFrame], volume: list[float | None]
) -> None:
    features = compute_features(make_bars([10.0] * 25, volume=volume))
    assert features["volume_zscore_20"][20:].null_count() == 5
