"""Change points of series: a CUSUM of the distance of new windows from the subspace of past windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pm.forecast.spectral.page import Scaling, stacked_pages
from pm.forecast.spectral.rank import rank_by_energy

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["ChangeDetector", "ChangePoint"]

_FOLDS = 4
"""Number of parts of the base window for the cross-fitted estimate of ε."""

_MIN_EPSILON = 1e-8
"""Minimum of ε for each value of a window, where the base has variance 1: rounding errors of a series without noise."""


@dataclass(frozen=True)
class ChangePoint:
    """A detected change.

    Attributes
    ----------
    alarm
        Bar at which the change was detected; later bars have no influence on it.
    change
        Estimated bar of the change, at which the new base window begins: the first bar after the statistic was last 0.
    """

    alarm: int
    change: int


@dataclass(frozen=True)
class ChangeDetector:
    """Detector of change points by multivariate SSA of a base window and a CUSUM of later windows' distances.

    The signal subspace is spanned by the singular vectors of the base window's Page matrix (all series side by side,
    each standardised by its mean and deviation in the base) that hold the share `energy` of its sum of squares; U⊥ is a
    basis of its complement. A later window x of `rows` bars has the distance Σ‖U⊥ᵀx‖², summed over the series, and
    D[t] is this distance divided by ε, minus 1 + `allowance`. ε is the mean distance within the base, each quarter of
    which is compared with the subspace of the other three. The statistic is y[t] = max(y[t−1] + D[t], 0), and a change
    is detected when y > `threshold`. A new base window then begins at the change, and the detection resumes when it is
    complete.

    Parameters
    ----------
    rows
        Length L of a window, in bars. Use a prime: with a cycle of exactly L bars all columns would be equal.
    base
        Length of the base window in bars, at least four times `rows`.
    energy
        Share of the base's squared singular values that counts as signal.
    allowance
        Excess of a distance over its mean under noise, in units of ε, that does not count.
    threshold
        Threshold h in units of ε. On white noise, one series and the other defaults give a false alarm every 1,560 bars
        with h = 4, 2,740 with 6, and 6,540 with 10; several series give fewer, because their distances are averaged.

    References
    ----------
    Alanqary, Alomar and Shah (2021), Change point detection via multivariate singular spectrum analysis, NeurIPS 34.
    Here, ε is cross-fitted: if it was computed in the subspace of the same windows, it would be far too small for a
    short base.
    """

    rows: int = 17
    base: int = 136
    energy: float = 0.95
    allowance: float = 0.5
    threshold: float = 6.0

    def change_points(self, series: FloatArray) -> list[ChangePoint]:
        """Return the changes in series that are observed at the same bars, oldest first.

        Parameters
        ----------
        series
            Finite values, shape (series, bars).
        """
        found: list[ChangePoint] = []
        base_start, first = 0, self.base  # beginning of the base window, first bar of the detection
        while first < series.shape[1]:
            statistic = self.statistic(series[:, base_start:], first - base_start)
            above = statistic > self.threshold
            if not above.any():
                break
            alarm = int(np.argmax(above))
            zeros = np.flatnonzero(statistic[:alarm] <= 0)
            base_start = first + (int(zeros[-1]) + 1 if zeros.size else 0)
            found.append(ChangePoint(alarm=first + alarm, change=base_start))
            first = max(base_start + self.base, first + alarm + 1)
        return found

    def statistic(self, series: FloatArray, first: int) -> FloatArray:
        """Return the statistic y at the bars from `first` on, shape (bars − first,); the base is at the beginning."""
        scalings = [Scaling.fit(values[: self.base]) for values in series]
        scaled = np.stack([scaling.apply(values) for scaling, values in zip(scalings, series, strict=True)])
        columns = self.base // self.rows
        base = scaled[:, self.base - columns * self.rows : self.base]
        folds = []
        for fold in np.array_split(np.arange(columns), _FOLDS):
            inside = slice(fold[0] * self.rows, (fold[-1] + 1) * self.rows)
            others = self._noise_space(np.delete(base, inside, axis=1))
            folds.append(_distances(base[:, inside], others))
        epsilon = max(float(np.concatenate(folds).mean()), _MIN_EPSILON * self.rows * len(series))
        distances = _distances(scaled[:, first - self.rows + 1 :], self._noise_space(base))
        total = np.cumsum(distances / epsilon - (1.0 + self.allowance))
        return total - np.minimum(np.minimum.accumulate(total), 0.0)

    def _noise_space(self, base: FloatArray) -> FloatArray:
        """Return the basis U⊥ of the complement of a base window's signal subspace, shape (rows, rows − rank)."""
        vectors, values, _ = np.linalg.svd(stacked_pages(list(base), self.rows), full_matrices=True)
        return vectors[:, min(rank_by_energy(values, self.energy), self.rows - 1) :]


def _distances(series: FloatArray, noise_space: FloatArray) -> FloatArray:
    """Return Σ‖U⊥ᵀx‖² over the series for every window of consecutive bars, shape (bars − rows + 1,)."""
    outside = sliding_window_view(series, len(noise_space), axis=1) @ noise_space
    distances: FloatArray = np.einsum("nbk,nbk->b", outside, outside)
    return distances
