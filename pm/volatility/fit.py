"""Fit every ticker: a pool of GARCH models where it can be had, exponential weights where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion
from pm.seeding import ticker_generator
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS
from pm.volatility.conformal import REGIMES, adaptive_levels
from pm.volatility.ewma import EwmaModel
from pm.volatility.garch import garch_model
from pm.volatility.pool import STRIDE, Member, Pool, fit_pools, past_outcomes
from pm.volatility.series import Series, leave_out_jumps, leave_out_quiet_pasts, read_series
from pm.volatility.simulate import cumulative_shocks, hypercube

if TYPE_CHECKING:
    from pm.settings import VolatilitySettings
    from pm.typing import FloatArray
    from pm.volatility.base import VolatilityEstimate

__all__ = ["GARCH", "VolatilityFit", "fit_volatility"]

STAGE = "volatility"
GARCH = "garch_pool"
"""What the table `volatility` calls a path that a pool of GARCH models made."""

PATHS_SCHEMA = VOLATILITY.unstamped_schema
FITS_SCHEMA = VOLATILITY_FITS.unstamped_schema
EXCLUSIONS_SCHEMA = EXCLUSIONS.unstamped_schema

_PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")


@dataclass(frozen=True)
class VolatilityFit:
    """What `fit_volatility` gives.

    Attributes
    ----------
    paths
        Table `volatility` without its stamp; sorted by ticker and step.
    fits
        Table `volatility_fits` without its stamp; sorted by ticker, window and model.
    exclusions
        Table `exclusions` without its stamp; sorted by ticker. A ticker that is also in `paths` was served by ewma, or
        without some returns.
    """

    paths: pl.DataFrame
    fits: pl.DataFrame
    exclusions: pl.DataFrame


def fit_volatility(returns: pl.DataFrame, *, settings: VolatilitySettings, horizon: int) -> VolatilityFit:
    """Give each ticker's volatility path and the quantiles of its cumulative return over `horizon` sessions.

    The distribution is the equal mixture of the pool's filtered historical simulations, read at levels that past
    outcomes have corrected (`conformal`): each ticker's pool is also fitted as of days past, and the levels learn from
    where the outcomes fell in what it would have said.

    A ticker's rows depend on its own returns and `settings` alone, to the last bit: not on the other tickers, their
    order, or how they were split into chunks.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, in any order of rows. A ticker's first return may be null. As many of the
        last are used as the widest of `settings.windows` has.
    settings
        Models and windows of the pool, thresholds, decay, number of paths, calibration, seed.
    horizon
        Sessions ahead, at least 1.

    Raises
    ------
    SettingsError
        `settings.models` names a model that there is not.

    Notes
    -----
    Reasons in `exclusions`. Served by ewma: short_history (fewer than `settings.min_observations`), not_converged,
    not_finite, not_stationary. Served without some returns: jump_left_out (see `unit_changes`; one unadjusted split
    would take up the variance of all others), quiet_past_left_out. Not served: duplicate_dates, non_finite,
    too_few_returns, constant.
    """
    models = [garch_model(name) for name in settings.models]
    read, refused = read_series(returns, max(settings.windows))
    clean, cut = leave_out_jumps(read)
    series, before = leave_out_quiet_pasts(clean)
    enough = {ticker: own.returns for ticker, own in series.items() if len(own.returns) >= settings.min_observations}
    pools = fit_pools(
        enough,
        models,
        settings.windows,
        refit=settings.refit_sessions,
        calibration=settings.calibration_sessions,
        least=settings.min_observations,
    )
    lesser = {ticker: _why(own[0]) for ticker, own in pools.items() if not own[0].members}
    for ticker in series.keys() - enough.keys():
        needed, had = settings.min_observations, len(series[ticker].returns)
        lesser[ticker] = Exclusion(Reason.SHORT_HISTORY, f"GARCH needs {needed} returns, has {had}")
    fallbacks = EwmaModel(settings.ewma_lambda).fit({ticker: series[ticker].returns for ticker in lesser})

    paths, fits, reasons = [], [], list(refused.items())
    for ticker in sorted(series):
        own, found, instead = series[ticker], pools.get(ticker, []), fallbacks.get(ticker)
        if found:
            fits.append(_fits(ticker, own, found[0]))
        if isinstance(instead, Exclusion):
            reasons.append((ticker, instead))
            continue
        if instead is not None:
            why = lesser[ticker]
            reasons.append((ticker, Exclusion(why.reason, f"{why.detail}; served by ewma")))
            found = [Pool(len(own.returns), (Member(instead, len(own.returns), 0),), {})]
            fits.append(_fits(ticker, own, found[0]))
        reasons += [(ticker, left_out[ticker]) for left_out in (cut, before) if ticker in left_out]
        paths.append(_path(ticker, own, found, settings=settings, horizon=horizon))
    exclusions = [(STAGE, ticker, why.reason, why.detail) for ticker, why in sorted(reasons, key=_place)]
    return VolatilityFit(
        paths=pl.concat(paths) if paths else PATHS_SCHEMA.to_frame(),
        fits=pl.concat(fits).sort("ticker", "window_size", "model") if fits else FITS_SCHEMA.to_frame(),
        exclusions=pl.DataFrame(exclusions, schema=EXCLUSIONS_SCHEMA, orient="row"),
    )


def _place(reason: tuple[str, Exclusion]) -> tuple[str, str]:
    return reason[0], reason[1].reason


def _why(pool: Pool) -> Exclusion:
    """Give the reason why a pool is empty: that of its first model."""
    return next(iter(pool.refusals.values()))


def _fits(ticker: str, series: Series, pool: Pool) -> pl.DataFrame:
    """Lay out what was fitted to a ticker, and what could not be."""
    rows = [_fit_row(member.estimate, member.window, len(series.returns)) for member in pool.members]
    rows += [
        {"model": model, "window_size": window, "observations": min(window, len(series.returns)), "reason": why.detail}
        for (model, window), why in pool.refusals.items()
    ]
    named = [row | {"ticker": ticker, "origin_date": series.origin_date} for row in rows]
    return pl.DataFrame(named, schema=FITS_SCHEMA)


def _fit_row(estimate: VolatilityEstimate, window: int, length: int) -> dict[str, object]:
    return {
        "model": estimate.model,
        "window_size": window,
        "observations": min(window, length),
        **{name: getattr(estimate, name) for name in _PARAMETERS},
        **{f"{name}_error": estimate.errors.get(name) for name in _PARAMETERS},
        "persistence": estimate.persistence,
        "next_sigma": estimate.next_variance**0.5,
        "log_likelihood": estimate.log_likelihood,
    }


def _path(
    ticker: str, series: Series, pools: list[Pool], *, settings: VolatilitySettings, horizon: int
) -> pl.DataFrame:
    """Lay out a ticker's path: the pool's mean variance, and its distribution read at the levels learnt."""
    generator = ticker_generator(settings.seed, ticker)
    pool = [member.estimate for member in pools[0].members]
    paths = np.sort(cumulative_shocks(pool, hypercube(horizon, settings.simulations, generator)), axis=1)
    past = past_outcomes(
        series.returns, pools, horizon=horizon, simulations=settings.calibration_simulations, generator=generator
    )
    levels = adaptive_levels(
        past.levels, past.regimes, past.regime, QUANTILES, rate=settings.conformal_rate, stride=STRIDE
    )
    variance = np.mean([estimate.forecast_variance(horizon) for estimate in pool], axis=0)
    quantiles = _widening(_smoothed(_read(paths, levels), np.sqrt(np.cumsum(variance))))
    columns = {
        "ticker": [ticker] * horizon,
        "step": np.arange(1, horizon + 1),
        "model": ["ewma" if pool[0].model == "ewma" else GARCH] * horizon,
        "origin_date": [series.origin_date] * horizon,
        "sigma": np.sqrt(variance),
        "cumulative_sigma": np.sqrt(np.cumsum(variance)),
        **{quantile_column("r", level): quantiles[:, place] for place, level in enumerate(QUANTILES)},
        **{quantile_column("u", level): levels[:, place] for place, level in enumerate(QUANTILES)},
        "regime": [REGIMES[past.regime]] * horizon,
        "outcomes": np.isfinite(past.levels).sum(axis=0),
        "fits": [len(pool)] * horizon,
        "observations": [len(series.returns)] * horizon,
    }
    return pl.DataFrame(columns, schema=PATHS_SCHEMA)


def _read(paths: FloatArray, levels: FloatArray) -> FloatArray:
    """Give the quantiles of ascending paths at each step's own levels, between two paths in proportion."""
    place = levels * (paths.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    low = np.take_along_axis(paths, below, axis=1)
    high = np.take_along_axis(paths, np.minimum(below + 1, paths.shape[1] - 1), axis=1)
    return np.asarray(low + (place - below) * (high - low))


def _smoothed(quantiles: FloatArray, sigma: FloatArray) -> FloatArray:
    """Give the quantiles with the noise of neighbouring steps averaged out, in units of each step's own sigma.

    The shape of the distribution changes slowly with the step, while simulation and correction are noisy: a step's
    shape is the mean of those from a quarter below it to a quarter above, so that the first few are left as they are.
    """
    steps = np.arange(1, len(sigma) + 1)
    near = (steps >= 0.75 * steps[:, np.newaxis]) & (steps <= 1.25 * steps[:, np.newaxis])
    shapes = quantiles / sigma[:, np.newaxis]
    return np.asarray(near @ shapes / near.sum(axis=1, keepdims=True) * sigma[:, np.newaxis])


def _widening(quantiles: FloatArray) -> FloatArray:
    """Give the quantiles such that no interval is narrower than that of the step before."""
    levels = np.asarray(QUANTILES)
    lower, upper = levels < 0.5, levels > 0.5
    widened = quantiles.copy()
    widened[:, lower] = np.minimum.accumulate(quantiles[:, lower], axis=0)
    widened[:, upper] = np.maximum.accumulate(quantiles[:, upper], axis=0)
    return widened
