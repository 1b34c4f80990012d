"""Settings of config/signals.yml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pm.settings.base import Probability, Section

__all__ = ["SignalSettings"]


class SignalSettings(Section):
    """Settings of the signals; config/signals.yml describes each key."""

    threshold: Annotated[float, Field(ge=0.5, lt=1)]
    round_trip_cost_bps: Annotated[float, Field(ge=0, lt=10_000)]
    interval_level: Literal["50%", "80%", "90%"]
    target_annual_volatility: Annotated[float, Field(gt=0)]
    max_position: Annotated[float, Field(gt=0, le=1)]
    allow_short: bool
    stop_quantile: Probability
    target_quantile: Probability

    @model_validator(mode="after")
    def _stop_lies_below_target(self) -> SignalSettings:
        if self.stop_quantile >= self.target_quantile:
            raise ValueError("stop_quantile must be below target_quantile")
        return self
