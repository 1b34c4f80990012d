"""Stage `past_forecasts`: forecasts from the dates of a backtest that the lake does not have yet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.decision_dates import past_of
from pm.pipeline.past_forecasts import forecast_dates_frame, inputs_hashes, stored_forecasts
from pm.pipeline.replay import replay, replayed_past, replayed_reads, replayed_writes
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages.evaluate import FORECASTING, replay_settings
from pm.pipeline.watch_list import WATCH_LIST_TABLES
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE_CHANGES
from pm.tables.validation import FORECAST_DATES
from pm.tables.volatility import VOLATILITY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from pm.pipeline.decision_dates import Past
    from pm.pipeline.request import Request

__all__ = ["KnownPast", "PastReader", "forecasting_past", "kept_steps"]

_READ = tuple(
    dict.fromkeys(
        (
            *WATCH_LIST_TABLES,
            *replayed_reads(FORECASTING),
            *replayed_past(FORECASTING),
            FORECAST_DATES,
            UNIVERSE_CHANGES,
        )
    )
)
"""Tables that a `KnownPast` depends on."""
_PIECE_SECONDS = 60.0
"""Seconds of computing after which what was computed is committed."""


@dataclass(frozen=True)
class KnownPast:
    """The bars and dates of a backtest, and which of its forecasts the lake has.

    Attributes
    ----------
    past
        Bars and dates.
    hashes
        Hash of what the forecasts from each date depend on.
    runs
        Run that has them, for each date whose forecasts are in the lake.
    """

    past: Past
    hashes: dict[date, str]
    runs: dict[date, str]


class PastReader:
    """Read a `KnownPast` for the stages of a backtest, once as long as nothing that it depends on changes in the lake.

    Parameters
    ----------
    first, step
        See `past_of`.
    """

    def __init__(self, first: date | None, step: int) -> None:
        self._first = first
        self._step = step
        self._newest: tuple[tuple[dict[str, int], Request], KnownPast] | None = None

    def of(self, context: Context, check: Callable[[Context, Past], None] = lambda *_: None) -> KnownPast:
        """Return what is known in a context.

        Parameters
        ----------
        context
            Context of a stage that declares that it reads tables `policies`, `forecast_dates`, `universe_changes` and
            those of the watch list.
        check
            Called with the context and the bars and dates, to refuse a backtest before its forecasts are looked for.
        """
        key = context.lake.versions(table.qualified for table in _READ), context.request
        if self._newest is None or self._newest[0] != key:
            past = past_of(context, self._first, self._step)
            check(context, past)
            self._newest = key, KnownPast(past, *_known_forecasts(context, past))
        return self._newest[1]


def forecasting_past(reader: PastReader, check: Callable[[Context, Past], None]) -> Stage:
    """Return the stage that forecasts from the dates of a backtest, as runs on those days would have.

    Dates whose forecasts are in the lake already, made by `pm evaluate` or an earlier backtest from equal bars by equal
    code and settings, are not computed again. What is computed is committed every minute, so that a backtest that was
    interrupted continues.

    Parameters
    ----------
    reader
        Reads the bars and dates.
    check
        Called with the context and the bars and dates, to refuse a backtest before anything is forecast for it.
    """
    return Stage(
        "past_forecasts",
        partial(_compute, reader=reader),
        reads=tuple(table for table in _READ if table not in replayed_past(FORECASTING)),
        past=replayed_past(FORECASTING),
        writes=tuple(table for table in (*replayed_writes(FORECASTING), FORECAST_DATES)),
        sections=tuple(dict.fromkeys(section for stage in FORECASTING for section in stage.sections)),
        depends=lambda _: None,
        idle=partial(_idle, reader=reader, check=check),
    )


def kept_steps(context: Context) -> tuple[int, ...]:
    """Return the steps that a backtest needs of volatility and forecasts: the first, and the horizon."""
    return tuple(sorted({1, context.settings.forecast.horizon}))


def _known_forecasts(context: Context, past: Past) -> tuple[dict[date, str], dict[date, str]]:
    """Return the hash of what the forecasts from each date of a backtest depend on, and the runs that have them."""
    settings = replay_settings(context.settings, context.settings.forecast.horizon, len(past.watched.tickers))
    hashes = inputs_hashes(
        context, FORECASTING, past.decisions, bars=past.bars, watched=past.watched, settings=settings
    )
    return hashes, stored_forecasts(context, hashes, kept_steps(context))


def _idle(context: Context, *, reader: PastReader, check: Callable[[Context, Past], None]) -> str | None:
    found = reader.of(context, check)
    if len(found.runs) < len(found.hashes):
        return None
    return f"the lake has forecasts from {plural(len(found.hashes), 'date')}"


def _compute(context: Context, *, reader: PastReader) -> Iterator[Result]:
    found = reader.of(context)
    past, hashes, known = found.past, found.hashes, found.runs
    waiting = [day for day in past.decisions if day not in known]
    if known:
        context.notify(f"past_forecasts: the lake has those from {len(known):,} of {plural(len(hashes), 'date')}")
    settings = replay_settings(context.settings, context.settings.forecast.horizon, len(past.watched.tickers))
    steps = kept_steps(context)
    pieces: dict[str, list[pl.DataFrame]] = {}
    done: list[date] = []
    begun, total = time.monotonic(), 0
    for day, tables in replay(context, FORECASTING, waiting, settings=settings, frames={BARS.qualified: past.bars}):
        for name, rows in tables.items():
            by_step = name in {FORECASTS.qualified, VOLATILITY.qualified}
            pieces.setdefault(name, []).append(rows.filter(pl.col("step").is_in(steps)) if by_step else rows)
        done.append(day)
        if time.monotonic() - begun >= _PIECE_SECONDS or day == waiting[-1]:
            total += len(done)
            writes = [Append(TABLES[name], pl.concat(frames)) for name, frames in pieces.items()]
            stamped = forecast_dates_frame(context, {one: hashes[one] for one in done}, steps)
            yield Result(
                [*writes, Append(FORECAST_DATES, stamped)],
                f"forecasts from {plural(total, 'date')}, {waiting[0]} to {waiting[-1]}",
            )
            pieces, done, begun = {}, [], time.monotonic()
