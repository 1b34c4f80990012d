"""Stage `baseline`: the benchmarks of an evaluation's distributions: a single GARCH model, and each member alone."""

from __future__ import annotations

from functools import partial

import polars as pl

from pm.pipeline.chunks import map_chunks
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars, newest_bars, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.tables.forecast import FORECASTS
from pm.tables.volatility import VOLATILITY_MEMBERS

__all__ = ["STAGE"]


def _compute(context: Context) -> Result:
    from pm.forecast.baseline import garch_forecasts, member_forecasts

    watched = watch_list(context)
    martingales = context.read_outputs(FORECASTS, "model = 'martingale'")
    tickers = martingales["ticker"].unique(maintain_order=True).to_list()
    size = context.settings.run.chunk_size
    prices = newest_bars(context, tickers, watched.as_of, judged_bars(context.settings))
    chunks = []
    for start in range(0, len(tickers), size):
        of_chunk = pl.col("ticker").is_in(tickers[start : start + size])
        chunks.append((prices.filter(of_chunk), martingales.filter(of_chunk)))
    computed = map_chunks(context, partial(garch_forecasts, settings=context.settings.volatility), chunks)
    members = member_forecasts(martingales, context.read_outputs(VOLATILITY_MEMBERS))
    forecasts = pl.concat([FORECASTS.unstamped_schema.to_frame(), *computed.results, members])
    return Result(
        [Append(FORECASTS, context.stamp(forecasts, cutoff=watched.as_of))],
        f"{forecasts['ticker'].n_unique():,} of {len(tickers):,} tickers",
    )


STAGE = Stage(
    "baseline",
    _compute,
    # It comes after the stage that forecasts, whose martingales it reads, since it is given after it.
    reads=(*WATCH_LIST_TABLES, VOLATILITY_MEMBERS, FORECASTS),
    writes=(FORECASTS,),
    sections=("volatility", "forecast.horizon", "forecast.window"),
    depends=scope,
)
"""Forecast by GARCH(1,1) with historical simulation, and by each member of the combined volatility."""
