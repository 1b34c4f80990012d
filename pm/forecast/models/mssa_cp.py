"""Multivariate SSA since the last change point, its rank and window chosen by a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import MEANS_SCHEMA, Forecasts, means_frame
from pm.forecast.policy.actions import FIXED, Action
from pm.forecast.policy.bandit import Policy  # noqa: TC001 - an annotation of a dataclass's field
from pm.forecast.policy.cohort import FEWEST_BARS, Place, places
from pm.forecast.policy.state import observe, volatility_shares

if TYPE_CHECKING:
    from pm.forecast.base import Panel
    from pm.typing import FloatArray

__all__ = ["MssaCpForecaster", "trust"]

REHEARSALS = 20
"""Past origins by which the forecasts are trusted, at most."""

FEWEST_REHEARSALS = 5

DOUBT = 2.5
"""Below so many standard errors a past gain is taken for chance."""


@dataclass(frozen=True)
class MssaCpForecaster:
    """A linear recurrence of the bars since the last change point, about their trend line.

    Each series of a group (or a ticker alone) is taken on its window as level + slope·t + deviation. The windows of
    L + 1 consecutive deviations of all series have the singular vectors U; those of the rank chosen give β by which
    f[t] = β·(f[t−L], …, f[t−1]), and the forecast is the trend line with that recurrence begun from the newest window,
    projected on U. The window reaches back to the last change point (see `ChangeDetector`), but not beyond the number
    of bars chosen; rank and number are the policy's for the state of the series, or the fixed ones.

    A price that is no more than a random walk has no recurrence, and what is learnt from it is noise. So the same is
    done at past origins, and the mean is naive + trust·(forecast − naive), where `trust` is zero unless the forecasts
    there went the way of the prices beyond chance.

    The trust is learnt on the bars up to a ticker's first origin and carried on. The recurrence and the trend belong to
    their window, which moves with the origin: carried over a change they would extrapolate the time before it.

    Parameters
    ----------
    policy
        An accepted policy, or None. It is used at origins after its cutoff alone.

    References
    ----------
    Alanqary, Alomar and Shah (2021), Change point detection via multivariate singular spectrum analysis, NeurIPS 34.
    Golyandina and Zhigljavsky (2013), Singular spectrum analysis for time series, section 3.1.
    """

    policy: Policy | None = None
    name: str = "mssa_cp"
    min_observations: int = 250

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Forecast from each origin, trusted as was earned before the first; see `Forecaster.forecast`."""
        frames: list[pl.DataFrame] = []
        failures: dict[str, str] = {}
        found = places(panel)
        for key, rows in panel.at(origins).partition_by("ticker", as_dict=True).items():
            ticker = str(key[0])
            try:
                means = self._roll(found[ticker], rows["bar"].to_list(), horizon)
            except (np.linalg.LinAlgError, ValueError) as error:
                failures[ticker] = f"failed: {type(error).__name__}: {error}"
                continue
            frames.append(means_frame(ticker, rows["origin_date"], means))
        return Forecasts(pl.concat(frames) if frames else MEANS_SCHEMA.to_frame(), failures)

    def _roll(self, place: Place, bars: list[int], horizon: int) -> FloatArray:
        """Give the means of each origin, shape (origins, horizon)."""
        first, last = bars[0], bars[-1]
        if not np.isfinite(place.cohort.values[:, : last + 1]).all():
            raise ValueError("a log price of the ticker or its group is not finite")
        shares = volatility_shares(place.log_prices[: last + 1])
        trusted = self._rehearse(place, shares, first, horizon)
        means = np.repeat(place.log_prices[bars][:, None], horizon, axis=1)
        if trusted > 0:
            for row, bar in enumerate(bars):
                means[row] += trusted * (self._path(place, shares, bar, horizon) - means[row])
        return means

    def _rehearse(self, place: Place, shares: FloatArray, first: int, horizon: int) -> float:
        """Give the trust that forecasts at origins before the first one earned, none of whose outcomes is after it."""
        earliest, latest = 2 * FEWEST_BARS - 1, first - horizon
        count = min(REHEARSALS, (latest - earliest) // horizon + 1)
        if count < FEWEST_REHEARSALS:
            return 0.0
        # No closer than the horizon, so that their outcomes do not overlap.
        bars = np.linspace(earliest, latest, count).astype(int).tolist()
        now = place.log_prices[bars][:, None]
        predicted = np.stack([self._path(place, shares, bar, horizon) for bar in bars]) - now
        actual = place.log_prices[np.add.outer(bars, np.arange(1, horizon + 1))] - now
        return trust(predicted, actual)

    def _path(self, place: Place, shares: FloatArray, bar: int, horizon: int) -> FloatArray:
        return place.path(bar, self._action(place, shares, bar), horizon)

    def _action(self, place: Place, shares: FloatArray, bar: int) -> Action:
        if self.policy is None or place.dates[bar] <= np.datetime64(self.policy.cutoff, "D"):
            return FIXED
        return self.policy.choose(observe(place, shares, bar))


def trust(predicted: FloatArray, actual: FloatArray) -> float:
    """Give the share, from 0 to 1, of predicted changes to believe, by what they were worth at past origins.

    With steps weighted by 1/step, each origin has the cosine of the angle between the predicted path and the actual
    one, from −1 to 1. The share is b·(1 − (c/t)⁴)₊: t is the mean cosine over its standard error, c is 2½ or, of few
    origins, more, and b is the slope of actual on predicted changes, each origin in units of its longer path. The
    fourth power believes what is well beyond chance, and hardly anything just beyond it.

    No origin weighs more than another. Where a trend breaks, one forecast is wrong by more than all others are right,
    and a test of squared errors would let it hide what they show.

    Parameters
    ----------
    predicted, actual
        Changes of the log price from each origin, shape (origins, horizon).

    References
    ----------
    Gao (1998), Wavelet shrinkage denoising using the non-negative garrote, J. Computational and Graphical Statistics 7
    (the form, with its square).
    """
    origins, horizon = predicted.shape
    steps = np.arange(1, horizon + 1)
    products = (predicted * actual / steps).sum(axis=1)
    foretold = (predicted**2 / steps).sum(axis=1)
    moved = (actual**2 / steps).sum(axis=1)
    both = (foretold > 0) & (moved > 0)
    cosines = np.zeros(origins)
    cosines[both] = products[both] / np.sqrt(foretold[both] * moved[both])
    mean = float(cosines.mean())
    doubt = DOUBT * (1.0 + 2.0 / origins) * float(cosines.std(ddof=1)) / float(np.sqrt(origins))
    if mean <= doubt:
        return 0.0
    longer = np.maximum(foretold, moved)[both]
    slope = float((products[both] / longer).sum() / (foretold[both] / longer).sum())
    return float(min(max(slope, 0.0), 1.0) * (1.0 - (doubt / mean) ** 4))
