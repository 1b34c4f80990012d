"""Stage `forecast`: every model's forecast of every ticker, and the ensemble's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.chunks import map_chunks
from pm.pipeline.coming_sessions import learnt_markets, sessions_ahead
from pm.pipeline.compiling import compile_ahead
from pm.pipeline.observations import accepted, known_observations, observations_key
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars, newest_bars, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.features import FEATURES
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS, POLICIES
from pm.tables.observations import OBSERVATION_TESTS, OBSERVATIONS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.relative import RELATIVE_FITS, RELATIVE_TESTS
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from datetime import date

    from pm.forecast.relative.model import RelativeModel
    from pm.pipeline.watch_list import WatchList

__all__ = ["STAGE", "late_tickers"]


def _compute(context: Context) -> Result:
    from pm.forecast import forecast_tickers, join_results
    from pm.forecast.relative.rows import relative_fits_frame, relative_tests_frame
    from pm.pipeline.grouping import grouped_chunks
    from pm.pipeline.policy import accepted_policy

    watched = watch_list(context)
    settings = context.settings.forecast
    if {"auto_arima", "theta", "auto_ets"} & set(settings.models):  # of the others, nothing is compiled
        compile_ahead(context, "pm.forecast")
    volatility = context.read_outputs(VOLATILITY)
    prices = newest_bars(context, watched.tickers, watched.as_of, judged_bars(context.settings))
    targets = sessions_ahead(prices, watched.exchanges, learnt_markets(context, watched), settings.horizon)
    used = accepted(context, as_of=watched.as_of)
    observed = [] if used is None else [known_observations(context, used.names, watched.tickers, watched.as_of)]
    chunks: list[tuple[pl.DataFrame, ...]] = []
    for chunk in grouped_chunks(prices, settings, context.settings.run.chunk_size):
        of_chunk = pl.col("ticker").is_in(chunk.tickers)
        frames = (prices.filter(of_chunk), volatility.filter(of_chunk), targets.filter(of_chunk), chunk.groups)
        chunks.append((*frames, *(rows.filter(of_chunk) for rows in observed)))
    policy = accepted_policy(context, as_of=watched.as_of)
    forecast = partial(forecast_tickers, settings=settings, as_of=watched.as_of, policy=policy, accepted=used)
    computed = map_chunks(context, forecast, chunks)
    relative = _relative(context, prices, watched)
    result = join_results(computed.results, settings, relative=relative)
    excluded = [result.exclusions, computed.exclusions, late_tickers(result.forecasts, targets, watched.as_of)]
    known = result.forecasts["ticker"].n_unique()
    return Result(
        [
            Append(FORECASTS, context.stamp(result.forecasts, cutoff=watched.as_of)),
            Append(MODEL_WEIGHTS, context.stamp(result.weights, cutoff=watched.as_of)),
            Append(RELATIVE_FITS, context.stamp(relative_fits_frame(relative), cutoff=watched.as_of)),
            Append(RELATIVE_TESTS, context.stamp(relative_tests_frame(relative), cutoff=watched.as_of)),
            Append(EXCLUSIONS, context.stamp(pl.concat(excluded), cutoff=watched.as_of)),
        ],
        f"{known:,} of {plural(len(watched.tickers), 'ticker')}, {settings.horizon} sessions from {watched.as_of}"
        f"{computed.failures}",
    )


def _relative(context: Context, prices: pl.DataFrame, watched: WatchList) -> RelativeModel:
    """Return the model of relative returns of the run's tickers, from their features on the dates that it needs."""
    from pm.forecast.relative.cross_section import FEATURE_COLUMNS, cross_section_dates
    from pm.forecast.relative.model import relative_model

    dates = cross_section_dates(prices, watched.as_of)
    features = context.read(
        FEATURES,
        "date IN (SELECT unnest(?::DATE[]))",
        [dates],
        among={"ticker": watched.tickers},
        columns=FEATURE_COLUMNS,
    )
    return relative_model(features, prices, dates, as_of=watched.as_of, horizon=context.settings.forecast.horizon)


def late_tickers(forecasts: pl.DataFrame, targets: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return an exclusion for each ticker part of whose horizon is already past on the day of the run.

    That is a ticker forecast from a bar after which it should have had sessions up to that day. One whose market is
    closed on the day is not late: not every market trades on a Sunday.

    Parameters
    ----------
    forecasts
        Columns ticker, origin_date.
    targets
        The sessions expected after each ticker's last bar, from `sessions_ahead`.
    as_of
        The day of the run.
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


def _depends(context: Context) -> list[object]:
    """Return the scope of the run, and the observations that its forecasts use, if there are any."""
    used = observations_key(context)
    return [*scope(context), used] if used else scope(context)


STAGE = Stage(
    "forecast",
    _compute,
    reads=(*WATCH_LIST_TABLES, FEATURES, VOLATILITY, POLICIES),
    past=(OBSERVATIONS, OBSERVATION_TESTS),
    writes=(FORECASTS, MODEL_WEIGHTS, RELATIVE_FITS, RELATIVE_TESTS, EXCLUSIONS),
    sections=("forecast", "sources.exchanges", "volatility.windows"),
    depends=_depends,
)
"""Forecast from the closes up to the run's day, and the features."""
