"""The covariance of the tickers' next returns, for optimisers: today's volatility and a shrunk correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.typing import FloatArray

__all__ = ["ledoit_wolf", "next_covariance"]


def ledoit_wolf(values: FloatArray, probabilities: FloatArray) -> tuple[FloatArray, float]:
    """Return the covariance of weighted rows, shrunk to a multiple of the identity, and the intensity of the shrinkage.

    With S the weighted covariance and m its mean variance, the result is (1 − δ)·S + δ·m·I, with δ the estimated
    squared error of S, Σ w[t]²·‖x[t]x[t]ᵀ − S‖², divided by ‖S − m·I‖², at most 1. With equal weights this is the
    estimator of the paper.

    Parameters
    ----------
    values
        Shape (rows, columns).
    probabilities
        Weight of each row; they sum to 1.

    References
    ----------
    Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, J. Multivariate
    Analysis 88.
    """
    centred = values - probabilities @ values
    covariance = (centred * probabilities[:, np.newaxis]).T @ centred
    variance = float(np.trace(covariance)) / len(covariance)
    target = variance * np.eye(len(covariance))
    distance = float(np.sum((covariance - target) ** 2))
    # ‖xxᵀ − S‖² = ‖x‖⁴ − 2·xᵀSx + ‖S‖²
    fourth = np.sum(centred**2, axis=1) ** 2
    cross = np.einsum("ti,ti->t", centred @ covariance, centred)
    errors = fourth - 2.0 * cross + float(np.sum(covariance**2))
    error = float(np.sum(probabilities**2 * errors))
    intensity = 1.0 if distance <= 0.0 else min(1.0, max(0.0, error / distance))
    return (1.0 - intensity) * covariance + intensity * target, intensity


def next_covariance(model: JointModel) -> FloatArray:
    """Return the covariance of the next session's log returns: σ[i]·σ[j] × the shrunk correlation of the residuals.

    The residuals count with the probabilities of their dates. The shrinkage keeps the matrix positive definite with
    more tickers than dates, and with tickers that move alike.
    """
    shrunk, _ = ledoit_wolf(model.residuals, model.probabilities)
    deviations = np.sqrt(np.diag(shrunk))
    correlation = shrunk / np.outer(deviations, deviations)
    return np.asarray(correlation * np.outer(model.sigmas, model.sigmas))
