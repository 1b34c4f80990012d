"""Sums over tickers and days from which the panel model is fitted. They are exact, so that their order is irrelevant.

Every summand is rounded to a multiple of 2⁻²⁴ (regressors and outcomes to 2⁻¹²) and the sums stay below 2²⁹, so that
they are exact in double precision: however tickers are divided into chunks, and whichever machine adds them, the result
is the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pm.volatility.panel_series import KINDS, NODES, REGRESSORS
from pm.volatility.shipped_panel import COEFFICIENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.typing import FloatArray, IntArray
    from pm.volatility.panel_series import PanelSeries

__all__ = [
    "BINS",
    "LARGEST_RETURN",
    "LARGEST_SQUARE",
    "MARKET_REGRESSOR",
    "SCALE_PRIOR",
    "PanelSums",
    "day_of",
    "panel_sums",
    "start_coefficients",
]

LARGEST_RETURN = 12.0
"""Absolute standardised return from which on all are counted as one."""
BINS = 1200
"""Number of bins of equal width of the standardised returns."""
MARKET_REGRESSOR = 1
"""Place in `REGRESSORS` of the one whose mean over tickers is the market factor: the last day's variance."""
MARKET_CENTRES = (-0.3125, -0.34375)
"""Mean of that regressor in the shipped series, by kind, which is subtracted: a market factor of 0 is a usual day."""

LARGEST_SQUARE = 40.0
"""Largest squared standardised return that counts in a scale."""
SCALE_PRIOR = 250.0
"""Number of returns by which a ticker's own scale is shrunk to that of all."""

_UNIT = 2.0**12
_STALE_DAYS = 7
"""Days for which a ticker's last value counts in the market factor, while its own market is closed."""


@dataclass
class PanelSums:
    """Sums over some tickers.

    Attributes
    ----------
    first_day
        Day since 1970-01-01 of the first row of the sums by day.
    tickers
        Number of tickers.
    rows, cross, product
        Number of outcomes, sums of products of regressors, and sums of regressors times the log ratio to forecast, by
        kind and node: shapes (kinds, nodes), (kinds, nodes, regressors, regressors) and (kinds, nodes, regressors).
    squares
        Sum of squared returns in units of their variance by the shipped coefficients, shape (kinds, nodes).
    day_rows, day_regressors, day_ratios
        The number of outcomes and the sums of regressors and of log ratios, by the day of the forecast: shapes
        (days, kinds, nodes), (days, kinds, nodes, regressors) and (days, kinds, nodes).
    market, market_tickers
        Sum over tickers of the market factor's regressor, and the number of tickers, by day.
    bins
        Number of standardised returns, shape (kinds, nodes, BINS).
    """

    first_day: int
    tickers: int
    rows: FloatArray
    cross: FloatArray
    product: FloatArray
    squares: FloatArray
    day_rows: FloatArray
    day_regressors: FloatArray
    day_ratios: FloatArray
    market: FloatArray
    market_tickers: FloatArray
    bins: IntArray

    @classmethod
    def empty(cls, as_of: date, window_days: int) -> PanelSums:
        """Return sums over no ticker, for the days up to `as_of`."""
        days, equations, size = window_days, (len(KINDS), len(NODES)), len(REGRESSORS)
        return cls(
            first_day=day_of(as_of) - days + 1,
            tickers=0,
            rows=np.zeros(equations),
            cross=np.zeros((*equations, size, size)),
            product=np.zeros((*equations, size)),
            squares=np.zeros(equations),
            day_rows=np.zeros((days, *equations)),
            day_regressors=np.zeros((days, *equations, size)),
            day_ratios=np.zeros((days, *equations)),
            market=np.zeros(days),
            market_tickers=np.zeros(days),
            bins=np.zeros((*equations, BINS), dtype=np.int64),
        )

    def add(self, other: PanelSums) -> None:
        """Add the sums over other tickers of the same days."""
        self.tickers += other.tickers
        for name in (
            "rows", "cross", "product", "squares", "day_rows", "day_regressors", "day_ratios", "market",
            "market_tickers", "bins",
        ):  # fmt: skip
            own = getattr(self, name)
            own += getattr(other, name)

    def add_series(self, series: PanelSeries) -> None:
        """Add one ticker."""
        regressors = np.rint(series.regressors * _UNIT) / _UNIT
        self._add_market(series, regressors[:, MARKET_REGRESSOR] - MARKET_CENTRES[series.kind])
        self.tickers += 1
        kind = series.kind
        for node, start in enumerate(start_coefficients()[kind]):
            places = series.known(node, self.first_day)
            if places.start >= places.stop:
                continue
            own = regressors[places]
            ratios = np.rint(series.log_ratio[places, node] * _UNIT) / _UNIT
            day = series.days[places] - self.first_day
            self.rows[kind, node] += len(own)
            self.cross[kind, node] += own.T @ own
            self.product[kind, node] += own.T @ ratios
            self.day_rows[day, kind, node] += 1.0
            self.day_regressors[day, kind, node] += own
            self.day_ratios[day, kind, node] += ratios
            deviation = NODES[node] ** 0.5 * np.exp(own @ start) * series.level[places]
            standardised = series.outcomes(node)[places] / deviation
            self.squares[kind, node] += np.sum(np.rint(np.minimum(standardised**2, LARGEST_SQUARE) * _UNIT) / _UNIT)
            self.bins[kind, node] += _bins(standardised, NODES[node])

    def _add_market(self, series: PanelSeries, values: FloatArray) -> None:
        """Add a ticker's value to each day from its session to the day before its next, for at most a week."""
        last = self.first_day + len(self.market)
        begin = max(series.begin, int(np.searchsorted(series.days, self.first_day - _STALE_DAYS)))
        days = series.days[begin:]
        until = np.minimum(np.concatenate([days[1:], [last]]), days + _STALE_DAYS)
        for ahead in range(_STALE_DAYS):
            day = days + ahead - self.first_day
            counted = (days + ahead < until) & (day >= 0) & (day < len(self.market))
            self.market[day[counted]] += values[begin:][counted]
            self.market_tickers[day[counted]] += 1.0


def panel_sums(series: Iterable[PanelSeries], as_of: date, window_days: int) -> PanelSums:
    """Return the sums over tickers' outcomes that were known on a day, of forecasts on the days of a window before it.

    Parameters
    ----------
    series
        The tickers. None may have a return after `as_of`.
    as_of
        Last day of the window.
    window_days
        Number of calendar days of the window.
    """
    sums = PanelSums.empty(as_of, window_days)
    for own in series:
        sums.add_series(own)
    return sums


def day_of(day: date) -> int:
    """Return the number of days since 1970-01-01."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def start_coefficients() -> FloatArray:
    """Return the coefficients by which returns are standardised, shape (kinds, nodes, regressors).

    They are the shipped ones, with the ticker's own last day for the market's, which is not known before all tickers
    were read.
    """
    start = np.array(COEFFICIENTS)[:, :, :-1]
    start[:, :, MARKET_REGRESSOR] += np.array(COEFFICIENTS)[:, :, -1]
    return start


def _bins(standardised: FloatArray, steps: int) -> IntArray:
    """Return the number of a ticker's standardised returns in each bin, in units of its own scale."""
    clipped = np.clip(standardised, -LARGEST_RETURN, LARGEST_RETURN)
    independent = len(clipped) / steps**0.5
    scale = (independent * np.mean(clipped**2) + SCALE_PRIOR) / (independent + SCALE_PRIOR)
    place = np.floor((clipped / np.sqrt(scale) / LARGEST_RETURN + 1.0) * (BINS / 2)).astype(np.int64)
    return np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)
