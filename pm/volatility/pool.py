"""A pool of estimates of one series, and what it would have said on past days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.volatility.conformal import volatility_regimes
from pm.volatility.simulate import hypercube

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pm.typing import FloatArray, IntArray
    from pm.volatility.base import VolatilityEstimate
    from pm.volatility.garch import GarchModel

__all__ = ["STRIDE", "Member", "PastOutcomes", "Pool", "fit_pools", "past_outcomes", "pooled_variances"]

STRIDE = 2
"""Sessions from one past origin to the next: neighbours tell almost the same."""


@dataclass(frozen=True)
class Member:
    """A model fitted to a window of a series.

    Attributes
    ----------
    window
        Returns it was to see at most.
    begin
        Place in the series of the first return it saw.
    """

    estimate: VolatilityEstimate
    window: int
    begin: int


@dataclass(frozen=True)
class Pool:
    """What was fitted to the first `cut` returns of a series.

    Attributes
    ----------
    cut
        How many returns were known.
    members
        The fits that came off; their distributions are mixed in equal parts.
    refusals
        (model, window) → why a fit did not come off.
    """

    cut: int
    members: tuple[Member, ...]
    refusals: dict[tuple[str, int], Exclusion]


@dataclass(frozen=True)
class PastOutcomes:
    """How outcomes fell in the distributions that past pools gave for them.

    Attributes
    ----------
    levels
        Shape (origins, horizon), oldest first: the level of the outcome in its distribution; NaN where none has come.
    regimes
        Each origin's regime of volatility.
    regime
        Today's.
    """

    levels: FloatArray
    regimes: IntArray
    regime: int


def fit_pools(
    series: Mapping[str, FloatArray],
    models: Sequence[GarchModel],
    windows: Sequence[int],
    *,
    refit: int,
    calibration: int,
    least: int,
) -> dict[str, list[Pool]]:
    """Fit every model to every window of each series: today, and on days past when only older returns were known.

    Two windows hedge against a break that one is too long for and the other too short (Pesaran and Timmermann 2007,
    Selection of estimation window in the presence of breaks, J. Econometrics 137).

    Parameters
    ----------
    series
        Log returns, oldest first.
    models, windows
        The pool is made of their pairs; windows longer than what is known are the same one, and fitted once.
    refit
        Sessions from one past cut to the next.
    calibration
        How far back cuts go.
    least
        Returns that a cut must have before it.

    Returns
    -------
    For each series its pools, the newest first: today's, and those of past cuts that have a member at least.
    """
    spans: dict[str, list[int]] = {}
    for name, returns in series.items():
        cuts = range(len(returns), max(least, len(returns) - calibration) - 1, -refit)
        spans[name] = [cut for cut in cuts if cut >= least]
    work = {
        (name, cut, window): returns[max(0, cut - window) : cut]
        for name, returns in series.items()
        for cut in spans[name]
        for window in _distinct(windows, cut)
    }
    fitted = {
        model.name: model.fit({key: part for key, part in work.items() if key[1] < len(series[key[0]])})
        | model.fit({key: part for key, part in work.items() if key[1] == len(series[key[0]])}, errors=True)
        for model in models
    }
    pools: dict[str, list[Pool]] = {}
    for name, cuts_of in spans.items():
        pools[name] = []
        for cut in cuts_of:
            members: list[Member] = []
            refusals: dict[tuple[str, int], Exclusion] = {}
            for window in _distinct(windows, cut):
                for model in models:
                    outcome = fitted[model.name][name, cut, window]
                    if isinstance(outcome, Exclusion):
                        refusals[model.name, window] = outcome
                    else:
                        members.append(Member(outcome, window, max(0, cut - window)))
            if members or cut == len(series[name]):
                pools[name].append(Pool(cut, tuple(members), refusals))
    return pools


def _distinct(windows: Sequence[int], known: int) -> Iterator[int]:
    """Give the windows that differ in what they see, of `known` returns."""
    seen = set()
    for window in windows:
        reach = min(window, known)
        if reach not in seen:
            seen.add(reach)
            yield window


def pooled_variances(returns: FloatArray, pool: Pool) -> FloatArray:
    """Give each member's variance of every return and of the next, shape (members, returns + 1); NaN before its own.

    Parameters are the pool's, whatever returns come after its cut.
    """
    from pm.volatility import kernel  # numba takes 0.5 s to import

    variances = np.full((len(pool.members), len(returns) + 1), np.nan)
    for place, member in enumerate(pool.members):
        own = member.estimate
        theta = np.array([own.mu, own.omega, own.alpha, own.gamma, own.beta, np.inf])
        variances[place, member.begin :] = kernel.conditional_variances(returns[member.begin :], theta)
    return variances


def past_outcomes(
    returns: FloatArray,
    pools: Sequence[Pool],
    *,
    horizon: int,
    simulations: int,
    generator: np.random.Generator,
) -> PastOutcomes:
    """Give the level of past outcomes in the distributions that were forecast for them, and the regimes they were in.

    From each past cut to the next, at every second session, the pool fitted at the cut forecasts with the returns
    known at that session. All origins use the same positions of a hypercube.

    Parameters
    ----------
    returns
        The whole series.
    pools
        From `fit_pools`, the newest first.
    horizon
        Sessions ahead.
    simulations
        Paths an origin; few will do, for a level is only compared with others.
    generator
        Draws the positions.
    """
    from pm.volatility.paths import levels_of_outcomes  # numba takes 0.5 s to import

    positions = hypercube(horizon, simulations, generator)
    levels, regimes = [], []
    end = len(returns)
    for pool in reversed(pools[1:]):
        following = [other.cut for other in pools if other.cut > pool.cut]
        # Counted back from today, so that which sessions are origins does not depend on where a cut lies.
        first = pool.cut + (end - pool.cut) % STRIDE
        origins = np.arange(first, min(following), STRIDE)
        variances = pooled_variances(returns, pool)
        estimates = [member.estimate for member in pool.members]
        shocks = [estimate.shocks for estimate in estimates]
        levels.append(
            levels_of_outcomes(
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
    (today,) = _regimes(pooled_variances(returns, pools[0]), np.array([end]))
    return PastOutcomes(
        np.concatenate(levels) if levels else np.empty((0, horizon)),
        np.concatenate(regimes) if regimes else np.empty(0, dtype=np.int64),
        int(today),
    )


def _regimes(variances: FloatArray, places: IntArray) -> IntArray:
    """Give the regimes of some sessions from the members' variances, from where the first member's window begins."""
    known = np.isfinite(variances)
    count = known.sum(axis=0)
    begin = int(np.argmax(count > 0))
    mean = np.where(known, variances, 0.0).sum(axis=0)[begin:] / count[begin:]
    return volatility_regimes(np.sqrt(mean), places - begin)
