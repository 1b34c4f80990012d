"""Related series aligned to the sessions of one ticker: their changes, common recurrence, and extrapolation."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.spectral import DegenerateError, Recurrence, Scaling, fit_recurrence, trailing_windows
from pm.forecast.spectral.change_points import ChangeDetector, ChangePoint
from pm.forecast.spectral.detrending import Line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy.actions import Action
    from pm.forecast.spectral import RankRule
    from pm.typing import FloatArray

__all__ = ["MIN_BARS", "AlignedSeries", "TickerView", "Trend", "align_panel"]

MIN_BARS = 60
"""Minimum number of training bars (one quarter), even if the last change point is more recent."""

LAGS = 24
"""Number L of lags of the recurrence (a little more than a month), or fewer if there are less than 3L training bars."""

ALL_COMPONENTS = 1.0
"""Share of the energy that keeps every component above rounding."""

RESIDUALS = 60
"""Number of newest residuals that their autocorrelation is estimated from."""


class AlignedSeries:
    """Log prices of related tickers at the sessions of one of them.

    Tickers with the same sessions share one object, and the recurrences and paths that it caches.

    Parameters
    ----------
    values
        Log prices, shape (series, bars), finite.
    """

    def __init__(self, values: FloatArray) -> None:
        self.values = values
        self._recurrences: dict[tuple[int, int, RankRule], Recurrence | None] = {}
        self._paths: dict[tuple[int, int, RankRule, int], FloatArray] = {}

    @cached_property
    def changes(self) -> list[ChangePoint]:
        """Change points of all series together; the positions are bars.

        They are detected in the returns, which are white noise for a random walk, so that false alarms are as rare as
        `ChangeDetector.threshold` describes. A change in the return from one bar to the next is assigned to the second.
        """
        points = ChangeDetector().change_points(np.diff(self.values, axis=1))
        return [ChangePoint(alarm=point.alarm + 1, change=point.change) for point in points]

    def last_change(self, bar: int) -> int:
        """Return the bar of the last change that was detected up to a bar, or 0, the first bar, if there was none."""
        known = bisect_right(self.changes, bar, key=lambda point: point.alarm)
        return self.changes[known - 1].change if known else 0

    def start(self, bar: int, window: int) -> int:
        """Return the first training bar for a forecast from a bar.

        It is within the window and not before the last change, unless that would leave fewer than MIN_BARS bars.
        """
        recent = max(self.last_change(bar), bar + 1 - window)
        return max(min(recent, bar + 1 - MIN_BARS), 0)

    def recurrence(self, bar: int, action: Action) -> Recurrence | None:
        """Return the recurrence that an action estimates at a bar from all series, or None if they do not have one.

        Each series is taken as its standardised deviations from its own trend line. All windows of consecutive bars are
        the columns (the trajectory matrix), because the Page matrix of two hundred bars would have only eight columns.
        """
        start = self.start(bar, action.window)
        key = (start, bar, action.rank)
        if key not in self._recurrences:
            self._recurrences[key] = _fit_deviations(self._trends(start, bar), action.rank)
        return self._recurrences[key]

    def path(self, series: int, bar: int, action: Action, horizon: int) -> FloatArray:
        """Forecast a series from a bar: its trend line plus the extrapolated deviations; shape (horizon,).

        If there is no recurrence, the last value is repeated.
        """
        start = self.start(bar, action.window)
        key = (start, bar, action.rank, horizon)
        if key not in self._paths:
            trends = self._trends(start, bar)
            if key[:3] not in self._recurrences:
                self._recurrences[key[:3]] = _fit_deviations(trends, action.rank)
            self._paths[key] = self._extrapolate(trends, self._recurrences[key[:3]], bar, horizon)
        path: FloatArray = self._paths[key][series]
        return path

    def _extrapolate(self, trends: list[Trend], recurrence: Recurrence | None, bar: int, horizon: int) -> FloatArray:
        """Return the paths of all series, shape (series, horizon)."""
        if recurrence is None:
            return np.repeat(self.values[:, bar : bar + 1], horizon, axis=1)
        last = np.column_stack([trend.deviations[-recurrence.rows :] for trend in trends])
        deviations = recurrence.forecast(recurrence.project(last), horizon)
        return np.stack(
            [trend.extrapolate(horizon) + trend.unit * deviations[:, row] for row, trend in enumerate(trends)]
        )

    def _trends(self, start: int, bar: int) -> list[Trend]:
        """Return the trends of all series over the bars from `start` to `bar`."""
        return [Trend.fit(values[start : bar + 1]) for values in self.values]

    def residual_autocorrelation(self, series: int, bar: int, action: Action) -> float:
        """Return the first autocorrelation of a series' newest residuals from the recurrence, or 0 if they are zero."""
        recurrence = self.recurrence(bar, action)
        if recurrence is None:
            return 0.0
        deviations = self.trend(series, bar, action.window).deviations
        rows = recurrence.rows
        ends = np.arange(max(rows - 1, deviations.size - RESIDUALS), deviations.size)
        windows = trailing_windows(deviations, ends, rows)
        residual = windows[-1] - recurrence.project(windows)[-1]
        power = float(residual @ residual)
        return float(residual[1:] @ residual[:-1]) / power if power > 0 else 0.0

    def trend(self, series: int, bar: int, window: int) -> Trend:
        """Return a series' trend over the training bars for a forecast from a bar."""
        return Trend.fit(self.values[series, self.start(bar, window) : bar + 1])


def _fit_deviations(trends: list[Trend], rank: RankRule) -> Recurrence | None:
    """Return the damped recurrence of the deviations from trend lines, or None if it is not determined."""
    bars = trends[0].deviations.size
    rows = min(LAGS, bars // 3) + 1
    ends = np.arange(rows - 1, bars)
    return _fit_damped(np.hstack([trailing_windows(trend.deviations, ends, rows) for trend in trends]), rank)


def _fit_damped(columns: FloatArray, rank: RankRule) -> Recurrence | None:
    """Return the damped recurrence of a rank, or of all components if there are fewer; None if it is not determined."""
    for rule in (rank, ALL_COMPONENTS):
        try:
            return fit_recurrence(columns, rule).damped(1.0)
        except DegenerateError:
            continue
    return None


@dataclass(frozen=True)
class Trend:
    """The least-squares line through a series, and the standardised deviations from it.

    Attributes
    ----------
    line
        The line.
    unit
        Standard deviation about the line.
    deviations
        Deviations from the line, in that unit.
    """

    line: Line
    unit: float
    deviations: FloatArray

    @classmethod
    def fit(cls, series: FloatArray) -> Trend:
        """Fit the line to a series."""
        line = Line.fit(series)
        deviations = series - line.at(np.arange(series.size))
        # Deviations that are only rounding errors of the log prices count as zero: hence the level is added.
        unit = Scaling.fit(deviations + line.level).unit
        return cls(line, unit, deviations / unit)

    def extrapolate(self, horizon: int) -> FloatArray:
        """Return the line at the next bars, shape (horizon,)."""
        return self.line.at(self.deviations.size - 1 + np.arange(1.0, horizon + 1))


@dataclass(frozen=True)
class TickerView:
    """A ticker's row in its aligned series, and the dates of its sessions (oldest first)."""

    aligned: AlignedSeries
    row: int
    dates: NDArray[np.datetime64]

    @property
    def log_prices(self) -> FloatArray:
        """Log prices of the ticker."""
        values: FloatArray = self.aligned.values[self.row]
        return values

    def path(self, bar: int, action: Action, horizon: int) -> FloatArray:
        """Forecast the ticker from a bar; see `AlignedSeries.path`."""
        return self.aligned.path(self.row, bar, action, horizon)


def align_panel(panel: Panel) -> dict[str, TickerView]:
    """Align the series of each ticker's group to the ticker's own sessions.

    The value of another ticker at a session is its last log price up to that day. Tickers of the group whose first bar
    is later than the ticker's are left out. Nothing at a session therefore depends on later bars.
    """
    series = {
        str(name[0]): (rows["date"].to_numpy().astype("datetime64[D]"), rows["log_price"].to_numpy())
        for name, rows in panel.bars.partition_by("ticker", as_dict=True).items()
    }
    groups: dict[str, list[str]] = {}
    for ticker in sorted(series):
        groups.setdefault(panel.groups.get(ticker, ""), []).append(ticker)
    shared: dict[tuple[bytes, tuple[str, ...]], AlignedSeries] = {}
    views = {}
    for ticker, (dates, _) in series.items():
        group = panel.groups.get(ticker)
        stacked = [ticker] if group is None else [t for t in groups[group] if series[t][0][0] <= dates[0]]
        key = (dates.tobytes(), tuple(stacked))
        if key not in shared:
            shared[key] = AlignedSeries(
                np.stack([series[t][1][np.searchsorted(series[t][0], dates, side="right") - 1] for t in stacked])
            )
        views[ticker] = TickerView(shared[key], stacked.index(ticker), dates)
    return views
