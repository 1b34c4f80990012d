"""A pool of models fitted to one series, today and as of past days, and its forecasts from past sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.tables.vocabulary import Reason
from pm.volatility.combination import Member
from pm.volatility.conformal import volatility_regimes
from pm.volatility.shipped_panel import SHAPE_LEVELS
from pm.volatility.simulate import latin_hypercube, simulate_cumulative_returns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.typing import FloatArray, IntArray
    from pm.volatility.base import VolatilityEstimate
    from pm.volatility.garch import GarchModel

__all__ = [
    "EWMA",
    "GARCH_POOL",
    "STRIDE",
    "FittedModel",
    "ModelPool",
    "Origins",
    "fit_pools",
    "pool_forecasts",
    "pooled_variances",
    "regimes_of",
    "without_long_run_level",
]

GARCH_POOL = "garch_pool"
"""Name of a pool's distribution."""
EWMA = "ewma"
"""Name of the distribution of exponentially weighted volatility alone."""
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
class Origins:
    """Sessions from which forecasts are made.

    Attributes
    ----------
    places
        Number of returns known at each past origin, ascending.
    regimes
        Regime of volatility of each past origin, as a place in `Regime`.
    current_regime
        Regime of today.
    """

    places: IntArray
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


def pool_forecasts(
    returns: FloatArray,
    pools: Sequence[ModelPool],
    *,
    horizon: int,
    simulations: int,
    past_simulations: int,
    generator: np.random.Generator,
) -> tuple[Member, Origins]:
    """Return a pool's distributions of the total return from past sessions and from today, and these sessions.

    From each past cut to the next, at every second session, the pool fitted at the cut forecasts with the returns known
    at that session. The variance of each step has a closed form; the shape of the standardised return is simulated once
    for each cut. Its distribution is the equal mixture of the models'.

    Parameters
    ----------
    returns
        All returns of the series.
    pools
        Pools from `fit_pools`, the newest first.
    horizon
        Number of sessions ahead.
    simulations, past_simulations
        Number of paths from today, and from each past cut.
    generator
        Generator of the Latin hypercubes.
    """
    end = len(returns)
    name = EWMA if pools[0].models[0].estimate.model == EWMA else GARCH_POOL
    today = latin_hypercube(horizon, simulations, generator)
    past = latin_hypercube(horizon, past_simulations, generator)
    places, sigmas, regimes, shapes, shape_of = [], [], [], [], []
    for number, pool in enumerate(reversed(pools)):
        is_newest = number == len(pools) - 1
        if is_newest:
            origins = np.array([end])
        else:
            later_cuts = [other.cut for other in pools if other.cut > pool.cut]
            # Counted back from today, so that which sessions are origins does not depend on where a cut lies.
            origins = np.arange(pool.cut + (end - pool.cut) % STRIDE, min(later_cuts), STRIDE)
            places.append(origins)
        variances = pooled_variances(returns, pool)
        estimates = [model.estimate for model in pool.models]
        shapes.append(_shape(estimates, today if is_newest else past))
        shape_of.append(np.full(len(origins), number))
        newest = np.array([[own.next_variance] for own in estimates])
        sigmas.append(_sigma(estimates, newest if is_newest else variances[:, origins], horizon))
        regimes.append(regimes_of(variances, origins))
    return (
        Member(name, np.concatenate(sigmas), np.array(shapes), np.concatenate(shape_of)),
        Origins(
            np.concatenate([*places, np.empty(0, dtype=np.int64)]),
            np.concatenate([*regimes[:-1], np.empty(0, dtype=np.int64)]),
            int(regimes[-1][0]),
        ),
    )


def _sigma(estimates: Sequence[VolatilityEstimate], variances: FloatArray, horizon: int) -> FloatArray:
    """Return the deviation of the total return of the models' mixture, shape (origins, horizon).

    Parameters
    ----------
    variances
        Variance of the next session by each model, shape (models, origins).
    """
    total = np.zeros((variances.shape[1], horizon))
    for estimate, variance in zip(estimates, variances, strict=True):
        persistence = estimate.persistence
        expected = variance.copy()
        for step in range(horizon):
            total[:, step] += expected
            expected = estimate.omega + persistence * expected
    return np.asarray(np.sqrt(np.cumsum(total / len(estimates), axis=1)))


def _shape(estimates: Sequence[VolatilityEstimate], positions: FloatArray) -> FloatArray:
    """Return quantiles of the simulated total return in units of its deviation, shape (horizon, levels)."""
    horizon, simulations = positions.shape
    paths = np.sort(simulate_cumulative_returns(estimates, positions), axis=1)
    variance = np.mean([estimate.forecast_variance(horizon) for estimate in estimates], axis=0)
    place = (np.arange(simulations) + 0.5) / simulations
    quantiles = np.array([np.interp(SHAPE_LEVELS, place, path) for path in paths])
    return np.asarray(quantiles / np.sqrt(np.cumsum(variance))[:, np.newaxis])


def regimes_of(variances: FloatArray, places: IntArray) -> IntArray:
    """Return the regimes of some sessions by the models' mean variance, from the begin of the longest window on.

    Parameters
    ----------
    variances
        Variance of each session by each model, shape (models, sessions); NaN before a model's window.
    places
        Places of the sessions.
    """
    known = np.isfinite(variances)
    count = known.sum(axis=0)
    begin = int(np.argmax(count > 0))
    mean = np.where(known, variances, 0.0).sum(axis=0)[begin:] / count[begin:]
    return volatility_regimes(np.sqrt(mean), places - begin)
