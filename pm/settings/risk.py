"""Settings of config/risk.yml, which explains each of them."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads the fields' types
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pm.settings.base import LARGEST, Count, Section, Share, known_names
from pm.tables.vocabulary import LimitAction, LimitName

__all__ = ["Limit", "RiskSettings"]

_Level = Annotated[Share, Field(gt=0.5, lt=1)]
_Horizon = Annotated[int, Field(ge=1, le=250)]


_SHARES_OF_ONE = {LimitName.MAX_WEIGHT.value, LimitName.ES.value, LimitName.DRAWDOWN.value}
"""Limits of what cannot be above 100% without debt."""
_LARGEST_BOUND = 10.0
"""Largest bound of a limit: a larger one is a number of percent without its sign."""


class Limit(Section):
    """A limit: the largest value allowed, and what is done about a larger one."""

    bound: Annotated[Share, Field(ge=0)]
    action: LimitAction


class RiskSettings(Section):
    """Settings of config/risk.yml."""

    levels: Annotated[list[_Level], Field(min_length=1)]
    horizons: Annotated[list[_Horizon], Field(min_length=1)]
    window: Annotated[int, Field(ge=100, le=LARGEST)]
    decay: Annotated[float, Field(gt=0.9, le=1)]
    paths: Annotated[int, Field(ge=1_000, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    tail_levels: list[_Level]
    tail_threshold: _Level
    stress_sessions: list[_Horizon]
    stress_periods: dict[str, tuple[date, date]]
    stress_sigmas: Annotated[float, Field(gt=0, le=100)]
    factors: Count
    factor_file: str | None
    groups: dict[str, list[str]]
    limit_level: _Level
    limit_horizon: _Horizon
    limits: dict[str, Limit]

    @field_validator("levels", "horizons", "tail_levels", "stress_sessions")
    @classmethod
    def _nothing_repeats(cls, values: list[float]) -> list[float]:
        if len(set(values)) != len(values):
            raise ValueError("a value is listed twice")
        return values

    @field_validator("stress_periods")
    @classmethod
    def _periods_end_after_they_start(cls, periods: dict[str, tuple[date, date]]) -> dict[str, tuple[date, date]]:
        for name, (start, end) in periods.items():
            if end < start:
                raise ValueError(f"the period {name[:60]!r} ends before it starts")
        return periods

    @field_validator("limits")
    @classmethod
    def _limits_are_known(cls, limits: dict[str, Limit]) -> dict[str, Limit]:
        known_names(list(limits), [name.value for name in LimitName], kind="limit")
        for name, limit in limits.items():
            largest = 1 if name in _SHARES_OF_ONE else _LARGEST_BOUND
            if limit.bound > largest:
                raise ValueError(f"the bound of {name} is {limit.bound:,.0%}, and above {largest:.0%} it has no effect")
        return limits

    @model_validator(mode="after")
    def _tails_are_beyond_their_threshold(self) -> RiskSettings:
        if any(level <= self.tail_threshold for level in self.tail_levels):
            raise ValueError("every one of tail_levels must be above tail_threshold")
        return self

    @model_validator(mode="after")
    def _a_limit_of_groups_has_groups(self) -> RiskSettings:
        if LimitName.GROUP.value in self.limits and not self.groups:
            raise ValueError("limit group has no effect without groups")
        return self
