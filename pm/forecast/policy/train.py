"""Train a policy offline, by the gains over naive at rolling origins."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.forecast.policy.actions import ACTIONS
from pm.forecast.policy.bandit import Policy, learn
from pm.forecast.policy.cohort import places
from pm.forecast.policy.state import State, observe, volatility_shares

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pm.forecast.base import Panel
    from pm.forecast.policy.cohort import Place
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = ["SMALLEST", "WARM_UP", "losses", "train_policy"]

WARM_UP = 250
"""Bars before the first origin: a year, half of what volatility is compared with."""

FEWEST_VISITS = 50
"""Origins, over all tickers, below which nothing can be learnt: the prior's own weight."""

CAP = 2.0
"""Largest reward and, negative, smallest: a log ratio beyond a factor of seven says that something broke."""

SMALLEST = 1e-16
"""Squared errors of log prices below this are rounding."""


def train_policy(panel: Panel, *, settings: ForecastSettings, cutoff: date, seed: int) -> Policy:
    """Learn what each action gains in each state, pooled over tickers.

    Origins lie `settings.origin_step` sessions apart; each ticker's first is drawn, so that tickers are not all seen
    on the same days. At each, every action is fitted anew on the bars up to it, and rewarded with the log ratio of
    naive's loss to its own over the `settings.horizon` sessions after it, capped.

    Parameters
    ----------
    panel
        Log prices; tickers of a group are stacked.
    settings
        Horizon and distance of origins.
    cutoff
        Last date that an outcome may be of.
    seed
        Of the draws.

    Raises
    ------
    InputError
        There are too few origins before the cutoff.
    """
    visits: list[tuple[State, FloatArray]] = []
    tickers = []
    found = places(panel)
    for ticker in sorted(found):
        place = found.pop(ticker)  # what its cohort has learnt may go with it
        known = int(np.searchsorted(place.dates, np.datetime64(cutoff, "D"), side="right"))
        own = list(_visit(place, _origins(ticker, known, settings, seed), settings.horizon))
        visits += own
        tickers += [ticker] if own else []
    if len(visits) < FEWEST_VISITS:
        raise InputError(
            f"The bars up to {cutoff} have {len(visits)} origins to learn from, too few for a policy.",
            where="the bars before the cutoff",
            hint=f"choose a later cutoff or more tickers: {FEWEST_VISITS} origins are needed, {settings.origin_step} "
            f"sessions apart, after a first {WARM_UP} sessions",
        )
    return Policy(learn(visits, ACTIONS), cutoff, settings.horizon, seed, tuple(tickers))


def losses(place: Place, bar: int, paths: FloatArray) -> FloatArray:
    """Give the loss of each path of a ticker after a bar: its mean squared error, each step's divided by the step.

    See `Backtest.products` for why.

    Parameters
    ----------
    paths
        Log prices, shape (paths, horizon).
    """
    steps = np.arange(1, paths.shape[1] + 1)
    actual = place.log_prices[bar + 1 : bar + 1 + paths.shape[1]]
    loss: FloatArray = np.mean((paths - actual) ** 2 / steps, axis=1)
    return loss


def _origins(ticker: str, known: int, settings: ForecastSettings, seed: int) -> range:
    """Give the bars to learn at, of the first `known`; the ticker's draw depends on its name and the seed alone."""
    digest = hashlib.blake2b(f"{seed} {ticker}".encode(), digest_size=8).digest()
    offset = int(np.random.default_rng(int.from_bytes(digest)).integers(settings.origin_step))
    return range(WARM_UP + offset, known - settings.horizon, settings.origin_step)


def _visit(place: Place, origins: range, horizon: int) -> Iterator[tuple[State, FloatArray]]:
    shares = volatility_shares(place.log_prices)
    for bar in origins:
        paths = [place.path(bar, action, horizon) for action in ACTIONS]
        naive, *own = losses(place, bar, np.stack([np.full(horizon, place.log_prices[bar]), *paths]))
        reward = np.log(naive + SMALLEST) - np.log(np.array(own) + SMALLEST)
        yield observe(place, shares, bar), np.clip(reward, -CAP, CAP)
