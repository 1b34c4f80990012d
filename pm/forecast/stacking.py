"""Combine forecasts by their errors out of sample, and judge the combination on origins it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.diebold_mariano import DieboldMariano, diebold_mariano
from pm.statistics.losses import loss_differential

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["SIGNIFICANCE", "Combination", "combine", "conviction", "inverse_loss_weights", "stacking_weights"]

SIGNIFICANCE = 0.05
"""An edge is claimed where the one-sided test rejects equal accuracy with naive at this level."""

SMALLEST_LOSS = 1e-9
"""Losses below this share of the naive one are taken as equal: they are rounding, not skill."""


@dataclass(frozen=True)
class Combination:
    """Weights of the models, naive first, and what is known of them.

    Attributes
    ----------
    weights
        Shape (models,), summing to 1: what to use now.
    left_out
        Shape (origins, models): at each origin, the weights as they would have been without it and the origins whose
        windows overlap its own. With these the combination's error there is out of sample in its weights too; which of
        the two ways was taken, and its share, rest on losses of origins whose weights have seen this one.
    test
        Of the combination, before it is drawn to naive, against naive: one-sided, over origins left out.
    edge
        Whether that test was passed. If not, naive has all the weight.
    """

    weights: FloatArray
    left_out: FloatArray
    test: DieboldMariano
    edge: bool


def inverse_loss_weights(products: FloatArray) -> FloatArray:
    """Give weights in proportion to 1 over each model's mean squared error; see `stacking_weights` for the shapes.

    It leaves the correlation of errors out: with few origins a covariance matrix is mostly noise.

    References
    ----------
    Bates and Granger (1969), The combination of forecasts, Operational Research Quarterly 20.
    Stock and Watson (2004), Combination forecasts of output growth in a seven-country data set, J. Forecasting 23.
    """
    losses = np.diagonal(products).copy()
    inverse = 1.0 / np.maximum(losses, SMALLEST_LOSS * losses[0])
    return np.asarray(inverse / inverse.sum())


def stacking_weights(products: FloatArray, ridge: float) -> FloatArray:
    """Give the weights, not negative and summing to 1, that make the combination's squared error least.

    Minimises w'(G + λI)w. As the weights sum to 1, this is least squares with a ridge towards equal weights,
    w'Gw + λ‖w − 1/K‖².

    Parameters
    ----------
    products
        G, shape (models, models): mean products of the models' errors, naive first and with a positive loss.
    ridge
        λ > 0, in the unit of G.

    References
    ----------
    Breiman (1996), Stacked regressions, Machine Learning 24. Diebold and Shin (2019), Machine learning for regularized
    survey forecast combination, Int. J. Forecasting 35 (the ridge to equal weights).
    """
    from scipy.optimize import nnls

    # z = argmin ½z'Qz − 1'z over z ≥ 0 has the optimality conditions of the problem but for a factor: w = z / Σz.
    # With Q = R'R it is the non-negative least squares of ‖Rz − b‖ where R'b = 1.
    count = len(products)
    root = np.linalg.cholesky(products + ridge * np.eye(count)).T
    solution, _ = nnls(root, np.linalg.solve(root.T, np.ones(count)))
    return np.asarray(solution / solution.sum())


def conviction(test: DieboldMariano) -> float:
    """Give the share of the weight that a combination has earned, the rest being naive's.

    0 unless the test rejects; then 1 − 1/t², the shrinkage of the garrote for an estimate t standard errors from 0. As
    the test rejects from about t = 1.75 on, the share is either 0 or more than 0.65.

    References
    ----------
    Breiman (1995), Better subset regression using the nonnegative garrote, Technometrics 37.
    """
    if not test.p_value < SIGNIFICANCE:  # NaN where nothing could be tested
        return 0.0
    return 1.0 - 1.0 / test.statistic**2


def combine(products: FloatArray, *, overlap: int) -> Combination:
    """Give the weights that models earned, drawn to naive as far as the evidence is thin.

    Two ways of combining compete, `inverse_loss_weights` and `stacking_weights` (its ridge counting as one origin at
    which all models had independent errors of naive's size). Each is fitted at every origin to all the origins whose
    windows do not overlap that one, and is judged by its loss there; at each origin the way is taken that lost less at
    the others. The losses of this combination against those of naive are the evidence: see `conviction`.

    Parameters
    ----------
    products
        Shape (origins, models, models), oldest origin first and naive the first model: at each origin the mean product
        of two models' errors over the horizon. The diagonal has the losses.
    overlap
        How many successive origins a forecast window covers; 1 if windows do not overlap.
    """
    origins, models, _ = products.shape
    naive = np.zeros(models)
    naive[0] = 1.0
    if models == 1 or not products[:, 0, 0].any():
        # Nothing to combine, or a price that did not move in any window: nothing was learnt about the others.
        return Combination(naive, np.tile(naive, (origins, 1)), DieboldMariano(float("nan"), float("nan")), edge=False)
    apart = np.abs(np.subtract.outer(np.arange(origins), np.arange(origins))) >= overlap
    ways = [_fitted(products, apart, way) for way in (_by_inverse_loss, _by_stacking)]
    losses = np.stack([np.einsum("ok,okl,ol->o", way[:-1], products, way[:-1]) for way in ways])

    # At each origin, the way that lost less at the others; in the end, the one that lost less at all of them.
    chosen = np.argmin(losses @ apart, axis=0)
    best = int(np.argmin(losses.sum(axis=1)))
    gain = loss_differential(products[:, 0, 0], np.take_along_axis(losses, chosen[np.newaxis], axis=0)[0])
    test = diebold_mariano(gain, overlap=overlap, alternative="greater")
    left_out = np.empty((origins, models))
    for origin in range(origins):
        others = diebold_mariano(gain[apart[origin]], overlap=overlap, alternative="greater")
        share = conviction(others)
        left_out[origin] = share * ways[chosen[origin]][origin] + (1.0 - share) * naive
    share = conviction(test)
    return Combination(share * ways[best][-1] + (1.0 - share) * naive, left_out, test, edge=share > 0)


def _by_inverse_loss(products: FloatArray, naive_loss: float, count: int) -> FloatArray:
    del naive_loss, count
    return inverse_loss_weights(products)


def _by_stacking(products: FloatArray, naive_loss: float, count: int) -> FloatArray:
    return stacking_weights(products, naive_loss / count)


def _fitted(
    products: FloatArray, apart: NDArray[np.bool_], way: Callable[[FloatArray, float, int], FloatArray]
) -> FloatArray:
    """Give a way's weights at each origin, fitted to those apart from it, and in the last row fitted to all."""
    everything = np.vstack([apart, np.ones((1, len(apart)), dtype=np.bool_)])
    models = products.shape[1]
    fitted = np.full((len(everything), models), 1.0 / models)
    for row, kept in enumerate(everything):
        if not kept.any():
            continue
        mean = products[kept].mean(axis=0)
        if mean[0, 0] > 0:
            fitted[row] = way(mean, float(mean[0, 0]), int(kept.sum()))
    return fitted
