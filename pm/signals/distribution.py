"""Interpolate the distribution of a price between its stored quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["PriceDistribution"]

_SCORES = np.array([NormalDist().inv_cdf(level) for level in QUANTILES])
"""Normal scores Φ⁻¹(level) of the stored quantiles."""


@dataclass(frozen=True)
class PriceDistribution:
    """The distributions of the prices of many tickers on a target date, one ticker per row.

    Each stored quantile q at level p is a point (ln q, Φ⁻¹(p)). Straight lines join these points, and the first and the
    last line continue beyond the 2.5% and the 97.5% quantile. A line gives the normal score z of any price, and
    P(price ≤ x) = Φ(z(ln x)). The computation can be repeated by hand from a row of table `forecasts`.

    These are the axes of a normal quantile-quantile plot. A lognormal price is a single straight line there, so its
    probabilities are exact, in the tails too; skewness bends the line, and heavy tails flatten its ends. Straight lines
    are preferred to a cubic because they are monotone for any increasing quantiles, so that `probability_below` and
    `quantile` are each other's inverse. Beyond the 2.5% and the 97.5% quantile the tails are those of a normal
    distribution with the slope of the last line. They are thinner than those of a Student t: do not rely on
    probabilities below 1%.

    Parameters
    ----------
    log_quantiles
        Logarithms of the prices at the levels `pm.tables.QUANTILES`, of shape (tickers, levels); finite and increasing
        along each row. The first of them can be equal: the smallest price that can be quoted, below which no price is.
    """

    log_quantiles: FloatArray

    @classmethod
    def from_forecasts(cls, forecasts: pl.DataFrame) -> PriceDistribution:
        """Read the distributions from columns q025 … q975 of rows of table `forecasts`."""
        columns = [quantile_column("q", level) for level in QUANTILES]
        return cls(np.log(forecasts.select(columns).to_numpy()))

    def probability_below(self, price: FloatArray) -> FloatArray:
        """Return P(price on the target date ≤ `price`); `price` holds one positive price per ticker."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._score(np.log(price))))

    def probability_above(self, price: FloatArray) -> FloatArray:
        """Return P(price on the target date > `price`); `price` holds one positive price per ticker."""
        from scipy.special import ndtr

        return np.asarray(ndtr(-self._score(np.log(price))))

    def quantile(self, level: FloatArray) -> FloatArray:
        """Return the quantile of the price at `level`, which holds one level in (0, 1) per ticker."""
        from scipy.special import ndtri

        score = ndtri(level)
        segment = self._segment(np.broadcast_to(_SCORES, self.log_quantiles.shape), score)
        z0, z1 = _SCORES[segment], _SCORES[segment + 1]
        y0, y1 = self._ends(segment)
        return np.asarray(np.exp(y0 + (score - z0) / (z1 - z0) * (y1 - y0)))

    def _score(self, log_price: FloatArray) -> FloatArray:
        """Return the normal score of a log price."""
        segment = self._segment(self.log_quantiles, log_price)
        z0, z1 = _SCORES[segment], _SCORES[segment + 1]
        y0, y1 = self._ends(segment)
        with np.errstate(divide="ignore"):  # below several equal quantiles: a score of -inf
            return np.asarray(z0 + (log_price - y0) / (y1 - y0) * (z1 - z0))

    def _ends(self, segment: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Return the log quantiles at both ends of a segment of each ticker."""
        row = np.arange(len(segment))
        return self.log_quantiles[row, segment], self.log_quantiles[row, segment + 1]

    @staticmethod
    def _segment(points: FloatArray, value: FloatArray) -> NDArray[np.intp]:
        """Return the index of the segment between two points that holds each value; the outermost two are unbounded."""
        below = (points <= value[:, None]).sum(axis=1)
        return np.asarray(np.clip(below - 1, 0, points.shape[1] - 2))
