"""Fit every ticker: GARCH where it can be had, exponential weights where not, and a reason wherever it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.lake.tables import QUANTILES, quantile_column, table
from pm.volatility.base import FloatArray, Refusal, VolatilityEstimate
from pm.volatility.ewma import EwmaModel
from pm.volatility.garch import GarchModel
from pm.volatility.simulate import cumulative_quantiles, ticker_generator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pm.settings import VolatilitySettings
    from pm.volatility.base import VolatilityModel

__all__ = ["VolatilityFit", "fit_volatility"]

STAGE = "volatility"
_JUMP_SIGMAS = 25.0
_TINY = 1e-8
_RARE = 0.01
_ALIVE = 0.05
"""Share of days on which a price must move."""

PATHS_SCHEMA = table("volatility").unstamped_schema
EXCLUSIONS_SCHEMA = table("exclusions").unstamped_schema


@dataclass(frozen=True)
class VolatilityFit:
    """What `fit_volatility` gives.

    Attributes
    ----------
    paths
        Table `volatility` without its stamp; sorted by ticker and step.
    exclusions
        Table `exclusions` without its stamp; sorted by ticker. A ticker that is also in `paths` was served by ewma.
    """

    paths: pl.DataFrame
    exclusions: pl.DataFrame


@dataclass(frozen=True)
class _Series:
    """A ticker's returns that a model may see."""

    origin_date: date
    returns: FloatArray


def fit_volatility(returns: pl.DataFrame, *, settings: VolatilitySettings, horizon: int) -> VolatilityFit:
    """Give each ticker's volatility path and the quantiles of its cumulative return over `horizon` sessions.

    A ticker's rows depend on its own returns and `settings` alone, to the last bit: not on the other tickers, their
    order, or how they were split into chunks.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, in any order of rows. A ticker's first return may be null. The last
        `settings.window` returns of each are used.
    settings
        Window, thresholds, decay, number of paths, seed.
    horizon
        Sessions ahead, at least 1.

    Notes
    -----
    Reasons in `exclusions`. Served by ewma: short_history (fewer than `settings.min_observations`), not_converged,
    not_finite, not_stationary. Served without some returns: jump_left_out (beyond 25 robust standard deviations of the
    ticker's own, as an unadjusted split leaves; one such return would take up the variance of all others). Not served:
    duplicate_dates, non_finite, too_few_returns, constant.
    """
    series, refused = _prepare(returns, settings.window)
    series, cut = _without_jumps(series)
    enough = {t: s.returns for t, s in series.items() if len(s.returns) >= settings.min_observations}
    estimates, lesser = _fit(GarchModel(), enough)
    for ticker in series.keys() - enough.keys():
        needed, had = settings.min_observations, len(series[ticker].returns)
        lesser[ticker] = Refusal("short_history", f"GARCH needs {needed} returns, has {had}")
    rest = {ticker: series[ticker].returns for ticker in lesser}
    fallbacks, unserved = _fit(EwmaModel(settings.ewma_lambda), rest)
    estimates |= fallbacks
    lesser |= {ticker: _served_by_ewma(refusal) for ticker, refusal in lesser.items() if ticker in fallbacks}
    refused |= lesser | unserved  # a ticker that nobody can serve keeps the last reason only

    frames = [
        _path(ticker, estimates[ticker], series[ticker], settings=settings, horizon=horizon)
        for ticker in sorted(estimates)
    ]
    reasons = sorted(
        [*refused.items(), *((ticker, cut[ticker]) for ticker in cut.keys() & estimates.keys())], key=_name
    )
    exclusions = [(STAGE, ticker, refusal.reason, refusal.detail) for ticker, refusal in reasons]
    return VolatilityFit(
        paths=pl.concat(frames) if frames else PATHS_SCHEMA.to_frame(),
        exclusions=pl.DataFrame(exclusions, schema=EXCLUSIONS_SCHEMA, orient="row"),
    )


def _prepare(returns: pl.DataFrame, window: int) -> tuple[dict[str, _Series], dict[str, Refusal]]:
    """Cut each ticker's window, and refuse those whose returns cannot be read."""
    series: dict[str, _Series] = {}
    refused: dict[str, Refusal] = {}
    ordered = returns.select("ticker", "date", pl.col("log_return").cast(pl.Float64)).sort("ticker", "date")
    for (ticker,), rows in ordered.partition_by("ticker", as_dict=True).items():
        if rows["date"].is_duplicated().any():
            repeated = rows.filter(pl.col("date").is_duplicated())["date"][0]
            refused[ticker] = Refusal("duplicate_dates", f"{repeated} occurs more than once")
            continue
        # The first bar has no return: that null is in order, any later one is not.
        known = rows.slice(1) if rows["log_return"][0] is None else rows
        known = known.tail(window)
        values = known["log_return"].fill_null(float("nan")).to_numpy()
        broken = ~np.isfinite(values)
        if broken.any():
            first = known["date"][int(broken.argmax())]
            refused[ticker] = Refusal("non_finite", f"{broken.sum()} of {len(values)} returns, first on {first}")
        elif len(values) and np.ptp(values) == 0:
            refused[ticker] = Refusal("constant", f"all {len(values)} returns are {values[0]:g}")
        elif np.count_nonzero(values) < _ALIVE * len(values):
            moved = np.count_nonzero(values)
            refused[ticker] = Refusal("constant", f"the price moved on {moved} of {len(values)} days")
        else:
            series[ticker] = _Series(rows["date"][-1], values)
    return series, refused


def _without_jumps(series: dict[str, _Series]) -> tuple[dict[str, _Series], dict[str, Refusal]]:
    """Leave out returns so far from the ticker's others that the price must be in other units since."""
    kept: dict[str, _Series] = {}
    cut: dict[str, Refusal] = {}
    for ticker, own in series.items():
        kept[ticker] = own
        distance = np.abs(own.returns - np.median(own.returns)) if len(own.returns) else own.returns
        # Days without a move say nothing of how large a move is; 1.4826 makes it a normal's standard deviation.
        scale = 1.4826 * np.median(distance[own.returns != 0]) if np.any(own.returns != 0) else 0.0
        jumps = distance > _JUMP_SIGMAS * scale
        # More than a few are another regime of the market, not other units.
        if scale > _TINY and 0 < jumps.sum() <= max(1, _RARE * len(jumps)):
            kept[ticker] = _Series(own.origin_date, own.returns[~jumps])
            largest = float(own.returns[distance.argmax()])
            said = f"{jumps.sum()} of {len(jumps)} returns left out, the largest {np.expm1(largest):+.0%}"
            said += "; is a split not adjusted for?"
            cut[ticker] = Refusal("jump_left_out", said)
    return kept, cut


def _served_by_ewma(refusal: Refusal) -> Refusal:
    return Refusal(refusal.reason, f"{refusal.detail}; served by ewma")


def _name(item: tuple[str, Refusal]) -> tuple[str, str]:
    return item[0], item[1].reason


def _fit(
    model: VolatilityModel, returns: Mapping[str, FloatArray]
) -> tuple[dict[str, VolatilityEstimate], dict[str, Refusal]]:
    """Fit a batch and part the estimates from the refusals."""
    estimates: dict[str, VolatilityEstimate] = {}
    refused: dict[str, Refusal] = {}
    for ticker, outcome in model.fit(returns).items():
        if isinstance(outcome, Refusal):
            refused[ticker] = outcome
        else:
            estimates[ticker] = outcome
    return estimates, refused


def _path(
    ticker: str, estimate: VolatilityEstimate, series: _Series, *, settings: VolatilitySettings, horizon: int
) -> pl.DataFrame:
    """Lay out an estimate as the rows of its horizon."""
    variance = estimate.forecast_variance(horizon)
    quantiles = cumulative_quantiles(
        estimate,
        QUANTILES,
        horizon=horizon,
        simulations=settings.simulations,
        generator=ticker_generator(settings.seed, ticker),
    )
    columns = {
        "ticker": [ticker] * horizon,
        "step": np.arange(1, horizon + 1),
        "model": [estimate.model] * horizon,
        "origin_date": [series.origin_date] * horizon,
        "sigma": np.sqrt(variance),
        "cumulative_sigma": np.sqrt(np.cumsum(variance)),
        **{quantile_column("r", level): quantiles[:, place] for place, level in enumerate(QUANTILES)},
        "mu": [estimate.mu] * horizon,
        "omega": [estimate.omega] * horizon,
        "alpha": [estimate.alpha] * horizon,
        "beta": [estimate.beta] * horizon,
        "log_likelihood": [estimate.log_likelihood] * horizon,
        "observations": [len(series.returns)] * horizon,
    }
    return pl.DataFrame(columns, schema=PATHS_SCHEMA)
