"""Related series on one clock: their changes, the recurrence they share, and its extrapolation."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.spectral import DegenerateError, Recurrence, Scaling, fit_recurrence, trailing_windows
from pm.forecast.spectral.change_points import ChangeDetector, ChangePoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy.actions import Action
    from pm.forecast.spectral import RankRule
    from pm.typing import FloatArray

__all__ = ["FEWEST_BARS", "Cohort", "Place", "Trend", "places"]

FEWEST_BARS = 60
"""Bars to learn from, at least: a quarter, though the last change be nearer."""

LAGS = 24
"""L of the recurrence: a month and its harmonics. A window shorter than three times that has fewer."""

ALL = 1.0
"""Share of the energy that keeps every component that is more than rounding."""

RESIDUALS = 60
"""Newest residuals by which their autocorrelation is known."""


class Cohort:
    """Log prices of related tickers at the sessions of one of them, which they may share.

    Parameters
    ----------
    values
        Shape (series, bars), finite.
    """

    def __init__(self, values: FloatArray) -> None:
        self.values = values
        self._fits: dict[tuple[int, int, RankRule], Recurrence | None] = {}

    @cached_property
    def changes(self) -> list[ChangePoint]:
        """The changes of all series together, in bars.

        They are those of returns, which on a random walk are noise, so that false alarms come as rarely there as the
        detector's table says. A change of the return after a bar is put at that bar: a window may begin there.
        """
        points = ChangeDetector().change_points(np.diff(self.values, axis=1))
        return [ChangePoint(alarm=point.alarm + 1, change=point.change) for point in points]

    def last_change(self, bar: int) -> int:
        """Give the bar of the last change that was known at a bar; 0, the first bar, if none was."""
        known = bisect_right(self.changes, bar, key=lambda point: point.alarm)
        return self.changes[known - 1].change if known else 0

    def start(self, bar: int, window: int) -> int:
        """Give the first bar to learn from at a bar: within the window and since the change, but not too few."""
        recent = max(self.last_change(bar), bar + 1 - window)
        return max(min(recent, bar + 1 - FEWEST_BARS), 0)

    def recurrence(self, bar: int, action: Action) -> Recurrence | None:
        """Give what an action learns at a bar from the windows of all series; None where they hold nothing to learn.

        Every series is taken as its deviations from its own trend line, in units of their spread. All windows of
        consecutive bars are columns (the trajectory matrix): of two hundred bars the Page matrix has eight.
        """
        start = self.start(bar, action.window)
        key = (start, bar, action.rank)
        if key not in self._fits:
            bars = bar + 1 - start
            rows = min(LAGS, bars // 3) + 1
            ends = np.arange(rows - 1, bars)
            trends = [self.trend(series, bar, action.window) for series in range(len(self.values))]
            columns = np.hstack([trailing_windows(trend.deviations, ends, rows) for trend in trends])
            self._fits[key] = _learn(columns, action.rank)
        return self._fits[key]

    def path(self, series: int, bar: int, action: Action, horizon: int) -> FloatArray:
        """Give a series' path after a bar, shape (horizon,): its trend line, and the recurrence of its deviations.

        Where nothing can be learnt the last value goes on.
        """
        recurrence = self.recurrence(bar, action)
        if recurrence is None:
            return np.full(horizon, self.values[series, bar])
        trend = self.trend(series, bar, action.window)
        last = trend.deviations[-recurrence.rows :, None]
        deviations = recurrence.forecast(recurrence.project(last), horizon)[:, 0]
        return trend.ahead(horizon) + trend.unit * deviations

    def residual_autocorrelation(self, series: int, bar: int, action: Action) -> float:
        """Give the first autocorrelation of what the recurrence leaves over of a series' newest bars; 0 of nothing."""
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
        """Give a series' trend line over the bars to learn from."""
        return Trend.of(self.values[series, self.start(bar, window) : bar + 1])


def _learn(columns: FloatArray, rank: RankRule) -> Recurrence | None:
    """Give the recurrence of this rank; where there are not so many components, of all there are; None of none."""
    for rule in (rank, ALL):
        try:
            return fit_recurrence(columns, rule).damped(1.0)
        except DegenerateError:
            continue
    return None


@dataclass(frozen=True)
class Trend:
    """The least-squares line through a series, and what the series does about it.

    Attributes
    ----------
    level, slope
        The line at the middle of the series, and its rise a bar.
    unit
        Standard deviation about the line.
    deviations
        From the line, in that unit.
    """

    level: float
    slope: float
    unit: float
    deviations: FloatArray

    @classmethod
    def of(cls, series: FloatArray) -> Trend:
        """Draw the line."""
        time = np.arange(series.size) - (series.size - 1) / 2
        level = float(series.mean())
        slope = float(time @ (series - level)) / (float(time @ time) or 1.0)
        deviations = series - (level + slope * time)
        # A spread that is only rounding of the prices counts as none.
        unit = Scaling.of(deviations + level).unit
        return cls(level, slope, unit, deviations / unit)

    def ahead(self, horizon: int) -> FloatArray:
        """Give the line at the next bars, shape (horizon,)."""
        line: FloatArray = self.level + self.slope * ((self.deviations.size - 1) / 2 + np.arange(1.0, horizon + 1))
        return line


@dataclass(frozen=True)
class Place:
    """Where a ticker is found: its cohort, its row there, and its sessions (days, oldest first)."""

    cohort: Cohort
    row: int
    dates: NDArray[np.datetime64]

    @property
    def log_prices(self) -> FloatArray:
        """The ticker's own series."""
        values: FloatArray = self.cohort.values[self.row]
        return values

    def path(self, bar: int, action: Action, horizon: int) -> FloatArray:
        """Give the ticker's path after a bar; see `Cohort.path`."""
        return self.cohort.path(self.row, bar, action, horizon)


def places(panel: Panel) -> dict[str, Place]:
    """Lay every ticker of a panel out with the others of its group, at its own sessions.

    A companion's value at a session is its last one then; one whose first bar is later than the ticker's is left out.
    So nothing depends on what came after a session. Tickers with the same sessions share one cohort, and its fits.
    """
    series = {
        str(name[0]): (rows["date"].to_numpy().astype("datetime64[D]"), rows["log_price"].to_numpy())
        for name, rows in panel.bars.partition_by("ticker", as_dict=True).items()
    }
    members: dict[str, list[str]] = {}
    for ticker in sorted(series):
        members.setdefault(panel.groups.get(ticker, ""), []).append(ticker)
    shared: dict[tuple[bytes, tuple[str, ...]], Cohort] = {}
    found = {}
    for ticker, (dates, _) in series.items():
        group = panel.groups.get(ticker)
        stacked = [ticker] if group is None else [m for m in members[group] if series[m][0][0] <= dates[0]]
        key = (dates.tobytes(), tuple(stacked))
        if key not in shared:
            shared[key] = Cohort(
                np.stack([series[m][1][np.searchsorted(series[m][0], dates, side="right") - 1] for m in stacked])
            )
        found[ticker] = Place(shared[key], stacked.index(ticker), dates)
    return found
