"""Read in which currencies prices are, and so which tickers a portfolio can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.pipeline.rates import rates_between
from pm.portfolio.holdable import holdable_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pm.pipeline.stage import Context
    from pm.portfolio.held import Held
    from pm.portfolio.holdable import Holdable

__all__ = ["currencies_told", "holdable_tickers", "rates_needed"]

_CURRENCIES = "SELECT ticker, currency FROM universe WHERE currency IS NOT NULL ORDER BY ticker"


def currencies_told(context: Context) -> dict[str, str]:
    """Return the code of the currency of each ticker's prices, of those tickers of which it is known."""
    return {row["ticker"]: row["currency"] for row in context.known_rows(_CURRENCIES, ())}


def rates_needed(context: Context, held: Collection[Held]) -> set[str]:
    """Return the tickers of the rates between what accounts hold, or can hold, and their currencies.

    They are those that have bars, on the watch list or not: a rate is a part of the risk of what it values. Without an
    account the currency is that of the settings. The stage declares that it reads BARS and UNIVERSE.
    """
    told = set(currencies_told(context).values())
    bases = [(one.currency, {*told, *one.currencies.values()}) for one in held]
    units = [(unit, base) for base, own in bases or [(context.settings.portfolio.currency, told)] for unit in own]
    return rates_between(context.known_rows, units)


def holdable_tickers(context: Context, known: Collection[str], base: str, held: Iterable[Held] = ()) -> Holdable:
    """Return which tickers of the joint model can be held in a currency; see `holdable_of`.

    A ticker whose currency the watch list does not tell has that in which it is held.
    """
    in_ledger = {ticker: currency for one in held for ticker, currency in one.currencies.items()}
    return holdable_of(in_ledger | currencies_told(context), known, base)
