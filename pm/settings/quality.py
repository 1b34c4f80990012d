"""Type the settings of config/quality.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Section, Share, Window

__all__ = ["QualitySettings"]


class QualitySettings(Section):
    """Settings of config/quality.yml.

    Attributes
    ----------
    jump_sigmas
        Largest log return that is not flagged, in robust standard deviations of the ticker's log returns.
    jump_return
        Largest simple return that is not flagged, as a fraction: 0.4 is 40%, up or down.
    split_sigmas
        Largest log return that cannot be a split that was not adjusted for, in such deviations.
    break_sigmas
        Largest log return between two deliveries without a common date that is not flagged, in such deviations.
    stale_sessions
        Smallest number of consecutive bars with an unchanged close that is flagged.
    gap_sessions
        Smallest number of consecutive sessions without a bar that is flagged.
    price_tolerance
        Relative tolerance by which the high and the low can contradict the other prices.
    """

    jump_sigmas: Annotated[float, Field(gt=0)]
    jump_return: Annotated[Share, Field(gt=0)]
    split_sigmas: Annotated[float, Field(gt=0, le=1000)]
    break_sigmas: Annotated[float, Field(gt=0, le=1000)]
    stale_sessions: Window
    gap_sessions: Count
    price_tolerance: Annotated[Share, Field(ge=0, lt=0.1)]
