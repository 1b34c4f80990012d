"""Turn weights into numbers of shares that can be held."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SMALLEST_FRACTION", "whole_shares"]

SMALLEST_FRACTION = Decimal("0.000001")
"""Fraction of a share to which positions are rounded where fractions can be held."""


def whole_shares(
    weights: Mapping[str, float],
    prices: Mapping[str, float],
    *,
    equity: float,
    lot: Decimal,
    largest: float = math.inf,
) -> dict[str, Decimal]:
    """Return the number of shares of each ticker that comes nearest to its weight without costing more than all weigh.

    Every number is rounded towards 0 to a multiple of the lot. What that leaves of the money buys one more lot of the
    long positions that lost most of theirs by the rounding, as long as it lasts, and as none grows beyond the largest
    weight.

    Parameters
    ----------
    weights
        Weight by ticker; negative for a short position.
    prices
        Price of one share in the currency of the equity, by ticker, positive.
    equity
        Value of the portfolio.
    lot
        Smallest number of shares that can be held, and of which all numbers are multiples.
    largest
        Largest weight of a position that has an additional lot; 0 for no additional lots.
    """
    exact = {ticker: Decimal(repr(weight * equity / prices[ticker])) for ticker, weight in weights.items()}
    rounded = {t: (number / lot).to_integral_value(ROUND_DOWN) * lot for t, number in exact.items()}
    left = sum(float(exact[t] - rounded[t]) * prices[t] for t in weights if weights[t] > 0)
    lost = {t: float((exact[t] - rounded[t]) / lot) for t in weights if weights[t] > 0}
    for ticker in sorted(lost, key=lambda t: (-lost[t], t)):
        price = prices[ticker] * float(lot)
        fits = float(rounded[ticker] + lot) * prices[ticker] <= largest * equity * (1 + 1e-12)
        if lost[ticker] >= 0.5 and price <= left and fits:
            rounded[ticker] += lot
            left -= price
    return rounded
