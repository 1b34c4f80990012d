"""What is held today, as weights: of an account, or of a model portfolio that follows its targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

__all__ = ["MODEL", "Held", "drifted_weights", "held_of_account"]

MODEL = "model"
"""Name of the portfolio where there is no account."""


@dataclass(frozen=True)
class Held:
    """A portfolio before trading.

    Attributes
    ----------
    portfolio
        Name of the account, or `MODEL`.
    currency
        Currency that it is valued in.
    equity
        Value of all positions and of the cash.
    weights
        Value of each position as a share of equity, at today's prices; empty if nothing is held.
    shares
        Number of shares of each position; empty where it is not known.
    problem
        Why the value of the portfolio is not known, as a sentence; None if it is. Nothing is traded then.
    """

    portfolio: str
    currency: str
    equity: float
    weights: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, Decimal] = field(default_factory=dict)
    problem: str | None = None


def drifted_weights(weights: Mapping[str, float], growth: Mapping[str, float]) -> dict[str, float]:
    """Return what weights have become since prices moved; the rest of the portfolio is cash, which stays.

    Parameters
    ----------
    weights
        Weights then, by ticker.
    growth
        Ratio of the price today to the price then, dividends included, by ticker; a ticker without one has not moved.

    Returns
    -------
    Weights today; empty if nothing is left of the portfolio.

    Examples
    --------
    >>> drifted_weights({"A": 0.5}, {"A": 2.0})
    {'A': 0.6666666666666666}
    """
    values = {ticker: weight * growth.get(ticker, 1.0) for ticker, weight in weights.items()}
    total = 1.0 - sum(weights.values()) + sum(values.values())
    if not np.isfinite(total) or total <= 0:
        return {}
    return {ticker: value / total for ticker, value in values.items()}


def held_of_account(
    name: str,
    currency: str,
    cash: Decimal,
    shares: Mapping[str, Decimal],
    prices: Mapping[str, float],
) -> Held:
    """Return what an account holds.

    Parameters
    ----------
    name, currency
        Name and base currency of the account.
    cash
        Cash in the base currency.
    shares
        Number of shares of each position; negative for a short one.
    prices
        Price of one share in the base currency, by ticker.
    """
    unknown = sorted(t for t in shares if not np.isfinite(prices.get(t, float("nan"))) or prices[t] <= 0)
    if unknown:
        why = f"there is no price, in {currency}, of {', '.join(unknown)}, which the account holds"
        return Held(name, currency, float("nan"), {}, shares, why)
    values = {ticker: float(count) * prices[ticker] for ticker, count in shares.items()}
    equity = float(cash) + sum(values.values())
    if not equity > 0:
        why = f"the equity of the account is {equity:,.2f} {currency}, which is not positive"
        return Held(name, currency, equity, {}, shares, why)
    return Held(name, currency, equity, {ticker: value / equity for ticker, value in values.items()}, shares)
