"""Check the language model: how long its calls take, and whether stages had to do without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.monitor.finding import Finding
from pm.plural import plural
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

__all__ = ["check_model"]

_SECONDS = 5.0
"""Seconds within which 95% of the calls are to be answered."""


def check_model(calls: Sequence[Mapping[str, Any]], health: Mapping[str, Any] | None, *, enabled: bool) -> Finding:
    """Check the language model.

    Parameters
    ----------
    calls
        Rows of view `llm_latency`: model, role, calls, p50_seconds, p95_seconds, tokens_per_second, deadline_misses.
    health
        Row of view `llm_health` of the newest run; None if that did not ask a model, or has all answers of the record.
    enabled
        Setting `llm.enabled`.
    """
    rule = (
        f"llm_latency, llm_health: degraded if a stage of the newest run did without the model, an output was not "
        f"valid, or 95% of the calls of a role took more than {_SECONDS:g} s."
    )
    if not enabled:
        return Finding("language model", HealthStatus.NO_DATA, "It is switched off (llm.enabled: false).", rule)
    without = health["degraded"] if health is not None else None
    if without is not None:
        detail = f"The newest run did without the language model: {without}"
        return Finding("language model", HealthStatus.DEGRADED, detail, rule, "pm models check")
    if not calls:
        detail = "It was not asked anything yet; there will be calls after the next run with new bars."
        return Finding("language model", HealthStatus.NO_DATA, detail, rule, "pm models list")
    detail = "; ".join(
        f"{row['role']}: p50 {row['p50_seconds']:.2f} s, p95 {row['p95_seconds']:.2f} s, "
        f"{row['tokens_per_second'] or 0:,.0f} tokens/s, {plural(row['deadline_misses'], 'deadline')} missed of "
        f"{plural(row['calls'], 'call')}"
        for row in calls
    )
    values = {
        "p50_seconds": max(float(row["p50_seconds"]) for row in calls),
        "p95_seconds": max(float(row["p95_seconds"]) for row in calls),
        "calls": float(sum(row["calls"] for row in calls)),
        "deadline_misses": float(sum(row["deadline_misses"] for row in calls)),
    }
    invalid = health is not None and health["status"] == "invalid"
    if invalid or values["p95_seconds"] > _SECONDS:
        return Finding("language model", HealthStatus.DEGRADED, f"{detail}.", rule, "pm models bench", values)
    return Finding("language model", HealthStatus.HEALTHY, f"{detail}.", rule, "", values)
