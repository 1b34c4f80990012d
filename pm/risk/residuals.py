"""Standardised residuals of all tickers on the same dates, with those that a ticker lacks filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.seeding import ticker_generator
from pm.statistics.robust import OUTLIER_SIGMAS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.typing import DateArray, FloatArray

__all__ = ["CompleteResiduals", "aged_probabilities", "complete_residuals", "first_factor", "joint_dates"]

_SWEEPS = 25
"""Number of alternating least-squares sweeps that estimate the first factor from incomplete residuals."""
_SATURDAY = 5
"""Number of the weekday."""
_MIN_OWN_DRAWS = 20
"""Minimum number of own residuals to draw from; with fewer, what the factor leaves is taken as normal."""


@dataclass(frozen=True)
class CompleteResiduals:
    """Residuals of tickers on joint dates, without gaps.

    Attributes
    ----------
    residuals
        Shape (dates, tickers); each column has mean 0 and variance 1 over the dates on which it was observed.
    filled
        For each ticker that lacked residuals, on how many of the dates.
    """

    residuals: FloatArray
    filled: dict[str, int]


def joint_dates(series: Mapping[str, DateArray], window: int) -> DateArray:
    """Return the last `window` dates on which a ticker has a return.

    A Saturday or Sunday counts only if at least half of the tickers that have begun have a return on it: a currency
    that trades every day does not make weekends sessions of all others.

    Parameters
    ----------
    series
        Dates of each ticker's returns, ascending, of type datetime64[D].
    window
        Maximum number of dates.
    """
    if not series:
        return np.empty(0, dtype="datetime64[D]")
    days = np.concatenate([own[-2 * window :] for own in series.values()]).astype("datetime64[D]").astype(np.int64)
    first = days.min()
    traded = np.bincount(days - first)
    dates = np.flatnonzero(traded) + first
    starts = np.sort(np.array([own[0] for own in series.values()], dtype="datetime64[D]").astype(np.int64))
    begun = np.searchsorted(starts, dates, side="right")
    weekday = (dates + 3) % 7  # day 0, 1970-01-01, was a Thursday
    kept = (weekday < _SATURDAY) | (2 * traded[dates - first] >= begun)
    return np.asarray(dates[kept][-window:].astype("datetime64[D]"))


def aged_probabilities(count: int, decay: float) -> FloatArray:
    """Return probabilities of dates, oldest first: proportional to `decay` to the power of the age, with sum 1.

    References
    ----------
    Boudoukh, Richardson and Whitelaw (1998), The best of both worlds, Risk 11.
    """
    weights = decay ** np.arange(count - 1, -1, -1, dtype=np.float64)
    return np.asarray(weights / weights.sum())


def first_factor(residuals: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Estimate the first factor of residuals with gaps, by alternating least squares.

    Minimises Σ (z[t, i] − b[i]·f[t])² over the observed residuals. Without gaps, f is the first principal component.

    Parameters
    ----------
    residuals
        Shape (dates, tickers), NaN where there is none.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        The factor f of each date, with a root mean square of 1; it is 0 on a date without residuals. And the slope b of
        each ticker, by least squares on the dates on which it is observed.
    """
    finite = np.isfinite(residuals)
    values, known = np.where(finite, residuals, 0.0), finite.astype(np.float64)
    slopes = np.ones(residuals.shape[1])
    factor = np.zeros(len(residuals))
    for _ in range(_SWEEPS):
        factor = values @ slopes / np.maximum(known @ slopes**2, 1e-12)
        scale = float(np.sqrt(np.mean(factor**2)))
        if not scale > 0.0:
            return np.zeros(len(residuals)), np.zeros(residuals.shape[1])
        factor = factor / scale
        slopes = factor @ values / np.maximum(factor**2 @ known, 1e-12)
    return factor, slopes


def complete_residuals(residuals: FloatArray, tickers: Sequence[str], *, seed: int) -> CompleteResiduals:
    """Standardise the residuals of each ticker, and fill in those that it lacks.

    A residual that is missing, or further than `OUTLIER_SIGMAS` from 0, is replaced by the ticker's slope on the first
    factor times the factor of that date, plus what the factor left of the ticker on another date. Those are drawn from
    a generator that is seeded with the ticker's name.

    Parameters
    ----------
    residuals
        Shape (dates, tickers), oldest first, NaN where a ticker has no return. Each ticker has two or more.
    tickers
        Names of the columns.
    seed
        Seed of the draws.
    """
    known = np.isfinite(residuals) & (np.abs(np.nan_to_num(residuals, nan=np.inf)) <= OUTLIER_SIGMAS)
    observed = np.where(known, residuals, np.nan)
    standard = (observed - np.nanmean(observed, axis=0)) / np.nanstd(observed, axis=0)
    gaps = ~known
    if not gaps.any():
        return CompleteResiduals(standard, {})
    factor, slopes = first_factor(standard)
    complete = standard.copy()
    filled = {}
    for place in np.flatnonzero(gaps.any(axis=0)).tolist():
        missing = gaps[:, place]
        generator = ticker_generator(seed, tickers[place])
        own = (standard[:, place] - slopes[place] * factor)[~missing]
        if len(own) >= _MIN_OWN_DRAWS:
            drawn = own[generator.integers(0, len(own), missing.sum())]
        else:
            drawn = generator.standard_normal(missing.sum()) * np.sqrt(max(0.0, 1.0 - slopes[place] ** 2))
        complete[missing, place] = slopes[place] * factor[missing] + drawn
        filled[tickers[place]] = int(missing.sum())
    return CompleteResiduals(complete, filled)
