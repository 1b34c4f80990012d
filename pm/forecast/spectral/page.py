"""Page matrices: a series cut into pieces of equal length, laid side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["FEWEST_LAGS", "Scaling", "page_matrix", "stacked_pages", "trailing_windows", "unpage", "window_length"]

FEWEST_LAGS = 2
"""With fewer a recurrence holds no wave."""


@dataclass(frozen=True)
class Scaling:
    """The centre and the unit of a series, both taken from the bars that parameters are estimated on.

    Attributes
    ----------
    centre
        Mean.
    unit
        Standard deviation; 1 where the series is constant, which then is all zeros.
    """

    centre: float
    unit: float

    @classmethod
    def of(cls, series: FloatArray) -> Scaling:
        """Measure a series; a spread that is only rounding counts as none."""
        centre, spread = float(np.mean(series)), float(np.std(series))
        rounding = 8 * np.finfo(np.float64).eps * float(np.max(np.abs(series)))
        return cls(centre, spread if spread > rounding else 1.0)

    def apply(self, series: FloatArray) -> FloatArray:
        """Bring a series to mean 0 and unit variance, so that in a stack none outweighs the others."""
        return (series - self.centre) / self.unit


def window_length(observations: int) -> int:
    """Give L near √(NT/4), the number of lags for `observations` = NT values in all the series of a stack.

    The matrix then has L + 1 rows, and about four times as many columns (SAMoSSA, section 3).
    """
    return max(FEWEST_LAGS, round(float(np.sqrt(observations / 4))))


def page_matrix(series: FloatArray, rows: int) -> FloatArray:
    """Give the Page matrix of a series, shape (rows, T // rows), time running down each column.

    It is aligned to the END of the series: its last entry is the newest value, and the remainder that fills no column
    is dropped from the oldest. A series shorter than `rows` has no columns.

    Parameters
    ----------
    series
        Shape (T,), oldest first.
    rows
        Values a column: L + 1, where the last row is the target of a recurrence over L lags.
    """
    columns = series.size // rows
    return series[series.size - columns * rows :].reshape(columns, rows).T


def stacked_pages(series: Sequence[FloatArray], rows: int) -> FloatArray:
    """Give the Page matrices of several series side by side, shape (rows, columns of all).

    Series may differ in length. None is scaled here: see `Scaling`.

    References
    ----------
    Agarwal, Alomar and Shah (2022), On multivariate singular spectrum analysis and its variants, section 2.
    """
    return np.hstack([page_matrix(values, rows) for values in series])


def unpage(page: FloatArray) -> FloatArray:
    """Give the series that a Page matrix was made of, without the dropped remainder: shape (rows · columns,)."""
    return page.T.ravel()


def trailing_windows(series: FloatArray, ends: NDArray[np.int64], rows: int) -> FloatArray:
    """Give the `rows` values up to and including each position of `ends`, shape (rows, ends).

    Raises
    ------
    IndexError
        Fewer than `rows` values lie before one of the ends.
    """
    if ends.size and ends.min() < rows - 1:
        raise IndexError(f"a window of {rows} values cannot end at position {ends.min()}")
    places = ends[None, :] + np.arange(1 - rows, 1)[:, None]
    windows: FloatArray = series[places]
    return windows
