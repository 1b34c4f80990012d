"""Stage `forecast`: every model's forecast of every ticker, and the ensemble's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.chunks import serve
from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.universe import asked_for, newest_bars, universe
from pm.sessions import next_sessions
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from datetime import date

    from pm.lake import Transaction

__all__ = ["STAGE", "late", "sessions_ahead"]

_OBSERVED = 60
"""Bars by which the weekdays of a market without a calendar are known."""


def _run(context: Context) -> Outcome:
    from pm.forecast import forecast_tickers, join_results
    from pm.pipeline.grouping import grouped_chunks
    from pm.pipeline.policy import accepted_policy

    chosen = universe(context)
    settings = context.settings.forecast
    volatility = context.lake.read(VOLATILITY, "run_id = ?", [context.outputs["volatility"]], at=context.snapshot)
    prices = newest_bars(context, chosen.tickers, chosen.as_of, settings.window)
    chunks: list[tuple[pl.DataFrame, ...]] = []
    for chunk in grouped_chunks(prices, settings, context.settings.run.chunk_size):
        of_chunk = pl.col("ticker").is_in(chunk.tickers)
        own = prices.filter(of_chunk)
        chunks.append((own, volatility.filter(of_chunk), sessions_ahead(context, own, settings.horizon), chunk.groups))
    policy = accepted_policy(context.lake, snapshot=context.snapshot, as_of=chosen.as_of, horizon=settings.horizon)
    room = partial(forecast_tickers, settings=settings, as_of=chosen.as_of, policy=policy)
    served = serve(context, "forecast", room, chunks)
    result = join_results(served.results, settings)
    forecasts, weights, exclusions = (
        context.stamp(frame, cutoff=chosen.as_of) for frame in (result.forecasts, result.weights, result.exclusions)
    )
    failed = context.stamp(served.exclusions, cutoff=chosen.as_of)
    ahead = pl.concat(targets for _, _, targets, _ in chunks)
    behind = context.stamp(late(forecasts, ahead, chosen.as_of), cutoff=chosen.as_of)

    def write(transaction: Transaction) -> int:
        return (
            transaction.append(FORECASTS, forecasts)
            + transaction.append(MODEL_WEIGHTS, weights)
            + transaction.append(EXCLUSIONS, exclusions)
            + transaction.append(EXCLUSIONS, failed)
            + transaction.append(EXCLUSIONS, behind)
        )

    known = forecasts["ticker"].n_unique()
    said = f"{known:,} of {len(chosen.tickers):,} tickers, {settings.horizon} sessions from {chosen.as_of}"
    return Outcome(write, lambda: f"{said}{served}")


def late(forecasts: pl.DataFrame, targets: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Say of each ticker forecast from before sessions of its own up to the run's day that part of its horizon is past.

    A market that is closed today is not late: not every one trades on a Sunday.

    Parameters
    ----------
    forecasts
        ticker, origin_date.
    targets
        The sessions expected after each ticker's last bar, as `sessions_ahead` gives them.
    as_of
        The run's day.
    """
    missed = targets.group_by("ticker").agg(
        missed=(pl.col("target_date") <= as_of).sum(), all=(pl.col("target_date") <= as_of).all()
    )
    behind = forecasts.select("ticker", "origin_date").unique().join(missed.filter(pl.col("missed") > 0), on="ticker")
    return behind.sort("ticker").select(
        pl.lit("forecast").alias("stage"),
        "ticker",
        reason=pl.lit(Reason.LATE.value),
        detail=pl.format(
            "last bar {}, sessions since then up to {}: {}{}; forecast from there",
            "origin_date",
            pl.lit(str(as_of)),
            "missed",
            pl.when("all").then(pl.lit(" or more")).otherwise(pl.lit("")),
        ),
    )


def sessions_ahead(context: Context, prices: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Give the sessions after each ticker's last bar, by its calendar: ticker, step, target_date."""
    exchanges = context.settings.sources.exchanges
    known: dict[tuple[str | None, frozenset[int], date], list[date]] = {}
    rows: list[tuple[str, int, date]] = []
    for (name,), own in prices.group_by("ticker", maintain_order=True):
        ticker = str(name)
        days: list[date] = own["date"].tail(_OBSERVED).to_list()
        exchange = exchanges.exchange_of(ticker, context.request.source)
        market = (exchange, frozenset(day.weekday() for day in days), days[-1])
        if market not in known:
            known[market] = next_sessions(days[-1], horizon, exchange=exchange, observed=days)
        rows += [(ticker, step, day) for step, day in enumerate(known[market], start=1)]
    return pl.DataFrame(rows, schema={"ticker": pl.String, "step": pl.Int64, "target_date": pl.Date}, orient="row")


STAGE = Stage(
    "forecast",
    _run,
    reads=("bars", "raw.batches", "policies"),
    after=("volatility",),
    sections=("forecast", "sources.exchanges"),
    rooms=(
        "forecast",
        "volatility/base.py",
        "volatility/jumps.py",
        "volatility/simulate.py",
        "tables",
        "sessions.py",
        "pipeline/chunks.py",
        "pipeline/grouping.py",
        "pipeline/policy.py",
        "pipeline/universe.py",
    ),
    libraries=("statsforecast", "statsmodels", "numba", "numpy", "polars", "scipy", "exchange-calendars"),
    asks=asked_for,
)
"""Forecast from the closes up to the run's day."""
