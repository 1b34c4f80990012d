"""What a check of the system found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Finding", "worst"]

_ORDER = (HealthStatus.NO_DATA, HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.FAILING)


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes
    ----------
    subject
        What was checked, in a word or two.
    status
        The result.
    detail
        What was found, in a sentence with its numbers; for `NO_DATA` what is missing, and when it will be there.
    rule
        Rule by which the status follows from the numbers, with the names of the tables they come from.
    hint
        What to do; empty if nothing is wrong.
    values
        Numbers of the check by their name, in base units such as seconds and bytes.
    """

    subject: str
    status: HealthStatus
    detail: str
    rule: str
    hint: str = ""
    values: Mapping[str, float] = field(default_factory=dict)


def worst(findings: Iterable[Finding]) -> HealthStatus:
    """Return the worst status of findings; checks without data do not count beside others."""
    return max((finding.status for finding in findings), key=_ORDER.index, default=HealthStatus.NO_DATA)
