"""Find how precisely the prices of a file are written."""

from __future__ import annotations

import numpy as np
import polars as pl

__all__ = ["EVIDENCE", "MOST_DECIMALS", "Precision", "decimals_of", "unit_expression", "unit_of"]

MOST_DECIMALS = 8
"""Largest number of decimals that is told from the noise of a binary fraction."""
_NOISE = 1e-9
"""Largest difference from a whole number, relative to it, that is taken for the noise of a binary fraction."""
EVIDENCE = 20
"""Smallest number of changes from value to value from which it is known with how many decimals all are written."""
_SAMPLE = 1_000
"""Number of values that are looked at first: where they have more than 8 decimals, the others need no look."""


def decimals_of(values: np.ndarray) -> int | None:
    """Return the number of decimals with which all of some numbers can be written; None if it is more than 8.

    Numbers that are not finite are left out; without any other, there are no decimals.

    Examples
    --------
    >>> decimals_of(np.array([1.5, 2.25])), decimals_of(np.array([1 / 3]))
    (2, None)
    """
    left = values[np.isfinite(values)]
    for decimals in range(MOST_DECIMALS + 1):
        scaled = left * 10.0**decimals
        left = left[np.abs(scaled - np.rint(scaled)) > _NOISE * np.abs(scaled)]
        if not left.size:
            return decimals
    return None


def unit_of(values: np.ndarray) -> float:
    """Return the difference between two neighbouring numbers of as many decimals: 0.01 for two; 0 if unknown."""
    decimals = decimals_of(values)
    return 0.0 if decimals is None else 10.0**-decimals


def unit_expression(values: pl.Expr) -> pl.Expr:
    """Return the expression of `unit_of` of some values."""
    return values.map_batches(lambda column: unit_of(column.to_numpy()), pl.Float64, returns_scalar=True)


class Precision:
    """The number of decimals of a column that is read piece by piece."""

    def __init__(self) -> None:
        self._largest: int | None = 0
        self._changes = 0
        self._last: float | None = None

    def add(self, values: pl.Series) -> None:
        """Take a piece of the column into account."""
        known = values.drop_nulls()
        if self._changes < EVIDENCE and known.len():
            self._changes += int((known != known.shift(1)).sum()) + (self._last is not None and known[0] != self._last)
            self._last = known[-1]
        for part in (known.head(_SAMPLE), known):
            if self._largest is None:
                return
            found = decimals_of(part.to_numpy())
            self._largest = None if found is None else max(self._largest, found)

    @property
    def decimals(self) -> int | None:
        """Return the largest number of decimals so far; None if it is more than 8, or there is too little evidence.

        A few prices can end in zeros by chance. Of two decimals both are 0 in one price of a hundred, and the last is 0
        in one of ten, so that for as many changes of the price as EVIDENCE chance is out of the question.
        """
        return self._largest if self._changes >= EVIDENCE else None
