"""Settings of config/quality.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Section, Window

__all__ = ["QualitySettings"]


class QualitySettings(Section):
    """config/quality.yml."""

    jump_sigmas: Annotated[float, Field(gt=0)]
    jump_return: Annotated[float, Field(gt=0)]
    stale_sessions: Window
    gap_sessions: Count
    price_tolerance: Annotated[float, Field(ge=0, lt=0.1)]
