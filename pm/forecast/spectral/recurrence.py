"""The linear recurrence that a subspace of windows implies, and its extrapolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule, choose_rank
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

__all__ = ["DegenerateError", "Recurrence", "companion_radius", "fit_recurrence"]

STEEPEST = 1 - 1e-8
"""Largest ‖u‖², u the basis's last row, with which the others can still tell it: β grows as 1 / (1 − ‖u‖²)."""


class DegenerateError(ValueError):
    """No trustworthy recurrence comes out of a matrix; the message says why."""


@dataclass(frozen=True)
class Recurrence:
    """A subspace of windows and the recurrence f[t] = β·(f[t−L], …, f[t−1]) that every window in it obeys.

    Attributes
    ----------
    basis
        U, orthonormal, shape (L + 1, rank).
    coefficients
        β, shape (L,), oldest lag first.
    energy
        Share of the matrix's sum of squares within the subspace.
    """

    basis: FloatArray
    coefficients: FloatArray
    energy: float

    @property
    def rows(self) -> int:
        """Length of a window, L + 1."""
        return int(self.basis.shape[0])

    @property
    def rank(self) -> int:
        """Dimension of the subspace."""
        return int(self.basis.shape[1])

    def project(self, windows: FloatArray) -> FloatArray:
        """Give the denoised windows U Uᵀ w, shape as given: (L + 1, windows)."""
        return self.basis @ (self.basis.T @ windows)

    def share(self, *windows: FloatArray) -> float:
        """Give the share of these windows' sum of squares that lies in the subspace, from 0 to 1; 0 if there is none.

        On windows that begin at other places of the same series it tells whether what was learnt holds between the
        columns too. It does not where a period divides the number of rows: then all columns show one phase. Each
        argument has shape (L + 1, windows).
        """
        total = sum(float(np.sum(np.square(some))) for some in windows)
        inside = sum(float(np.sum(np.square(self.basis.T @ some))) for some in windows)
        return min(1.0, inside / total) if total > 0 else 0.0

    def radius(self) -> float:
        """Give the largest modulus of the recurrence's roots: 1 for trends and waves, above 1 for what explodes."""
        return companion_radius(self.coefficients[::-1])

    def damped(self, radius: float) -> Recurrence:
        """Give the recurrence with its roots drawn in until none has a modulus above `radius`; itself if none has.

        Every root is divided by one number, so that periods stay as they were.
        """
        excess = self.radius() / radius
        if excess <= 1:
            return self
        lags = np.arange(self.coefficients.size, 0, -1)
        return Recurrence(self.basis, self.coefficients / excess**lags, self.energy)

    def forecast(self, windows: FloatArray, horizon: int) -> FloatArray:
        """Extrapolate each window, shape (horizon, windows).

        Parameters
        ----------
        windows
            Shape (L + 1, windows), or more rows, of which the last L are read; denoise them by `project` first.
        horizon
            Steps beyond each window's last value.
        """
        lags = self.coefficients.size
        path = np.empty((lags + horizon, windows.shape[1]))
        path[:lags] = windows[windows.shape[0] - lags :]
        for step in range(horizon):
            path[lags + step] = self.coefficients @ path[step : lags + step]
        return path[lags:]


def fit_recurrence(page: FloatArray, rank: RankRule = GAVISH_DONOHO) -> Recurrence:
    """Learn the subspace of a matrix's columns, and β: its last denoised row regressed on the first L.

    With the truncated SVD Ŷ = U S Vᵀ, U split into its first L rows U₁ and its last u, the least-squares β of least
    norm is U₁u / (1 − ‖u‖²), and exact on Ŷ. (The textbook regression on Ŷ itself would have to guess which of its
    singular values are zero.)

    Parameters
    ----------
    page
        Shape (L + 1, columns): `page_matrix` or `stacked_pages`.
    rank
        See `RankRule`. Rank 0 is allowed: nothing in the matrix stands out of the noise, and β is 0.

    Raises
    ------
    DegenerateError
        There are too few rows or columns; a value is not finite; a number of components was asked for that the matrix
        does not have; or the subspace holds a vector of the last row alone, which the first L cannot tell.

    References
    ----------
    Golyandina and Zhigljavsky (2013), Singular spectrum analysis for time series, section 3.1.
    Alomar, Dahleh, Mann and Shah (2023), SAMoSSA: Multivariate singular spectrum analysis with stochastic
    autoregressive noise, NeurIPS 36, algorithm 1.
    """
    if page.shape[0] < 2 or page.shape[1] < 1:
        raise DegenerateError(f"a matrix of {page.shape[0]} x {page.shape[1]} has no recurrence")
    if not np.isfinite(page).all():
        raise DegenerateError("a value of the matrix is not finite")
    left, values, _ = np.linalg.svd(page, full_matrices=False)
    chosen = choose_rank(values, page.shape, rank)
    if isinstance(rank, int) and chosen < rank:
        raise DegenerateError(
            f"asked for {rank} components, but the matrix of {page.shape[0]} rows has only {chosen}: "
            "a period may divide the number of rows"
        )
    basis = left[:, :chosen]
    last = basis[-1]
    steepness = float(last @ last)
    if steepness > STEEPEST:
        raise DegenerateError(f"the last of {page.shape[0]} rows cannot be told by the others (‖u‖² = {steepness:.9f})")
    total = float(np.sum(np.square(values)))
    energy = float(np.sum(np.square(values[:chosen]))) / total if total > 0 else 0.0
    return Recurrence(basis, basis[:-1] @ last / (1.0 - steepness), energy)


def companion_radius(coefficients: FloatArray) -> float:
    """Give the largest modulus of the eigenvalues of the companion matrix of x[t] = Σ coefficients[i]·x[t−1−i]."""
    if not coefficients.size:
        return 0.0
    companion = np.zeros((coefficients.size, coefficients.size))
    companion[0] = coefficients
    companion[np.arange(1, coefficients.size), np.arange(coefficients.size - 1)] = 1.0
    return float(np.max(np.abs(np.linalg.eigvals(companion))))
