"""Stage `signals`: decide about each ticker from its forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.universe import asked_for, universe

if TYPE_CHECKING:
    from pm.lake import Transaction

__all__ = ["STAGE"]


def _run(context: Context) -> Outcome:
    from pm.signals import decide

    as_of = universe(context).as_of
    forecasts = context.lake.read(
        "forecasts", "run_id = ? AND model = 'ensemble'", [context.outputs["forecast"]], at=context.snapshot
    )
    volatility = context.lake.read("volatility", "run_id = ?", [context.outputs["volatility"]], at=context.snapshot)
    decisions = decide(forecasts, volatility, settings=context.settings.signals)
    signals = context.stamp(decisions.signals, cutoff=as_of)
    exclusions = context.stamp(decisions.exclusions, cutoff=as_of)

    def write(transaction: Transaction) -> int:
        return transaction.append("signals", signals) + transaction.append("exclusions", exclusions)

    counts = dict(signals.group_by("action").len().iter_rows())
    said = ", ".join(f"{counts.get(action, 0)} {action}" for action in ("BUY", "SELL", "HOLD"))
    return Outcome(write, lambda: said)


STAGE = Stage(
    "signals",
    _run,
    after=("volatility", "forecast"),
    sections=("signals",),
    rooms=("signals",),
    libraries=("polars", "scipy"),
    asks=asked_for,
)
"""Decide and size."""
