"""The distribution of a ticker's return over each step: of the models it has, combined and corrected by the past."""

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
    averaged_quantiles,
    levels_of,
    member_scores,
    quantiles_at,
    realised_returns,
)
from pm.volatility.conformal import adaptive_levels, volatility_regimes
from pm.volatility.pool import GARCH_POOL, STRIDE, Origins, pool_forecasts

if TYPE_CHECKING:
    from datetime import date

    from pm.settings import VolatilitySettings
    from pm.typing import FloatArray
    from pm.volatility.panel import PanelModel
    from pm.volatility.panel_series import PanelSeries
    from pm.volatility.pool import ModelPool
    from pm.volatility.series import ReturnSeries

__all__ = ["PANEL", "POOL_AND_PANEL", "TickerFrames", "ticker_frames"]

POOL_AND_PANEL = "pool_and_panel"
"""Name of the combination of a pool of GARCH models and the panel model, in column `model` of table `volatility`."""
PANEL = "panel"
"""Name of the panel model."""

_PRIOR = {GARCH_POOL: 0.4, PANEL: 0.6}
"""Weight of each member before any score; see docs/decisions."""


@dataclass(frozen=True)
class TickerFrames:
    """A ticker's rows, without their stamp.

    Attributes
    ----------
    paths
        Rows of table `volatility`.
    members
        Rows of table `volatility_members`; none of a ticker with one model.
    """

    paths: pl.DataFrame
    members: pl.DataFrame


def ticker_frames(
    ticker: str,
    series: ReturnSeries,
    pools: list[ModelPool],
    panel: tuple[PanelModel, PanelSeries] | None,
    *,
    settings: VolatilitySettings,
    horizon: int,
) -> TickerFrames:
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
    corrected = [
        _corrected(own, member.sigma[-1], outcomes, origins, settings)
        for own, member in zip(quantiles, members, strict=True)
    ]
    sigma = np.sum([weight * own.sigma[-1] for weight, own in zip(scores.weights, members, strict=True)], axis=0)
    sigma = np.maximum.accumulate(sigma)
    combined = corrected[0]
    if len(members) > 1:
        combined = _corrected(averaged_quantiles(quantiles, scores.weights), sigma, outcomes, origins, settings)
    model = POOL_AND_PANEL if len(members) > 1 else members[0].name
    variance = np.diff(sigma**2, prepend=0.0)
    observations, fits = len(series.returns), len(pools[0].models) if pools else 0
    paths = {
        **_key(ticker, series.origin_date, horizon),
        "model": [model] * horizon,
        "sigma": np.sqrt(np.maximum(variance, 0.0)),
        "cumulative_sigma": sigma,
        **_columns("r", combined.quantiles),
        **_columns("u", combined.levels),
        "regime": [list(Regime)[origins.current_regime].value] * horizon,
        "outcomes": scores.outcomes,
        "fits": [fits] * horizon,
        "observations": [observations] * horizon,
    }
    schema = VOLATILITY_MEMBERS.unstamped_schema
    rows = [
        pl.DataFrame(
            {
                **_key(ticker, series.origin_date, horizon),
                "member": [member.name] * horizon,
                "weight": weight,
                "loss": loss,
                "outcomes": scores.outcomes,
                "cumulative_sigma": member.sigma[-1],
                **_columns("r", own.quantiles),
            },
            schema=schema,
        ).with_columns(pl.col("loss").fill_nan(None))
        for member, weight, loss, own in zip(members, scores.weights, scores.losses, corrected, strict=True)
    ]
    return TickerFrames(
        pl.DataFrame(paths, schema=VOLATILITY.unstamped_schema),
        pl.concat(rows) if len(rows) > 1 else schema.to_frame(),
    )


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


@dataclass(frozen=True)
class _Corrected:
    """Quantiles read at corrected levels, both of shape (horizon, QUANTILES)."""

    quantiles: FloatArray
    levels: FloatArray


def _corrected(
    quantiles: FloatArray, sigma: FloatArray, outcomes: FloatArray, origins: Origins, settings: VolatilitySettings
) -> _Corrected:
    """Return today's quantiles at the levels that past outcomes call for, smoothed and widening from step to step.

    Parameters
    ----------
    quantiles
        Quantiles at `SHAPE_LEVELS` of past origins and of today, shape (origins + 1, horizon, levels).
    sigma
        Deviation of the total return over each step.
    """
    levels = adaptive_levels(
        levels_of(quantiles[:-1], outcomes),
        origins.regimes,
        origins.current_regime,
        QUANTILES,
        rate=settings.conformal_rate,
        stride=STRIDE,
    )
    return _Corrected(_widen(_smooth(quantiles_at(quantiles[-1], levels), sigma)), levels)


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
