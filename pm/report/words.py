"""Write the headline of the report and what it is about, and list the filters of its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.age import age
from pm.number_format import day, integer, money, percent, price, ratio, seconds, shares, signed_percent, significant
from pm.plural import first_of, plural
from pm.tables.vocabulary import Action, RunScope, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    import polars as pl

    from pm.report.data import ReportData

__all__ = ["FILTERS", "headline", "look", "newest_bar", "stale"]

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
"""Filters of the template, by name."""


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
        f"The last {bars.format(_names(sorted(data.stale)))} more than {plural(data.max_age_days, 'day')} old, "
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


def headline(signals: pl.DataFrame, verdicts: Mapping[str, str]) -> list[str]:
    """Summarise the signals in one to four sentences.

    Parameters
    ----------
    signals
        Rows of table `signals`, the most probable gain or loss first.
    verdicts
        For each ticker, whether its models have an edge: column `verdict` of table `model_weights`.
    """
    if signals.is_empty():
        return ["No ticker has a signal. Below is a list of the tickers that were left out, and why."]
    buys = signals.filter(signals["action"] == Action.BUY.value)["ticker"].to_list()
    sells = signals.filter(signals["action"] == Action.SELL.value)["ticker"].to_list()
    first: dict[str, Any] = signals.row(0, named=True)
    cost = f"{first['round_trip_cost'] * 100:.6g}%"
    gain, loss = first["probability_gain"], first["probability_loss"]
    strongest = (
        f"{first['ticker']}, with a probability of {percent(max(gain, loss))} of "
        f"{'gaining' if gain >= loss else 'losing'} more than {cost} by {day(first['target_date'])}."
    )
    if not buys and not sells:
        if max(gain, loss) >= first["threshold"]:  # both are one half, and so is the threshold
            return ["Every signal is to hold."]
        likely = f"{first['threshold'] * 100:.6g}% likely"
        return [
            (
                f"Every signal is to hold: no ticker is {likely} to gain more than the trading costs of {cost}, and "
                f"none is {likely} to lose more than them."
            ),
            f"Closest is {strongest}",
        ]
    actions = []
    if buys:
        actions.append(f"buy {_names(buys)}")
    if sells:
        short = bool((signals.filter(signals["ticker"].is_in(sells))["size"] < 0).any())
        actions.append(f"sell {_names(sells)}" + ("" if short else " where you hold any"))
    if held := signals.height - len(buys) - len(sells):
        actions.append(f"hold the other {held:,}" if held > 1 else "hold the other one")
    sentences = [f"The signals are to {_joined(actions)}.", f"The strongest signal is {strongest}"]
    if unproven := [ticker for ticker in (*buys, *sells) if verdicts.get(ticker) != Verdict.EDGE]:
        whose = _names(unproven) if len(unproven) < len(buys) + len(sells) else "any of them"
        sentences.append(
            f"There is no edge behind {whose}: out of sample, the models did not do significantly better than assuming "
            "no change."
        )
    if (gross := float(signals["size"].abs().sum())) > 0:
        sentences.append(
            "The size of each position is computed for its ticker alone, whatever else you hold; all of them together "
            f"are {percent(gross, 0)} of equity."
        )
    return sentences


def _names(tickers: Sequence[str], shown: int = 5) -> str:
    return _joined(tickers) if len(tickers) <= shown else first_of(tickers, shown)


def _joined(items: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(items[:-1]), items[-1]) if part)
