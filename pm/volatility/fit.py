"""Fit every ticker: a pool of GARCH models where possible, otherwise exponentially weighted volatility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.seeding import ticker_generator
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Reason, Regime
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS
from pm.volatility.base import PARAMETERS
from pm.volatility.conformal import adaptive_levels
from pm.volatility.ewma import EwmaModel
from pm.volatility.garch import garch_model
from pm.volatility.pool import (
    STRIDE,
    FittedModel,
    ModelPool,
    fit_pools,
    past_outcomes,
    without_long_run_level,
)
from pm.volatility.series import ReturnSeries, leave_out_quiet_pasts, leave_out_unit_changes, read_series
from pm.volatility.simulate import latin_hypercube, simulate_cumulative_returns

if TYPE_CHECKING:
    from pm.settings import VolatilitySettings
    from pm.typing import FloatArray
    from pm.volatility.base import VolatilityEstimate

__all__ = ["VolatilityFit", "fit_volatility"]

_STAGE = "volatility"
_GARCH_POOL = "garch_pool"
"""Name in column `model` of table `volatility` of a path from a pool of GARCH models."""

_PATHS_SCHEMA = VOLATILITY.unstamped_schema
_FITS_SCHEMA = VOLATILITY_FITS.unstamped_schema


@dataclass(frozen=True)
class VolatilityFit:
    """Result of `fit_volatility`.

    Attributes
    ----------
    paths
        Table `volatility` without its stamp; sorted by ticker and step.
    fits
        Table `volatility_fits` without its stamp; sorted by ticker, window and model.
    exclusions
        Table `exclusions` without its stamp; sorted by ticker. A ticker that is also in `paths` has exponentially
        weighted volatility, or some of its returns were left out.
    """

    paths: pl.DataFrame
    fits: pl.DataFrame
    exclusions: pl.DataFrame


def fit_volatility(returns: pl.DataFrame, *, settings: VolatilitySettings, horizon: int) -> VolatilityFit:
    """Compute each ticker's volatility path and the quantiles of its cumulative return over `horizon` sessions.

    The distribution is the equal mixture of the filtered historical simulations of the pool's models. Its quantiles are
    read at levels corrected by past outcomes (`conformal`): each ticker's pool is also fitted as of past days, and the
    levels are learnt from where later outcomes fell in its forecasts.

    A ticker's rows depend on its own returns and `settings` only: on one machine they are bitwise equal whatever other
    tickers there are, in whatever order, and however they are split into chunks.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, with rows in any order. A ticker's first return may be null. The last returns
        are used, as many as the widest of `settings.windows`; earlier ones only help to find changes of units.
    settings
        Models and windows of the pool, thresholds, decay, number of paths, calibration, seed.
    horizon
        Number of sessions ahead, at least 1.

    Raises
    ------
    SettingsError
        `settings.models` has the name of an unknown model.

    Notes
    -----
    Reasons in `exclusions`. With exponentially weighted volatility: short_history (fewer returns than
    `settings.min_observations`), not_converged, bad_estimate. With a pool of fits without a long-run variance, since
    there is no other: not_stationary. Without some returns: jump_left_out (see
    `clean_returns`; one unadjusted split would be most of the variance), quiet_past_left_out. Left out:
    duplicate_dates, bad_return, too_few_returns, constant.
    """
    models = [garch_model(name) for name in settings.models]
    window = max(settings.windows)
    read, unusable = read_series(returns, window)
    cleaned, jumps = leave_out_unit_changes(read, window)
    series, quiet_pasts = leave_out_quiet_pasts(cleaned)
    enough = {ticker: own.returns for ticker, own in series.items() if len(own.returns) >= settings.min_observations}
    pools = fit_pools(
        enough,
        models,
        settings.windows,
        refit_sessions=settings.refit_sessions,
        calibration_sessions=settings.calibration_sessions,
        min_returns=settings.min_observations,
    )
    without_garch = {ticker: _first_refusal(own[0]) for ticker, own in pools.items() if not own[0].models}
    for ticker in series.keys() - enough.keys():
        needed, found = settings.min_observations, len(series[ticker].returns)
        without_garch[ticker] = Exclusion(Reason.SHORT_HISTORY, f"GARCH needs {needed} returns, has {found}")
    fallbacks = EwmaModel(settings.ewma_lambda).fit({ticker: series[ticker].returns for ticker in without_garch})

    paths, fits, exclusions = [], [], list(unusable.items())
    for ticker in sorted(series):
        own, own_pools, fallback = series[ticker], pools.get(ticker, []), fallbacks.get(ticker)
        if own_pools:
            fits.append(_fits_frame(ticker, own, own_pools[0]))
        if isinstance(fallback, Exclusion):
            exclusions.append((ticker, fallback))
            continue
        if fallback is not None:
            cause = without_garch[ticker]
            detail = f"{cause.detail}; exponentially weighted volatility was used"
            exclusions.append((ticker, Exclusion(cause.reason, detail)))
            own_pools = [ModelPool(len(own.returns), (FittedModel(fallback, len(own.returns), 0),), {})]
            fits.append(_fits_frame(ticker, own, own_pools[0]))
        elif not own_pools[0].models[0].estimate.is_stationary:
            why = without_long_run_level(own_pools[0].models[0].estimate)
            detail = f"{why.detail}; no fit has one, so that those without were used"
            exclusions.append((ticker, Exclusion(why.reason, detail)))
        exclusions += [(ticker, left_out[ticker]) for left_out in (jumps, quiet_pasts) if ticker in left_out]
        paths.append(_path_frame(ticker, own, own_pools, settings=settings, horizon=horizon))
    return VolatilityFit(
        paths=pl.concat(paths) if paths else _PATHS_SCHEMA.to_frame(),
        fits=pl.concat(fits).sort("ticker", "window_size", "model") if fits else _FITS_SCHEMA.to_frame(),
        exclusions=exclusions_frame(_STAGE, sorted(exclusions, key=_by_ticker_and_reason)),
    )


def _by_ticker_and_reason(row: tuple[str, Exclusion]) -> tuple[str, str]:
    return row[0], row[1].reason


def _first_refusal(pool: ModelPool) -> Exclusion:
    """Return why a pool is empty: the refusal of its first model."""
    return next(iter(pool.refusals.values()))


def _fits_frame(ticker: str, series: ReturnSeries, pool: ModelPool) -> pl.DataFrame:
    """Return a ticker's rows of table `volatility_fits`: the models that were fitted, and those that could not be."""
    rows = [_fit_row(model.estimate, model.window, len(series.returns)) for model in pool.models]
    rows += [
        {"model": model, "window_size": window, "observations": min(window, len(series.returns)), "reason": why.detail}
        for (model, window), why in pool.refusals.items()
    ]
    return pl.DataFrame(
        [row | {"ticker": ticker, "origin_date": series.origin_date} for row in rows], schema=_FITS_SCHEMA
    )


def _fit_row(estimate: VolatilityEstimate, window: int, length: int) -> dict[str, object]:
    return {
        "model": estimate.model,
        "window_size": window,
        "observations": min(window, length),
        **{name: getattr(estimate, name) for name in PARAMETERS},
        **{f"{name}_error": estimate.errors.get(name) for name in PARAMETERS},
        "persistence": estimate.persistence,
        "next_sigma": estimate.next_variance**0.5,
        "log_likelihood": estimate.log_likelihood,
    }


def _path_frame(
    ticker: str, series: ReturnSeries, pools: list[ModelPool], *, settings: VolatilitySettings, horizon: int
) -> pl.DataFrame:
    """Return a ticker's rows of table `volatility`: the models' mean variance, and quantiles at the learnt levels."""
    generator = ticker_generator(settings.seed, ticker)
    estimates = [model.estimate for model in pools[0].models]
    positions = latin_hypercube(horizon, settings.simulations, generator)
    paths = np.sort(simulate_cumulative_returns(estimates, positions), axis=1)
    past = past_outcomes(
        series.returns, pools, horizon=horizon, simulations=settings.calibration_simulations, generator=generator
    )
    levels = adaptive_levels(
        past.levels, past.regimes, past.current_regime, QUANTILES, rate=settings.conformal_rate, stride=STRIDE
    )
    variance = np.mean([estimate.forecast_variance(horizon) for estimate in estimates], axis=0)
    quantiles = _widen(_smooth(_quantiles_at(paths, levels), np.sqrt(np.cumsum(variance))))
    columns = {
        "ticker": [ticker] * horizon,
        "step": np.arange(1, horizon + 1),
        "model": ["ewma" if estimates[0].model == "ewma" else _GARCH_POOL] * horizon,
        "origin_date": [series.origin_date] * horizon,
        "sigma": np.sqrt(variance),
        "cumulative_sigma": np.sqrt(np.cumsum(variance)),
        **{quantile_column("r", level): quantiles[:, place] for place, level in enumerate(QUANTILES)},
        **{quantile_column("u", level): levels[:, place] for place, level in enumerate(QUANTILES)},
        "regime": [list(Regime)[past.current_regime].value] * horizon,
        "outcomes": np.isfinite(past.levels).sum(axis=0),
        "fits": [len(estimates)] * horizon,
        "observations": [len(series.returns)] * horizon,
    }
    return pl.DataFrame(columns, schema=_PATHS_SCHEMA)


def _quantiles_at(paths: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the quantiles of ascending paths at each step's own levels, interpolated linearly."""
    place = levels * (paths.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    low = np.take_along_axis(paths, below, axis=1)
    high = np.take_along_axis(paths, np.minimum(below + 1, paths.shape[1] - 1), axis=1)
    return np.asarray(low + (place - below) * (high - low))


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
