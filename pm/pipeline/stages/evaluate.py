"""Stage `evaluate`: what runs on past dates would have forecast, for the views to compare with what was realised."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.pipeline.replay import replay, replayed_reads, replayed_writes
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import forecast, volatility
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BARS
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.settings import Settings

__all__ = ["evaluating"]

_REPLAYED = (volatility.STAGE, forecast.STAGE)

_MIN_BARS = 250
"""Minimum number of sessions before the first origin (one year); with fewer there is nothing to evaluate."""

_PARTS = 8
"""Minimum number of chunks that the tickers of a date are cut into, so that all workers share a date."""


def evaluating(origins: int, steps: Sequence[int]) -> Stage:
    """Return the stage that forecasts from `origins` past dates and keeps the steps named, in sessions ahead.

    The dates are the same for all tickers, as far apart as the horizon (that of the settings, or the largest step if
    that is larger), so that windows do not overlap; the last window ends on the newest bar. On each date the volatility
    and forecast stages compute what a run on that day would have computed.
    """
    wanted = tuple(sorted(set(steps)))
    return Stage(
        "evaluate",
        partial(_compute, origins=origins, steps=wanted),
        reads=tuple(dict.fromkeys((*WATCH_LIST_TABLES, *replayed_reads(_REPLAYED)))),
        writes=replayed_writes(_REPLAYED),
        sections=tuple(dict.fromkeys(section for stage in _REPLAYED for section in stage.sections)),
        depends=lambda context: [*scope(context), origins, wanted],
    )


def _compute(context: Context, *, origins: int, steps: Sequence[int]) -> Result:
    watched = watch_list(context)
    # The horizon of a run, unless more is asked for: weights and their evidence are those of the whole of it.
    horizon = max(context.settings.forecast.horizon, *steps)
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": watched.tickers},
        columns=("ticker", "date", "close", "adj_factor"),
    )
    dates = _origin_dates(bars, watched.as_of, origins, horizon)
    if len(dates) < origins:
        context.notify(f"evaluate: the history has room for {len(dates)} of {origins} origins")
    settings = _settings(context, horizon, len(watched.tickers))
    computed: dict[str, list[pl.DataFrame]] = {}
    for _, tables in replay(context, _REPLAYED, dates, settings=settings, frames={BARS.qualified: bars}):
        for name, rows in tables.items():
            kept = rows.filter(pl.col("step").is_in(steps)) if TABLES[name] in (FORECASTS, VOLATILITY) else rows
            computed.setdefault(name, []).append(kept)
    frames = {name: pl.concat(parts) for name, parts in computed.items()}
    _refuse_without_outcome(frames[FORECASTS.qualified], bars, dates, steps)
    forecasts = frames[FORECASTS.qualified].filter(model="ensemble").height
    failed = frames[EXCLUSIONS.qualified].filter(reason=Reason.FAILED.value).height
    summary = f"forecasts: {forecasts:,}; dates forecast from: {len(dates):,}, {dates[0]} to {dates[-1]}"
    return Result(
        [Append(TABLES[name], rows) for name, rows in frames.items()],
        summary + (f"; {failed:,} FAILED (see exclusions)" if failed else ""),
    )


def _settings(context: Context, horizon: int, tickers: int) -> Settings:
    """Return the settings of the stages: the whole horizon, and chunks so small that all workers share a date."""
    settings = context.settings
    size = min(settings.run.chunk_size, -(-tickers // _PARTS))
    return settings.model_copy(
        update={
            "forecast": settings.forecast.model_copy(update={"horizon": horizon}),
            "run": settings.run.model_copy(update={"chunk_size": size}),
        }
    )


def _refuse_without_outcome(
    forecasts: pl.DataFrame, bars: pl.DataFrame, dates: Sequence[date], steps: Sequence[int]
) -> None:
    """Refuse an evaluation none of whose forecasts has a bar to compare it with.

    Raises
    ------
    InputError
        No session that was forecast has a bar.
    """
    targets = forecasts.select("ticker", date="target_date")
    if forecasts.height and bars.join(targets, on=["ticker", "date"], how="semi").is_empty():
        raise InputError(
            f"No ticker has a bar on or shortly before {dates[-1]} and one that is {steps[0]} sessions later.",
            where="table bars",
            hint="name tickers that trade on the same days, or ask for more --origins",
        )


def _origin_dates(bars: pl.DataFrame, as_of: date, origins: int, horizon: int) -> list[date]:
    """Return the dates to forecast from, oldest first: of those on which at least half of the living tickers traded.

    A ticker lives from its first bar to its last. (Among shares, the weekends of one market of seven days are no
    sessions of most.)

    Raises
    ------
    InputError
        The history is too short for one date.
    """
    spans = bars.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max())
    traded = bars.group_by("date").len("traded").sort("date")
    begun = traded.select(pl.col("date").map_batches(lambda days: spans["first"].sort().search_sorted(days, "right")))
    ended = traded.select(pl.col("date").map_batches(lambda days: spans["last"].sort().search_sorted(days, "left")))
    living = begun.to_series().cast(pl.Int64) - ended.to_series().cast(pl.Int64)
    sessions: list[date] = traded.filter(2 * pl.col("traded").cast(pl.Int64) >= living)["date"].to_list()
    last = len(sessions) - 1 - horizon
    places = range(last, _MIN_BARS - 2, -horizon)
    if not places:
        raise InputError(
            f"There are {len(sessions)} sessions up to {as_of}; an evaluation needs at least {_MIN_BARS + horizon}.",
            where="table bars",
            hint="import a longer history, or ask for a shorter --horizon",
        )
    return [sessions[place] for place in places][:origins][::-1]
