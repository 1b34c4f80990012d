"""How a price is written, on the command line and in the report."""

from __future__ import annotations

import math

__all__ = ["price_specification"]

_SIGNIFICANT = 5


def price_specification(price: float) -> str:
    """Give the format specification for prices near this one, which must be finite: ',.2f' from 10 on.

    From 1 to 10 there are four decimals, as currencies are quoted, and below 1 five significant digits; a price too
    small to be read with its zeros has an exponent.
    """
    size = abs(price)
    if size >= 10 or size == 0:
        return ",.2f"
    if size >= 1:
        return ".4f"
    if size < 1e-6:
        return f".{_SIGNIFICANT}g"
    return f".{_SIGNIFICANT - 1 - math.floor(math.log10(size))}f"
