"""Value tickers of several currencies in one, with rates that are closes of bars like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.currencies import CURRENCIES, rate_paths
from pm.risk.scenarios import Scenarios

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pm.currencies import RatePath
    from pm.typing import FloatArray

__all__ = ["in_base_currency", "is_rate", "rate_of", "to_base_currency"]

_LETTERS = 6
"""Letters of a ticker of a rate: two codes of currencies."""


def is_rate(ticker: str) -> bool:
    """Return whether a ticker is a rate between two currencies, spelt EURUSD=X or EURUSD, whoever uses them."""
    pair = ticker.removesuffix("=X")
    return len(pair) == _LETTERS and pair[:3] != pair[3:] and {pair[:3], pair[3:]} <= CURRENCIES


def rate_of(currency: str, base: str, tickers: Collection[str]) -> RatePath | None:
    """Return the tickers of the rate from a currency into the base currency; None if there are none.

    Parameters
    ----------
    currency
        Currency, not a hundredth of one, and not the base currency.
    base
        Base currency.
    tickers
        Tickers that have bars.
    """
    return next(iter(rate_paths(currency, base, tickers)), None)


def in_base_currency(scenarios: Scenarios, rates: Mapping[str, RatePath]) -> Scenarios:
    """Return scenarios in which each ticker's return is that in the base currency.

    A ticker's return is (1 + its own return) × (1 + the return of its rate) − 1, of the same scenario: the rate is part
    of the risk. A rate that is the product of two has the returns of both.

    Parameters
    ----------
    scenarios
        Scenarios of the tickers, each in its own currency, and of the tickers of the rates.
    rates
        The rate of each ticker; those of the base currency have none.
    """
    place_of = {ticker: place for place, ticker in enumerate(scenarios.tickers)}
    returns = scenarios.returns.copy()
    for ticker, path in rates.items():
        grown = 1 + returns[:, place_of[ticker]]
        for rate, inverted in path:
            moved = 1 + scenarios.returns[:, place_of[rate]]
            grown = grown / moved if inverted else grown * moved
        returns[:, place_of[ticker]] = grown - 1
    return Scenarios(scenarios.tickers, scenarios.horizon, np.asarray(returns), scenarios.probabilities)


def to_base_currency(tickers: Sequence[str], rates: Mapping[str, RatePath]) -> FloatArray:
    """Return the matrix that takes log returns of tickers to those in the base currency.

    A ticker's log return in the base currency is its own plus that of its rate, or less that of the inverse.

    Parameters
    ----------
    tickers
        Tickers, those of the rates among them.
    rates
        The rate of each ticker; those of the base currency have none.

    Returns
    -------
    Shape (tickers, tickers), each row for a ticker in the base currency.
    """
    place_of = {ticker: place for place, ticker in enumerate(tickers)}
    matrix = np.eye(len(tickers))
    for ticker, path in rates.items():
        for rate, inverted in path:
            matrix[place_of[ticker], place_of[rate]] += -1.0 if inverted else 1.0
    return matrix
