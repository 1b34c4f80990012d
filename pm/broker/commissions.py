"""The commission of a trade, as config/broker.yml sets it: in the base currency of the account."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from pm.settings.broker import BrokerSettings

__all__ = ["commission"]


def commission(shares: Decimal, base_price: Fraction, settings: BrokerSettings) -> Fraction:
    """Return the commission of a trade in the base currency: for each share and of the value, or the minimum if larger.

    Parameters
    ----------
    shares
        Number of shares, positive.
    base_price
        Price per share in the base currency.
    """
    by_share = Fraction(shares) * Fraction(str(settings.commission_per_share))
    by_value = Fraction(shares) * base_price * Fraction(str(settings.commission_rate))
    return max(by_share + by_value, Fraction(str(settings.commission_minimum)))
