"""Stage `actions`: dividends and splits that the user tells, or takes back."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError, UnknownTickerError
from pm.pipeline.landing import Landing
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Result
from pm.plural import plural
from pm.sources.names import USER
from pm.tables.sources import RAW_ACTIONS, RAW_BARS, RAW_BATCHES

if TYPE_CHECKING:
    from datetime import date

__all__ = ["adding", "removing"]

_WRITES = (RAW_BARS, RAW_ACTIONS, RAW_BATCHES)
_SAME = 1e-6
"""Relative difference up to which two ratios or amounts are the same."""
_LARGEST_SPLIT = 100_000
"""Largest number of new shares for an old one, or of old ones for a new one."""
_UNLIKELY = 0.25
"""Share of a split's log ratio by which the close must move for the split to be likely."""


def adding(actions: pl.DataFrame, where: str) -> Stage:
    """Return the stage that lands the user's dividends and splits, as one batch.

    Parameters
    ----------
    actions
        Columns of `ACTIONS_SCHEMA`.
    where
        Where they come from, for error messages.
    """
    return Stage("actions", partial(_add, told=actions, where=where), writes=_WRITES, depends=lambda _: None)


def removing(ticker: str, day: date, kind: str | None) -> Stage:
    """Return the stage that takes back what the user told of a day; of both kinds if `kind` is None."""
    compute = partial(_remove, ticker=ticker, day=day, kind=kind)
    return Stage("actions", compute, writes=_WRITES, depends=lambda _: None)


def _add(context: Context, *, told: pl.DataFrame, where: str) -> Result:
    from pm.quality import effective_actions

    tickers = told["ticker"].unique().drop_nulls().to_list()
    # The rows as they landed: the check, which makes bars of them, comes after this stage.
    landed = context.read(RAW_BARS, "close > 0", among={"ticker": tickers})
    bars = landed.sort("fetched_at", "batch_id", "row").unique(["ticker", "date"], keep="last")
    missing = set(tickers) - set(bars["ticker"])
    if missing:
        others = context.rows("SELECT DISTINCT ticker FROM raw.bars WHERE ticker IS NOT NULL")
        raise UnknownTickerError.from_missing(missing, [row["ticker"] for row in others], where=where)
    known = effective_actions(context.read(RAW_ACTIONS, among={"ticker": tickers}))
    seen: dict[tuple[str, date, str], float] = {}
    for action in told.iter_rows(named=True):
        ticker, day, kind, value = (action[name] for name in ("ticker", "date", "kind", "value"))
        if ticker is None:
            raise InputError("An action has no ticker.", where=where, hint="write the ticker in each row")
        what = f"{kind} of {ticker} on {day}"
        own = bars.filter(ticker=ticker).sort("date")
        before = own.filter(pl.col("date") < day).tail(1)
        _require_possible(value, kind, what, where, None if before.is_empty() else before["close"].item())
        _require_bars(own, day, what, where, has_before=not before.is_empty())
        if (ticker, day, kind) in seen:
            raise InputError(f"The {what} is there twice.", where=where, hint="leave one of them out")
        same = known.filter(ticker=ticker, date=day, kind=kind)
        by_user = same.filter(source=USER)
        repeated = same.filter((pl.col("value") / value - 1).abs() <= _SAME)
        if by_user.height or repeated.height:
            first = (by_user if by_user.height else repeated).row(0, named=True)
            source = "you told it" if first["source"] == USER else f"source {first['source']!r} told it"
            raise InputError(
                f"The {what} is known already: {source}, {first['value']:g}.",
                where=where,
                hint=f"see `pm actions list {ticker}`; to change it, remove it first: pm actions remove {ticker} {day}",
            )
        seen[ticker, day, kind] = value
        _warn(context, own, day, value, kind, what)
    landing = Landing(context)
    _land(landing, told)
    return Result(landing.writes(), f"{plural(told.height, 'action')} added")


def _require_possible(value: float | None, kind: str, what: str, where: str, close: float | None) -> None:
    if value is None or not _is_possible(value, kind):
        raise InputError(
            f"The {what} has an impossible {'ratio' if kind == 'split' else 'amount'}: {value}.",
            where=where,
            hint=f"a split is new shares to old ones, as 4:1 or 1:10, at most {_LARGEST_SPLIT:,} for one; a dividend "
            "is an amount per share, as 0.24",
        )
    if kind == "dividend" and close is not None and value >= close:
        raise InputError(
            f"The {what} is {value:g}, not below the close before, {close:g}.",
            where=where,
            hint="write the amount per share, in the currency of the price",
        )


def _is_possible(value: float, kind: str) -> bool:
    if kind == "split":
        return 1 / _LARGEST_SPLIT <= value <= _LARGEST_SPLIT and value != 1
    return math.isfinite(value) and value > 0


def _require_bars(own: pl.DataFrame, day: date, what: str, where: str, *, has_before: bool) -> None:
    if not own.filter(date=day).height:
        near = own.sort((pl.col("date") - pl.lit(day)).abs()).head(2)["date"].sort()
        raise InputError(
            f"The {what} is on a day without a bar.",
            where=where,
            hint=f"name the first day that trades without it; the nearest bars are of {', '.join(map(str, near))}",
        )
    if not has_before:
        raise InputError(
            f"The {what} is on the day of the first bar, so that it changes nothing.",
            where=where,
            hint="leave it out, or import the bars before it",
        )


def _warn(context: Context, own: pl.DataFrame, day: date, value: float, kind: str, what: str) -> None:
    """Tell the user if the adjusted close does not move by a split."""
    if kind != "split":
        return
    moves = own.select("date", move=pl.coalesce("adj_close", "close").log().diff())
    move = moves.filter(date=day)["move"].item()
    if move / -math.log(value) < _UNLIKELY:
        context.notify(
            f"The {what}: the adjusted close moved by {math.expm1(move):+.1%} and not by {1 / value - 1:+.1%}. If the "
            f"prices are adjusted for it already, take it back: pm actions remove {own['ticker'][0]} {day}"
        )


def _remove(context: Context, *, ticker: str, day: date, kind: str | None) -> Result:
    from pm.quality import effective_actions

    known = effective_actions(context.read(RAW_ACTIONS, among={"ticker": [ticker]})).filter(source=USER)
    gone = known.filter(date=day) if kind is None else known.filter(date=day, kind=kind)
    if gone.is_empty():
        there = ", ".join(f"{row['kind']} on {row['date']}" for row in known.iter_rows(named=True))
        raise InputError(
            f"You told no {kind or 'dividend or split'} of {ticker} on {day}.",
            where="table raw.actions",
            hint=f"of {ticker} you told: {there}" if there else "see `pm actions list`",
        )
    landing = Landing(context)
    _land(landing, gone.with_columns(value=pl.lit(None, pl.Float64)))
    return Result(landing.writes(), f"{plural(gone.height, 'action')} removed")


def _land(landing: Landing, actions: pl.DataFrame) -> None:
    from pm.sources import ACTIONS_SCHEMA, Delivery

    delivery = Delivery(iter(()), actions.select(ACTIONS_SCHEMA.names()))
    landing.add(delivery, origin=USER, fingerprint=None)
