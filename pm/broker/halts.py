"""What stops trading: the file HALT, a row of table halts, and conditions that a run finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.tables.vocabulary import HaltCause, OrderState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from pathlib import Path

    from pm.settings.broker import BrokerSettings

__all__ = ["HALT_FILE", "Cause", "clock_cause", "file_says_halt", "rejects_cause", "stale_cause"]

HALT_FILE = "HALT"
"""Name of a file in the workspace that stops trading while it is there, whatever it holds."""


@dataclass(frozen=True)
class Cause:
    """Why trading stops: the word, and a sentence."""

    cause: HaltCause
    reason: str


def file_says_halt(workspace: Path) -> bool:
    """Return whether the file HALT is in a workspace; also if that cannot be found out."""
    try:
        (workspace / HALT_FILE).lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def stale_cause(newest: date | None, today: date, settings: BrokerSettings) -> Cause | None:
    """Return a halt if the newest bar is too old, or if there is none."""
    if newest is None:
        return Cause(HaltCause.STALE_DATA, "There are no bars.")
    age = (today - newest).days
    if age > settings.halt_stale_days:
        return Cause(
            HaltCause.STALE_DATA,
            f"The newest bar is of {newest}, {age} days ago; broker.halt_stale_days is {settings.halt_stale_days}.",
        )
    return None


def rejects_cause(states: Sequence[str], settings: BrokerSettings) -> Cause | None:
    """Return a halt if the last orders that a broker answered were all rejected.

    Parameters
    ----------
    states
        Words of OrderState that ended or accepted orders, the oldest first.
    """
    last = states[-settings.halt_rejects :]
    if len(last) == settings.halt_rejects and all(state == OrderState.REJECTED for state in last):
        return Cause(HaltCause.REJECTS, f"The broker rejected the last {settings.halt_rejects} orders.")
    return None


def clock_cause(ours: datetime, brokers: datetime | None, settings: BrokerSettings) -> Cause | None:
    """Return a halt if the clock of this machine and that of the broker differ; None also if the broker tells none."""
    if brokers is None:
        return None
    difference = abs((ours - brokers).total_seconds())
    if difference > settings.halt_clock_seconds:
        return Cause(
            HaltCause.CLOCK,
            f"The clocks of this machine and of the broker differ by {difference:,.0f} s; broker.halt_clock_seconds is "
            f"{settings.halt_clock_seconds:g}.",
        )
    return None
