"""Registry of the forecasters by name. To add one, write a module in this folder and register it here."""

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
"""Name → forecaster, of all forecasters."""


def forecaster(name: str, *, policy: Policy | None = None) -> Forecaster:
    """Return a forecaster by its name, with the policy if it uses one.

    Raises
    ------
    SettingsError
        There is no forecaster of that name. The message suggests the most similar name.
    """
    if name not in FORECASTERS:
        raise SettingsError(
            f"Unknown model {name!r}.{did_you_mean(name, FORECASTERS)}",
            where="config/forecast.yml, models",
            hint=f"use some of: {', '.join(FORECASTERS)}",
        )
    found = FORECASTERS[name]
    return replace(found, policy=policy) if isinstance(found, MssaCpForecaster) else found
