"""Type the settings of config/quality.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Section, Window

__all__ = ["QualitySettings"]


class QualitySettings(Section):
    """Settings of config/quality.yml.

    Attributes
    ----------
    jump_sigmas
        Largest log return that is not flagged, in robust standard deviations of the ticker's log returns.
    jump_return
        Largest simple return that is not flagged, as a fraction: 0.4 is 40%, up or down.
    stale_sessions
        Smallest number of consecutive bars with an unchanged close that is flagged.
    gap_sessions
        Smallest number of consecutive sessions without a bar that is flagged.
    price_tolerance
        Relative tolerance by which the high and the low can contradict the other prices.
    """

    jump_sigmas: Annotated[float, Field(gt=0)]
    jump_return: Annotated[float, Field(gt=0)]
    stale_sessions: Window
    gap_sessions: Count
    price_tolerance: Annotated[float, Field(ge=0, lt=0.1)]
