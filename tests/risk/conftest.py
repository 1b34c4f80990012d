"""Make joint models and scenarios of known distributions, and settings of risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.risk.joint import JointModel
from pm.risk.residuals import aged_probabilities
from pm.settings import RiskSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def settings() -> RiskSettings:
    return load_settings().risk


@pytest.fixture
def model() -> Callable[..., JointModel]:
    """Return a function that makes a joint model of tickers T0, T1, … that share a factor, with fixed parameters."""

    def make(tickers: int = 4, dates: int = 300, *, correlation: float = 0.5, seed: int = 1) -> JointModel:
        generator = np.random.default_rng(seed)
        shared = generator.standard_normal((dates, 1))
        own = generator.standard_normal((dates, tickers))
        residuals = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own
        residuals = (residuals - residuals.mean(axis=0)) / residuals.std(axis=0)
        variance = (0.01 * (1.0 + np.arange(tickers))) ** 2
        dynamics = np.vstack([variance, 0.02 * variance] + [np.full(tickers, each) for each in (0.05, 0.06, 0.88)])
        days = np.datetime64("2020-01-01", "D") + np.arange(dates)
        names = tuple(f"T{place}" for place in range(tickers))
        return JointModel(names, days, aged_probabilities(dates, 0.995), residuals, dynamics, {})

    return make
