"""Settings of config/report.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import LARGEST, Count, Section

__all__ = ["ReportSettings"]


class ReportSettings(Section):
    """Settings of the report; config/report.yml describes each key."""

    max_charts: Annotated[int, Field(ge=0, le=LARGEST)]
    history_sessions: Annotated[int, Field(ge=20, le=LARGEST)]
    max_rows: Count
    keep: Count
