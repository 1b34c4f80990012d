"""Format numbers and dates for the report, and for texts that are shown in it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from pm.price_format import price_specification

if TYPE_CHECKING:
    from datetime import date

__all__ = [
    "MINUS",
    "MISSING",
    "day",
    "integer",
    "money",
    "percent",
    "price",
    "ratio",
    "seconds",
    "shares",
    "signed_percent",
    "significant",
]

Number = float | int | None

MISSING = "–"
"""Text in place of a number that is missing or not finite (an en dash)."""
MINUS = "−"
"""The minus sign, which is as wide as a digit; a hyphen is not."""


def _is_number(value: Number) -> bool:
    return value is not None and math.isfinite(value)


def percent(value: Number, digits: int = 1) -> str:
    """Format 0.1234 as '12.3%'."""
    return f"{value:.{digits}%}".replace("-", MINUS) if value is not None and _is_number(value) else MISSING


def signed_percent(value: Number, digits: int = 1) -> str:
    """Format 0.1234 as '+12.3%'. A value that rounds to zero has no sign."""
    if value is None or not _is_number(value):
        return MISSING
    text = f"{value:+.{digits}%}"
    return text.lstrip("+-") if float(text.rstrip("%")) == 0 else text.replace("-", MINUS)


def price(value: Number) -> str:
    """Format 1430.468 as '1,430.47' and 1.1234 as '1.1234'."""
    return format(value, price_specification(value)) if value is not None and _is_number(value) else MISSING


def money(value: Number) -> str:
    """Format -1234.5 as '−1,234.50'."""
    return f"{value:,.2f}".replace("-", MINUS) if value is not None and _is_number(value) else MISSING


def shares(value: Number) -> str:
    """Format 1200.500000000 as '1,200.5': without zeros at its end."""
    return f"{Decimal(str(value)).normalize():,f}".replace("-", MINUS) if _is_number(value) else MISSING


def integer(value: Number) -> str:
    """Format 1234567 as '1,234,567'."""
    return f"{value:,.0f}" if value is not None and _is_number(value) else MISSING


def significant(value: Number) -> str:
    """Format 0.123456 as '0.1235': four significant digits."""
    return f"{value:.4g}".replace("-", MINUS) if value is not None and _is_number(value) else MISSING


def ratio(value: Number) -> str:
    """Format 0.987 as '0.99'."""
    return f"{value:.2f}" if value is not None and _is_number(value) else MISSING


def seconds(value: Number) -> str:
    """Format 0.0123 as '0.01 s' and 75.4 as '1 min 15 s'."""
    if value is None or not _is_number(value):
        return MISSING
    if value < 60:
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"


def day(value: date | None) -> str:
    """Format a date as '1 March 2013'."""
    return f"{value.day} {value:%B %Y}" if value is not None else MISSING
