"""Settings of config/portfolio.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from pm.settings.base import Count, Section, Share, known_names

__all__ = ["ALLOCATOR_NAMES", "RELAXABLE_LIMITS", "GroupSettings", "PortfolioSettings"]

ALLOCATOR_NAMES = (
    *("equal", "inverse_volatility", "minimum_variance", "risk_budget", "hrp", "minimum_es", "black_litterman"),
    "kelly",
)
"""Names of the allocators; pm.portfolio.allocators has the allocators."""

RELAXABLE_LIMITS = ("turnover", "invested", "groups", "max_weight")
"""Names of the limits that can be relaxed where no weights keep all."""


class GroupSettings(Section):
    """A group of tickers, and the largest sum of their absolute weights."""

    tickers: Annotated[list[str], Field(min_length=1)]
    max_weight: Annotated[Share, Field(ge=0, le=1)]


class PortfolioSettings(Section):
    """Settings of the portfolio; config/portfolio.yml describes each key."""

    allocator: str
    tilts: bool
    compare: list[str]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    model_equity: Annotated[float, Field(gt=0, le=1e15)]
    max_weight: Annotated[Share, Field(gt=0, le=1)]
    cash_buffer: Annotated[Share, Field(ge=0, lt=1)]
    max_short: Annotated[Share, Field(ge=0, le=1)]
    groups: dict[str, GroupSettings]
    target_annual_volatility: Annotated[Share, Field(gt=0, le=10)]
    max_turnover: Annotated[Share, Field(gt=0, le=4)]
    relax: list[str]
    band: Annotated[Share, Field(ge=0, lt=1)]
    minimum_order: Annotated[float, Field(ge=0, le=1e15)]
    fractional: bool
    lot: Count
    risk_aversion: Annotated[float, Field(gt=0, le=1000)]
    tau: Annotated[float, Field(gt=0, le=1)]
    kelly_fraction: Annotated[Share, Field(gt=0, le=0.5)]
    es_level: Annotated[Share, Field(ge=0.5, lt=1)]
    es_scenarios: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]

    @field_validator("allocator")
    @classmethod
    def _allocator_is_known(cls, name: str) -> str:
        return known_names([name], ALLOCATOR_NAMES, kind="allocator")[0]

    @field_validator("compare")
    @classmethod
    def _compared_allocators_are_known(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("an allocator is listed twice in compare")
        return known_names(names, ALLOCATOR_NAMES, kind="allocator")

    @field_validator("relax")
    @classmethod
    def _relaxed_limits_are_known(cls, names: list[str]) -> list[str]:
        if len(set(names)) != len(names):
            raise ValueError("a limit is listed twice in relax")
        return known_names(names, RELAXABLE_LIMITS, kind="limit")

    @field_validator("groups")
    @classmethod
    def _no_ticker_is_listed_twice_in_a_group(cls, groups: dict[str, GroupSettings]) -> dict[str, GroupSettings]:
        for name, group in groups.items():
            if len(set(group.tickers)) != len(group.tickers):
                raise ValueError(f"a ticker is listed twice in group {name}")
        return groups
