"""Stage `signals`: decide about each ticker from its forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BARS
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import Action
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STAGE"]


def _compute(context: Context) -> Result:
    from pm.signals import decide, edge_discoveries

    as_of = watch_list(context).as_of
    forecasts = context.read_outputs(FORECASTS, "model = 'ensemble'")
    settings = context.settings.signals
    weights = context.read_outputs(MODEL_WEIGHTS, "model = 'ensemble'")
    decisions = decide(
        forecasts,
        context.read_outputs(VOLATILITY),
        settings=settings,
        discoveries=edge_discoveries(weights, settings.false_discovery_rate),
    )
    signals = _with_batch_of_last_bar(context, decisions.signals)
    counts = dict(signals.group_by("action").len().iter_rows())
    return Result(
        [
            Append(SIGNALS, context.stamp(signals, cutoff=as_of)),
            Append(EXCLUSIONS, context.stamp(decisions.exclusions, cutoff=as_of)),
        ],
        ", ".join(f"{counts.get(action, 0)} {action}" for action in (Action.BUY, Action.SELL, Action.HOLD)),
    )


def _with_batch_of_last_bar(context: Context, signals: pl.DataFrame) -> pl.DataFrame:
    """Return the signals with the batch that the bar of the origin date came in."""
    bars = context.read(
        BARS,
        "date IN (SELECT unnest(?::DATE[]))",
        [signals["origin_date"].unique().to_list()],
        among={"ticker": signals["ticker"].to_list()},
        columns=("ticker", "date AS origin_date", "batch_id AS last_bar_batch_id"),
    )
    return signals.drop("last_bar_batch_id", strict=False).join(
        bars, on=["ticker", "origin_date"], how="left", maintain_order="left"
    )


STAGE = Stage(
    "signals",
    _compute,
    reads=(*WATCH_LIST_TABLES, FORECASTS, MODEL_WEIGHTS, VOLATILITY),
    writes=(SIGNALS, EXCLUSIONS),
    sections=("signals",),
    depends=scope,
)
"""Decide about each ticker, and size the position."""
