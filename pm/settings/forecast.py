"""Settings of the forecast, from config/forecast.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pm.settings.base import LARGEST, Count, Days, Section, known_names

__all__ = ["CALENDAR_FEATURES", "MODEL_NAMES", "ForecastSettings"]

CALENDAR_FEATURES = ("day_of_week", "month", "month_start", "month_end")
"""Names of the features that are known for future sessions."""


MODEL_NAMES = ("naive", "drift", "auto_arima", "theta", "auto_ets", "samossa", "mssa_cp")
"""Names of the forecasters; pm.forecast.models has the forecasters."""


class ForecastSettings(Section):
    """Settings of the forecast; config/forecast.yml describes each."""

    horizon: Annotated[int, Field(ge=1, le=250)]
    window: Annotated[int, Field(ge=30, le=LARGEST)]
    models: Annotated[list[str], Field(min_length=1)]
    origins: Annotated[int, Field(ge=2, le=LARGEST)]
    origin_step: Count
    arima_features: list[str]
    group_correlation: Annotated[float, Field(gt=0, le=1)]
    group_size: Count
    max_age_days: Annotated[Days, Field(ge=1)]

    @model_validator(mode="after")
    def _naive_is_among_the_models(self) -> ForecastSettings:
        if "naive" not in self.models:
            raise ValueError("models must contain naive, the benchmark of all other models")
        if len(set(self.models)) != len(self.models):
            raise ValueError("a model is listed twice in models")
        return self

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, names: list[str]) -> list[str]:
        return known_names(names, MODEL_NAMES, kind="model")

    @field_validator("arima_features")
    @classmethod
    def _features_are_known_ahead(cls, names: list[str]) -> list[str]:
        unknown = [name for name in names if name not in CALENDAR_FEATURES]
        if unknown:
            known = ", ".join(CALENDAR_FEATURES)
            raise ValueError(f"{unknown[0]} is not a feature that is known for future sessions; choose from {known}")
        if len(set(names)) != len(names):
            raise ValueError("a feature is listed twice in arima_features")
        return names
