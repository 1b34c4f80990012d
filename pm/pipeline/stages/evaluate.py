"""Stage `evaluate`: what a night's run would have forecast on days past, for the views to set beside what came."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.pipeline.chunks import serve
from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.stages import forecast, volatility
from pm.pipeline.universe import asked_for, log_returns, universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from pm.forecast import ForecastResult
    from pm.lake import Transaction
    from pm.settings import ForecastSettings, VolatilitySettings
    from pm.volatility import VolatilityFit

__all__ = ["evaluating"]

_ASKED = {"as_of": pl.Date, "policy": pl.String}

_LEAST_BARS = 250
"""Bars of the longest history before the first origin: with fewer there is nothing to evaluate."""


@dataclass(frozen=True)
class _Night:
    """What the volatility and forecast rooms gave as of one day for some tickers."""

    as_of: date
    fit: VolatilityFit
    result: ForecastResult


def evaluating(origins: int, steps: Sequence[int]) -> Stage:
    """Give the stage that forecasts from `origins` past dates and keeps the steps named, sessions ahead.

    The dates are the same for all tickers, as far apart as the horizon (the settings', or the longest step if that is
    longer), so that windows do not overlap, and the last one's window ends on the newest bar. From each date the
    volatility and forecast rooms are given the bars up to it and nothing else, as a night's run would give them.
    """
    wanted = tuple(sorted(set(steps)))
    return Stage(
        "evaluate",
        partial(_run, origins=origins, steps=wanted),
        reads=forecast.STAGE.reads,
        sections=tuple(dict.fromkeys((*volatility.STAGE.sections, *forecast.STAGE.sections))),
        rooms=tuple(dict.fromkeys((*volatility.STAGE.rooms, *forecast.STAGE.rooms))),
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
        "bars",
        "date <= ?",
        [chosen.as_of],
        tickers=chosen.tickers,
        columns=("ticker", "date", "close", "adj_factor"),
        at=context.snapshot,
    ).sort("ticker", "date")
    dates = _origin_dates(bars, chosen.as_of, origins, horizon)
    if len(dates) < origins:
        context.tell(f"evaluate: the history has room for {len(dates)} of {origins} origins")
    window = max(forecasting.window, *(width + 1 for width in context.settings.volatility.windows))
    work: list[tuple[pl.DataFrame, ...]] = []
    for day in dates:
        policy = accepted_policy(context.lake, snapshot=context.snapshot, as_of=day, horizon=horizon)
        asked = pl.DataFrame({"as_of": [day], "policy": [policy and policy.to_json()]}, schema=_ASKED)
        work += [
            (*known, known[0].select("ticker").unique(maintain_order=True).join(asked, how="cross"))
            for known in _as_of(context, bars, day, window, horizon)
        ]
    if not any(_came(bars, targets, steps) for _, targets, *_ in work):
        raise InputError(
            f"No ticker has a bar on or shortly before {dates[-1]} and one that is {steps[0]} sessions later.",
            where="table bars",
            hint="name tickers that trade on the same days, or ask for more --origins",
        )
    room = partial(_night, volatility=context.settings.volatility, forecasting=forecasting)
    served = serve(context, "evaluate", room, work)
    frames: dict[str, list[pl.DataFrame]] = {
        "forecasts": [], "model_weights": [], "volatility": [], "volatility_fits": [], "exclusions": []
    }  # fmt: skip
    kept = pl.col("step").is_in(steps)
    for day in dates:
        nights = [night for night in served.results if night.as_of == day]
        if not nights:
            continue
        joined = join_results([night.result for night in nights], forecasting)
        of_day = {
            "forecasts": joined.forecasts.filter(kept),
            "model_weights": joined.weights,
            "volatility": pl.concat(night.fit.paths for night in nights).filter(kept),
            "volatility_fits": pl.concat(night.fit.fits for night in nights),
            "exclusions": pl.concat([joined.exclusions, *(night.fit.exclusions for night in nights)]),
        }
        for name, frame in of_day.items():
            frames[name].append(context.stamp(frame, cutoff=day))
        behind = forecast.late(joined.forecasts, day)
        frames["exclusions"].append(context.stamp(behind, cutoff=day))
    failed = served.exclusions.unique("ticker", keep="first", maintain_order=True)
    frames["exclusions"].append(context.stamp(failed, cutoff=chosen.as_of))

    def write(transaction: Transaction) -> int:
        return sum(transaction.append(name, pl.concat(parts)) for name, parts in frames.items())

    forecasts = sum(frame.filter(model="ensemble").height for frame in frames["forecasts"])
    said = f"forecasts: {forecasts:,}; dates forecast from: {len(dates):,}, {dates[0]} to {dates[-1]}{served}"
    return Outcome(write, lambda: said)


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
    context: Context, bars: pl.DataFrame, day: date, window: int, horizon: int
) -> Iterator[tuple[pl.DataFrame, ...]]:
    """Give what is known on a day, in chunks of tickers: newest bars up to it, the sessions after it, and groups.

    A ticker's later sessions are those it traded on, which a night's run knows from the exchange's calendar. One that
    did not trade on the day, or not often enough after it, has those of the calendar, as on a night.
    """
    from pm.pipeline.grouping import grouped_chunks

    forecasting = context.settings.forecast
    prices = bars.filter(pl.col("date") <= day).group_by("ticker", maintain_order=True).tail(window)
    traded = (
        bars.filter(pl.col("date") > day, pl.col("ticker").is_in(prices.filter(date=day)["ticker"].to_list()))
        .group_by("ticker", maintain_order=True)
        .head(horizon)
        .select("ticker", pl.int_range(1, pl.len() + 1).over("ticker").alias("step"), target_date="date")
        .filter(pl.len().over("ticker") == horizon)
    )
    others = prices.join(traded, on="ticker", how="anti", maintain_order="left")
    targets = pl.concat([traded, forecast.sessions_ahead(context, others, horizon)])
    newest = prices.group_by("ticker", maintain_order=True).tail(forecasting.window)
    for chunk in grouped_chunks(
        newest, forecasting.model_copy(update={"horizon": horizon}), context.settings.run.chunk_size
    ):
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
    asked: pl.DataFrame,
    *,
    volatility: VolatilitySettings,
    forecasting: ForecastSettings,
) -> _Night:
    """Do for some tickers, as of the day asked, what a night's volatility and forecast stages do."""
    from pm.forecast import forecast_tickers
    from pm.forecast.policy import Policy
    from pm.volatility import fit_volatility

    day: date = asked["as_of"][0]
    policy = asked["policy"][0]
    fit = fit_volatility(log_returns(prices), settings=volatility, horizon=forecasting.horizon)
    newest = prices.group_by("ticker", maintain_order=True).tail(forecasting.window)
    result = forecast_tickers(
        newest,
        fit.paths,
        targets,
        groups,
        settings=forecasting,
        as_of=day,
        policy=None if policy is None else Policy.from_json(policy),
    )
    return _Night(day, fit, result)
