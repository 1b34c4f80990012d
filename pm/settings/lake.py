"""Settings of config/lake.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Section

__all__ = ["LakeSettings"]


class LakeSettings(Section):
    """config/lake.yml."""

    retry_attempts: Count
    retry_base_seconds: Annotated[float, Field(gt=0)]
    expire_after_days: Annotated[int, Field(ge=0)]
