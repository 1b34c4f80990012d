"""SAMoSSA: several series that share one subspace of windows, each with an autoregression of its own on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.spectral.autoregression import Autoregression, fit_autoregression
from pm.forecast.spectral.page import (
    FEWEST_LAGS,
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
"""Highest order of the autoregressions: a month of sessions, and a little."""

NEIGHBOURS = (0, -1, 1, -2, 2, -3, 3)
"""Changes of the number of rows that are tried, in this order: of two neighbours a period cannot divide both."""

SUPPORTED = 0.75
"""Share of the energy found in the columns that windows between them must show too."""

MISFIT = 1.25
"""How much more than the columns' the energy left over between them may be, before another number of rows is tried."""

GROSS_MISFIT = 2.0
"""The same, before a number of rows that was asked for is refused."""

FASTEST = 1.005
"""Largest modulus of a root: noise may let a wave or a trend grow by a sixth in a month and a half, and no more."""

ROUNDING = 1e-12


@dataclass(frozen=True)
class Stack:
    """A fitted model: one recurrence for all series, a scaling and an autoregression for each.

    Attributes
    ----------
    recurrence
        Of the scaled series.
    scalings, autoregressions
        One a series, in the order they were given in; the autoregressions are of the scaled residuals.
    """

    recurrence: Recurrence
    scalings: tuple[Scaling, ...]
    autoregressions: tuple[Autoregression, ...]

    def forecast(self, member: int, series: FloatArray, ends: NDArray[np.int64], horizon: int) -> FloatArray:
        """Give the expected path after each end, shape (ends, horizon), in the series' own unit.

        The last L + 1 values up to an end are projected onto the subspace. The projection goes on by the recurrence,
        what it leaves over by the autoregression: nothing after an end is read, and no parameter is touched.

        Parameters
        ----------
        member
            Place of the series in the fit.
        series
            Shape (T,): the series that was fitted, now perhaps with later values.
        ends
            Positions in it to forecast from, none before position L.
        horizon
            Steps ahead.
        """
        scaling = self.scalings[member]
        windows = trailing_windows(scaling.apply(series), ends, self.recurrence.rows)
        signal = self.recurrence.project(windows)
        path = self.recurrence.forecast(signal, horizon)
        path += self.autoregressions[member].forecast(windows - signal, horizon)
        return path.T * scaling.unit + scaling.centre


def fit_stack(
    series: Sequence[FloatArray],
    *,
    rank: RankRule = GAVISH_DONOHO,
    lags: int | None = None,
    stretch: float = 1.0,
    max_order: int = MAX_ORDER,
) -> Stack:
    """Fit y[n, t] = f[n, t] + x[n, t]: f of low rank and shared, x an autoregression of each series.

    Each series is scaled to mean 0 and variance 1; their Page matrices, aligned to the newest value, stand side by
    side; the truncated SVD gives the subspace and with it the recurrence, whose roots are drawn in to about the unit
    circle; what is left over in each series' own columns is its residual.

    A Page matrix shows a wave only at the phases its columns begin at: where a period divides the number of rows, or
    nearly, all columns look alike and the wave's other half is invisible. It gives itself away in windows that begin
    between the columns, of which the subspace then explains too little. Neighbouring numbers of rows are tried then;
    if the columns' energy is not found between them with any, there is no recurrent signal (one jump makes a column
    that stands out), and the recurrence is left empty.

    Parameters
    ----------
    series
        Each of shape (T,), finite, oldest first, at least L + 1 long; lengths may differ.
    rank
        See `RankRule`.
    lags
        L; if None, √(NT/4) times `stretch`, or a neighbour of it.
    stretch
        See `lags`.
    max_order
        Highest order of the autoregressions, at most L + 1.

    Raises
    ------
    DegenerateError
        There are too few values; or `lags` was given, and fails for one of the reasons above.

    References
    ----------
    Alomar, Dahleh, Mann and Shah (2023), SAMoSSA: Multivariate singular spectrum analysis with stochastic
    autoregressive noise, NeurIPS 36, section 3 and algorithm 1.
    """
    scalings = tuple(Scaling.of(values) for values in series)
    scaled = [scaling.apply(values) for scaling, values in zip(scalings, series, strict=True)]
    recurrence = (
        _neighbouring(scaled, rank, round(stretch * window_length(sum(values.size for values in series))) + 1)
        if lags is None
        else _as_asked(scaled, rank, lags + 1)
    ).damped(FASTEST)
    autoregressions = []
    for values in scaled:
        page = page_matrix(values, recurrence.rows)
        residual = unpage(page - recurrence.project(page))
        autoregressions.append(fit_autoregression(residual, min(max_order, recurrence.rows)))
    return Stack(recurrence, scalings, tuple(autoregressions))


def _as_asked(scaled: Sequence[FloatArray], rank: RankRule, rows: int) -> Recurrence:
    """Fit with this number of rows, or say what is wrong with it."""
    recurrence = fit_recurrence(stacked_pages(scaled, rows), rank)
    misfit = _misfit(recurrence, scaled)
    if misfit > GROSS_MISFIT:
        raise DegenerateError(
            f"what {rows} rows show in the columns does not hold between them (misfit {misfit:.3g}): "
            "a period may divide the number of rows"
        )
    return recurrence


def _neighbouring(scaled: Sequence[FloatArray], rank: RankRule, rows: int) -> Recurrence:
    """Fit with the first number of rows, of those near to `rows`, that fits between the columns too; or the best."""
    found: list[tuple[float, Recurrence]] = []
    failure: DegenerateError | None = None
    for change in NEIGHBOURS:
        if rows + change <= FEWEST_LAGS:
            continue
        try:
            recurrence = fit_recurrence(stacked_pages(scaled, rows + change), rank)
        except DegenerateError as error:
            failure = failure or error
            continue
        found.append((_misfit(recurrence, scaled), recurrence))
        if found[-1][0] <= MISFIT:
            return recurrence
    if not found:
        raise failure or DegenerateError("nothing to fit")
    misfit, recurrence = min(found, key=lambda pair: pair[0])
    if np.isfinite(misfit):
        return recurrence
    return fit_recurrence(stacked_pages(scaled, rows), 0)


def _misfit(recurrence: Recurrence, scaled: Sequence[FloatArray]) -> float:
    """Give the share of energy left over in all windows, over that in the columns; near 1 if the subspace is right.

    Fitting r of C columns takes some of the noise along: it lowers what is left in them by about (1 − r/C) and raises
    it elsewhere by (1 + r/C), which is allowed for. Infinite if not even the energy of the columns is found again.
    """
    if recurrence.rank == 0:
        return 1.0
    rows = recurrence.rows
    share = recurrence.share(
        *(np.lib.stride_tricks.sliding_window_view(values, rows).T for values in scaled if values.size >= rows)
    )
    columns = sum(values.size // rows for values in scaled)
    if share < SUPPORTED * recurrence.energy or columns <= recurrence.rank:
        return np.inf
    taken = recurrence.rank / columns
    return (1 - share + ROUNDING) / (1 - recurrence.energy + ROUNDING) * (1 - taken) / (1 + taken)
