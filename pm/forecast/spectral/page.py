"""Page matrices: series divided into segments of equal length, which are the columns of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["MIN_LAGS", "Scaling", "page_matrix", "stacked_pages", "trailing_windows", "unpage", "window_length"]

MIN_LAGS = 2
"""Minimum number of lags of a recurrence: with one lag it cannot follow a wave."""


@dataclass(frozen=True)
class Scaling:
    """Standardisation of a series by the mean and standard deviation of the bars that parameters are estimated on.

    Attributes
    ----------
    centre
        Mean.
    unit
        Standard deviation, or 1 for a constant series, whose scaled values are then all 0.
    """

    centre: float
    unit: float

    @classmethod
    def fit(cls, series: FloatArray) -> Scaling:
        """Compute the scaling of a series, which counts as constant if its deviation is no more than rounding."""
        centre, deviation = float(np.mean(series)), float(np.std(series))
        rounding = 8 * np.finfo(np.float64).eps * float(np.max(np.abs(series)))
        return cls(centre, deviation if deviation > rounding else 1.0)

    def apply(self, series: FloatArray) -> FloatArray:
        """Scale a series to mean 0 and variance 1, so that stacked series have equal weight."""
        return (series - self.centre) / self.unit


def window_length(observations: int) -> int:
    """Return the number L of lags, near √(NT/4), where NT is the number of observations in all series of a stack.

    The Page matrix then has L + 1 rows and about four times as many columns (SAMoSSA, section 3).
    """
    return max(MIN_LAGS, round(float(np.sqrt(observations / 4))))


def page_matrix(series: FloatArray, rows: int) -> FloatArray:
    """Return the Page matrix of a series, shape (rows, T // rows); time runs down each column.

    The matrix is aligned to the end of the series: its last entry is the newest value, and the oldest values that do
    not fill a column are dropped. The matrix of a series shorter than `rows` has no columns.

    Parameters
    ----------
    series
        Shape (T,), oldest first.
    rows
        Number of values in a column: L + 1, the last row being the target of a recurrence over L lags.
    """
    columns = series.size // rows
    return series[series.size - columns * rows :].reshape(columns, rows).T


def stacked_pages(series: Sequence[FloatArray], rows: int) -> FloatArray:
    """Return the Page matrices of several series side by side, shape (rows, sum of their columns).

    Series may differ in length. They should be scaled before: see `Scaling`.

    References
    ----------
    Agarwal, Alomar and Shah (2022), On multivariate singular spectrum analysis and its variants, section 2.
    """
    return np.hstack([page_matrix(values, rows) for values in series])


def unpage(page: FloatArray) -> FloatArray:
    """Return the series of a Page matrix, without the dropped oldest values; shape (rows · columns,)."""
    return page.T.ravel()


def trailing_windows(series: FloatArray, ends: NDArray[np.int64], rows: int) -> FloatArray:
    """Return the `rows` values up to and including each position in `ends`, shape (rows, ends).

    Raises
    ------
    IndexError
        There are fewer than `rows` values up to one of the positions.
    """
    if ends.size and ends.min() < rows - 1:
        raise IndexError(f"a window of {rows} values cannot end at position {ends.min()}")
    positions = ends[None, :] + np.arange(1 - rows, 1)[:, None]
    windows: FloatArray = series[positions]
    return windows
