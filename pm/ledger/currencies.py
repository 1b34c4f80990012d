"""Rates of exchange between currencies, which are closes of bars like any other."""

from __future__ import annotations

import math
from bisect import bisect_right
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from pm.currencies import HUNDREDTHS, RateOf, rate_paths
from pm.errors import InputError
from pm.ledger.money import rate as rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

__all__ = ["Rates"]


class Rates:
    """Rates of exchange into one currency.

    Parameters
    ----------
    base
        The currency.
    closes
        For the tickers of rates, days and closes, sorted by day.
    """

    def __init__(self, base: str, closes: Mapping[str, Sequence[tuple[date, float]]]) -> None:
        self.base = base
        self._closes = closes

    def _close(self, leg: RateOf, day: date) -> Decimal:
        """Return the last close up to a day, or its inverse."""
        ticker, inverted = leg
        rows = self._closes[ticker]
        close = Decimal(repr(float(rows[bisect_right(rows, day, key=lambda row: row[0]) - 1][1])))
        return 1 / close if inverted else close

    def ratio(self, currency: str, other: str, day: date) -> Fraction:
        """Return units of `other` for one of `currency`, of the last closes up to a day: 100 for pounds in pence.

        Raises
        ------
        InputError
            There is no rate of one of them up to that day.
        """
        (whole, unit), (other_whole, other_unit) = _whole(currency), _whole(other)
        if whole == other_whole:
            return Fraction(unit) / Fraction(other_unit)
        return Fraction(self.rate(currency, day)) / Fraction(self.rate(other, day))

    def has(self, currency: str, day: date) -> bool:
        """Return whether the rate of a currency is known on a day."""
        try:
            self.rate(currency, day)
        except InputError:
            return False
        return True

    def rate(self, currency: str, day: date) -> Decimal:
        """Return units of the base currency for one of `currency`, of the last close up to a day.

        Raises
        ------
        InputError
            There is no rate of the currency up to that day.
        """
        currency, unit = _whole(currency)
        if currency == self.base:
            return unit
        known = {ticker for ticker, rows in self._closes.items() if rows and rows[0][0] <= day}
        for path in rate_paths(currency, self.base, known):
            return rounded(math.prod((self._close(leg, day) for leg in path), start=unit))
        pair = f"{currency}{self.base}"
        raise InputError(
            f"There is no rate of {currency} in {self.base} up to {day}.",
            where="table bars",
            hint=f"add its bars: pm universe add {pair}=X, or import a file with ticker {pair}",
        )


def _whole(currency: str) -> tuple[str, Decimal]:
    """Return the code of a currency or of that of which it is a hundredth, and how much of it a unit is."""
    return (HUNDREDTHS[currency], Decimal("0.01")) if currency in HUNDREDTHS else (currency, Decimal(1))
