"""Linear recurrences that follow from a subspace of windows, and their extrapolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pm.forecast.spectral.rank import GAVISH_DONOHO, RankRule, choose_rank
from pm.typing import FloatArray  # noqa: TC001 - an annotation of a dataclass's field

__all__ = ["DegenerateError", "Recurrence", "companion_radius", "fit_recurrence"]

MAX_VERTICALITY = 1 - 1e-8
"""Maximum verticality coefficient ‖u‖², where u is the last row of the basis: β grows as 1 / (1 − ‖u‖²)."""


class DegenerateError(ValueError):
    """A matrix does not determine a recurrence; the message says why."""


@dataclass(frozen=True)
class Recurrence:
    """A subspace of windows, and the recurrence f[t] = β·(f[t−L], …, f[t−1]) that every window in it satisfies.

    Attributes
    ----------
    basis
        Orthonormal basis U of the subspace, shape (L + 1, rank).
    coefficients
        Coefficients β, shape (L,), oldest lag first.
    energy
        Share of the matrix's sum of squares that lies in the subspace.
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
        """Return the projections U Uᵀ w of windows onto the subspace; both have shape (L + 1, windows)."""
        return self.basis @ (self.basis.T @ windows)

    def energy_share(self, *windows: FloatArray) -> float:
        """Return the share of some windows' sum of squares that lies in the subspace, from 0 to 1; 0 if they are all 0.

        For windows that begin between the columns of the matrix, the share shows whether the subspace describes the
        whole series. It does not if a period divides the number of rows, because all columns then show the same phase.

        Parameters
        ----------
        windows
            Arrays of shape (L + 1, windows).
        """
        total = sum(_energy(batch) for batch in windows)
        inside = sum(_energy(self.basis.T @ batch) for batch in windows)
        return min(1.0, inside / total) if total > 0 else 0.0

    def spectral_radius(self) -> float:
        """Return the largest modulus of the recurrence's roots: 1 for trends and waves, above 1 for explosive paths."""
        return companion_radius(self.coefficients[::-1])

    def damped(self, radius: float) -> Recurrence:
        """Return the recurrence with its roots scaled so that none has a modulus above `radius`; itself if none has.

        All roots are divided by the same number, so that periods do not change.
        """
        excess = self.spectral_radius() / radius
        if excess <= 1:
            return self
        lags = np.arange(self.coefficients.size, 0, -1)
        return Recurrence(self.basis, self.coefficients / excess**lags, self.energy)

    def forecast(self, windows: FloatArray, horizon: int) -> FloatArray:
        """Extrapolate each window, shape (horizon, windows).

        Parameters
        ----------
        windows
            Shape (L + 1, windows) or with more rows; the last L are used. Apply `project` first to remove noise.
        horizon
            Number of steps to forecast after each window's last value.
        """
        lags = self.coefficients.size
        path = np.empty((lags + horizon, windows.shape[1]))
        path[:lags] = windows[windows.shape[0] - lags :]
        for step in range(horizon):
            path[lags + step] = self.coefficients @ path[step : lags + step]
        return path[lags:]


def fit_recurrence(page: FloatArray, rank: RankRule = GAVISH_DONOHO) -> Recurrence:
    """Estimate the subspace of a matrix's columns, and the recurrence β of its last row on the first L rows.

    With the truncated SVD Ŷ = U S Vᵀ, where U consists of its first L rows U₁ and its last row u, the minimum-norm
    least-squares solution is β = U₁u / (1 − ‖u‖²), and it is exact on Ŷ. (A numerical regression on Ŷ itself would have
    to decide which of its singular values are zero.)

    Parameters
    ----------
    page
        Matrix of shape (L + 1, columns), from `page_matrix` or `stacked_pages`.
    rank
        See `RankRule`. The rank can be 0, if no component is above the noise; β is 0 then.

    Raises
    ------
    DegenerateError
        There are too few rows or columns; a value is not finite; the matrix has fewer components than `rank` requires;
        or the subspace contains a vector that is zero but for its last entry, so that the first L rows do not determine
        the last.

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
    left, values = _left_singular_vectors(page)
    chosen = choose_rank(values, page.shape, rank)
    if isinstance(rank, int) and chosen < rank:
        raise DegenerateError(
            f"a rank of {rank} is required, but the matrix with {page.shape[0]} rows has only {chosen} components: "
            "a period may divide the number of rows"
        )
    basis = left[:, :chosen]
    last = basis[-1]
    verticality = float(last @ last)
    if verticality > MAX_VERTICALITY:
        raise DegenerateError(
            f"the last of {page.shape[0]} rows is not determined by the others (‖u‖² = {verticality:.9f})"
        )
    total = float(np.sum(np.square(values)))
    energy = float(np.sum(np.square(values[:chosen]))) / total if total > 0 else 0.0
    return Recurrence(basis, basis[:-1] @ last / (1.0 - verticality), energy)


def _energy(windows: FloatArray) -> float:
    """Return the sum of squares, without an array of them."""
    return float(np.einsum("ij,ij->", windows, windows))


def _left_singular_vectors(page: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the left singular vectors and the singular values, largest first.

    The right ones are not needed. Those of a wide matrix are left out by the triangular factor of its transpose, which
    has the same left vectors and values, and takes a quarter of the time.
    """
    wide = page.shape[1] > page.shape[0]
    left, values, _ = np.linalg.svd(np.asarray(np.linalg.qr(page.T, mode="r")).T if wide else page, full_matrices=False)
    return left, values


def companion_radius(coefficients: FloatArray) -> float:
    """Return the largest modulus of the eigenvalues of the companion matrix of x[t] = Σ coefficients[i]·x[t−1−i]."""
    if not coefficients.size:
        return 0.0
    companion = np.zeros((coefficients.size, coefficients.size))
    companion[0] = coefficients
    companion[np.arange(1, coefficients.size), np.arange(coefficients.size - 1)] = 1.0
    return float(np.max(np.abs(np.linalg.eigvals(companion))))
