"""Stage `evaluate`: what a night's run would have forecast on days past, for the views to set beside what came."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.pipeline.chunks import serve
from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.stages import forecast, volatility
from pm.pipeline.universe import asked_for, log_returns, universe
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from pm.forecast import ForecastResult
    from pm.forecast.policy import Policy
    from pm.lake import Transaction
    from pm.settings import ForecastSettings, VolatilitySettings
    from pm.volatility import VolatilityFit

__all__ = ["evaluating"]

_LEAST_BARS = 250
"""Bars of the longest history before the first origin: with fewer there is nothing to evaluate."""

_PARTS = 8
"""Chunks that a date has at least, if it has so many tickers."""


def evaluating(origins: int, steps: Sequence[int]) -> Stage:
    """Give the stage that forecasts from `origins` past dates and keeps the steps named, sessions ahead.

    The dates are the same for all tickers, as far apart as the horizon (the settings', or the longest step if that is
    longer), so that windows do not overlap, and the last one's window ends on the newest bar. From each date the
    volatility and forecast rooms are given what a night's run would give them: the bars up to it, and the sessions that
    the exchange's calendar, or where there is none the weekdays, let expect.
    """
    wanted = tuple(sorted(set(steps)))
    return Stage(
        "evaluate",
        partial(_run, origins=origins, steps=wanted),
        reads=forecast.STAGE.reads,
        sections=tuple(dict.fromkeys((*volatility.STAGE.sections, *forecast.STAGE.sections))),
        rooms=tuple(dict.fromkeys((*volatility.STAGE.rooms, *forecast.STAGE.rooms, "pipeline/stages/forecast.py"))),
        libraries=tuple(dict.fromkeys((*volatility.STAGE.libraries, *forecast.STAGE.libraries))),
        asks=lambda context: [*asked_for(context), origins, wanted],
    )


def _run(context: Context, *, origins: int, steps: Sequence[int]) -> Outcome:
    from pm.forecast import join_results
    from pm.pipeline.policy import accepted_policy

    chosen = universe(context)
    # A night's own horizon, unless more is asked for: weights and their evidence are those of the whole of it.
    horizon = max(context.settings.forecast.horizon, *steps)
    forecasting = context.settings.forecast.model_copy(update={"horizon": horizon})
    bars = context.lake.read(
        BARS,
        "date <= ?",
        [chosen.as_of],
        among={"ticker": chosen.tickers},
        columns=("ticker", "date", "close", "adj_factor"),
        at=context.snapshot,
    ).sort("ticker", "date")
    dates = _origin_dates(bars, chosen.as_of, origins, horizon)
    if len(dates) < origins:
        context.tell(f"evaluate: the history has room for {len(dates)} of {origins} origins")
    frames: dict[str, list[pl.DataFrame]] = {
        "forecasts": [], "model_weights": [], "volatility": [], "volatility_fits": [], "exclusions": []
    }  # fmt: skip
    came, failed = False, 0
    for done, day in enumerate(dates):
        policy = accepted_policy(context.lake, snapshot=context.snapshot, as_of=day, horizon=horizon)
        work = list(_as_of(context, bars, day, forecasting))
        came = came or any(_came(bars, targets, steps) for _, targets, _ in work)
        room = partial(
            _night,
            as_of=day,
            steps=steps,
            policy=policy,
            volatility=context.settings.volatility,
            forecasting=forecasting,
        )
        served = serve(replace(context, progress=_within(context, done, len(dates))), "evaluate", room, work)
        joined = join_results([result for _, result in served.results], forecasting)
        fits = [fit for fit, _ in served.results]
        failed += served.exclusions.height
        of_day = {
            "forecasts": [joined.forecasts],
            "model_weights": [joined.weights],
            "volatility": [fit.paths for fit in fits],
            "volatility_fits": [fit.fits for fit in fits],
            "exclusions": [
                *(fit.exclusions for fit in fits),
                joined.exclusions,
                served.exclusions,
                forecast.late(joined.forecasts, pl.concat(targets for _, targets, _ in work), day),
            ],
        }
        for name, parts in of_day.items():
            frames[name].append(context.stamp(pl.concat(parts), cutoff=day))
    if not came:
        raise InputError(
            f"No ticker has a bar on or shortly before {dates[-1]} and one that is {steps[0]} sessions later.",
            where="table bars",
            hint="name tickers that trade on the same days, or ask for more --origins",
        )

    def write(transaction: Transaction) -> int:
        return sum(transaction.append(TABLES[name], pl.concat(parts)) for name, parts in frames.items())

    forecasts = sum(frame.filter(model="ensemble").height for frame in frames["forecasts"])
    said = f"forecasts: {forecasts:,}; dates forecast from: {len(dates):,}, {dates[0]} to {dates[-1]}"
    if failed:
        said += f"; {failed:,} FAILED (see exclusions)"
    return Outcome(write, lambda: said)


def _within(context: Context, done: int, dates: int) -> Callable[[int, int], None]:
    """Tell the progress within a date as that of all dates."""
    return lambda part, parts: context.progress(done * parts + part, dates * parts)


def _origin_dates(bars: pl.DataFrame, as_of: date, origins: int, horizon: int) -> list[date]:
    """Give the dates to forecast from, oldest first: of those on which at least half of the tickers there were traded.

    Raises
    ------
    InputError
        The history is too short for one.
    """
    # Of shares beside a market of seven days, weekends are no sessions of most.
    spans = bars.group_by("ticker").agg(first=pl.col("date").min(), last=pl.col("date").max())
    traded = bars.group_by("date").len("traded").sort("date")
    begun = traded.select(pl.col("date").map_batches(lambda days: spans["first"].sort().search_sorted(days, "right")))
    ended = traded.select(pl.col("date").map_batches(lambda days: spans["last"].sort().search_sorted(days, "left")))
    there = begun.to_series().cast(pl.Int64) - ended.to_series().cast(pl.Int64)
    sessions: list[date] = traded.filter(2 * pl.col("traded").cast(pl.Int64) >= there)["date"].to_list()
    last = len(sessions) - 1 - horizon
    places = range(last, _LEAST_BARS - 2, -horizon)
    if not places:
        raise InputError(
            f"Sessions up to {as_of}: {len(sessions)}; an evaluation needs {_LEAST_BARS + horizon} or more.",
            where="table bars",
            hint="import a longer history, or ask for a shorter --horizon",
        )
    return [sessions[place] for place in places][:origins][::-1]


def _as_of(
    context: Context, bars: pl.DataFrame, day: date, forecasting: ForecastSettings
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Give what a night's run would know on a day, in chunks of tickers: newest bars, sessions ahead, and groups."""
    from pm.pipeline.grouping import grouped_chunks

    window = max(forecasting.window, *(width + 1 for width in context.settings.volatility.windows))
    prices = bars.filter(pl.col("date") <= day).group_by("ticker", maintain_order=True).tail(window)
    newest = prices.group_by("ticker", maintain_order=True).tail(forecasting.window)
    targets = forecast.sessions_ahead(context, newest, forecasting.horizon)
    # Not all tickers in one chunk, though they be few: a date is shared by all workers.
    size = min(context.settings.run.chunk_size, -(-newest["ticker"].n_unique() // _PARTS))
    for chunk in grouped_chunks(newest, forecasting, size):
        of_chunk = pl.col("ticker").is_in(chunk.tickers)
        yield prices.filter(of_chunk), targets.filter(of_chunk), chunk.groups


def _came(bars: pl.DataFrame, targets: pl.DataFrame, steps: Sequence[int]) -> bool:
    """Say whether any of the sessions that are to be foretold has a bar."""
    wanted = targets.filter(pl.col("step").is_in(steps)).select("ticker", date="target_date")
    return not bars.join(wanted, on=["ticker", "date"], how="semi").is_empty()


def _night(
    prices: pl.DataFrame,
    targets: pl.DataFrame,
    groups: pl.DataFrame,
    *,
    as_of: date,
    steps: Sequence[int],
    policy: Policy | None,
    volatility: VolatilitySettings,
    forecasting: ForecastSettings,
) -> tuple[VolatilityFit, ForecastResult]:
    """Do for some tickers, as of a day, what a night's volatility and forecast stages do; keep the steps named."""
    from pm.forecast import forecast_tickers
    from pm.volatility import fit_volatility

    fit = fit_volatility(log_returns(prices), settings=volatility, horizon=forecasting.horizon)
    newest = prices.group_by("ticker", maintain_order=True).tail(forecasting.window)
    result = forecast_tickers(newest, fit.paths, targets, groups, settings=forecasting, as_of=as_of, policy=policy)
    kept = pl.col("step").is_in(steps)
    return replace(fit, paths=fit.paths.filter(kept)), replace(result, forecasts=result.forecasts.filter(kept))
