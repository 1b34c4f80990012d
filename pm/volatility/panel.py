"""The panel model: one volatility equation for all tickers, with a market factor, and one shape of returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.volatility.panel_series import KINDS, NODES, REGRESSORS
from pm.volatility.panel_sums import BINS, LARGEST_RETURN, LARGEST_SQUARE, SCALE_PRIOR, start_coefficients
from pm.volatility.shipped_panel import COEFFICIENTS, SCALES, SHAPE, SHAPE_LEVELS

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray
    from pm.volatility.panel_series import PanelSeries
    from pm.volatility.panel_sums import PanelSums

__all__ = ["TERMS", "PanelModel", "PanelPath", "fit_panel", "shipped_panel"]

TERMS = (*REGRESSORS, "market")
"""Names of the coefficients of a node."""

_PRIOR_ROWS = 10_000.0
"""Weight of the shipped model, in outcomes whose windows do not overlap: that of four tickers with ten years each."""
_PRIOR_TICKERS = 3.0
"""Number of tickers by which the market factor is shrunk to 0: the factor of three tickers counts half."""
_DRIFT = 0.25
"""Share of the mean standardised return of all tickers that is part of the forecast distribution."""
_SMALLEST_SQUARE = 1e-3
"""Smallest mean square of a regressor that the ridge is in units of: one that is always 0 keeps its coefficient."""


@dataclass(frozen=True)
class PanelModel:
    """A fitted panel model.

    Attributes
    ----------
    coefficients
        Coefficients of the log volatility relative to the ticker's mean, shape (kinds, nodes, TERMS).
    scales
        Variance of the return, per session, in units of the square of that volatility, shape (kinds, nodes).
    shape
        Quantiles of standardised returns at `SHAPE_LEVELS`, shape (kinds, nodes, levels).
    market_days, market
        Days since 1970-01-01, ascending, and the market factor on them: the mean over tickers of the log of the last
        day's variance relative to each ticker's mean.
    rows
        Number of outcomes that each equation was fitted to, shape (kinds, nodes).
    tickers
        Number of tickers that it was fitted to.
    """

    coefficients: FloatArray
    scales: FloatArray
    shape: FloatArray
    market_days: IntArray
    market: FloatArray
    rows: IntArray
    tickers: int

    def log_variance(self, series: PanelSeries) -> FloatArray:
        """Return the log of the forecast mean variance of the next sessions, shape (returns, nodes)."""
        market = np.zeros(len(series.days))
        if len(self.market_days):
            place = np.minimum(np.searchsorted(self.market_days, series.days), len(self.market_days) - 1)
            known = self.market_days[place] == series.days
            market[known] = self.market[place[known]]
        own = self.coefficients[series.kind]
        ratio = series.regressors @ own[:, :-1].T + np.outer(market, own[:, -1])
        level = np.log(np.maximum(series.level, np.finfo(float).tiny))
        return np.asarray(2.0 * (ratio + level[:, np.newaxis]) + np.log(self.scales[series.kind]))

    def path(self, series: PanelSeries, horizon: int) -> PanelPath:
        """Return the deviation of a ticker's total return over each step, as forecast after each of its sessions."""
        first_day = int(self.market_days[0]) if len(self.market_days) else int(series.days[0])
        log_variance = self.log_variance(series)
        for node in range(len(NODES)):
            log_variance[:, node] += np.log(_scales(series, node, log_variance[:, node], first_day))
        weights = _interpolation(horizon)
        steps_ahead = np.arange(1, horizon + 1)
        variance = steps_ahead * np.exp(log_variance[series.begin :] @ weights)
        return PanelPath(
            series.begin,
            np.sqrt(np.maximum.accumulate(variance, axis=1)),
            np.asarray(weights.T @ self.shape[series.kind]),
        )


@dataclass(frozen=True)
class PanelPath:
    """Forecasts of a ticker by the panel model.

    Attributes
    ----------
    begin
        Place of the return after which the first forecast is made.
    sigma
        Deviation of the total return over each step, shape (returns − begin, horizon); the last row is today's.
    shape
        Quantiles of the standardised total return at `SHAPE_LEVELS`, shape (horizon, levels).
    """

    begin: int
    sigma: FloatArray
    shape: FloatArray


def shipped_panel() -> PanelModel:
    """Return the shipped model, without a market factor."""
    nothing = np.empty(0, dtype=np.int64)
    rows = np.zeros((len(KINDS), len(NODES)), dtype=np.int64)
    shape = _drifted(np.array(SHAPE))
    return PanelModel(np.array(COEFFICIENTS), np.array(SCALES), shape, nothing, np.empty(0), rows, 0)


def fit_panel(sums: PanelSums) -> PanelModel:
    """Fit the panel model to sums over tickers, by least squares of logarithms with a ridge towards the shipped one.

    Logarithms of absolute moves are hardly moved by a crash or a wrong quote, and every ticker counts alike. What they
    lack, the mean of the square above the square of the mean, is in the scale.

    Parameters
    ----------
    sums
        Sums over all tickers, from `panel_sums`.
    """
    market = sums.market / (sums.market_tickers + _PRIOR_TICKERS)
    shipped, size = np.array(COEFFICIENTS), len(TERMS)
    coefficients, scales = shipped.copy(), np.array(SCALES)
    start = np.insert(start_coefficients(), size - 1, 0.0, axis=2)
    for kind, node in np.ndindex(sums.rows.shape):
        rows, weight_of_prior = sums.rows[kind, node], _PRIOR_ROWS * NODES[node]
        if not rows:
            continue
        cross, product = np.empty((size, size)), np.empty(size)
        cross[:-1, :-1], product[:-1] = sums.cross[kind, node], sums.product[kind, node]
        cross[:-1, -1] = cross[-1, :-1] = market @ sums.day_regressors[:, kind, node]
        cross[-1, -1] = market**2 @ sums.day_rows[:, kind, node]
        product[-1] = market @ sums.day_ratios[:, kind, node]
        prior = weight_of_prior * np.maximum(np.diag(cross) / rows, _SMALLEST_SQUARE)
        found = np.linalg.solve(cross + np.diag(prior), product + prior * shipped[kind, node])
        # By the new coefficients a return is standardised by another volatility than by those of the sums.
        change = cross[0] / rows @ (found - start[kind, node])
        scale = sums.squares[kind, node] / rows * np.exp(-2.0 * change)
        coefficients[kind, node] = found
        scales[kind, node] *= (scale / scales[kind, node]) ** (rows / (rows + weight_of_prior))
    known = sums.market_tickers > 0
    days = sums.first_day + np.flatnonzero(known)
    shape = np.array(SHAPE)
    for kind, node in np.ndindex(sums.rows.shape):
        shape[kind, node] = _shape(sums.bins[kind, node], shape[kind, node], _PRIOR_ROWS * NODES[node])
    return PanelModel(
        coefficients, scales, _drifted(shape), days, market[known], sums.rows.astype(np.int64), sums.tickers
    )


def _shape(bins: IntArray, shipped: FloatArray, prior: float) -> FloatArray:
    """Return quantiles of standardised returns in bins, averaged with the shipped ones by their numbers."""
    count = float(bins.sum())
    if not count:
        return shipped
    edges = np.linspace(-LARGEST_RETURN, LARGEST_RETURN, BINS + 1)
    reached = np.concatenate([[0.0], np.cumsum(bins)]) / count
    rising = np.concatenate([[True], np.diff(reached) > 0.0])
    own = np.interp(SHAPE_LEVELS, reached[rising], edges[rising])
    return np.asarray((count * own + prior * shipped) / (count + prior))


def _drifted(shape: FloatArray) -> FloatArray:
    """Return quantiles moved so that a share of their mean remains."""
    levels = np.concatenate([[0.0], SHAPE_LEVELS, [1.0]])
    padded = np.concatenate([shape[..., :1], shape, shape[..., -1:]], axis=-1)
    mean = np.trapezoid(padded, levels, axis=-1)
    return np.asarray(shape - (1.0 - _DRIFT) * mean[..., np.newaxis])


def _scales(series: PanelSeries, node: int, log_variance: FloatArray, first_day: int) -> FloatArray:
    """Return the ratio of a ticker's realised to its forecast variance after each session, shrunk to 1."""
    steps, count = NODES[node], len(series.returns)
    scales = np.ones(count)
    places = series.known(node, first_day)
    if places.start >= places.stop:
        return scales
    outcomes = series.outcomes(node)[places]
    squares = np.minimum(outcomes**2 / (steps * np.exp(log_variance[places])), LARGEST_SQUARE)
    numbers = np.arange(1, len(squares) + 1)
    independent = numbers / steps**0.5
    known = (np.cumsum(squares) / steps**0.5 + SCALE_PRIOR) / (independent + SCALE_PRIOR)
    scales[places.start + steps : places.stop + steps] = known
    return scales


def _interpolation(horizon: int) -> FloatArray:
    """Return the weight of each node for each step, linear in the logarithm of the step, shape (nodes, horizon)."""
    position = np.interp(np.log(np.arange(1, horizon + 1)), np.log(NODES), np.arange(len(NODES)))
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(position - np.arange(len(NODES))[:, np.newaxis])))
