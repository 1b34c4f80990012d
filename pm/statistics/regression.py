"""Least squares with standard errors that allow for heteroskedasticity and autocorrelation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["Regression", "newey_west_lags", "regress"]


@dataclass(frozen=True)
class Regression:
    """Result of a regression y = X·b + e with a constant.

    Attributes
    ----------
    coefficients
        The constant, then the slope of each column.
    errors
        Newey-West standard errors of the coefficients.
    r_squared
        Share of the variance of y that X explains.
    residual_variance
        Σe² / (n − k), with k coefficients.
    observations
        Number of rows n.
    """

    coefficients: FloatArray
    errors: FloatArray
    r_squared: float
    residual_variance: float
    observations: int


def newey_west_lags(observations: int) -> int:
    """Return ⌊4·(n/100)^(2/9)⌋, the number of lags of Newey and West (1994)."""
    return int(4.0 * (observations / 100.0) ** (2.0 / 9.0))


def regress(y: FloatArray, x: FloatArray, *, lags: int, correct: bool = True) -> Regression:
    """Regress y on the columns of x and a constant.

    Parameters
    ----------
    y
        Shape (rows,).
    x
        Shape (rows, columns), without a constant; the columns are not collinear.
    lags
        Number of lags of the autocovariances in the errors, with Bartlett's weights 1 − l/(lags + 1); 0 allows for
        heteroskedasticity alone.
    correct
        Whether the errors are multiplied by √(n/(n − k)).

    Raises
    ------
    ValueError
        There are no more rows than coefficients.

    References
    ----------
    Newey and West (1987), A simple, positive semi-definite, heteroskedasticity and autocorrelation consistent
    covariance matrix, Econometrica 55.
    """
    design = np.column_stack([np.ones(len(y)), x])
    rows, columns = design.shape
    if rows <= columns:
        raise ValueError(f"{rows} rows do not suffice for {columns} coefficients")
    # The pseudo-inverse gives collinear columns the shortest coefficients, instead of an error.
    inverse = np.linalg.pinv(design.T @ design)
    coefficients = inverse @ design.T @ y
    residuals = y - design @ coefficients
    scores = design * residuals[:, np.newaxis]
    meat = scores.T @ scores
    for lag in range(1, min(lags, rows - 1) + 1):
        product = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (product + product.T)
    covariance = inverse @ meat @ inverse * (rows / (rows - columns) if correct else 1.0)
    total = float(np.sum((y - y.mean()) ** 2))
    squares = float(residuals @ residuals)
    return Regression(
        coefficients,
        np.sqrt(np.maximum(np.diag(covariance), 0.0)),
        1.0 - squares / total if total else 0.0,
        squares / (rows - columns),
        rows,
    )
