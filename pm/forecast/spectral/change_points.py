"""Change points: where the recurrence that series followed stopped holding, by CUSUM over distances from a subspace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pm.forecast.spectral.page import Scaling, stacked_pages
from pm.forecast.spectral.rank import rank_by_energy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.typing import FloatArray

__all__ = ["RUN_LENGTHS", "ChangeDetector", "ChangePoint", "run_lengths", "threshold_for"]

RUN_LENGTHS = {4.0: 1560.0, 5.0: 2110.0, 6.0: 2740.0, 8.0: 4240.0, 10.0: 6540.0, 12.0: 9060.0, 16.0: 17000.0}
"""Threshold h → bars of white noise watched for each false alarm, by one series and the other defaults.

It is `run_lengths(list(RUN_LENGTHS), ChangeDetector(), runs=3000, bars=2500, seed=0)`, rounded. Several series watched
together give fewer false alarms: their distances are averaged.
"""

_FOLDS = 4

_FLOOR = 1e-8
"""Least ε a value of the window, where the base's variance is 1: what rounding leaves of a series without noise."""


@dataclass(frozen=True)
class ChangePoint:
    """A change, and the bar at which it was known.

    Attributes
    ----------
    alarm
        Bar whose value raised the alarm; nothing later was looked at.
    change
        First bar after the statistic last stood at zero: where the change is put, and where the new base begins.
    """

    alarm: int
    change: int


def threshold_for(run_length: float) -> float:
    """Give the lowest tabulated threshold whose average run length on noise is at least this many bars.

    Raises
    ------
    ValueError
        None is so long.
    """
    enough = [threshold for threshold, length in RUN_LENGTHS.items() if length >= run_length]
    if not enough:
        raise ValueError(f"no tabulated threshold has an average run length of {run_length} bars")
    return min(enough)


@dataclass(frozen=True)
class ChangeDetector:
    """Multivariate SSA against a base window, accumulated by CUSUM.

    The base window's Page matrix (all series side by side, each standardised by its mean and deviation in the base)
    spans the signal; U⊥ spans what lies beyond `energy` of it. A later window x of `rows` bars stands at
    D[t] = Σ‖U⊥ᵀx‖²/ε − (1 + allowance), summed over the series, where ε is the mean of that sum within the base, each
    quarter of the base measured against the subspace of the other three. y[t] = max(y[t−1] + D[t], 0), and
    y > threshold raises the alarm. Then the base is laid anew from the change on; until it is full nothing is watched.

    Parameters
    ----------
    rows
        L, the length of a window. A cycle of exactly L bars makes a Page matrix of equal columns: take a prime.
    base
        Bars of the base window, at least four times `rows`.
    energy
        Share of the base's squared singular values that counts as signal.
    allowance
        By how many ε a distance must exceed noise's mean before it counts.
    threshold
        h, in units of ε; see `RUN_LENGTHS` for the false alarms it costs.

    References
    ----------
    Alanqary, Alomar and Shah (2021), Change point detection via multivariate singular spectrum analysis, NeurIPS 34.
    ε is cross-fitted here: measured in the subspace it helped to span, it would be far too small on a short base.
    """

    rows: int = 17
    base: int = 136
    energy: float = 0.95
    allowance: float = 0.5
    threshold: float = 6.0

    def change_points(self, series: FloatArray) -> list[ChangePoint]:
        """Give the changes in series of one clock, oldest first.

        Parameters
        ----------
        series
            Finite values, shape (series, bars).
        """
        found: list[ChangePoint] = []
        start, watched = 0, self.base
        while watched < series.shape[1]:
            statistic = self.statistic(series[:, start:], watched - start)
            beyond = statistic > self.threshold
            if not beyond.any():
                break
            alarm = int(np.argmax(beyond))
            quiet = np.flatnonzero(statistic[:alarm] <= 0)
            start = watched + (int(quiet[-1]) + 1 if quiet.size else 0)
            found.append(ChangePoint(alarm=watched + alarm, change=start))
            watched = max(start + self.base, watched + alarm + 1)
        return found

    def statistic(self, series: FloatArray, watched: int) -> FloatArray:
        """Give y at the bars from `watched` on, shape (bars − watched,), against the base at the beginning."""
        scalings = [Scaling.of(values[: self.base]) for values in series]
        scaled = np.stack([scaling.apply(values) for scaling, values in zip(scalings, series, strict=True)])
        columns = self.base // self.rows
        base = scaled[:, self.base - columns * self.rows : self.base]
        folds = []
        for fold in np.array_split(np.arange(columns), _FOLDS):
            inside = slice(fold[0] * self.rows, (fold[-1] + 1) * self.rows)
            others = self._noise_space(np.delete(base, inside, axis=1))
            folds.append(_distances(base[:, inside], others))
        epsilon = max(float(np.concatenate(folds).mean()), _FLOOR * self.rows * len(series))
        distances = _distances(scaled[:, watched - self.rows + 1 :], self._noise_space(base))
        total = np.cumsum(distances / epsilon - (1.0 + self.allowance))
        return total - np.minimum(np.minimum.accumulate(total), 0.0)

    def _noise_space(self, base: FloatArray) -> FloatArray:
        """Give U⊥, shape (rows, ·), of the series of a base."""
        vectors, values, _ = np.linalg.svd(stacked_pages(list(base), self.rows), full_matrices=True)
        return vectors[:, min(rank_by_energy(values, self.energy), self.rows - 1) :]


def _distances(series: FloatArray, noise_space: FloatArray) -> FloatArray:
    """Give Σ‖U⊥ᵀx‖² over the series for every window of consecutive bars, shape (bars − rows + 1,)."""
    outside = sliding_window_view(series, len(noise_space), axis=1) @ noise_space
    distances: FloatArray = np.einsum("nbk,nbk->b", outside, outside)
    return distances


def run_lengths(
    thresholds: Sequence[float], detector: ChangeDetector, *, series: int = 1, runs: int, bars: int, seed: int
) -> dict[float, float]:
    """Give the average run length on white noise at each threshold, by simulation.

    A run is watched on after every alarm, from a new base, as real series are. The average run length is the number
    of bars watched over all runs for each alarm there was.

    Parameters
    ----------
    thresholds
        Values of h.
    detector
        Its other parameters.
    series
        Series watched together.
    runs, bars
        How many simulations, and how long each is.
    seed
        Of the draws; every threshold sees the same noise.
    """
    noise = np.random.default_rng(seed).normal(size=(runs, series, bars))
    lengths = {}
    for threshold in thresholds:
        watching = replace(detector, threshold=threshold)
        alarms, watched = 0, 0
        for run in noise:
            begun = detector.base
            for found in watching.change_points(run):
                alarms += 1
                watched += found.alarm + 1 - begun
                begun = max(found.change + detector.base, found.alarm + 1)
            watched += max(bars - begun, 0)
        lengths[threshold] = watched / max(alarms, 1)
    return lengths
