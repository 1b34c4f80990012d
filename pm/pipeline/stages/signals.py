"""Stage `signals`: decide about each ticker from its forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.universe import asked_for, universe
from pm.tables.forecast import FORECASTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.signals import SIGNALS
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from pm.lake import Transaction

__all__ = ["STAGE"]


def _run(context: Context) -> Outcome:
    from pm.signals import decide

    as_of = universe(context).as_of
    forecasts = context.lake.read(
        FORECASTS, "run_id = ? AND model = 'ensemble'", [context.outputs["forecast"]], at=context.snapshot
    )
    volatility = context.lake.read(VOLATILITY, "run_id = ?", [context.outputs["volatility"]], at=context.snapshot)
    decisions = decide(forecasts, volatility, settings=context.settings.signals)
    bars = f"bars AT (VERSION => {context.snapshot})"
    last_bars = context.lake.query(
        f"SELECT ticker, date AS origin_date, batch_id AS last_bar_batch_id FROM {bars} "  # noqa: S608 - a number
        "SEMI JOIN origin USING (ticker, date)",
        origin=decisions.signals.select("ticker", date="origin_date"),
    )
    signals = context.stamp(_traced(decisions.signals, last_bars), cutoff=as_of)
    exclusions = context.stamp(decisions.exclusions, cutoff=as_of)

    def write(transaction: Transaction) -> int:
        return transaction.append(SIGNALS, signals) + transaction.append(EXCLUSIONS, exclusions)

    counts = dict(signals.group_by("action").len().iter_rows())
    said = ", ".join(f"{counts.get(action, 0)} {action}" for action in ("BUY", "SELL", "HOLD"))
    return Outcome(write, lambda: said)


def _traced(signals: pl.DataFrame, last_bars: pl.DataFrame) -> pl.DataFrame:
    """Add to each signal's provenance the batch of its last bar, as the snapshot read had it."""
    joined = signals.join(last_bars, on=["ticker", "origin_date"], how="left")
    batch = pl.struct("last_bar_batch_id").struct.json_encode().str.strip_prefix("{")
    traced = pl.concat_str(pl.col("provenance").str.strip_suffix("}"), pl.lit(","), batch)
    return joined.with_columns(provenance=traced).drop("last_bar_batch_id")


STAGE = Stage(
    "signals",
    _run,
    after=("volatility", "forecast"),
    sections=("signals",),
    rooms=("signals", "tables", "pipeline/universe.py"),
    libraries=("polars", "scipy"),
    asks=asked_for,
)
"""Decide and size."""
