"""Type the settings of config/lake.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import LARGEST, Days, Section, Threads

__all__ = ["LakeSettings"]


class LakeSettings(Section):
    """Settings of config/lake.yml.

    Attributes
    ----------
    retry_attempts
        Number of attempts of a commit that finds the catalog locked.
    retry_base_seconds
        Pause before the second attempt, in seconds; each later pause is twice as long.
    wait_seconds
        Longest wait of a command that writes for another process that is writing, in seconds.
    expire_after_days
        Age at which a compaction forgets a snapshot, in days.
    query_seconds
        Time after which a query of `pm sql` is ended, in seconds; 0 for no limit.
    query_memory_mb
        Memory that a query of `pm sql` can take before it uses the disk, in MB of 1,000,000 bytes.
    query_rows
        Largest number of rows of a result of `pm sql`; 0 for no limit.
    threads
        Number of threads of a query; 0 for one per core.
    """

    retry_attempts: Annotated[int, Field(ge=1, le=25)]
    retry_base_seconds: Annotated[float, Field(gt=0, le=60)]
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)]
    expire_after_days: Days
    query_seconds: Annotated[float, Field(ge=0, le=86_400)]
    query_memory_mb: Annotated[int, Field(ge=100, le=LARGEST)]
    query_rows: Annotated[int, Field(ge=0, le=LARGEST)]
    threads: Threads
