"""The forecasters, by name. A new one is a file beside these and a line here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pm.errors import SettingsError, did_you_mean
from pm.forecast.models.auto_arima import AutoArimaForecaster
from pm.forecast.models.auto_ets import AUTO_ETS
from pm.forecast.models.drift import DriftForecaster
from pm.forecast.models.mssa_cp import MssaCpForecaster
from pm.forecast.models.naive import NaiveForecaster
from pm.forecast.models.samossa import SamossaForecaster
from pm.forecast.models.theta import THETA

if TYPE_CHECKING:
    from pm.forecast.base import Forecaster
    from pm.forecast.policy import Policy

__all__ = ["FORECASTERS", "forecaster"]

_ALL: tuple[Forecaster, ...] = (
    NaiveForecaster(),
    DriftForecaster(),
    AutoArimaForecaster(),
    THETA,
    AUTO_ETS,
    SamossaForecaster(),
    MssaCpForecaster(),
)

FORECASTERS: dict[str, Forecaster] = {model.name: model for model in _ALL}
"""Every forecaster there is."""


def forecaster(name: str, *, policy: Policy | None = None) -> Forecaster:
    """Give a forecaster by its name, with the policy if it is one that goes by one.

    Raises
    ------
    SettingsError
        There is none of that name; the nearest is named.
    """
    if name not in FORECASTERS:
        raise SettingsError(
            f"Unknown model {name!r}.{did_you_mean(name, FORECASTERS)}",
            where="config/forecast.yml, models",
            hint=f"use some of: {', '.join(FORECASTERS)}",
        )
    found = FORECASTERS[name]
    return replace(found, policy=policy) if isinstance(found, MssaCpForecaster) else found
