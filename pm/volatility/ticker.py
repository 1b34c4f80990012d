"""The distribution of a ticker's return over each step: of the models it has, combined and judged by its past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.seeding import ticker_generator
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Regime
from pm.tables.volatility import VOLATILITY, VOLATILITY_MEMBERS
from pm.volatility.combination import (
    Member,
    Scores,
    averaged_quantiles,
    levels_of,
    member_scores,
    quantiles_at,
    realised_returns,
)
from pm.volatility.conformal import adaptive_levels, volatility_regimes
from pm.volatility.pool import GARCH_POOL, STRIDE, Origins, pool_forecasts
from pm.volatility.pooled_levels import PooledLevels, corrected_levels, level_counts, no_counts

if TYPE_CHECKING:
    from datetime import date

    from pm.settings import VolatilitySettings
    from pm.typing import FloatArray, IntArray
    from pm.volatility.panel import PanelModel
    from pm.volatility.panel_series import PanelSeries
    from pm.volatility.pool import ModelPool
    from pm.volatility.series import ReturnSeries

__all__ = ["PANEL", "POOL_AND_PANEL", "TickerFit", "fit_ticker", "read_quantiles"]

POOL_AND_PANEL = "pool_and_panel"
"""Name of the combination of a pool of GARCH models and the panel model, in column `model` of table `volatility`."""
PANEL = "panel"
"""Name of the panel model."""

_PRIOR = {GARCH_POOL: 0.4, PANEL: 0.6}
"""Weight of each member before any score; see docs/decisions."""


@dataclass(frozen=True)
class TickerFit:
    """A ticker's distribution before its levels are corrected by those of other tickers.

    Attributes
    ----------
    ticker, origin_date
        Name, and date of the last bar.
    model
        What the distribution is of: `POOL_AND_PANEL`, `PANEL`, or the name of a pool.
    sigma
        Deviation of the total return over each step.
    quantiles
        Quantiles of the total return at `SHAPE_LEVELS`, shape (horizon, levels).
    levels
        Levels learnt from the ticker's own outcomes, shape (horizon, QUANTILES).
    counts
        Number of past outcomes by step and level, from `level_counts`; of none if the ticker is not in the panel.
    outcomes
        Number of past outcomes of each step.
    regime
        Regime of volatility of the origin.
    fits, observations
        Number of fitted models in the pool, and of returns.
    members
        Rows of table `volatility_members`; none of a ticker with one model.
    """

    ticker: str
    origin_date: date
    model: str
    sigma: FloatArray
    quantiles: FloatArray
    levels: FloatArray
    counts: IntArray
    outcomes: IntArray
    regime: str
    fits: int
    observations: int
    members: pl.DataFrame

    def paths(self, pooled: PooledLevels) -> pl.DataFrame:
        """Return the ticker's rows of table `volatility`, without their stamp.

        Parameters
        ----------
        pooled
            Levels of all tickers in the panel. A ticker that is not has its own.
        """
        levels = self.levels
        if self.model in {POOL_AND_PANEL, PANEL}:
            levels = corrected_levels(self.levels, pooled)
        horizon = len(self.sigma)
        variance = np.diff(self.sigma**2, prepend=0.0)
        columns = {
            **_key(self.ticker, self.origin_date, horizon),
            "model": [self.model] * horizon,
            "sigma": np.sqrt(np.maximum(variance, 0.0)),
            "cumulative_sigma": self.sigma,
            **_columns("r", read_quantiles(self.quantiles, levels, self.sigma)),
            **_columns("u", levels),
            "regime": [self.regime] * horizon,
            "outcomes": self.outcomes,
            "fits": [self.fits] * horizon,
            "observations": [self.observations] * horizon,
        }
        return pl.DataFrame(columns, schema=VOLATILITY.unstamped_schema)


def fit_ticker(
    ticker: str,
    series: ReturnSeries,
    pools: list[ModelPool],
    panel: tuple[PanelModel, PanelSeries] | None,
    *,
    settings: VolatilitySettings,
    horizon: int,
) -> TickerFit:
    """Compute a ticker's distribution from its pools and the panel model, from either or both.

    Parameters
    ----------
    ticker
        Name, with which random numbers are seeded.
    series
        Returns of the ticker.
    pools
        Its pools, the newest first; may be empty if there is a panel model.
    panel
        The panel model and the ticker as it sees it, or None.
    settings
        Numbers of paths and of past sessions, rate of the correction.
    horizon
        Number of sessions ahead.
    """
    members, origins = _members(ticker, series, pools, panel, settings=settings, horizon=horizon)
    outcomes = realised_returns(series.returns, origins.places, horizon)
    quantiles = [member.quantiles for member in members]
    scores = member_scores(quantiles, outcomes, [_PRIOR.get(own.name, 1.0) for own in members], stride=STRIDE)
    combined = averaged_quantiles(quantiles, scores.weights) if len(members) > 1 else quantiles[0]
    reached = levels_of(combined[:-1], outcomes)
    sigma = np.sum([weight * own.sigma[-1] for weight, own in zip(scores.weights, members, strict=True)], axis=0)
    in_panel = any(member.name == PANEL for member in members)
    return TickerFit(
        ticker=ticker,
        origin_date=series.origin_date,
        model=POOL_AND_PANEL if len(members) > 1 else members[0].name,
        sigma=np.maximum.accumulate(sigma),
        quantiles=combined[-1],
        levels=_own_levels(reached, origins, settings),
        counts=level_counts(reached) if in_panel else no_counts(horizon),
        outcomes=scores.outcomes,
        regime=list(Regime)[origins.current_regime].value,
        fits=len(pools[0].models) if pools else 0,
        observations=len(series.returns),
        members=_member_rows(ticker, series, members, scores, outcomes, origins, settings),
    )


def _member_rows(
    ticker: str,
    series: ReturnSeries,
    members: list[Member],
    scores: Scores,
    outcomes: FloatArray,
    origins: Origins,
    settings: VolatilitySettings,
) -> pl.DataFrame:
    """Return the rows of table `volatility_members`: each member with levels learnt from its own outcomes."""
    schema = VOLATILITY_MEMBERS.unstamped_schema
    if len(members) == 1:
        return schema.to_frame()
    rows = []
    for member, weight, loss in zip(members, scores.weights, scores.losses, strict=True):
        quantiles, sigma = member.quantiles, member.sigma[-1]
        levels = _own_levels(levels_of(quantiles[:-1], outcomes), origins, settings)
        columns = {
            **_key(ticker, series.origin_date, len(sigma)),
            "member": [member.name] * len(sigma),
            "weight": weight,
            "loss": loss,
            "outcomes": scores.outcomes,
            "cumulative_sigma": sigma,
            **_columns("r", read_quantiles(quantiles[-1], levels, sigma)),
        }
        rows.append(pl.DataFrame(columns, schema=schema).with_columns(pl.col("loss").fill_nan(None)))
    return pl.concat(rows)


def _key(ticker: str, origin_date: date, horizon: int) -> dict[str, object]:
    return {
        "ticker": [ticker] * horizon,
        "step": np.arange(1, horizon + 1),
        "origin_date": [origin_date] * horizon,
    }


def _columns(prefix: str, values: FloatArray) -> dict[str, FloatArray]:
    return {quantile_column(prefix, level): values[:, place] for place, level in enumerate(QUANTILES)}


def _members(
    ticker: str,
    series: ReturnSeries,
    pools: list[ModelPool],
    panel: tuple[PanelModel, PanelSeries] | None,
    *,
    settings: VolatilitySettings,
    horizon: int,
) -> tuple[list[Member], Origins]:
    """Return the forecasts of each model that the ticker has, and the sessions from which all of them were made."""
    members: list[Member] = []
    if pools:
        member, origins = pool_forecasts(
            series.returns,
            pools,
            horizon=horizon,
            simulations=settings.simulations,
            past_simulations=settings.calibration_simulations,
            generator=ticker_generator(settings.seed, ticker),
        )
        members.append(member)
    if panel is not None:
        path = panel[0].path(panel[1], horizon)
        if not pools:
            origins = _origins(path.sigma[:, 0], path.begin, len(series.returns), settings.calibration_sessions)
        places = np.concatenate([origins.places, [len(series.returns)]]) - 1 - path.begin
        if (places >= 0).all():  # otherwise the pool knows the ticker from before the panel does
            shape_of = np.zeros(len(places), dtype=np.int64)
            members.append(Member(PANEL, path.sigma[places], path.shape[np.newaxis], shape_of))
    return members, origins


def _origins(sigma: FloatArray, begin: int, count: int, sessions: int) -> Origins:
    """Return the past sessions from which the panel model's forecasts are judged, where there is no pool."""
    first = max(begin + 1, count - sessions)
    places = np.arange(first + (count - first) % STRIDE, count, STRIDE)
    regimes = volatility_regimes(sigma, np.concatenate([places, [count]]) - 1 - begin)
    return Origins(places, regimes[:-1], int(regimes[-1]))


def _own_levels(reached: FloatArray, origins: Origins, settings: VolatilitySettings) -> FloatArray:
    """Return the levels that the ticker's own outcomes call for, shape (horizon, QUANTILES).

    Parameters
    ----------
    reached
        Level of each past outcome in its forecast distribution, shape (origins, horizon).
    """
    return adaptive_levels(
        reached, origins.regimes, origins.current_regime, QUANTILES, rate=settings.conformal_rate, stride=STRIDE
    )


def read_quantiles(quantiles: FloatArray, levels: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return quantiles read at levels of each step, smoothed over steps and widening, shape (horizon, QUANTILES).

    Parameters
    ----------
    quantiles
        Quantiles of the total return at `SHAPE_LEVELS`, shape (horizon, levels).
    levels
        Levels to read, shape (horizon, QUANTILES).
    sigma
        Deviation of the total return over each step.
    """
    return _widen(_smooth(quantiles_at(quantiles, levels), sigma))


def _smooth(quantiles: FloatArray, sigma: FloatArray) -> FloatArray:
    """Return the quantiles averaged over neighbouring steps, in units of each step's own sigma.

    The shape of the distribution changes slowly with the step, while simulation and correction are noisy. The shape of
    step k is the mean over steps from 0.75·k to 1.25·k, so that the first three steps stay as they are.
    """
    steps = np.arange(1, len(sigma) + 1)
    near = (steps >= 0.75 * steps[:, np.newaxis]) & (steps <= 1.25 * steps[:, np.newaxis])
    shapes = quantiles / sigma[:, np.newaxis]
    return np.asarray(near @ shapes / near.sum(axis=1, keepdims=True) * sigma[:, np.newaxis])


def _widen(quantiles: FloatArray) -> FloatArray:
    """Return the quantiles with every interval at least as wide, on either side, as that of the step before."""
    levels = np.asarray(QUANTILES)
    lower, upper = levels < 0.5, levels > 0.5
    widened = quantiles.copy()
    widened[:, lower] = np.minimum.accumulate(quantiles[:, lower], axis=0)
    widened[:, upper] = np.maximum.accumulate(quantiles[:, upper], axis=0)
    return widened
