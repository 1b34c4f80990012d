"""Multivariate SSA of the bars since the last change point, with rank and window chosen by a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.forecast.base import Forecasts, means_frame
from pm.forecast.policy.actions import FIXED, Action
from pm.forecast.policy.aligned import MIN_BARS, TickerView, align_panel
from pm.forecast.policy.bandit import Policy  # noqa: TC001 - an annotation of a dataclass's field
from pm.forecast.policy.state import state_at, volatility_percentiles
from pm.statistics.losses import step_scaled_errors

if TYPE_CHECKING:
    import polars as pl

    from pm.forecast.base import Panel
    from pm.typing import FloatArray

__all__ = ["MssaCpForecaster", "skill_weight"]

MAX_PAST_ORIGINS = 20
"""Maximum number of past origins from which the weight of the forecasts is estimated."""

MIN_PAST_ORIGINS = 5
"""Minimum number of past origins; with fewer the forecast is naive's."""

MIN_STANDARD_ERRORS = 2.5
"""Distance of the mean cosine from 0, in standard errors, below which past skill is taken to be chance."""


@dataclass(frozen=True)
class MssaCpForecaster:
    """A trend line plus a linear recurrence of the deviations from it, fitted to the bars since the last change point.

    On the training bars each series of a group (or a ticker alone) is level + slope·t + deviation. The windows of L + 1
    consecutive deviations of all series have the singular vectors U. Those of the chosen rank determine the recurrence
    f[t] = β·(f[t−L], …, f[t−1]), which extrapolates the newest window projected onto U; the forecast is the trend line
    plus this extrapolation. Training bars begin at the last change point (see `ChangeDetector`), but are at most as
    many as the chosen window. Rank and window are the policy's choice for the state of the series, or the fixed ones.

    A random walk has no recurrence, and one estimated from it is noise. Forecasts are therefore made from past origins
    too, and the mean is naive + weight·(forecast − naive). The `skill_weight` is 0 unless the past forecasts agreed
    with the realised changes significantly.

    The weight is estimated from the bars up to a ticker's first origin and used for its later ones. Recurrence and
    trend are fitted anew at every origin: after a change, those of an earlier origin would extrapolate the time before
    it.

    Parameters
    ----------
    policy
        An accepted policy, or None. It is used only at origins after its cutoff.

    References
    ----------
    Alanqary, Alomar and Shah (2021), Change point detection via multivariate singular spectrum analysis, NeurIPS 34.
    Golyandina and Zhigljavsky (2013), Singular spectrum analysis for time series, section 3.1.
    """

    policy: Policy | None = None
    name: str = "mssa_cp"
    min_observations: int = 250

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Forecast from each origin, weighted by the skill before the first; see `Forecaster.forecast`."""
        parts: list[tuple[str, pl.Series, FloatArray]] = []
        failures: dict[str, str] = {}
        views = align_panel(panel)
        for key, rows in panel.bars_at(origins).partition_by("ticker", as_dict=True).items():
            ticker = str(key[0])
            try:
                means = self._means(views[ticker], rows["bar"].to_list(), horizon)
            except (np.linalg.LinAlgError, ValueError) as error:
                failures[ticker] = f"failed: {type(error).__name__}: {error}"
                continue
            parts.append((ticker, rows["origin_date"], means))
        return Forecasts(means_frame(parts), failures)

    def _means(self, view: TickerView, bars: list[int], horizon: int) -> FloatArray:
        """Return the forecast means from each origin, shape (origins, horizon)."""
        first, last = bars[0], bars[-1]
        if not np.isfinite(view.aligned.values[:, : last + 1]).all():
            raise ValueError("a log price of the ticker or its group is not finite")
        # Only a policy looks at them.
        percentiles = np.empty(0) if self.policy is None else volatility_percentiles(view.log_prices[: last + 1])
        weight = self._past_skill_weight(view, percentiles, first, horizon)
        means = np.repeat(view.log_prices[bars][:, None], horizon, axis=1)
        if weight > 0:
            for row, bar in enumerate(bars):
                means[row] += weight * (self._path(view, percentiles, bar, horizon) - means[row])
        return means

    def _past_skill_weight(self, view: TickerView, percentiles: FloatArray, first: int, horizon: int) -> float:
        """Return the weight of the forecasts, from past origins whose outcomes are known at the first origin."""
        earliest, latest = 2 * MIN_BARS - 1, first - horizon
        count = min(MAX_PAST_ORIGINS, (latest - earliest) // horizon + 1)
        if count < MIN_PAST_ORIGINS:
            return 0.0
        # They are at least a horizon apart, so that their outcomes do not overlap.
        bars = np.linspace(earliest, latest, count).astype(int).tolist()
        last = view.log_prices[bars][:, None]
        predicted = np.stack([self._path(view, percentiles, bar, horizon) for bar in bars]) - last
        actual = view.log_prices[np.add.outer(bars, np.arange(1, horizon + 1))] - last
        return skill_weight(predicted, actual)

    def _path(self, view: TickerView, percentiles: FloatArray, bar: int, horizon: int) -> FloatArray:
        return view.path(bar, self._action(view, percentiles, bar), horizon)

    def _action(self, view: TickerView, percentiles: FloatArray, bar: int) -> Action:
        if self.policy is None or view.dates[bar] <= np.datetime64(self.policy.cutoff, "D"):
            return FIXED
        return self.policy.choose(state_at(view, percentiles, bar))


def skill_weight(predicted: FloatArray, actual: FloatArray) -> float:
    """Return the weight, from 0 to 1, that predicted changes should have, estimated from past origins.

    Each origin has the cosine, from −1 to 1, of the angle between the predicted and the realised path, where steps are
    weighted by 1/step. The weight is b·(1 − (c/t)⁴)₊, where t is the mean cosine divided by its standard error, c is
    MIN_STANDARD_ERRORS or, for few origins, more, and b is the slope of realised on predicted changes, each origin
    scaled by the longer of its two paths. Because of the fourth power, the weight is small just above c, and near b for
    clearly significant skill.

    All origins have the same influence. If a trend breaks, the error of one forecast exceeds the gains of all others,
    and would dominate a test of squared errors.

    Parameters
    ----------
    predicted, actual
        Predicted and realised changes of the log price from each origin, shape (origins, horizon).

    References
    ----------
    Gao (1998), Wavelet shrinkage denoising using the non-negative garrote, J. Computational and Graphical Statistics 7:
    this form, with the second power.
    """
    origins, _ = predicted.shape
    scaled_predicted, scaled_actual = step_scaled_errors(predicted), step_scaled_errors(actual)
    products = (scaled_predicted * scaled_actual).sum(axis=1)
    predicted_squares = np.square(scaled_predicted).sum(axis=1)
    actual_squares = np.square(scaled_actual).sum(axis=1)
    moved = (predicted_squares > 0) & (actual_squares > 0)
    cosines = np.zeros(origins)
    cosines[moved] = products[moved] / np.sqrt(predicted_squares[moved] * actual_squares[moved])
    mean = float(cosines.mean())
    standard_error = float(cosines.std(ddof=1)) / float(np.sqrt(origins))
    threshold = MIN_STANDARD_ERRORS * (1.0 + 2.0 / origins) * standard_error
    if mean <= threshold:
        return 0.0
    larger = np.maximum(predicted_squares, actual_squares)[moved]
    slope = float((products[moved] / larger).sum() / (predicted_squares[moved] / larger).sum())
    return float(min(max(slope, 0.0), 1.0) * (1.0 - (threshold / mean) ** 4))
