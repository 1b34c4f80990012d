"""Combine forecasts by their out-of-sample errors, and test the combination on origins that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.diebold_mariano import DieboldMariano, diebold_mariano
from pm.statistics.losses import loss_differential
from pm.statistics.purged import purged_training

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = [
    "SIGNIFICANCE",
    "Combination",
    "combine",
    "inverse_loss_weights",
    "largest_relative_loss",
    "shrinkage",
    "stacking_weights",
]

SIGNIFICANCE = 0.05
"""Significance level of the one-sided test against naive: below it, a combination has an edge."""

CHANCE_GAIN = 1.44
"""Gain in loss, as a fraction of naive's, that the best of several models can show by chance from one origin.

From n origins it is this divided by √n, as the standard error of a mean: 36% from 16, the usual number.
"""

LOSS_FLOOR = 1e-9
"""Minimum of a loss as a fraction of naive's: smaller losses are rounding, not skill."""


@dataclass(frozen=True)
class Combination:
    """Weights of the models, naive first, and the test behind them.

    Attributes
    ----------
    weights
        Weights to use now, shape (models,); they sum to 1.
    left_out_weights
        Weights at each origin, fitted and shrunk without that origin and those whose windows overlap its window; shape
        (origins, models). The combination's error at an origin is therefore out of sample with regard to these weights.
        Only the choice of the weighting method and the shrinkage depend on losses of other origins, whose weights were
        fitted to this one too.
    test
        One-sided test against naive of the combination with `left_out_weights`.
    edge
        Whether the test rejects equal accuracy. If not, naive has all the weight.
    """

    weights: FloatArray
    left_out_weights: FloatArray
    test: DieboldMariano
    edge: bool


def inverse_loss_weights(products: FloatArray) -> FloatArray:
    """Return weights in inverse proportion to each model's mean squared error; see `stacking_weights` for the shapes.

    The correlation of errors is ignored: with few origins, an estimated covariance matrix is mostly noise.

    References
    ----------
    Bates and Granger (1969), The combination of forecasts, Operational Research Quarterly 20.
    Stock and Watson (2004), Combination forecasts of output growth in a seven-country data set, J. Forecasting 23.
    """
    losses = np.diagonal(products).copy()
    inverse = 1.0 / np.maximum(losses, LOSS_FLOOR * losses[0])
    return np.asarray(inverse / inverse.sum())


def stacking_weights(products: FloatArray, ridge: float) -> FloatArray:
    """Return the non-negative weights, summing to 1, with the smallest penalised squared error of the combination.

    They minimise w'(G + λI)w. Because the weights sum to 1, this is the same as w'Gw + λ‖w − 1/K‖²: least squares with
    a ridge penalty towards equal weights.

    Parameters
    ----------
    products
        Mean products G of the models' errors, shape (models, models); naive first, and its loss positive.
    ridge
        Penalty λ > 0, in the unit of G.

    References
    ----------
    Breiman (1996), Stacked regressions, Machine Learning 24. Diebold and Shin (2019), Machine learning for regularized
    survey forecast combination, Int. J. Forecasting 35 (the ridge to equal weights).
    """
    from scipy.optimize import nnls

    # The minimiser z of ½z'Qz − 1'z over z ≥ 0 satisfies the same optimality conditions up to a factor: w = z / Σz.
    # With Q = R'R and R'b = 1 it is the solution of the non-negative least-squares problem min ‖Rz − b‖.
    count = len(products)
    root = np.linalg.cholesky(products + ridge * np.eye(count)).T
    solution, _ = nnls(root, np.linalg.solve(root.T, np.ones(count)))
    return np.asarray(solution / solution.sum())


def shrinkage(test: DieboldMariano) -> float:
    """Return the fraction by which a combination's weights are multiplied; naive gets the rest.

    The fraction is 0 unless the test rejects. Then it is 1 − 1/t², the nonnegative garrote's factor for an estimate t
    standard errors from 0. The test rejects from about t = 1.75, so that the fraction is either 0 or above 0.65.

    References
    ----------
    Breiman (1995), Better subset regression using the nonnegative garrote, Technometrics 37.
    """
    if not test.p_value < SIGNIFICANCE:  # NaN where nothing could be tested
        return 0.0
    return 1.0 - 1.0 / test.statistic**2


def largest_relative_loss(origins: float) -> float:
    """Return the ratio to naive's mean squared error below which a combination has an edge: 0.64 for 16 origins.

    A combination that is significantly better only by chance has hardly ever had a smaller ratio; on series with
    structure most combinations have.

    Parameters
    ----------
    origins
        Number of origins whose windows do not overlap.
    """
    return float(max(0.0, 1.0 - CHANCE_GAIN / origins**0.5))


def combine(products: FloatArray, *, overlap: int) -> Combination:
    """Return weights of the models by their out-of-sample losses, shrunk towards naive.

    Two weighting methods are compared: `inverse_loss_weights` and `stacking_weights`, whose ridge penalty has the
    weight of one origin at which all models have independent errors as large as naive's. For every origin, each method
    is fitted to the origins whose windows do not overlap that origin's window, and its loss is measured there. The
    method used at an origin is the one with the smaller loss at the others, and its weights there are shrunk as far as
    a test of the losses at the others tells (`shrinkage`). The losses with these weights, which are what a user of the
    combination would have had, are tested against naive's. That test decides whether there is an edge, and how far the
    weights to use now are shrunk.

    Parameters
    ----------
    products
        Mean product over the horizon of two models' errors at each origin, shape (origins, models, models); oldest
        origin first, naive the first model. The diagonal has the losses.
    overlap
        Number of consecutive origins that a forecast window covers; 1 if windows do not overlap.
    """
    origins, models, _ = products.shape
    if models == 1 or not products[:, 0, 0].any():
        # There is nothing to combine, or the price was constant in all windows, which says nothing about the models.
        naive = _shrunk(np.zeros(models), 0.0)
        return Combination(naive, np.tile(naive, (origins, 1)), DieboldMariano(float("nan"), float("nan")), edge=False)
    starts = np.arange(origins)
    disjoint = np.stack([purged_training(starts, starts + overlap, starts == origin) for origin in range(origins)])
    fitted = [_cross_fitted_weights(products, disjoint, method) for method in (_by_inverse_loss, _by_stacking)]
    losses = np.stack([np.einsum("ok,okl,ol->o", weights[:-1], products, weights[:-1]) for weights in fitted])

    # At each origin, the method with the smaller loss at the others; for the weights to use now, at all origins.
    chosen = np.argmin(losses @ disjoint, axis=0)
    best = int(np.argmin(losses.sum(axis=1)))
    gain = loss_differential(products[:, 0, 0], np.take_along_axis(losses, chosen[np.newaxis], axis=0)[0])
    left_out = np.empty((origins, models))
    for origin in range(origins):
        others = diebold_mariano(gain[disjoint[origin]], overlap=overlap, alternative="greater")
        left_out[origin] = _shrunk(fitted[chosen[origin]][origin], shrinkage(others))
    shrunk_losses = np.einsum("ok,okl,ol->o", left_out, products, left_out)
    gain = loss_differential(products[:, 0, 0], shrunk_losses)
    test = diebold_mariano(gain, overlap=overlap, alternative="greater")
    factor = shrinkage(test)
    return Combination(_shrunk(fitted[best][-1], factor), left_out, test, edge=factor > 0)


def _shrunk(weights: FloatArray, factor: float) -> FloatArray:
    """Return weights multiplied by a factor, with the rest given to naive, the first model."""
    shrunk = factor * weights
    shrunk[0] += 1.0 - factor
    return shrunk


def _by_inverse_loss(products: FloatArray, naive_loss: float, count: int) -> FloatArray:
    del naive_loss, count
    return inverse_loss_weights(products)


def _by_stacking(products: FloatArray, naive_loss: float, count: int) -> FloatArray:
    return stacking_weights(products, naive_loss / count)


def _cross_fitted_weights(
    products: FloatArray, disjoint: NDArray[np.bool_], method: Callable[[FloatArray, float, int], FloatArray]
) -> FloatArray:
    """Return a method's weights fitted without each origin and those that overlap it, and in the last row with all.

    Parameters
    ----------
    products
        See `combine`.
    disjoint
        Whether the windows of two origins have no session in common, shape (origins, origins).
    method
        Returns weights from mean products, naive's loss and the number of origins.

    Returns
    -------
    Shape (origins + 1, models).
    """
    fitted_to = np.vstack([disjoint, np.ones((1, len(disjoint)), dtype=np.bool_)])
    models = products.shape[1]
    fitted = np.full((len(fitted_to), models), 1.0 / models)
    for row, origins in enumerate(fitted_to):
        if not origins.any():
            continue
        mean = products[origins].mean(axis=0)
        if mean[0, 0] > 0:
            fitted[row] = method(mean, float(mean[0, 0]), int(origins.sum()))
    return fitted
