"""Offline training of a policy, by the gains of each action over naive at past origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.forecast.policy.actions import ACTIONS
from pm.forecast.policy.aligned import align_panel
from pm.forecast.policy.bandit import Policy, estimate_arms
from pm.forecast.policy.state import State, state_at, volatility_percentiles
from pm.seeding import ticker_generator
from pm.statistics.losses import step_scaled_loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pm.forecast.base import Panel
    from pm.forecast.policy.aligned import TickerView
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = ["FIRST_BAR", "LOSS_FLOOR", "path_losses", "train_policy"]

FIRST_BAR = 250
"""Position of the earliest bar that a policy is trained or assessed at (after one year)."""

MIN_VISITS = 50
"""Minimum number of origins over all tickers: as many as the weight of the prior."""

MAX_REWARD = 2.0
"""Maximum absolute reward; a log ratio beyond it, a factor of more than seven, is a numerical failure."""

LOSS_FLOOR = 1e-16
"""Squared error of log prices below which an error is rounding."""


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
    visits: list[tuple[State, FloatArray]] = []
    tickers = []
    views = align_panel(panel)
    for ticker in sorted(views):
        view = views.pop(ticker)  # frees the recurrences that its aligned series caches
        known = int(np.searchsorted(view.dates, np.datetime64(cutoff, "D"), side="right"))
        of_ticker = list(_visits(view, _origins(ticker, known, settings, seed), settings.horizon))
        visits += of_ticker
        tickers += [ticker] if of_ticker else []
    if len(visits) < MIN_VISITS:
        raise InputError(
            f"The bars up to {cutoff} have {len(visits)} origins to train on, too few for a policy.",
            where="the bars up to the cutoff",
            hint=f"choose a later cutoff or more tickers: {MIN_VISITS} origins are needed, {settings.origin_step} "
            f"sessions apart, after the first {FIRST_BAR} sessions of each ticker",
        )
    return Policy(estimate_arms(visits, ACTIONS), cutoff, settings.horizon, seed, tuple(tickers))


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
