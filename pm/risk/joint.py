"""A model of all tickers' returns on the same dates, and the scenarios that it implies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.residuals import aged_probabilities, complete_residuals, joint_dates
from pm.risk.scenarios import Scenarios, simple_returns
from pm.volatility.base import SMALLEST_SIGMA
from pm.volatility.simulate import latin_hypercube

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from pm.typing import DateArray, FloatArray, IntArray
    from pm.volatility.series import ReturnSeries

__all__ = ["Dynamics", "JointModel", "dynamics_of", "joint_model", "scenarios_of"]


@dataclass(frozen=True)
class Dynamics:
    """A ticker's conditional variance: h[t+1] = ω + (α + γ·1[e[t] < 0])·e[t]² + β·h[t], the mean of a pool of fits.

    Attributes
    ----------
    residuals
        Returns less their mean, divided by their conditional standard deviation, oldest first.
    next_variance
        Variance of the first session after the last return.
    omega, alpha, gamma, beta
        Means of the fits' parameters. The recursion is linear in them, so that it is the mean of the fits' recursions
        from a common variance.
    """

    residuals: FloatArray
    next_variance: float
    omega: float
    alpha: float
    gamma: float
    beta: float


@dataclass(frozen=True)
class JointModel:
    """The joint distribution of the next returns of several tickers.

    Attributes
    ----------
    tickers
        The tickers, sorted.
    dates
        Dates of the residuals, oldest first, of type datetime64[D].
    probabilities
        Probability of each date; they sum to 1.
    residuals
        Standardised residuals, of shape (dates, tickers), without gaps.
    dynamics
        Variance of the next session, ω, α, γ and β, of shape (5, tickers).
    filled
        For each ticker that lacked residuals, on how many of the dates; see `complete_residuals`.
    """

    tickers: tuple[str, ...]
    dates: DateArray
    probabilities: FloatArray
    residuals: FloatArray
    dynamics: FloatArray
    filled: Mapping[str, int]

    @property
    def sigmas(self) -> FloatArray:
        """Standard deviation of each ticker's log return of the next session."""
        return np.asarray(np.sqrt(self.dynamics[0]))

    def of(self, tickers: Sequence[str]) -> JointModel:
        """Return the model of some of the tickers, in the order given; their scenarios stay the same.

        Raises
        ------
        KeyError
            The model lacks a ticker.
        """
        place_of = {ticker: place for place, ticker in enumerate(self.tickers)}
        places = [place_of[ticker] for ticker in tickers]
        return JointModel(
            tuple(tickers),
            self.dates,
            self.probabilities,
            np.ascontiguousarray(self.residuals[:, places]),
            np.ascontiguousarray(self.dynamics[:, places]),
            {ticker: self.filled[ticker] for ticker in tickers if ticker in self.filled},
        )

    def draws(self, steps: int, *, paths: int, seed: int) -> IntArray:
        """Return the place of the date that each step of each path takes, of shape (steps, paths).

        The draws of each step are stratified, and depend on nothing but the step, `paths`, `seed` and the probabilities
        of the dates: not on how many steps follow.
        """
        positions = np.empty((steps, paths))
        for step in range(steps):
            sequence = np.random.SeedSequence([seed, step])
            positions[step] = latin_hypercube(1, paths, np.random.Generator(np.random.PCG64(sequence)))[0]
        ends = np.cumsum(self.probabilities)
        ends[-1] = 1.0
        return np.searchsorted(ends, positions, side="right").astype(np.int64)

    def scenarios(self, horizons: Sequence[int], *, paths: int, seed: int) -> dict[int, Scenarios]:
        """Return scenarios of the simple returns over each horizon.

        Over one session there is a scenario for each date, with the probability of the date: nothing is drawn. Over
        more sessions, all horizons are read from the same paths.

        Parameters
        ----------
        horizons
            Numbers of sessions.
        paths
            Number of paths.
        seed
            Seed of the draws.
        """
        from pm.risk.simulation import fill_joint_paths  # numba takes 0.5 s to import

        found: dict[int, Scenarios] = {}
        if 1 in horizons:
            found[1] = Scenarios(self.tickers, 1, simple_returns(self.residuals * self.sigmas), self.probabilities)
        longer = sorted({horizon for horizon in horizons if horizon > 1})
        if longer:
            returns = np.empty((len(longer), paths, len(self.tickers)))
            draws = self.draws(longer[-1], paths=paths, seed=seed)
            fill_joint_paths(returns, np.array(longer), draws, self.residuals, self.dynamics)
            simple_returns(returns, out=returns)
            equal = np.full(paths, 1.0 / paths)
            found |= {
                horizon: Scenarios(self.tickers, horizon, returns[place], equal) for place, horizon in enumerate(longer)
            }
        return found


def dynamics_of(returns: FloatArray, fits: FloatArray) -> Dynamics:
    """Return the mean variance of a pool of fitted models, and the residuals under it.

    Each model filters all returns, also those before the window that it was fitted to.

    Parameters
    ----------
    returns
        Returns of the series, oldest first.
    fits
        Parameters μ, ω, α, γ, β of each fit, shape (fits, 5).
    """
    from pm.volatility.likelihood import conditional_variances  # numba takes 0.5 s to import

    variance = np.zeros(len(returns) + 1)
    for parameters in fits:
        variance += conditional_variances(returns, np.array([*parameters, np.inf])) / len(fits)
    mean = fits.mean(axis=0)
    residuals = np.full(len(returns), np.nan)
    moving = variance[:-1] > SMALLEST_SIGMA**2
    residuals[moving] = (returns[moving] - mean[0]) / np.sqrt(variance[:-1][moving])
    return Dynamics(residuals, float(variance[-1]), *mean[1:].tolist())


def joint_model(
    series: Mapping[str, ReturnSeries],
    volatility: pl.DataFrame,
    fits: pl.DataFrame,
    *,
    window: int,
    decay: float,
    seed: int,
) -> JointModel:
    """Return the joint model of the tickers that have a volatility.

    Parameters
    ----------
    series
        Returns that the volatility was fitted to, by ticker; see `pm.volatility.series.usable_returns`.
    volatility, fits
        Rows of tables `volatility` (of step 1) and `volatility_fits` of one run.
    window
        Maximum number of joint dates.
    decay
        Ratio of a date's probability to that of the next date.
    seed
        Seed of the residuals that are filled in.
    """
    import polars as pl

    sigma_of = dict(volatility.filter(pl.col("step") == 1).select("ticker", "sigma").iter_rows())
    usable = fits.filter(pl.col("mu").is_not_null()).sort("ticker", "window_size", "model")
    parameters = usable.select("mu", "omega", "alpha", "gamma", "beta").to_numpy()
    dynamics: dict[str, Dynamics] = {}
    start = 0
    for length, ticker in usable["ticker"].rle().struct.unnest().select("len", "value").iter_rows():
        own_fits = parameters[start : start + length]
        start += length
        if ticker in series and ticker in sigma_of:
            own = dynamics_of(series[ticker].returns, own_fits)
            # That of table `volatility`, whose fits start their recursions at their own windows.
            dynamics[ticker] = replace(own, next_variance=sigma_of[ticker] ** 2)
    tickers = tuple(sorted(dynamics))
    dates = joint_dates({ticker: series[ticker].dates for ticker in tickers}, window)
    matrix = np.full((len(dates), len(tickers)), np.nan)
    for place, ticker in enumerate(tickers):
        days = series[ticker].dates
        shared = np.isin(days, dates)
        matrix[np.searchsorted(dates, days[shared]), place] = dynamics[ticker].residuals[shared]
    complete = complete_residuals(matrix, tickers, seed=seed)
    values = [[own.next_variance, own.omega, own.alpha, own.gamma, own.beta] for own in dynamics.values()]
    places = [list(dynamics).index(ticker) for ticker in tickers]
    return JointModel(
        tickers,
        dates,
        aged_probabilities(len(dates), decay),
        complete.residuals,
        np.ascontiguousarray(np.array(values).reshape(-1, 5)[places].T),
        complete.filled,
    )


def scenarios_of(model: JointModel, tickers: Sequence[str], horizon: int, *, paths: int, seed: int) -> Scenarios:
    """Return scenarios of the simple returns of some tickers over a horizon; see `JointModel.scenarios`.

    The scenarios of a ticker do not depend on which other tickers are asked for.

    Raises
    ------
    KeyError
        The model lacks a ticker.
    """
    return model.of(tickers).scenarios([horizon], paths=paths, seed=seed)[horizon]
