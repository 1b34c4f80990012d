"""Settings of config/signals.yml."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pm.settings.base import Section, Share

__all__ = ["SignalSettings"]

_INTERVAL_LEVELS = (0.5, 0.8, 0.9)
"""Levels of central intervals whose ends are stored quantiles."""


def _from_basis_points(value: object) -> float:
    try:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return float(Decimal(str(value)) / 10_000)
    except InvalidOperation:
        pass
    raise ValueError("round_trip_cost_bps should be a number of basis points, such as 20; round_trip_cost replaces it")


class SignalSettings(Section):
    """Settings of the signals; config/signals.yml describes each key."""

    former = {"round_trip_cost_bps": ("round_trip_cost", _from_basis_points)}  # noqa: RUF012 - a ClassVar of the base

    threshold: Annotated[Share, Field(ge=0.5, lt=1)]
    round_trip_cost: Annotated[Share, Field(ge=0, lt=1)]
    false_discovery_rate: Annotated[Share, Field(gt=0, le=1)]
    interval_level: Share
    target_annual_volatility: Annotated[Share, Field(gt=0)]
    max_position: Annotated[Share, Field(gt=0, le=1)]
    allow_short: bool
    stop_quantile: Annotated[Share, Field(gt=0, lt=1)]
    target_quantile: Annotated[Share, Field(gt=0, lt=1)]

    @field_validator("interval_level")
    @classmethod
    def _the_ends_of_the_interval_are_stored(cls, level: float) -> float:
        if level not in _INTERVAL_LEVELS:
            raise ValueError("Input should be 50%, 80% or 90%")
        return level

    @model_validator(mode="after")
    def _stop_lies_below_target(self) -> SignalSettings:
        if self.stop_quantile >= self.target_quantile:
            raise ValueError("stop_quantile must be below target_quantile")
        return self
