"""Write findings as OpenMetrics text, which a Prometheus can scrape from a file or a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.monitor.finding import Finding

__all__ = ["openmetrics"]


def openmetrics(findings: Sequence[Finding], *, version: str) -> str:
    """Return findings as OpenMetrics text.

    A state set `pm_check_status` has the status of each check; every number of a check is a gauge
    `pm_<subject>_<name>`.

    Raises
    ------
    ModuleNotFoundError
        The package prometheus-client is not installed.
    """
    from prometheus_client import CollectorRegistry, Enum, Gauge, Info
    from prometheus_client.openmetrics.exposition import generate_latest

    registry = CollectorRegistry()
    Info("pm", "Version of Portfolio Maximizer.", registry=registry).info({"version": version})
    states = [status.value for status in HealthStatus]
    status = Enum("pm_check_status", "Status of a check.", ["subject"], states=states, registry=registry)
    for finding in findings:
        status.labels(finding.subject).state(finding.status.value)
        for name, value in finding.values.items():
            words = _identifier(f"{finding.subject}_{name}")
            Gauge(f"pm_{words}", f"{name.replace('_', ' ')} of {finding.subject}", registry=registry).set(value)
    return str(generate_latest(registry).decode())


def _identifier(words: str) -> str:
    return re.sub(r"\W+", "_", words.lower())
