"""Find the policy of the mSSA-CP forecaster that a forecast may use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from pm.forecast.policy import Policy
    from pm.pipeline.stage import Context

__all__ = ["accepted_policy"]

_NEWEST_ACCEPTED = """
SELECT policy, last_target FROM policies
WHERE accepted AND last_target <= ? AND horizon = ?
ORDER BY trained_at DESC, policy_id DESC
LIMIT 1
"""


def accepted_policy(context: Context, *, as_of: date) -> Policy | None:
    """Return the newest accepted policy that knows nothing after a day, or None.

    Its cutoff is the last day it was judged by, not the last it was trained on: that it was accepted depends on all
    days up to that one, so that a forecast from any of them would be judged by what chose it. A policy for another
    horizon than that of the settings is not used.
    """
    from pm.forecast.policy import Policy

    found = context.rows(_NEWEST_ACCEPTED, [as_of, context.settings.forecast.horizon])
    return replace(Policy.from_json(found[0]["policy"]), cutoff=found[0]["last_target"]) if found else None
