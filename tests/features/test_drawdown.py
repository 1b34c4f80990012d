from __future__ import annotations

from typing import TYPE_CHECKING

from pm.features import compute_features

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl


def test_drawdown_is_below_the_highest_close_so_far(
    make_bars: Callable[..., pl.DataFrame], assert_near: Callable[..., None]
) -> None:
    drawdown = compute_features(make_bars([10.0, 8.0, None, 12.0, 9.0]))["drawdown"]
    assert_near(drawdown, [0.0, -0.2, None, 0.0, -0.25], within=1e-15)


def test_drawdown_250_forgets_a_peak_after_250_sessions(
    sample_bars: pl.DataFrame, assert_near: Callable[..., None]
) -> None:
    apple = sample_bars.filter(ticker="AAPL")
    closes = [close * factor for close, factor in apple.select("close", "adj_factor").rows()]
    expected = [
        closes[end] / max(closes[end - 249 : end + 1]) - 1 if end >= 249 else None for end in range(len(closes))
    ]
    assert_near(compute_features(apple)["drawdown_250"], expected, within=1e-14)
