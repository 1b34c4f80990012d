"""What a series of returns made: total and annual return, volatility, ratios, and drawdowns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.sessions import SESSIONS_PER_YEAR

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["Drawdown", "Performance", "deepest_drawdowns", "drawdowns", "performance"]


@dataclass(frozen=True)
class Performance:
    """Measures of a series of simple returns; a measure that is not defined is NaN.

    Attributes
    ----------
    observations
        Number of returns.
    total_return
        Product of 1 + return, less 1.
    annual_return
        Total return per year of 252 observations, compounded.
    annual_volatility
        Standard deviation (n − 1), times √252.
    sharpe
        Mean return over the standard deviation, times √252. Without variance it is not defined, and not 0.
    sortino
        Mean return over the downside deviation, times √252.
    downside
        Downside deviation per year: root of the mean over all observations of the squared negative returns.
    max_drawdown
        Largest fall from a highest value, as a share; 0 or negative.
    calmar
        Annual return over the size of the largest drawdown.
    omega
        Sum of the gains over the size of the sum of the losses.
    tail_ratio
        Size of the 95% quantile over that of the 5% quantile.
    ulcer
        Root mean square of the drawdowns, that of the value before the first return (0) included.
    """

    observations: int
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float
    sortino: float
    downside: float
    max_drawdown: float
    calmar: float
    omega: float
    tail_ratio: float
    ulcer: float


@dataclass(frozen=True)
class Drawdown:
    """A fall from a highest value to the day on which that value is reached again.

    Attributes
    ----------
    depth
        Fall at the lowest value, as a share; negative.
    peak, valley
        Positions of the highest value and of the lowest after it; −1 for the value before the first return.
    recovered
        Position of the first return that reaches the highest value again; None if none has.
    """

    depth: float
    peak: int
    valley: int
    recovered: int | None


def drawdowns(returns: FloatArray) -> FloatArray:
    """Return how far each value is below the highest one up to it, as a share: 0 or negative, shape (observations,).

    The value before the first return counts as one to fall from.
    """
    growth = np.cumprod(1 + returns)
    highest = np.maximum.accumulate(np.maximum(growth, 1.0)) if len(growth) else growth
    return growth / highest - 1


def deepest_drawdowns(returns: FloatArray, count: int = 5) -> list[Drawdown]:
    """Return the deepest drawdowns that do not overlap, deepest first."""
    falls = drawdowns(returns)
    found: list[Drawdown] = []
    below = falls < 0
    starts = np.flatnonzero(below & ~np.concatenate([[False], below[:-1]]))
    for start in starts:
        after = np.flatnonzero(~below[start:])
        end = int(start + after[0]) if len(after) else None
        valley = int(start + falls[start:end].argmin())
        found.append(Drawdown(float(falls[valley]), int(start) - 1, valley, end))
    return sorted(found, key=lambda fall: fall.depth)[:count]


def performance(returns: FloatArray) -> Performance:
    """Return the measures of a series of simple returns per session.

    Parameters
    ----------
    returns
        Shape (observations,), all finite.

    Notes
    -----
    The Sharpe ratio is of returns as they are: pass returns less those of cash or of a benchmark for the ratio over it.
    The downside deviation is over all observations, and not over the negative ones alone.
    """
    n = len(returns)
    nan = float("nan")
    if not n:
        return Performance(0, *(nan,) * 11)
    growth = float(np.prod(1 + returns))
    annual = growth ** (SESSIONS_PER_YEAR / n) - 1 if growth > 0 else -1.0
    root = math.sqrt(SESSIONS_PER_YEAR)
    mean = float(returns.mean())
    deviation = float(returns.std(ddof=1)) if n > 1 else nan
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    falls = drawdowns(returns)
    deepest = float(falls.min())
    losses = -float(np.minimum(returns, 0.0).sum())
    low = abs(float(np.quantile(returns, 0.05)))
    smallest = 1e-9 * float(np.abs(returns).max())
    return Performance(
        n,
        growth - 1,
        annual,
        deviation * root,
        mean / deviation * root if deviation > smallest else nan,
        mean / downside * root if downside > smallest else nan,
        downside * root,
        deepest,
        annual / -deepest if deepest < 0 else nan,
        float(np.maximum(returns, 0.0).sum()) / losses if losses > 0 else nan,
        abs(float(np.quantile(returns, 0.95))) / low if low > 0 else nan,
        math.sqrt(float((falls**2).sum()) / (n + 1)),
    )
