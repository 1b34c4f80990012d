"""Format prices for the command line and the report."""

from __future__ import annotations

import math

__all__ = ["price_specification"]

_SIGNIFICANT = 5
"""Significant digits of a price below 1."""


def price_specification(price: float) -> str:
    """Return the format specification for prices of the size of this one.

    Prices from 10 on have two decimals, prices from 1 to 10 four, as currencies are quoted, and prices below 1 five
    significant digits, with an exponent below 0.000001.

    Parameters
    ----------
    price
        A finite price.

    Examples
    --------
    >>> format(1430.468, price_specification(1430.468))
    '1,430.47'
    >>> format(0.0123456, price_specification(0.0123456))
    '0.012346'
    """
    size = abs(price)
    if size >= 10 or size == 0:
        return ",.2f"
    if size >= 1:
        return ".4f"
    if size < 1e-6:
        return f".{_SIGNIFICANT}g"
    return f".{_SIGNIFICANT - 1 - math.floor(math.log10(size))}f"
