"""Draw joint scenarios from past sessions, all tickers' returns of the same date together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.risk.scenarios import Scenarios
from pm.seeding import ticker_generator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.typing import FloatArray, IntArray

__all__ = ["MIN_RETURNS", "drawn_scenarios", "standardised_returns"]

MIN_RETURNS = 60
"""Smallest number of returns of a ticker among the dates that scenarios are drawn from."""


def standardised_returns(returns: pl.DataFrame, sessions: int, seed: int) -> tuple[tuple[str, ...], FloatArray]:
    """Return the newest returns of all tickers on the same dates, each of mean 0 and variance 1.

    Where a ticker has no return on a date, it gets its regression on the mean of the others and a draw from its own
    residuals, so that no date is dropped and its variance and correlation stay.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return.
    sessions
        Largest number of dates; those on which at least half of the tickers have a return count.
    seed
        Seed of the draws; those of a ticker depend on its name too.

    Returns
    -------
    The tickers, sorted, and an array of shape (dates, tickers), oldest first. Tickers with fewer than 60 returns, or
    that never move, are left out.
    """
    wide = returns.pivot("ticker", index="date", values="log_return").sort("date")
    tickers = sorted(set(wide.columns) - {"date"})
    values = wide.select(pl.col(tickers).cast(pl.Float64)).to_numpy().astype(np.float64)
    is_common = np.isfinite(values).sum(axis=1) * 2 >= np.isfinite(values).any(axis=0).sum()
    values = values[is_common][-sessions:]
    known = np.isfinite(values)
    deviations = np.array([values[known[:, place], place].std() for place in range(len(tickers))])
    usable = (known.sum(axis=0) >= MIN_RETURNS) & (np.nan_to_num(deviations) > 0)
    tickers = [ticker for ticker, use in zip(tickers, usable, strict=True) if use]
    values, known = values[:, usable], known[:, usable]
    means = np.array([values[known[:, place], place].mean() for place in range(len(tickers))])
    values = (values - means) / deviations[usable]
    _fill(values, known, tickers, seed)
    return tuple(tickers), values


def _fill(values: FloatArray, known: np.ndarray, tickers: list[str], seed: int) -> None:
    """Fill the gaps in place: the regression on the mean of the tickers that have a return, and an own residual."""
    market = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    for place, ticker in enumerate(tickers):
        own = known[:, place]
        if own.all():
            continue
        beta = float(values[own, place] @ market[own] / (market[own] @ market[own]))
        residuals = values[own, place] - beta * market[own]
        generator = ticker_generator(seed, ticker)
        values[~own, place] = beta * market[~own] + generator.choice(residuals, int((~own).sum()))


def drawn_scenarios(
    tickers: tuple[str, ...],
    standardised: FloatArray,
    sigmas: Mapping[str, float],
    *,
    horizon: int,
    count: int,
    decay: float,
    seed: int,
) -> Scenarios:
    """Return scenarios of the returns over a horizon, drawn date by date from past sessions.

    Each session of a scenario is a past date, drawn with probability proportional to decay^age, and all tickers take
    their standardised returns of that date. The sum over the horizon is scaled so that each ticker's log return has its
    forecast volatility, and mean 0.

    Parameters
    ----------
    tickers, standardised
        From `standardised_returns`.
    sigmas
        Standard deviation of the log return over the horizon, by ticker.
    horizon
        Number of sessions.
    count
        Number of scenarios.
    decay
        Ratio of the probability of a date to that of the next one.
    seed
        Seed of the draws.
    """
    ages = np.arange(len(standardised))[::-1]
    probabilities = decay**ages / (decay**ages).sum()
    generator = np.random.default_rng(seed)
    total = np.zeros((count, len(tickers)))
    for _ in range(horizon):
        dates: IntArray = generator.choice(len(standardised), count, p=probabilities)
        total += standardised[dates]
    total -= total.mean(axis=0)
    total *= np.array([sigmas[ticker] for ticker in tickers]) / total.std(axis=0)
    return Scenarios(tickers, horizon, np.expm1(total), np.full(count, 1 / count))
