"""The distribution of a price, made whole from the quantiles that the lake stores of it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["PriceDistribution"]

_SCORES = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])


@dataclass(frozen=True)
class PriceDistribution:
    """The distribution of many tickers' prices on a target date, one a row, from the quantiles stored of each.

    Each stored quantile q at level p is a point (ln q, Φ⁻¹(p)), and the normal score z of any price is read off the
    straight lines that join these points, the outermost two going on beyond the 2.5% and the 97.5% quantile:
    P(price ≤ x) = Φ(z(ln x)). Anyone can redo it by hand from a row of the table `forecasts`. In these coordinates a
    lognormal price is a single straight line, so for one the reading is exact, tails and all; skewness bends the line
    and heavy tails flatten its ends, both of which the points record. The scale is that of a normal
    quantile-quantile plot. Straight lines are preferred to a cubic because they are monotone whatever the quantiles
    are, so that the probability of a price and the price of a probability are each other's inverse, and because
    nothing is known between the points that a curve could add. The tails beyond 2.5% and 97.5% are those of a normal
    with the slope of the last segment: thinner than a Student t's, so read no probability below 1% from them.

    Parameters
    ----------
    log_quantiles
        Logarithms of the prices at the levels `pm.lake.tables.QUANTILES`, of shape (tickers, levels); finite and
        strictly increasing along each row.
    """

    log_quantiles: NDArray[np.float64]

    @classmethod
    def from_forecasts(cls, forecasts: pl.DataFrame) -> PriceDistribution:
        """Read the columns q025 … q975 of rows of table `forecasts`."""
        columns = [quantile_column("q", level) for level in QUANTILES]
        return cls(np.log(forecasts.select(columns).to_numpy()))

    def probability_below(self, price: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(the price on the target date ≤ `price`), one positive price a ticker."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._score(np.log(price))))

    def probability_above(self, price: NDArray[np.float64]) -> NDArray[np.float64]:
        """P(the price on the target date > `price`), one positive price a ticker."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._score(np.log(price))))

    def quantile(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the price that is not exceeded with this probability, one level in (0, 1) a ticker."""
        from scipy.special import ndtri

        score = ndtri(level)
        segment = self._segment(np.broadcast_to(_SCORES, self.log_quantiles.shape), score)
        z0, z1 = _SCORES[segment], _SCORES[segment + 1]
        y0, y1 = self._knots(segment)
        return np.asarray(np.exp(y0 + (score - z0) / (z1 - z0) * (y1 - y0)))

    def _score(self, log_price: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the normal score of a log price."""
        segment = self._segment(self.log_quantiles, log_price)
        z0, z1 = _SCORES[segment], _SCORES[segment + 1]
        y0, y1 = self._knots(segment)
        return np.asarray(z0 + (log_price - y0) / (y1 - y0) * (z1 - z0))

    def _knots(self, segment: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        row = np.arange(len(segment))
        return self.log_quantiles[row, segment], self.log_quantiles[row, segment + 1]

    @staticmethod
    def _segment(knots: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.intp]:
        """Find the segment each value lies in; the outermost two reach to infinity."""
        below = (knots <= value[:, None]).sum(axis=1)
        return np.asarray(np.clip(below - 1, 0, knots.shape[1] - 2))
