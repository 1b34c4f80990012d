from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.policy import train_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy import Policy
    from pm.settings import ForecastSettings

CUTOFF = date(2010, 1, 1) + timedelta(days=1299)


def harmonics(bars: int, seed: int) -> NDArray[np.float64]:
    """Simulate a wave with two overtones and a changing period: six components, while the fixed action keeps four."""
    rng = np.random.default_rng(seed)
    breaks = np.sort(rng.choice(np.arange(200, bars - 100), 4, replace=False))
    period = rng.choice([13, 17, 23, 29, 37], 5)[np.searchsorted(breaks, np.arange(bars), side="right")]
    phase = 2 * np.pi * np.cumsum(1 / period)
    wave = np.sin(phase) + 0.5 * np.sin(2 * phase + 1) + 0.4 * np.sin(3 * phase + 1)
    return 4.6 + 0.04 * wave + rng.normal(0, 0.006, bars)


def walk(bars: int, seed: int) -> NDArray[np.float64]:
    return 4.6 + np.cumsum(np.random.default_rng(seed).normal(0, 0.02, bars))


@pytest.fixture(scope="session")
def daily_panel() -> Callable[[dict[str, NDArray[np.float64]]], Panel]:
    """Build a panel in which all series have a bar on every day from 2010-01-01 on."""
    import polars as pl

    from pm.forecast.base import Panel

    def build(series: dict[str, NDArray[np.float64]]) -> Panel:
        parts = [
            pl.DataFrame(
                {
                    "ticker": ticker,
                    "date": [date(2010, 1, 1) + timedelta(days=bar) for bar in range(len(values))],
                    "bar": np.arange(len(values)),
                    "log_price": values,
                }
            )
            for ticker, values in sorted(series.items())
        ]
        return Panel(pl.concat(parts))

    return build


@pytest.fixture(scope="session")
def waves(daily_panel: Callable[..., Panel]) -> Panel:
    return daily_panel({f"W{seed}": harmonics(1900, seed) for seed in range(4)})


@pytest.fixture(scope="session")
def walks(daily_panel: Callable[..., Panel]) -> Panel:
    return daily_panel({f"R{seed}": walk(1900, seed) for seed in range(4)})


@pytest.fixture(scope="session")
def rolling() -> ForecastSettings:
    from pm.settings import load_settings

    return load_settings().forecast.model_copy(update={"horizon": 10, "origin_step": 20})


@pytest.fixture(scope="session")
def trained(waves: Panel, rolling: ForecastSettings) -> Policy:
    return train_policy(waves, settings=rolling, cutoff=CUTOFF, seed=1)


@pytest.fixture(scope="session")
def trained_on_w0(waves: Panel, rolling: ForecastSettings) -> Policy:
    return train_policy(waves.only(["W0"]), settings=rolling, cutoff=CUTOFF, seed=1)
