"""A pool of models fitted to one series, today and as of past days, and where later outcomes fell in its forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.conformal import volatility_regimes
from pm.volatility.simulate import latin_hypercube

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.typing import FloatArray, IntArray
    from pm.volatility.base import VolatilityEstimate
    from pm.volatility.garch import GarchModel

__all__ = [
    "STRIDE",
    "FittedModel",
    "ModelPool",
    "PastOutcomes",
    "fit_pools",
    "past_outcomes",
    "pooled_variances",
    "without_long_run_level",
]

STRIDE = 2
"""Sessions from one past origin to the next: outcomes of neighbouring sessions are nearly the same."""


@dataclass(frozen=True)
class FittedModel:
    """A model fitted to a window of a series.

    Attributes
    ----------
    estimate
        Result of the fit.
    window
        Maximum number of returns to fit to.
    begin
        Place in the series of the first return that the model was fitted to.
    """

    estimate: VolatilityEstimate
    window: int
    begin: int


@dataclass(frozen=True)
class ModelPool:
    """Models fitted to the first `cut` returns of a series.

    Attributes
    ----------
    cut
        Number of returns that were known.
    models
        Fits whose distributions are mixed with equal weights: those whose variance is stationary or, if there are none,
        the others. Without a long-run level, a variance stays near today's for weeks, which is what a horizon needs.
    refusals
        Why a fit is not in the pool, by model and window.
    """

    cut: int
    models: tuple[FittedModel, ...]
    refusals: dict[tuple[str, int], Exclusion]


@dataclass(frozen=True)
class PastOutcomes:
    """Where outcomes fell in the distributions that past pools forecast for them.

    Attributes
    ----------
    levels
        Level of each outcome in its distribution, shape (origins, horizon), oldest first; NaN where it is not known
        yet.
    regimes
        Regime of volatility of each origin, as a place in `Regime`.
    current_regime
        Regime of today.
    """

    levels: FloatArray
    regimes: IntArray
    current_regime: int


def fit_pools(
    series: Mapping[str, FloatArray],
    models: Sequence[GarchModel],
    windows: Sequence[int],
    *,
    refit_sessions: int,
    calibration_sessions: int,
    min_returns: int,
) -> dict[str, list[ModelPool]]:
    """Fit every model to every window of each series: today, and as of past days with the returns known then.

    Two windows hedge against a structural break that one is too long for and the other too short (Pesaran and
    Timmermann 2007, Selection of estimation window in the presence of breaks, J. Econometrics 137).

    Parameters
    ----------
    series
        Log returns by ticker, oldest first.
    models, windows
        A pool has every pair of model and window. Windows longer than the known returns are the same, and fitted once.
    refit_sessions
        Sessions from one past cut to the next.
    calibration_sessions
        Sessions from the earliest cut to today.
    min_returns
        Minimum number of returns before a cut.

    Returns
    -------
    For each series its pools, the newest first: today's, and those of past cuts at which a fit succeeded.
    """
    cuts_of: dict[str, list[int]] = {}
    for name, returns in series.items():
        cuts = range(len(returns), max(min_returns, len(returns) - calibration_sessions) - 1, -refit_sessions)
        cuts_of[name] = [cut for cut in cuts if cut >= min_returns]
    samples = {
        (name, cut, window): returns[max(0, cut - window) : cut]
        for name, returns in series.items()
        for cut in cuts_of[name]
        for window in _distinct(windows, cut)
    }
    past = {key: sample for key, sample in samples.items() if key[1] < len(series[key[0]])}
    current = {key: sample for key, sample in samples.items() if key[1] == len(series[key[0]])}
    fitted = {model.name: model.fit(past) | model.fit(current, errors=True) for model in models}
    pools: dict[str, list[ModelPool]] = {}
    for name, cuts_of_series in cuts_of.items():
        pools[name] = []
        for cut in cuts_of_series:
            fits: list[FittedModel] = []
            refusals: dict[tuple[str, int], Exclusion] = {}
            for window in _distinct(windows, cut):
                for model in models:
                    result = fitted[model.name][name, cut, window]
                    if isinstance(result, Exclusion):
                        refusals[model.name, window] = result
                    else:
                        fits.append(FittedModel(result, window, max(0, cut - window)))
            stationary = tuple(fit for fit in fits if fit.estimate.is_stationary)
            if stationary:
                refusals |= {
                    (fit.estimate.model, fit.window): without_long_run_level(fit.estimate)
                    for fit in fits
                    if not fit.estimate.is_stationary
                }
            if fits or cut == len(series[name]):
                pools[name].append(ModelPool(cut, stationary or tuple(fits), refusals))
    return pools


def without_long_run_level(estimate: VolatilityEstimate) -> Exclusion:
    """Return that a fit's variance is not stationary, with its persistence."""
    persistence = estimate.alpha + 0.5 * estimate.gamma + estimate.beta
    return Exclusion(
        Reason.NOT_STATIONARY,
        f"{estimate.model}: with a persistence of {persistence:.6f} the variance has no long-run level",
    )


def _distinct(windows: Sequence[int], known: int) -> Iterator[int]:
    """Yield the windows that contain different returns when `known` returns are known."""
    seen = set()
    for window in windows:
        length = min(window, known)
        if length not in seen:
            seen.add(length)
            yield window


def pooled_variances(returns: FloatArray, pool: ModelPool) -> FloatArray:
    """Return each model's variance of every return and of the next, shape (models, returns + 1).

    It is NaN before the model's own window. The parameters are the pool's, also for returns after its cut.
    """
    from pm.volatility.likelihood import conditional_variances  # numba takes 0.5 s to import

    variances = np.full((len(pool.models), len(returns) + 1), np.nan)
    for place, model in enumerate(pool.models):
        own = model.estimate
        theta = np.array([own.mu, own.omega, own.alpha, own.gamma, own.beta, np.inf])
        variances[place, model.begin :] = conditional_variances(returns[model.begin :], theta)
    return variances


def past_outcomes(
    returns: FloatArray,
    pools: Sequence[ModelPool],
    *,
    horizon: int,
    simulations: int,
    generator: np.random.Generator,
) -> PastOutcomes:
    """Return where past outcomes fell in the distributions forecast for them, and the regimes of their origins.

    From each past cut to the next, at every second session, the pool fitted at the cut forecasts with the returns
    known at that session. All origins use the same Latin hypercube.

    Parameters
    ----------
    returns
        All returns of the series.
    pools
        Pools from `fit_pools`, the newest first.
    horizon
        Number of sessions ahead.
    simulations
        Number of paths per origin; a few hundred are enough, since a level is only compared with other levels.
    generator
        Generator of the hypercube.
    """
    from pm.volatility.paths import outcome_levels  # numba takes 0.5 s to import

    positions = latin_hypercube(horizon, simulations, generator)
    levels, regimes = [], []
    end = len(returns)
    for pool in reversed(pools[1:]):
        later_cuts = [other.cut for other in pools if other.cut > pool.cut]
        # Counted back from today, so that which sessions are origins does not depend on where a cut lies.
        first = pool.cut + (end - pool.cut) % STRIDE
        origins = np.arange(first, min(later_cuts), STRIDE)
        variances = pooled_variances(returns, pool)
        estimates = [model.estimate for model in pool.models]
        shocks = [estimate.shocks for estimate in estimates]
        levels.append(
            outcome_levels(
                returns,
                origins,
                variances,
                np.concatenate(shocks),
                np.concatenate([[0], np.cumsum([len(part) for part in shocks])]),
                np.array([[own.omega, own.alpha, own.gamma, own.beta] for own in estimates]),
                positions,
            )
        )
        regimes.append(_regimes(variances, origins))
    (current,) = _regimes(pooled_variances(returns, pools[0]), np.array([end]))
    return PastOutcomes(
        np.concatenate(levels) if levels else np.empty((0, horizon)),
        np.concatenate(regimes) if regimes else np.empty(0, dtype=np.int64),
        int(current),
    )


def _regimes(variances: FloatArray, places: IntArray) -> IntArray:
    """Return the regimes of some sessions by the models' mean variance, from the begin of the longest window on."""
    known = np.isfinite(variances)
    count = known.sum(axis=0)
    begin = int(np.argmax(count > 0))
    mean = np.where(known, variances, 0.0).sum(axis=0)[begin:] / count[begin:]
    return volatility_regimes(np.sqrt(mean), places - begin)
