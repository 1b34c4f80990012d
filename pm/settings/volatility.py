"""Settings of config/volatility.yml, which explains each of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pm.settings.base import LARGEST, Count, Probability, Section, known_names

__all__ = ["GARCH_NAMES", "VolatilitySettings"]

GARCH_NAMES = ("garch", "gjr", "garch_t", "gjr_t")
"""Names of the models that a pool can have; pm.volatility.garch has the models."""


class VolatilitySettings(Section):
    """Settings of config/volatility.yml."""

    models: Annotated[list[str], Field(min_length=1)]
    windows: Annotated[list[Annotated[int, Field(ge=50, le=LARGEST)]], Field(min_length=1)]
    min_observations: Annotated[int, Field(ge=50, le=LARGEST)]
    panel_sessions: Annotated[int, Field(ge=250, le=LARGEST)]
    ewma_lambda: Probability
    simulations: Annotated[int, Field(ge=500, le=1_000_000)]
    calibration_sessions: Annotated[int, Field(ge=0, le=LARGEST)]
    refit_sessions: Count
    calibration_simulations: Annotated[int, Field(ge=100, le=1_000_000)]
    conformal_rate: Annotated[float, Field(ge=0, lt=0.5)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, names: list[str]) -> list[str]:
        return known_names(names, GARCH_NAMES, kind="volatility model")

    @model_validator(mode="after")
    def _check_models_and_windows(self) -> VolatilitySettings:
        if len(set(self.models)) != len(self.models) or len(set(self.windows)) != len(self.windows):
            raise ValueError("models and windows must not repeat")
        if max(self.windows) < self.min_observations:
            raise ValueError(f"no window has at least min_observations ({self.min_observations}) returns")
        return self
