"""Units of prices, and the tickers whose closes are rates of exchange."""

from __future__ import annotations

__all__ = ["HUNDREDTHS", "RateOf", "tickers_of_rate"]

HUNDREDTHS = {"GBp": "GBP", "GBX": "GBP", "ZAc": "ZAR", "ILA": "ILS"}
"""Units of prices that are a hundredth of a currency."""

RateOf = tuple[str, bool]
"""The ticker whose close is a rate, and whether it is the inverse of the one that is wanted."""


def tickers_of_rate(currency: str, base: str) -> list[RateOf]:
    """Return the tickers whose close is a rate, the best first, each with whether it is the inverse.

    EURUSD=X is how Yahoo spells units of USD for one EUR; EURUSD is how files do.
    """
    return [
        (f"{currency}{base}=X", False),
        (f"{currency}{base}", False),
        (f"{base}{currency}=X", True),
        (f"{base}{currency}", True),
    ]
