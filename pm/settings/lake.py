"""Type the settings of config/lake.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Section

__all__ = ["LakeSettings"]


class LakeSettings(Section):
    """Settings of config/lake.yml.

    Attributes
    ----------
    retry_attempts
        Number of attempts of a commit that finds the catalog locked.
    retry_base_seconds
        Pause before the second attempt, in seconds; each later pause is twice as long.
    expire_after_days
        Age at which a compaction forgets a snapshot, in days.
    threads
        Number of threads of a query; 0 for one per core.
    """

    retry_attempts: Count
    retry_base_seconds: Annotated[float, Field(gt=0)]
    expire_after_days: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=0)]
