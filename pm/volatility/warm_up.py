"""Compile all that the fit of volatility compiles, by fitting a short simulated series with every model."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.settings import load_settings
from pm.volatility import estimation, likelihood, matrices, maximiser, paths  # noqa: F401 - what is compiled
from pm.volatility.fit import fit_volatility
from pm.volatility.garch import GARCH_MODELS

if TYPE_CHECKING:
    from pm.settings import VolatilitySettings

__all__ = ["warm_up"]

_RETURNS = 300
"""Number of simulated returns: enough for a fit and for past outcomes to correct intervals by."""


def warm_up(settings: VolatilitySettings | None = None) -> None:
    """Fit every GARCH model to simulated returns, so that later fits find all functions compiled.

    Parameters
    ----------
    settings
        Section `volatility`; the packaged one by default. Models, windows and numbers of paths are replaced by few that
        need every function.
    """
    settings = settings or load_settings().volatility
    small = settings.model_copy(
        update={
            "models": sorted(GARCH_MODELS),
            "windows": [_RETURNS],
            "min_observations": 200,
            "simulations": 500,
            "calibration_sessions": 50,
            "calibration_simulations": 100,
            "refit_sessions": 50,
        }
    )
    draws = np.random.default_rng(settings.seed).standard_normal(_RETURNS)
    days = [date(2000, 1, 3) + timedelta(days=day) for day in range(_RETURNS)]
    returns = pl.DataFrame({"ticker": "warm-up", "date": days, "log_return": 0.01 * draws})
    fit_volatility(returns, settings=small, horizon=5)
