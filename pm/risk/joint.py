"""A model of all tickers' returns on the same dates, and the scenarios that it implies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from pm.risk.residuals import aged_probabilities, complete_residuals, joint_dates
from pm.risk.scenarios import Scenarios, simple_returns
from pm.volatility.base import SMALLEST_SIGMA
from pm.volatility.simulate import latin_hypercube

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from pm.typing import DateArray, FloatArray, IntArray
    from pm.volatility.series import ReturnSeries

__all__ = ["Dynamics", "JointModel", "dynamics_of", "joint_model", "scenarios_of"]

_FIT_COLUMNS = ("ticker", "window_size", "model", "mu", "omega", "alpha", "gamma", "beta")


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
        return _drawn_places(self.probabilities.tobytes(), steps, paths, seed).copy()

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


@lru_cache(maxsize=2)
def _drawn_places(probabilities: bytes, steps: int, paths: int, seed: int) -> IntArray:
    """Return the draws of `JointModel.draws`: those of one day are those of the next if its dates are as many."""
    ends = np.cumsum(np.frombuffer(probabilities))
    ends[-1] = 1.0
    return np.searchsorted(ends, _positions(steps, paths, seed), side="right").astype(np.int64)


@lru_cache(maxsize=2)
def _positions(steps: int, paths: int, seed: int) -> FloatArray:
    """Return positions in [0, 1) that are stratified in each step, shape (steps, paths)."""
    positions = np.empty((steps, paths))
    for step in range(steps):
        sequence = np.random.SeedSequence([seed, step])
        positions[step] = latin_hypercube(1, paths, np.random.Generator(np.random.PCG64(sequence)))[0]
    return positions


def _rows(frame: pl.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(frame[name].to_list() for name in names), strict=True)


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
    from pm.volatility.likelihood import mean_conditional_variances  # numba takes 0.5 s to import

    variance = mean_conditional_variances(returns, fits)
    mean = fits.mean(axis=0)
    moving = variance[:-1] > SMALLEST_SIGMA**2
    residuals = np.where(moving, (returns - mean[0]) / np.sqrt(np.where(moving, variance[:-1], np.nan)), np.nan)
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
    # Lists, since expressions over a frame of a few rows take longer than the mathematics.
    sigma_of = {ticker: sigma for ticker, step, sigma in _rows(volatility, "ticker", "step", "sigma") if step == 1}
    fits_of: dict[str, list[tuple[float, ...]]] = {}
    fitted = [row for row in _rows(fits, *_FIT_COLUMNS) if row[3] is not None]
    for ticker, _, _, *parameters in sorted(fitted, key=lambda row: row[:3]):
        fits_of.setdefault(ticker, []).append(tuple(parameters))
    tickers = tuple(ticker for ticker in fits_of if ticker in series and ticker in sigma_of)
    dynamics = {
        # The variance of table `volatility`, whose fits start their recursions at their own windows.
        ticker: replace(
            dynamics_of(series[ticker].returns, np.array(fits_of[ticker])), next_variance=sigma_of[ticker] ** 2
        )
        for ticker in tickers
    }
    dates = joint_dates({ticker: series[ticker].dates for ticker in tickers}, window)
    matrix = np.full((len(dates), len(tickers)), np.nan)
    for place, ticker in enumerate(tickers):
        first = np.searchsorted(series[ticker].dates, dates[0])
        days, residuals = series[ticker].dates[first:], dynamics[ticker].residuals[first:]
        rows = np.searchsorted(dates, days)
        shared = dates[np.minimum(rows, len(dates) - 1)] == days
        matrix[rows[shared], place] = residuals[shared]
    complete = complete_residuals(matrix, tickers, seed=seed)
    values = [[own.next_variance, own.omega, own.alpha, own.gamma, own.beta] for own in dynamics.values()]
    return JointModel(
        tickers,
        dates,
        aged_probabilities(len(dates), decay),
        complete.residuals,
        np.ascontiguousarray(np.array(values).reshape(-1, 5).T),
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
