"""Which tickers a portfolio can hold, in its currency: their rates of exchange, prices and joint scenarios."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.currencies import HUNDREDTHS
from pm.exclusions import Exclusion
from pm.portfolio.currencies import is_rate, rate_of
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import polars as pl

    from pm.currencies import RatePath

__all__ = ["Holdable", "adjusted_prices", "holdable_of", "last_prices"]


@dataclass(frozen=True)
class Holdable:
    """Tickers that can be held: the rate of each that needs one, its unit, and those that are left out.

    Attributes
    ----------
    tickers
        The tickers that can be held, sorted.
    rates
        The rate of each ticker whose prices are in another currency.
    units
        Units of its currency for one unit of a ticker's prices: 0.01 for pence.
    exclusions
        The tickers that cannot be held, each with the reason.
    """

    tickers: tuple[str, ...]
    rates: dict[str, RatePath]
    units: dict[str, float]
    exclusions: list[tuple[str, Exclusion]]


def holdable_of(told: Mapping[str, str], known: Collection[str], base: str) -> Holdable:
    """Return which tickers of the joint model can be held in a currency.

    Parameters
    ----------
    told
        Code of the currency of a ticker's prices, or of its hundredth; one that is not told has the base currency.
    known
        Tickers of the joint model.
    base
        Currency of the portfolio.
    """
    kept, rates, units, excluded = [], {}, {}, []
    for ticker in sorted(known):
        unit = told.get(ticker, base)
        currency = HUNDREDTHS.get(unit, unit)
        units[ticker] = 0.01 if unit in HUNDREDTHS else 1.0
        if is_rate(ticker):
            detail = f"{ticker} is a rate of exchange: it values other tickers, and is not held"
            excluded.append((ticker, Exclusion(Reason.IS_A_RATE, detail)))
            continue
        if currency != base:
            rate = rate_of(currency, base, known)
            if rate is None:
                detail = f"there is no rate of {currency} in {base}; add its bars: pm universe add {currency}{base}=X"
                excluded.append((ticker, Exclusion(Reason.NO_RATE, detail)))
                continue
            rates[ticker] = rate
        kept.append(ticker)
    return Holdable(tuple(kept), rates, units, excluded)


def last_prices(bars: pl.DataFrame, holdable: Holdable) -> dict[str, float]:
    """Return the last close of each ticker in the currency of the portfolio.

    Parameters
    ----------
    bars
        Columns ticker, date and close, by ticker and date.
    """
    from pm.prices import newest_bars_of_each

    newest = newest_bars_of_each(bars)
    closes = dict(zip(newest["ticker"].to_list(), newest["close"].to_list(), strict=True))
    return {
        ticker: closes[ticker] * holdable.units[ticker] * _rate(closes, holdable.rates.get(ticker, ()))
        for ticker in holdable.tickers
        if {ticker, *(rate for rate, _ in holdable.rates.get(ticker, ()))} <= closes.keys()
    }


def adjusted_prices(bars: pl.DataFrame, holdable: Holdable) -> dict[str, float]:
    """Return the last adjusted close of each ticker, times its rate: only ratios of them have a meaning.

    Parameters
    ----------
    bars
        Columns ticker, date, close and adj_factor, by ticker and date.
    """
    from pm.prices import adjusted_close

    latest = bars.group_by("ticker", maintain_order=True).agg(adjusted_close().last())
    closes = dict(latest.iter_rows())
    return {
        ticker: closes[ticker] * _rate(closes, holdable.rates.get(ticker, ()))
        for ticker in holdable.tickers
        if {ticker, *(rate for rate, _ in holdable.rates.get(ticker, ()))} <= closes.keys()
    }


def _rate(closes: Mapping[str, float], path: RatePath) -> float:
    return math.prod(1 / closes[ticker] if inverted else closes[ticker] for ticker, inverted in path)
