"""Forecast relative returns of all tickers by one ridge regression, and test it on dates that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.relative.cross_section import MIN_TICKERS, REGRESSORS, SPACING, cross_sections
from pm.forecast.stacking import SIGNIFICANCE, shrinkage
from pm.statistics.diebold_mariano import DieboldMariano, diebold_mariano
from pm.statistics.losses import loss_differential
from pm.statistics.regression import newey_west_lags, regress
from pm.tables.vocabulary import RelativeStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

    from pm.forecast.relative.cross_section import CrossSection
    from pm.typing import FloatArray

__all__ = ["MIN_DATES", "DateTest", "RelativeModel", "fit_relative", "relative_model", "ridge"]

LARGE_T = 3.0
"""Smallest t statistic of the slope on the forecasts with which the model has weight.

Of the many features of returns that were ever tried, some pass a test at 5% by chance; Harvey, Liu and Zhu (2016),
... and the Cross-Section of Expected Returns, Review of Financial Studies 29, ask for 3.
"""

WINDOW = 300
"""Number of cross-sections that a regression is fitted to, the newest ones whose outcomes are known: six years."""

MIN_TRAINING = 50
"""Minimum number of cross-sections of a regression: a year."""

MIN_DATES = 16
"""Minimum number of dates of the test; no two of their horizons overlap."""

_EQUAL = 1.0 - 1e-6
"""Absolute correlation from which on two features order the tickers in the same way."""

PRIOR_DATES = 250.0
"""Weight of coefficients of 0, in dates whose horizons do not overlap.

If true coefficients are about 0.02, as with an information coefficient of 0.02, and a date has the relative returns of
ten independent tickers, the variance of a date's estimate is this many times that of the coefficients.
"""


@dataclass(frozen=True)
class DateTest:
    """A mean over dates, and its t statistic with the standard error of Newey and West; NaN with too few dates."""

    mean: float
    t: float

    @classmethod
    def of(cls, values: FloatArray) -> DateTest:
        """Return the mean of one value a date, oldest first."""
        if len(values) < MIN_DATES:
            return cls(float("nan"), float("nan"))
        found = regress(values, np.empty((len(values), 0)), lags=newey_west_lags(len(values)))
        mean, error = float(found.coefficients[0]), float(found.errors[0])
        return cls(mean, mean / error if error > 0 else float("nan"))


@dataclass(frozen=True)
class RelativeModel:
    """The regression of a run, and what it was worth on dates that it was not fitted to.

    Without enough tickers or dates for a regression, arrays are empty and numbers NaN.

    Attributes
    ----------
    status
        Whether it has weight, or why it could not be fitted or tested.
    coefficients
        Coefficients of the standardised features, shape (REGRESSORS,): relative return in standard deviations of the
        horizon's return; NaN for a feature that no ticker has.
    equal_to
        For each feature, the first of those before it that orders the tickers in the same way, or None.
    importance
        Share of the variance of the forecasts that each feature explains; they sum to 1. Shape (REGRESSORS,).
    feature_slopes
        Mean over dates of the slope of relative returns on each feature alone, shape (REGRESSORS,).
    tickers
        Tickers of the newest cross-section.
    means
        Forecast log return over the whole horizon relative to the mean of all, of each of them.
    sections
        Number of cross-sections that it was fitted to.
    dates
        Dates of the test.
    last_target
        Last date on which a return of the test ends; None without a test.
    rank_correlation
        Rank correlation of forecast and realised relative returns (information coefficient).
    slope
        Slope of realised relative returns on the forecasts, in units of the forecasts' standard deviation (Fama and
        MacBeth 1973).
    relative_loss
        Mean squared error of relative returns / that of a forecast of 0.
    test
        One-sided Diebold-Mariano test of the squared errors against those of a forecast of 0.
    weight
        Weight that the forecasts have in an ensemble: 0 unless the test rejects, and `slope` is LARGE_T standard errors
        above 0.
    reason
        What was found, in a sentence.
    """

    status: RelativeStatus
    coefficients: FloatArray
    equal_to: tuple[str | None, ...]
    importance: FloatArray
    feature_slopes: tuple[DateTest, ...]
    tickers: tuple[str, ...]
    means: FloatArray
    sections: int
    dates: tuple[date, ...]
    last_target: date | None
    rank_correlation: DateTest
    slope: DateTest
    relative_loss: float
    test: DieboldMariano
    weight: float
    reason: str

    @classmethod
    def refused(cls, status: RelativeStatus, tickers: int, reason: str) -> RelativeModel:
        """Return no model, for a reason."""
        nan, empty = float("nan"), np.empty(0)
        none, test = DateTest(nan, nan), DieboldMariano(nan, nan)
        names = ("",) * tickers
        return cls(
            status, empty, (), empty, (), names, empty, 0, (), None, none, none, nan, test, 0.0, reason,
        )  # fmt: skip


@dataclass(frozen=True)
class _Sums:
    """Mean products of regressors, and of regressors and outcomes, of each cross-section."""

    cross: FloatArray
    product: FloatArray

    @classmethod
    def of(cls, sections: Sequence[CrossSection]) -> _Sums:
        size = len(REGRESSORS)
        return cls(
            np.array([own.regressors.T @ own.regressors / len(own.tickers) for own in sections]).reshape(
                -1, size, size
            ),
            np.array([own.regressors.T @ own.outcome / len(own.tickers) for own in sections]).reshape(-1, size),
        )


def ridge(cross: FloatArray, product: FloatArray, *, horizon: int) -> FloatArray:
    """Return the coefficients of a ridge regression, each cross-section with the same weight.

    Collinear features share their coefficient, and one that no ticker has gets 0.

    Parameters
    ----------
    cross, product
        Mean products of each cross-section, shapes (sections, regressors, regressors) and (sections, regressors).
    horizon
        Number of sessions of the outcomes: as many cross-sections as begin in them count as one.
    """
    penalty = PRIOR_DATES * max(1.0, horizon / SPACING)
    return np.asarray(np.linalg.solve(cross.sum(axis=0) + penalty * np.eye(cross.shape[1]), product.sum(axis=0)))


def relative_model(
    features: pl.DataFrame, prices: pl.DataFrame, dates: Sequence[date], *, as_of: date, horizon: int
) -> RelativeModel:
    """Return the model of relative returns of a day; see `cross_sections` for the parameters, and `fit_relative`."""
    return fit_relative(cross_sections(features, prices, dates, as_of=as_of, horizon=horizon), horizon=horizon)


def fit_relative(sections: Sequence[CrossSection], *, horizon: int) -> RelativeModel:
    """Return the model of the newest cross-section, and its test.

    The test goes over past dates a horizon apart. At each, the regression is fitted to the WINDOW cross-sections before
    it whose returns had ended by then, and forecasts the relative returns that followed.

    Parameters
    ----------
    sections
        From `cross_sections`, oldest first; the last has no outcome yet.
    horizon
        Number of sessions of the outcomes.
    """
    if not sections or sections[-1].last_target is not None:
        reason = f"fewer than {MIN_TICKERS} tickers have features: no weight"
        return RelativeModel.refused(RelativeStatus.FEW_TICKERS, 0, reason)
    past, newest = sections[:-1], sections[-1]
    if len(past) < MIN_TRAINING:
        reason = f"{len(past)} past dates with {MIN_TICKERS} tickers or more, needs {MIN_TRAINING}: no weight"
        return RelativeModel.refused(RelativeStatus.FEW_DATES, len(newest.tickers), reason)
    sums = _Sums.of(past)
    dates, values = _walk_forward(past, sums, horizon)
    fitted = slice(max(0, len(past) - WINDOW), len(past))
    coefficients = ridge(sums.cross[fitted], sums.product[fitted], horizon=horizon)
    mean_cross = sums.cross[fitted].mean(axis=0)
    parts = coefficients * (mean_cross @ coefficients)
    total = float(parts.sum())
    gains, ranks, slopes, features = values
    test = diebold_mariano(gains[:, 0] - gains[:, 1] if len(gains) else np.empty(0), alternative="greater")
    enough, slope = len(dates) >= MIN_DATES, DateTest.of(slopes)
    weight = shrinkage(test) if enough and slope.t > LARGE_T else 0.0
    relative = float(gains[:, 1].mean() / gains[:, 0].mean()) if enough else float("nan")
    known = np.diagonal(mean_cross) > 0
    status = RelativeStatus.EDGE if weight > 0 else RelativeStatus.NO_EDGE if enough else RelativeStatus.FEW_DATES
    return RelativeModel(
        status=status,
        coefficients=np.where(known, coefficients, np.nan),
        equal_to=_equal_features(mean_cross),
        importance=np.where(known, parts / total if total > 0 else 0.0, np.nan),
        feature_slopes=tuple(DateTest.of(own[np.isfinite(own)]) for own in features.reshape(-1, len(REGRESSORS)).T),
        tickers=newest.tickers,
        means=newest.regressors @ coefficients * newest.scale,
        sections=fitted.stop - fitted.start,
        dates=tuple(past[place].day for place in dates),
        last_target=max((past[place].last_target for place in dates), default=None),  # type: ignore[type-var]
        rank_correlation=DateTest.of(ranks),
        slope=slope,
        relative_loss=relative,
        test=test if enough else DieboldMariano(float("nan"), float("nan")),
        weight=weight,
        reason=_reason(len(dates), relative, test, slope, weight),
    )


def _walk_forward(
    past: Sequence[CrossSection], sums: _Sums, horizon: int
) -> tuple[list[int], tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Return the places of the dates of the test, and for each date what was found there.

    Returns
    -------
    places
        Places of the dates in `past`.
    values
        Mean squared outcome and error, shape (dates, 2); rank correlation and slope, shape (dates,); slope on each
        feature alone, NaN where no ticker has it, shape (dates, REGRESSORS).
    """
    from scipy.stats import rankdata

    apart = -(-horizon // SPACING)
    ends = np.array([own.last_target for own in past], dtype="datetime64[D]")
    places, losses, ranks, slopes, features = [], [], [], [], []
    for place in range(len(past) - 1, -1, -apart):
        own = past[place]
        known = np.flatnonzero(ends[:place] <= np.datetime64(own.day))[-WINDOW:]
        if len(known) < MIN_TRAINING:
            break
        forecast = own.regressors @ ridge(sums.cross[known], sums.product[known], horizon=horizon)
        spread = float(forecast.std())
        if spread == 0:
            continue
        error = own.outcome - forecast
        loss = np.array([np.mean(own.outcome**2), np.mean(error**2)])
        loss[1] = loss[0] - loss_differential(loss[:1], loss[1:])[0]
        places.append(place)
        losses.append(loss)
        ranks.append(float(np.corrcoef(rankdata(forecast), rankdata(own.outcome))[0, 1]))
        slopes.append(float(np.mean((forecast - forecast.mean()) * own.outcome) / spread))
        squares = np.diagonal(sums.cross[place])
        features.append(np.where(squares > 0, sums.product[place] / np.where(squares > 0, squares, 1.0), np.nan))
    order = slice(None, None, -1)
    values = (
        np.array(losses[order]).reshape(-1, 2),
        np.array(ranks[order]),
        np.array(slopes[order]),
        np.array(features[order]).reshape(-1, len(REGRESSORS)),
    )
    return places[order], values


def _equal_features(cross: FloatArray) -> tuple[str | None, ...]:
    """Return for each feature the first of those before it with a correlation of nearly 1 or −1, or None."""
    deviation = np.sqrt(np.diagonal(cross))
    scale = np.outer(deviation, deviation)
    correlation = np.abs(np.divide(cross, scale, out=np.zeros_like(cross), where=scale > 0))
    found: list[str | None] = []
    for place in range(len(cross)):
        earlier = np.flatnonzero(correlation[place, :place] > _EQUAL)
        found.append(REGRESSORS[earlier[0]] if len(earlier) else None)
    return tuple(found)


def _reason(dates: int, relative_loss: float, test: DieboldMariano, slope: DateTest, weight: float) -> str:
    if dates < MIN_DATES:
        return f"{dates} dates to test it on, needs {MIN_DATES}: no weight"
    found = (
        f"loss {relative_loss:.4f} of that of equal returns on {dates} dates, p = {test.p_value:.3f}; "
        f"t of the slope {slope.t:.1f}"
    )
    if weight > 0:
        return f"{found}: weight {weight:.2f}"
    return f"{found}, needs p below {SIGNIFICANCE} and t above {LARGE_T:g}: no weight"
