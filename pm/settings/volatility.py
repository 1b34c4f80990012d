"""Settings of config/volatility.yml, which explains each of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from pm.settings.base import Count, Probability, Section

__all__ = ["VolatilitySettings"]


class VolatilitySettings(Section):
    """Settings of config/volatility.yml."""

    models: Annotated[list[str], Field(min_length=1)]
    windows: Annotated[list[Annotated[int, Field(ge=50)]], Field(min_length=1)]
    min_observations: Annotated[int, Field(ge=50)]
    ewma_lambda: Probability
    simulations: Annotated[int, Field(ge=500, le=1_000_000)]
    calibration_sessions: Annotated[int, Field(ge=0)]
    refit_sessions: Count
    calibration_simulations: Annotated[int, Field(ge=100, le=1_000_000)]
    conformal_rate: Annotated[float, Field(ge=0, lt=0.5)]
    seed: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _check_models_and_windows(self) -> VolatilitySettings:
        if len(set(self.models)) != len(self.models) or len(set(self.windows)) != len(self.windows):
            raise ValueError("models and windows must not repeat")
        if max(self.windows) < self.min_observations:
            raise ValueError(f"no window has at least min_observations ({self.min_observations}) returns")
        return self
