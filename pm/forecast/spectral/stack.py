"""SAMoSSA: several series that share one subspace of windows, each with an autoregression of its residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.spectral.autoregression import Autoregression, fit_autoregression
from pm.forecast.spectral.page import (
    MIN_LAGS,
    Scaling,
    page_matrix,
    stacked_pages,
    trailing_windows,
    unpage,
    window_length,
)
from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule
from pm.forecast.spectral.recurrence import DegenerateError, Recurrence, fit_recurrence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["Stack", "fit_stack"]

MAX_ORDER = 24
"""Highest order of the autoregressions: a little more than a month of sessions."""

ROW_CHANGES = (0, -1, 1, -2, 2, -3, 3)
"""Changes of the number of rows that are tried, in this order: no period divides two consecutive numbers."""

MIN_ENERGY_RATIO = 0.75
"""Minimum ratio of the energy share of all windows to that of the columns; below it there is no recurrent signal."""

MAX_MISFIT = 1.25
"""Maximum `_misfit`; above it another number of rows is tried."""

MAX_GIVEN_MISFIT = 2.0
"""Maximum `_misfit` for a number of lags that the caller chose; above it the fit fails."""

MAX_ROOT_MODULUS = 1.005
"""Maximum modulus of the recurrence's roots: because of noise, a wave or trend may grow by 17% in 31 sessions."""

ROUNDING = 1e-12
"""Share of energy that is attributed to rounding."""


@dataclass(frozen=True)
class Stack:
    """A fitted model: one recurrence for all series, and a scaling and an autoregression for each.

    Attributes
    ----------
    recurrence
        Recurrence of the scaled series.
    scalings, autoregressions
        Scaling of each series and autoregression of its scaled residual, in the order of the series.
    """

    recurrence: Recurrence
    scalings: tuple[Scaling, ...]
    autoregressions: tuple[Autoregression, ...]

    def forecast(self, index: int, series: FloatArray, ends: NDArray[np.int64], horizon: int) -> FloatArray:
        """Return the expected path after each end, shape (ends, horizon), in the unit of the series.

        The last L + 1 values up to an end are projected onto the subspace. The recurrence extrapolates the projection,
        and the autoregression the residual. Values after an end are not used, and no parameter is changed.

        Parameters
        ----------
        index
            Position of the series among those that the model was fitted to.
        series
            The series that the model was fitted to, possibly with later values; shape (T,).
        ends
            Positions in the series to forecast from, each at least L.
        horizon
            Number of steps to forecast.
        """
        scaling = self.scalings[index]
        windows = trailing_windows(scaling.apply(series), ends, self.recurrence.rows)
        signal = self.recurrence.project(windows)
        path = self.recurrence.forecast(signal, horizon)
        path += self.autoregressions[index].forecast(windows - signal, horizon)
        return path.T * scaling.unit + scaling.centre


def fit_stack(
    series: Sequence[FloatArray],
    *,
    rank: RankRule = GAVISH_DONOHO,
    lags: int | None = None,
    stretch: float = 1.0,
    max_order: int = MAX_ORDER,
) -> Stack:
    """Fit y[n, t] = f[n, t] + x[n, t], where f has low rank and is shared, and x is an autoregression of each series.

    Each series is scaled to mean 0 and variance 1. The Page matrices of all series, aligned to the newest values, are
    placed side by side. Their truncated SVD determines the subspace and the recurrence, whose roots are limited to
    about the unit circle. The residual of a series is the part of its columns outside the subspace.

    A Page matrix shows a wave only at the phases at which its columns begin. If a period divides the number of rows, or
    nearly so, all columns are alike and do not determine the wave. This shows in the windows that begin between the
    columns, of which too large a part is outside the subspace. Other numbers of rows close by are then tried. If the
    columns' energy is not found between them with any number of rows, there is no recurrent signal (for instance, only
    one column with a jump), and the recurrence has rank 0.

    Parameters
    ----------
    series
        Series of shape (T,), finite, oldest first, with at least L + 1 values; their lengths may differ.
    rank
        See `RankRule`.
    lags
        Number L of lags. If None, it is `stretch` times √(NT/4), or a number close to it.
    stretch
        See `lags`.
    max_order
        Highest order of the autoregressions, at most L + 1.

    Raises
    ------
    DegenerateError
        There are too few values, or the given number of lags does not determine a recurrence.

    References
    ----------
    Alomar, Dahleh, Mann and Shah (2023), SAMoSSA: Multivariate singular spectrum analysis with stochastic
    autoregressive noise, NeurIPS 36, section 3 and algorithm 1.
    """
    scalings = tuple(Scaling.fit(values) for values in series)
    scaled = [scaling.apply(values) for scaling, values in zip(scalings, series, strict=True)]
    recurrence = (
        _fit_near(scaled, rank, round(stretch * window_length(sum(values.size for values in series))) + 1)
        if lags is None
        else _fit_given(scaled, rank, lags + 1)
    ).damped(MAX_ROOT_MODULUS)
    autoregressions = []
    for values in scaled:
        page = page_matrix(values, recurrence.rows)
        residual = unpage(page - recurrence.project(page))
        autoregressions.append(fit_autoregression(residual, min(max_order, recurrence.rows)))
    return Stack(recurrence, scalings, tuple(autoregressions))


def _fit_given(scaled: Sequence[FloatArray], rank: RankRule, rows: int) -> Recurrence:
    """Fit with a given number of rows; raise DegenerateError if it does not fit the series."""
    recurrence = fit_recurrence(stacked_pages(scaled, rows), rank)
    misfit = _misfit(recurrence, scaled)
    if misfit > MAX_GIVEN_MISFIT:
        raise DegenerateError(
            f"the recurrence from {rows} rows holds in the columns but not between them (misfit {misfit:.3g}): "
            "a period may divide the number of rows"
        )
    return recurrence


def _fit_near(scaled: Sequence[FloatArray], rank: RankRule, rows: int) -> Recurrence:
    """Fit with the first number of rows near `rows` whose misfit is small, or else with that of the smallest misfit."""
    found: list[tuple[float, Recurrence]] = []
    failure: DegenerateError | None = None
    for change in ROW_CHANGES:
        if rows + change <= MIN_LAGS:
            continue
        try:
            recurrence = fit_recurrence(stacked_pages(scaled, rows + change), rank)
        except DegenerateError as error:
            failure = failure or error
            continue
        found.append((_misfit(recurrence, scaled), recurrence))
        if found[-1][0] <= MAX_MISFIT:
            return recurrence
    if not found:
        raise failure or DegenerateError("there are too few values to fit a recurrence to")
    misfit, recurrence = min(found, key=lambda pair: pair[0])
    if np.isfinite(misfit):
        return recurrence
    return fit_recurrence(stacked_pages(scaled, rows), 0)


def _misfit(recurrence: Recurrence, scaled: Sequence[FloatArray]) -> float:
    """Return the ratio of the residual energy of all windows to that of the columns, near 1 if the subspace fits both.

    A subspace of rank r fitted to C columns fits some of their noise: this reduces the residual of the columns by a
    factor of about 1 − r/C and increases that of other windows by 1 + r/C, for which the ratio is corrected. It is
    infinite if the windows' energy share is less than MIN_ENERGY_RATIO times the columns'.
    """
    if recurrence.rank == 0:
        return 1.0
    rows = recurrence.rows
    share = recurrence.energy_share(
        *(np.lib.stride_tricks.sliding_window_view(values, rows).T for values in scaled if values.size >= rows)
    )
    columns = sum(values.size // rows for values in scaled)
    if share < MIN_ENERGY_RATIO * recurrence.energy or columns <= recurrence.rank:
        return np.inf
    fitted = recurrence.rank / columns
    return (1 - share + ROUNDING) / (1 - recurrence.energy + ROUNDING) * (1 - fitted) / (1 + fitted)
