"""Exact decimals: money, shares, prices and rates of exchange, rounded as the ledger stores them."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction

from pm.errors import InputError

__all__ = ["LARGEST", "ZERO", "decimal_of", "money", "price", "quantity", "rate", "ratio_of", "share_of", "whole"]

ZERO = Decimal(0)
LARGEST = Decimal(10) ** 9
"""Largest number of shares, and largest price: columns of the ledger hold no more digits."""
_MONEY, _QUANTITY, _PRICE = Decimal("0.0001"), Decimal("0.000000001"), Decimal("0.000001")


def money(value: Decimal | Fraction) -> Decimal:
    """Return an amount of money rounded to a hundredth of a cent, halves to the even digit."""
    return _rounded(value, _MONEY)


def quantity(value: Decimal | Fraction) -> Decimal:
    """Return a number of shares rounded to 9 decimals, halves to the even digit."""
    return _rounded(value, _QUANTITY)


def price(value: Decimal | Fraction) -> Decimal:
    """Return a price rounded to 6 decimals, halves to the even digit."""
    return _rounded(value, _PRICE)


def rate(value: Decimal | Fraction) -> Decimal:
    """Return a rate of exchange rounded to 9 decimals, halves to the even digit."""
    return _rounded(value, _QUANTITY)


def whole(value: Decimal) -> Decimal:
    """Return a number of shares without its fraction, rounded towards zero."""
    return value.quantize(Decimal(1), ROUND_DOWN)


def share_of(amount: Decimal, part: Decimal, total: Decimal) -> Decimal:
    """Return the share `part / total` of an amount of money, rounded as money is."""
    return money(Fraction(amount) * Fraction(part) / Fraction(total))


def decimal_of(value: object, *, name: str, where: str = "") -> Decimal:
    """Return a number that a user or a broker wrote as an exact decimal.

    A float is read as the shortest text that stands for it: 0.1 is one tenth.

    Raises
    ------
    InputError
        It is no number, not finite, or too large for the ledger.
    """
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    except InvalidOperation:
        raise InputError(f"The {name} is no number: {str(value)[:40]!r}.", where=where, hint="write 12.5") from None
    if not number.is_finite() or abs(number) >= LARGEST * 10_000:
        raise InputError(f"The {name} is not a possible number: {value}.", where=where, hint="write it again")
    return number


def ratio_of(value: float) -> Fraction:
    """Return a split's ratio as a fraction: 0.3333333 is 1/3, since no split has a denominator above 100,000."""
    return Fraction(value).limit_denominator(100_000)


def _rounded(value: Decimal | Fraction, step: Decimal) -> Decimal:
    if isinstance(value, Fraction):
        steps = Fraction(value) / Fraction(step)
        return Decimal(round(steps)) * step  # Python rounds halves of a fraction to even, exactly
    return value.quantize(step, ROUND_HALF_EVEN)
