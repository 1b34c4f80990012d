"""Settings of config/validation.yml, which explains each of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import LARGEST, Count, Section

__all__ = ["ValidationSettings"]


class ValidationSettings(Section):
    """Settings of config/validation.yml."""

    step: Annotated[int, Field(ge=1, le=250)]
    benchmark: Annotated[str, Field(min_length=1)]
    prior_trials: Annotated[int, Field(ge=0, le=LARGEST)]
    paths: Annotated[int, Field(ge=0, le=1_000_000)]
    bootstrap: Annotated[Count, Field(ge=100, le=100_000)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
