"""Write the message about a night."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.plural import plural
from pm.settings.notify import Occasion
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.monitor import Finding

__all__ = ["Change", "Message", "NightResult", "is_told", "night_message"]

_LISTED = 20
"""Largest number of changed signals that a message lists."""


@dataclass(frozen=True)
class Change:
    """A signal that is another than in the run before: the actions are None for a ticker without one."""

    ticker: str
    before: str | None
    now: str | None


@dataclass(frozen=True)
class NightResult:
    """How a night went.

    Attributes
    ----------
    workspace
        Name of the workspace's folder.
    day
        Day on which the night began, in the machine's time zone.
    exit_code
        Its exit code.
    error
        First error message that it printed; None for none.
    changes
        Signals that changed.
    findings
        What `pm monitor` found; empty where the lake cannot be read.
    changed_checks
        Subjects of checks whose status is another than at the night before.
    report
        Path of the newest report; None if there is none.
    unreadable
        Why the lake cannot be read; None if it can.
    """

    workspace: str
    day: date
    exit_code: int
    error: str | None
    changes: Sequence[Change]
    findings: Sequence[Finding]
    changed_checks: Sequence[str]
    report: str | None
    unreadable: str | None


@dataclass(frozen=True)
class Message:
    """A message, and the key by which it is sent once.

    Attributes
    ----------
    key
        Equal for two messages of a night that say the same.
    subject
        One line.
    body
        Plain text.
    urgent
        Whether something failed.
    """

    key: str
    subject: str
    body: str
    urgent: bool


def is_told(result: NightResult, when: Occasion) -> bool:
    """Return whether a night is to be told."""
    failed = result.exit_code != 0 or result.unreadable is not None
    changed = bool(result.changes or result.changed_checks)
    return {
        Occasion.NEVER: False,
        Occasion.FAILURES: failed,
        Occasion.CHANGES: failed or changed,
        Occasion.ALWAYS: True,
    }[when]


def night_message(result: NightResult) -> Message:
    """Return the message about a night.

    Its key is made from the night's day and all that it says but the path of the report, so that a night that is run
    again with the same result makes the same message.
    """
    failed = result.exit_code != 0 or result.unreadable is not None
    subject = f"{_one_line(result.workspace)}: {_headline(result)}"
    lines = [f"The night of {result.day} {_headline(result)}."]
    if result.error:
        lines += ["", f"Error: {result.error}"]
    if result.unreadable:
        lines += ["", f"The lake cannot be read: {result.unreadable}"]
    if result.changes:
        lines += ["", "Signals that changed:"]
        lines += [
            f"  {_one_line(change.ticker)}: {change.before or 'none'} -> {change.now or 'none'}"
            for change in result.changes[:_LISTED]
        ]
        if len(result.changes) > _LISTED:
            lines.append(f"  and {len(result.changes) - _LISTED:,} more: pm signals")
    unwell = [finding for finding in result.findings if finding.status in {HealthStatus.DEGRADED, HealthStatus.FAILING}]
    if unwell:
        lines += ["", "Checks that are not well:"]
        for finding in unwell:
            lines += [f"  {finding.status}: {finding.subject}. {finding.detail}"]
            lines += (
                [f"    Rule: {finding.rule}", f"    Try: {finding.hint}"]
                if finding.hint
                else [f"    Rule: {finding.rule}"]
            )
    well = [subject for subject in result.changed_checks if subject not in {finding.subject for finding in unwell}]
    if well:
        lines += ["", f"Well again: {', '.join(well)}."]
    essence = "\n".join([str(result.day), subject, *lines])
    if result.report is not None:
        lines += ["", f"Report: {result.report}"]
    return Message(hashlib.sha256(essence.encode()).hexdigest()[:32], subject, "\n".join(lines) + "\n", failed)


def _headline(result: NightResult) -> str:
    if result.exit_code:
        return f"ended with exit code {result.exit_code}"
    if result.unreadable:
        return "left a lake that cannot be read"
    if result.changes:
        return f"is done, {plural(len(result.changes), 'signal')} changed"
    if result.changed_checks:
        return f"is done, the state of {plural(len(result.changed_checks), 'check')} changed"
    return "is done, nothing changed"


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
