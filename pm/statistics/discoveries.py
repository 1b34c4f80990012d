"""Control the share of false discoveries among many tests (Benjamini and Hochberg 1995)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray

__all__ = ["q_values"]


def q_values(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """Return the adjusted p-values of Benjamini and Hochberg, in the order given.

    Rejecting every test whose adjusted p-value is at most q keeps the expected share of false rejections among all
    rejections at or below q, if the tests are independent or positively dependent.

    Parameters
    ----------
    p_values
        p-value of each test, between 0 and 1, shape (tests,).

    Raises
    ------
    ValueError
        A p-value is missing, or not between 0 and 1.

    References
    ----------
    Benjamini, Y. and Hochberg, Y. (1995), Controlling the False Discovery Rate, Journal of the Royal Statistical
    Society B 57(1), 289-300.

    Examples
    --------
    >>> q_values([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not bool(np.all((values >= 0) & (values <= 1))):
        raise ValueError("a p-value is missing, or not between 0 and 1")
    count = len(values)
    order = np.argsort(values, kind="stable")
    scaled = values[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted
