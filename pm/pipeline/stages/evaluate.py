"""Stage `evaluate`: what runs on past dates would have forecast, for the views to compare with what was realised."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError, StorageError
from pm.pipeline.kept import KeptPieces
from pm.pipeline.observations import observations_key
from pm.pipeline.origin_dates import ChosenDates, origin_dates
from pm.pipeline.past_forecasts import forecast_dates_frame, inputs_hashes
from pm.pipeline.replay import replay, replayed_past, replayed_reads, replayed_writes
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import baseline, forecast, signals, volatility
from pm.pipeline.stored_panels import stored_panels_key
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result, Spool
from pm.plural import plural
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS, MEMBER_SETS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BARS
from pm.tables.validation import FORECAST_DATES
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY, VOLATILITY_MEMBERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.settings import Settings

__all__ = ["FORECASTING", "evaluating", "replay_settings"]

FORECASTING = (volatility.STAGE, forecast.STAGE)
"""Stages whose rows a backtest reads."""
_REPLAYED = (*FORECASTING, baseline.STAGE, signals.STAGE)

_PARTS = 8
"""Minimum number of chunks that the tickers of a date are cut into, so that all workers share a date."""


def evaluating(steps: Sequence[int], chosen: ChosenDates) -> Stage:
    """Return the stage that forecasts from past dates and keeps the steps named, in sessions ahead.

    The dates are the same for all tickers. Unless others are chosen, they are as far apart as the horizon (that of the
    settings, or the largest step if that is larger), so that windows do not overlap; the last window ends on the newest
    bar. On each date the volatility, forecast and signals stages compute what a run on that day would have computed,
    and stage `baseline` a benchmark beside it.
    """
    wanted = tuple(sorted(set(steps)))
    return Stage(
        "evaluate",
        partial(_compute, steps=wanted, chosen=chosen),
        reads=tuple(dict.fromkeys((*WATCH_LIST_TABLES, *replayed_reads(_REPLAYED)))),
        past=replayed_past(_REPLAYED),
        writes=(*replayed_writes(_REPLAYED), MEMBER_SETS, FORECAST_DATES),
        sections=tuple(dict.fromkeys(section for stage in _REPLAYED for section in stage.sections)),
        depends=lambda context: [
            *scope(context),
            wanted,
            asdict(chosen),
            *observations_key(context),
            *stored_panels_key(context, context.request.as_of),
        ],
    )


def _compute(context: Context, *, steps: Sequence[int], chosen: ChosenDates) -> Result:
    watched = watch_list(context)
    # The horizon of a run, unless more is asked for: weights and their evidence are those of the whole of it.
    horizon = max(context.settings.forecast.horizon, *steps)
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": watched.tickers},
        columns=("ticker", "date", "open", "high", "low", "close", "adj_factor", "batch_id"),
    )
    dates = origin_dates(bars, watched.as_of, horizon, chosen)
    if chosen.origins is not None and len(dates) < chosen.origins:
        context.notify(f"evaluate: the history has room for {len(dates)} of {chosen.origins} origins")
    kept = KeptPieces(context.workspace, str(context.fingerprint))
    waiting = [day for day in dates if kept.load(str(day)) is None]
    if len(waiting) < len(dates):
        context.notify(
            f"evaluate: {len(dates) - len(waiting)} of {plural(len(dates), 'date')} were done before the interruption"
        )
    settings = replay_settings(context.settings, horizon, len(watched.tickers))
    for day, tables in replay(context, _REPLAYED, waiting, settings=settings, frames={BARS.qualified: bars}):
        by_step = {FORECASTS.qualified, VOLATILITY.qualified, VOLATILITY_MEMBERS.qualified}
        kept.save(
            str(day),
            {
                name: rows.filter(pl.col("step").is_in(steps)) if name in by_step else rows
                for name, rows in tables.items()
            },
        )
    result, sets = _collect(context, kept, bars, dates, steps)
    hashes = inputs_hashes(context, FORECASTING, dates, bars=bars, watched=watched, settings=settings)
    kept_dates = Append(FORECAST_DATES, forecast_dates_frame(context, hashes, steps))
    compared = Append(MEMBER_SETS, context.stamp(sets, cutoff=watched.as_of))
    return replace(result, writes=[*result.writes, compared, kept_dates])


def _collect(
    context: Context, kept: KeptPieces, bars: pl.DataFrame, dates: Sequence[date], steps: Sequence[int]
) -> tuple[Result, pl.DataFrame]:
    """Return the rows of all dates as one result, stamped with this run: an interrupted one may have computed them.

    The second is the comparison of the distributions, rows of table `member_sets`.

    One date is in memory at a time.
    """
    from pm.forecast.member_scores import MEMBERS, member_sets

    spools: dict[str, Spool] = {}
    forecast: list[pl.DataFrame] = []
    members: list[pl.DataFrame] = []
    failed = 0
    for day in dates:
        piece = kept.load(str(day))
        if piece is None:
            raise StorageError(
                f"What was computed for {day} is no longer on disk.",
                where=str(context.workspace.kept),
                hint="give the same command again; the dates that are there are not computed again",
            )
        for name, rows in piece.items():
            table = TABLES[name]
            runs = [pl.lit(context.run_id).alias(column) for column in rows.columns if column.endswith("run_id")]
            snapshots = [
                pl.lit(context.snapshot, pl.Int64).alias(column)
                for column in rows.columns
                if column.endswith("snapshot_id")
            ]
            spools.setdefault(name, context.spool(table)).add(rows.with_columns(*runs, *snapshots))
        rows = piece[FORECASTS.qualified]
        forecast.append(rows.filter(model="ensemble").select("ticker", "origin_date", "step"))
        members.append(rows.filter(pl.col("model").is_in(MEMBERS)))
        failed += piece[EXCLUSIONS.qualified].filter(reason=Reason.FAILED.value).height
    made = pl.concat(forecast)
    _refuse_without_outcome(made, bars, dates, steps)
    kept.finish()
    summary = f"forecasts: {made.height:,}; dates forecast from: {len(dates):,}, {dates[0]} to {dates[-1]}"
    result = Result(
        [spool.append() for spool in spools.values()],
        summary + (f"; {failed:,} FAILED (see exclusions)" if failed else ""),
    )
    return result, member_sets(pl.concat(members), bars, steps)


def replay_settings(settings: Settings, horizon: int, tickers: int) -> Settings:
    """Return the settings of the stages: the whole horizon, and chunks so small that all workers share a date."""
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

    Parameters
    ----------
    forecasts
        Columns ticker, origin_date, step.
    bars
        Columns ticker, date, by ticker and date.

    Raises
    ------
    InputError
        No ticker has as many bars after its origin as the smallest step.
    """
    after = bars.select(
        "ticker", "date", bars_after=pl.len().over("ticker") - pl.col("date").cum_count().over("ticker")
    )
    origins = forecasts.filter(pl.col("step") == steps[0]).select("ticker", date="origin_date").unique()
    ends = after.join(origins, on=["ticker", "date"], how="semi")
    if forecasts.height and (ends["bars_after"] < steps[0]).all():
        raise InputError(
            f"No ticker has a bar on or shortly before {dates[-1]} and {plural(steps[0], 'bar')} after it.",
            where="table bars",
            hint="name tickers that trade on the same days, or ask for more --origins",
        )
