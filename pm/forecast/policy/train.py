"""Offline training of a policy, by the gains of each action over naive at past origins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.forecast.policy.actions import ACTIONS, FIXED
from pm.forecast.policy.aligned import align_panel
from pm.forecast.policy.bandit import Policy, estimate_arms
from pm.forecast.policy.state import State, state_at, volatility_percentiles
from pm.seeding import ticker_generator
from pm.statistics.losses import step_scaled_loss
from pm.statistics.purged import contiguous_groups, path_of_groups, purged_folds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy.aligned import TickerView
    from pm.settings import ForecastSettings
    from pm.statistics.purged import Fold
    from pm.typing import FloatArray

__all__ = [
    "FIRST_BAR",
    "LOSS_FLOOR",
    "Visits",
    "out_of_fold_gains",
    "path_losses",
    "policy_of",
    "train_policy",
    "training_visits",
    "visit_folds",
]

FIRST_BAR = 250
"""Position of the earliest bar that a policy is trained or assessed at (after one year)."""

MIN_VISITS = 50
"""Minimum number of origins over all tickers: as many as the weight of the prior."""

MAX_REWARD = 2.0
"""Maximum absolute reward; a log ratio beyond it, a factor of more than seven, is a numerical failure."""

FOLD_GROUPS, TESTED_GROUPS = 6, 2
"""Number of groups of dates of the cross-validation, and of those tested at a time: 15 splits, 5 paths."""

LOSS_FLOOR = 1e-16
"""Squared error of log prices below which an error is rounding."""


@dataclass(frozen=True)
class Visits:
    """What each action earned at the origins that a policy is trained on.

    Attributes
    ----------
    visits
        State at each origin, and the reward of every action there.
    starts, ends
        Date of each origin and of the last session of its window, as days since 1970; shape (origins,).
    tickers
        Tickers that have origins.
    cutoff
        Last date whose prices were used.
    """

    visits: list[tuple[State, FloatArray]]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    tickers: tuple[str, ...]
    cutoff: date


def train_policy(panel: Panel, *, settings: ForecastSettings, cutoff: date, seed: int) -> Policy:
    """Estimate the gain of each action in each state, from the origins of all tickers.

    Origins are `settings.origin_step` sessions apart. Each ticker's first one is random, so that not all tickers have
    origins on the same days. At each origin, every action is fitted to the bars up to it. Its reward is the log ratio
    of naive's loss to its own over the next `settings.horizon` sessions, limited to ±MAX_REWARD.

    Parameters
    ----------
    panel
        Log prices; the tickers of a group are fitted together.
    settings
        Horizon and distance of the origins.
    cutoff
        Last date whose prices may be used.
    seed
        Random seed.

    Raises
    ------
    InputError
        There are too few origins up to the cutoff.
    """
    return policy_of(training_visits(panel, settings=settings, cutoff=cutoff, seed=seed), settings=settings, seed=seed)


def training_visits(panel: Panel, *, settings: ForecastSettings, cutoff: date, seed: int) -> Visits:
    """Return what each action earned at the origins that a policy is trained on; see `train_policy`.

    Raises
    ------
    InputError
        There are too few origins up to the cutoff.
    """
    visits: list[tuple[State, FloatArray]] = []
    starts: list[FloatArray] = []
    ends: list[FloatArray] = []
    tickers = []
    views = align_panel(panel)
    for ticker in sorted(views):
        view = views.pop(ticker)  # frees the recurrences that its aligned series caches
        known = int(np.searchsorted(view.dates, np.datetime64(cutoff, "D"), side="right"))
        origins = _origins(ticker, known, settings, seed)
        of_ticker = list(_visits(view, origins, settings.horizon))
        visits += of_ticker
        bars = np.array(origins, dtype=np.int64)
        starts.append(view.dates[bars].astype(np.int64))
        ends.append(view.dates[bars + settings.horizon].astype(np.int64))
        tickers += [ticker] if of_ticker else []
    if len(visits) < MIN_VISITS:
        raise InputError(
            f"The bars up to {cutoff} have {len(visits)} origins to train on, too few for a policy.",
            where="the bars up to the cutoff",
            hint=f"choose a later cutoff or more tickers: {MIN_VISITS} origins are needed, {settings.origin_step} "
            f"sessions apart, after the first {FIRST_BAR} sessions of each ticker",
        )
    return Visits(visits, np.concatenate(starts), np.concatenate(ends), tuple(tickers), cutoff)


def policy_of(visits: Visits, *, settings: ForecastSettings, seed: int) -> Policy:
    """Return the policy that the visits lead to."""
    arms = estimate_arms(visits.visits, ACTIONS)
    return Policy(arms, visits.cutoff, settings.horizon, seed, visits.tickers)


def out_of_fold_gains(visits: Visits) -> FloatArray:
    """Return the gain of policies over the fixed action at origins that they did not learn from, for each path.

    The dates of the training are cut into 6 groups. For each of the 15 choices of two, a policy learns from the origins
    whose windows share no session with theirs and that do not begin within 1% of the time after one (combinatorial
    purged cross-validation), and chooses at theirs. The tests are put together to five paths over all dates; the gain
    of a path is the mean over its dates of the mean difference between the rewards of the chosen and the fixed action.

    Returns
    -------
    Shape (paths,); empty if there are fewer than 6 different dates.
    """
    starts = visits.starts
    if len(np.unique(starts)) < FOLD_GROUPS:
        return np.empty(0)
    groups = contiguous_groups(starts, FOLD_GROUPS)
    folds = visit_folds(visits)
    fixed = ACTIONS.index(FIXED)
    gains = np.full((len(folds), len(starts)), np.nan)
    for place, fold in enumerate(folds):
        learnt = [visits.visits[i] for i in np.flatnonzero(fold.training)]
        policy = Policy(estimate_arms(learnt, ACTIONS), visits.cutoff, 0, 0, visits.tickers)
        for i in np.flatnonzero(fold.test):
            state, rewards = visits.visits[i]
            gains[place, i] = rewards[ACTIONS.index(policy.choose(state))] - rewards[fixed]
    paths = []
    for path in path_of_groups(folds, FOLD_GROUPS):
        own = gains[np.array([path[int(group)] for group in groups]), np.arange(len(starts))]
        paths.append(np.mean([own[starts == start].mean() for start in np.unique(starts)]))
    return np.array(paths)


def visit_folds(visits: Visits) -> list[Fold]:
    """Return the splits of `out_of_fold_gains`: what is tested, and what is learnt from.

    Windows are whole days: markets close at different hours, so that one which ends on a date shares that day with one
    of another market which begins on it.
    """
    starts, ends = visits.starts, visits.ends + 1
    groups = contiguous_groups(starts, FOLD_GROUPS)
    embargo = -(-int(ends.max() - starts.min()) // 100)
    return purged_folds(starts, ends, groups, tested=TESTED_GROUPS, embargo=embargo)


def path_losses(view: TickerView, bar: int, paths: FloatArray) -> FloatArray:
    """Return the `step_scaled_loss` of forecast paths of a ticker from a bar, shape (paths,).

    Parameters
    ----------
    view
        The ticker's series.
    bar
        Position of the bar that the forecasts start from.
    paths
        Forecast log prices, shape (paths, horizon).
    """
    actual = view.log_prices[bar + 1 : bar + 1 + paths.shape[1]]
    return step_scaled_loss(paths - actual)


def _origins(ticker: str, known: int, settings: ForecastSettings, seed: int) -> range:
    """Return the origins among the first `known` bars; the first depends only on the ticker's name and the seed."""
    offset = int(ticker_generator(seed, ticker).integers(settings.origin_step))
    return range(FIRST_BAR + offset, known - settings.horizon, settings.origin_step)


def _visits(view: TickerView, origins: range, horizon: int) -> Iterator[tuple[State, FloatArray]]:
    """Yield the state at each origin and the reward of every action there."""
    percentiles = volatility_percentiles(view.log_prices)
    for bar in origins:
        paths = [view.path(bar, action, horizon) for action in ACTIONS]
        naive, *own = path_losses(view, bar, np.stack([np.full(horizon, view.log_prices[bar]), *paths]))
        reward = np.log(naive + LOSS_FLOOR) - np.log(np.array(own) + LOSS_FLOOR)
        yield state_at(view, percentiles, bar), np.clip(reward, -MAX_REWARD, MAX_REWARD)
