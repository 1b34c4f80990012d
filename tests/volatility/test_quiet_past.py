"""Prices that were halted or pegged, and then move: the quiet past must not make the intervals too narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.volatility import fit_volatility
from pm.volatility.series import quiet_past

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from pm.settings import VolatilitySettings

    Frame = Callable[..., pl.DataFrame]

SIGMA = 0.015 * np.sqrt(5 / 3)  # standard deviation of the returns of `active`
HORIZON = 20


def active(sessions: int, seed: int) -> NDArray[np.float64]:
    """Return Student t returns of 5 degrees of freedom, times .015."""
    return np.asarray(0.015 * np.random.default_rng(seed).standard_t(5, sessions))


def pegged(noise: float, after: int, seed: int = 1) -> NDArray[np.float64]:
    """Return 600 returns of a pegged price, a fall of 10%, and returns of a free price."""
    quiet = np.random.default_rng(seed + 100).normal(0, noise, 600)
    return np.concatenate([quiet, [-0.1], active(after, seed)])


SERIES = {
    **{
        f"peg with noise of {noise:g}, {after} sessions ago": pegged(noise, after)
        for noise in (1e-5, 1e-4, 1e-3)
        for after in (40, 299)
    },
    **{f"flat for {n}": np.concatenate([np.zeros(n), active(825, n)]) for n in (58, 60, 72, 74, 75, 76, 150, 600)},
    "halted": np.concatenate([active(500, 3), np.zeros(340), active(80, 4)]),
    "halted until a month ago": np.concatenate([active(500, 3), np.zeros(340), active(30, 4)]),
    "cents, then shares": np.concatenate([np.zeros(120), 0.001 * active(60, 5), active(150, 6)]),
}


@pytest.mark.parametrize("name", SERIES)
def test_intervals_have_the_width_of_the_active_price(name: str, as_frame: Frame, settings: VolatilitySettings) -> None:
    path = fit_volatility(as_frame({"X": SERIES[name]}), settings=settings, horizon=HORIZON).paths
    assert path.height == HORIZON
    expected = SIGMA * np.sqrt(np.arange(1, HORIZON + 1))
    width = (path["r95"] - path["r05"]).to_numpy() / (2 * 1.645)
    np.testing.assert_array_less(0.5, width / expected)
    np.testing.assert_array_less(width / expected, 2.0)
    np.testing.assert_array_less(0.5, width / path["cumulative_sigma"].to_numpy())
    np.testing.assert_array_less(width / path["cumulative_sigma"].to_numpy(), 2.0)


def test_exclusions_have_the_number_of_returns_left_out(as_frame: Frame, settings: VolatilitySettings) -> None:
    long, short = (np.concatenate([active(300, 1), np.zeros(n), active(100, 2)]) for n in (60, 50))
    fit = fit_volatility(as_frame({"LONG": long, "SHORT": short}), settings=settings, horizon=1)
    reasons = {ticker: detail for _, ticker, reason, detail in fit.exclusions.rows() if reason == "quiet_past_left_out"}
    assert reasons == {
        "LONG": "the first 362 of 460 returns left out: the price did not move, or was pegged, until then"
    }
    assert dict(fit.paths.select("ticker", "observations").iter_rows()) == {"LONG": 98, "SHORT": 450}


def slow_quiet_past(returns: NDArray[np.float64]) -> int:
    """Compute `quiet_past` from its definition."""
    found = 0
    for t in range(60, len(returns) - 20):
        before, after = returns[t - 60 : t] ** 2, np.sort(returns[t + 1 : t + 61] ** 2)
        if after[:-1].mean() > 100 * before.mean() and np.mean(after > 0) >= 0.5:
            found = t + 1
    return found


@pytest.mark.parametrize("length", [80, 81, 82, 120, 140, 141, 400])
def test_quiet_past_equals_its_definition(length: int) -> None:
    rng = np.random.default_rng(length)
    for _ in range(30):
        quiet = rng.normal(0, 10 ** rng.uniform(-6, -2), length) * (rng.random(length) < rng.uniform(0, 1))
        begin = rng.integers(0, length)
        quiet[begin:] = rng.normal(0, 0.02, length - begin) * (rng.random(length - begin) < rng.uniform(0.2, 1))
        assert quiet_past(quiet) == slow_quiet_past(quiet)


def test_free_markets_have_no_quiet_past(real_returns: dict[str, NDArray[np.float64]]) -> None:
    assert {name: quiet_past(values) for name, values in real_returns.items()} == dict.fromkeys(real_returns, 0)
