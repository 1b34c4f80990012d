"""Write what the report says in sentences, and list the filters of its templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.age import age
from pm.number_format import day, integer, money, percent, price, ratio, seconds, shares, signed_percent, significant
from pm.plural import first_of, plural
from pm.tables.vocabulary import Action, RunScope, SignalReason, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from pm.report.data import ReportData

__all__ = ["FILTERS", "edges", "joined", "look", "names", "newest_bar", "reached", "stale", "suggested"]

FILTERS: dict[str, Callable[..., str]] = {
    "percent": percent,
    "signed_percent": signed_percent,
    "price": price,
    "money": money,
    "significant": significant,
    "shares": shares,
    "integer": integer,
    "ratio": ratio,
    "seconds": seconds,
    "day": day,
    "plural": plural,
}
"""Filters of the templates, by name."""


def newest_bar(data: ReportData) -> tuple[str, bool]:
    """Return the date and the age of the newest bar in a sentence, and whether it is too old for the present day.

    It is not in a look at another day, which is not about today.
    """
    newest: date | None = data.history["date"].max()  # type: ignore[assignment] # polars knows no types of values
    if newest is None:
        return "There are no bars.", False
    known = f"The newest bar is of {day(newest)}, {age(newest, data.made_on)} when this report was made."
    if data.scope is RunScope.PAST or (data.made_on - newest).days <= data.max_age_days:
        return known, False
    return f"{known} That is more than {plural(data.max_age_days, 'day')}: these signals are not about today.", True


def stale(data: ReportData) -> str | None:
    """Return which tickers' bars are too old for the present day though a vendor is asked for them, in a sentence."""
    if not data.stale:
        return None
    bars = "bar of {} is" if len(data.stale) == 1 else "bars of {} are"
    return (
        f"The last {bars.format(names(sorted(data.stale)))} more than {plural(data.max_age_days, 'day')} old, "
        "although a vendor is asked for newer ones: signals from such bars are not about today. See pm data health."
    )


def look(data: ReportData) -> str | None:
    """Return what the report is about, in a sentence, if it is not the whole watch list as of now."""
    if data.scope is RunScope.WHOLE:
        return None
    tickers = data.quality.height
    if data.scope is RunScope.PART:
        return (
            f"A look at {plural(tickers, 'ticker')}, while {plural(data.watched, 'ticker')} with bars "
            f"{'is' if data.watched == 1 else 'are'} on the watch list."
        )
    return f"A look at another day: as of {day(data.as_of)}, without any later bar."


def suggested(signals: pl.DataFrame) -> str:
    """Return what the signals suggest to do, in a sentence.

    Parameters
    ----------
    signals
        Rows of table `signals`, the most probable gain or loss first.
    """
    if signals.is_empty():
        return "No ticker has a signal."
    buys = signals.filter(action=Action.BUY.value)["ticker"].to_list()
    sells = signals.filter(action=Action.SELL.value)["ticker"].to_list()
    if not buys and not sells:
        return "Every signal is to hold."
    short = bool((signals.filter(pl.col("ticker").is_in(sells))["size"] < 0).any())
    actions = [
        *([f"buy {names(buys)}"] if buys else []),
        *([f"sell {names(sells)}" + ("" if short else " where you hold any")] if sells else []),
    ]
    if held := signals.height - len(buys) - len(sells):
        actions.append(f"hold the other {held:,}" if held > 1 else "hold the other one")
    return f"The signals are to {joined(actions)}."


def reached(signals: pl.DataFrame) -> list[str]:
    """Return what probability a signal needs and which tickers come closest to it or reach it, in sentences.

    Parameters
    ----------
    signals
        Rows of table `signals`, the most probable gain or loss first.
    """
    if signals.is_empty():
        return []
    first: dict[str, Any] = signals.row(0, named=True)
    cost, needed = f"{first['round_trip_cost'] * 100:.6g}%", f"{first['threshold'] * 100:.6g}%"
    gain = signals.sort("probability_gain", "ticker", descending=[True, False]).row(0, named=True)
    loss = signals.sort("probability_loss", "ticker", descending=[True, False]).row(0, named=True)
    sentences = [
        (
            f"BUY needs a probability of {needed} of gaining more than the trading costs of {cost}, SELL one of "
            f"{needed} of losing more than them."
        ),
        (
            f"The highest of gaining is {percent(gain['probability_gain'])} ({gain['ticker']}, by "
            f"{day(gain['target_date'])}), the highest of losing {percent(loss['probability_loss'])} "
            f"({loss['ticker']}, by {day(loss['target_date'])})."
        ),
    ]
    refused = signals.filter(reason=SignalReason.NOT_AMONG_DISCOVERIES.value)["ticker"].to_list()
    if refused:
        reach = "reaches" if len(refused) == 1 else "reach"
        sentences.append(
            f"{names(refused)} {reach} it and {'is' if len(refused) == 1 else 'are'} to hold all the same: among so "
            "many tests, the edge behind it may be luck."
        )
    return sentences


def edges(signals: pl.DataFrame, verdicts: Mapping[str, str]) -> str:
    """Return which tickers have an edge, in a sentence.

    Parameters
    ----------
    signals
        Rows of table `signals`.
    verdicts
        For each ticker, whether its models have an edge: column `verdict` of table `model_weights`.
    """
    found = [ticker for ticker in signals["ticker"] if verdicts.get(ticker) == Verdict.EDGE]
    if not found:
        return "No edge: out of sample, no ticker's models did clearly better than assuming no change."
    acted = signals.filter(pl.col("action") != Action.HOLD.value)["ticker"].to_list()
    known = f"An edge out of sample: {names(sorted(found))}, of {plural(signals.height, 'ticker')}."
    without = [ticker for ticker in acted if ticker not in found]
    if without:
        known += f" No edge behind the signal{'' if len(without) == 1 else 's'} of {names(without)}."
    return known


def names(tickers: Sequence[str], shown: int = 5) -> str:
    """Return tickers in a sentence, those after the first few as a number."""
    return joined(tickers) if len(tickers) <= shown else first_of(tickers, shown)


def joined(items: Sequence[str]) -> str:
    """Return items with commas, and 'and' before the last."""
    return " and ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)
