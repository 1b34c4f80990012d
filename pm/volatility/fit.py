"""Fit every ticker: a pool of GARCH models and the panel model where possible, otherwise a simpler model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import EXCLUSIONS_SCHEMA, Exclusion, exclusions_frame
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS, VOLATILITY_MEMBERS
from pm.volatility.base import PARAMETERS
from pm.volatility.ewma import EwmaModel
from pm.volatility.garch import garch_model
from pm.volatility.panel_series import PanelSeries, panel_series
from pm.volatility.panel_sums import PanelSums, panel_sums
from pm.volatility.pool import STRIDE, FittedModel, ModelPool, fit_pools, without_long_run_level
from pm.volatility.pooled_levels import PooledLevels, no_counts, pooled_levels
from pm.volatility.series import ReturnSeries, leave_out_quiet_pasts, leave_out_unit_changes, read_series
from pm.volatility.session_variance import bars_by_ticker, series_variances
from pm.volatility.ticker import TickerFit, fit_ticker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.settings import VolatilitySettings
    from pm.typing import IntArray
    from pm.volatility.base import VolatilityEstimate
    from pm.volatility.panel import PanelModel

__all__ = [
    "TickerFits",
    "VolatilityFit",
    "finish_volatility",
    "fit_tickers",
    "fit_volatility",
    "learnt_levels",
    "panel_days",
    "sum_panel",
]

_STAGE = "volatility"
_PATHS_SCHEMA = VOLATILITY.unstamped_schema
_FITS_SCHEMA = VOLATILITY_FITS.unstamped_schema
_MEMBERS_SCHEMA = VOLATILITY_MEMBERS.unstamped_schema


@dataclass(frozen=True)
class VolatilityFit:
    """Result of `fit_volatility`.

    Attributes
    ----------
    paths
        Table `volatility` without its stamp; sorted by ticker and step.
    members
        Table `volatility_members` without its stamp; sorted by ticker.
    fits
        Table `volatility_fits` without its stamp; sorted by ticker, window and model.
    exclusions
        Table `exclusions` without its stamp; sorted by ticker. A ticker that is also in `paths` has a simpler model, or
        some of its returns or ranges were left out.
    """

    paths: pl.DataFrame
    members: pl.DataFrame
    fits: pl.DataFrame
    exclusions: pl.DataFrame


@dataclass(frozen=True)
class TickerFits:
    """Fits of some tickers, before they learn from each other's outcomes.

    Attributes
    ----------
    tickers
        The tickers that could be fitted, sorted.
    fits, exclusions
        See `VolatilityFit`.
    counts
        Sum of the tickers' counts of past outcomes.
    """

    tickers: list[TickerFit]
    fits: pl.DataFrame
    exclusions: pl.DataFrame
    counts: IntArray


@dataclass(frozen=True)
class _Usable:
    """Tickers' returns that models are fitted to, and what was left out of them.

    Attributes
    ----------
    series
        Returns by ticker, without unusable series, changes of units and quiet pasts.
    panel
        Each ticker as the panel model sees it, if it has enough returns.
    unusable
        Tickers that are left out.
    notes
        Tickers some of whose returns or ranges are not used.
    """

    series: dict[str, ReturnSeries]
    panel: dict[str, PanelSeries]
    unusable: list[tuple[str, Exclusion]]
    notes: list[tuple[str, Exclusion]]


def _usable(returns: pl.DataFrame, window: int, *, with_panel: bool) -> _Usable:
    read, unusable = read_series(returns, window)
    cleaned, jumps = leave_out_unit_changes(read, window)
    series, quiet_pasts = leave_out_quiet_pasts(cleaned)
    notes = [*jumps.items(), *quiet_pasts.items()]
    panel: dict[str, PanelSeries] = {}
    bars = bars_by_ticker(returns) if with_panel else {}
    for ticker in sorted(series) if with_panel else []:
        own = series[ticker]
        variances = series_variances(own, bars[ticker])
        days = own.dates.astype("datetime64[D]").astype(np.int64)
        found = panel_series(own.returns, days, variances)
        if found is not None:
            panel[ticker] = found
        if variances.refused is not None:
            notes.append((ticker, variances.refused))
    return _Usable(series, panel, list(unusable.items()), notes)


def sum_panel(returns: pl.DataFrame, *, settings: VolatilitySettings, as_of: date) -> PanelSums:
    """Compute what the panel model is fitted to from some tickers; see `panel.fit_panel`.

    Sums of other tickers can be added; the result does not depend on how tickers are divided.

    Parameters
    ----------
    returns
        Rows of `session_variance.returns_and_ranges` up to `as_of`.
    settings
        Windows and number of sessions that the panel is fitted to.
    as_of
        Day of the run.
    """
    usable = _usable(returns, max(settings.windows), with_panel=True)
    return panel_sums(usable.panel.values(), as_of, panel_days(settings))


def panel_days(settings: VolatilitySettings) -> int:
    """Return the number of calendar days that the panel model is fitted to."""
    return settings.panel_sessions * 365 // 252 + 1


def fit_volatility(
    returns: pl.DataFrame, *, settings: VolatilitySettings, horizon: int, panel: PanelModel | None = None
) -> VolatilityFit:
    """Compute each ticker's volatility path and the quantiles of its cumulative return over `horizon` sessions.

    A ticker has up to two models: a pool of GARCH models of its own, whose distribution is the equal mixture of their
    filtered historical simulations, and the panel model, which is fitted to all tickers. Their quantiles are averaged
    with weights that follow from past scores (`combination`), and read at levels corrected by past outcomes, the
    ticker's own (`conformal`) and those of all tickers with a panel model (`pooled_levels`): each pool is also fitted
    as of past days, and the levels are learnt from where later outcomes fell.

    Without a panel model a ticker's rows depend on its own returns and `settings` only. With one they depend on that
    and on the levels of the tickers given. To compute tickers in chunks, see `fit_tickers`.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return, with rows in any order, and optionally range_variance, as from
        `session_variance.returns_and_ranges`. A ticker's first return may be null. The last returns are used, as many
        as the widest of `settings.windows`; earlier ones only help to find changes of units.
    settings
        Models and windows of the pool, thresholds, decay, number of paths, calibration, seed.
    horizon
        Number of sessions ahead, at least 1.
    panel
        The fitted panel model; None for the pool alone.

    Raises
    ------
    SettingsError
        `settings.models` has the name of an unknown model.

    Notes
    -----
    Reasons in `exclusions`. By the panel model alone or, with fewer returns than that needs, with exponentially
    weighted volatility: short_history (fewer returns than `settings.min_observations`), not_converged, bad_estimate.
    With a pool of fits without a long-run variance, since there is no other: not_stationary. Without some returns:
    jump_left_out (see `clean_returns`; one unadjusted split would be most of the variance), quiet_past_left_out. From
    closes although bars have ranges: ranges_not_used. Left out: duplicate_dates, bad_return, too_few_returns, constant.
    """
    return finish_volatility([fit_tickers(returns, settings=settings, horizon=horizon, panel=panel)])


def fit_tickers(
    returns: pl.DataFrame, *, settings: VolatilitySettings, horizon: int, panel: PanelModel | None
) -> TickerFits:
    """Fit some tickers: what `fit_volatility` does of each alone.

    A ticker's fit depends on its own returns, `settings` and `panel` only: on one machine it is bitwise equal whatever
    other tickers there are, in whatever order, and however they are split into chunks.
    """
    models = [garch_model(name) for name in settings.models]
    window = max(settings.windows)
    usable = _usable(returns, window, with_panel=panel is not None)
    series = usable.series
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
        needed, count = settings.min_observations, len(series[ticker].returns)
        without_garch[ticker] = Exclusion(Reason.SHORT_HISTORY, f"GARCH needs {needed} returns, has {count}")
    fallbacks = EwmaModel(settings.ewma_lambda).fit({ticker: series[ticker].returns for ticker in without_garch})

    tickers: list[TickerFit] = []
    fits, exclusions = [], list(usable.unusable)
    counts = no_counts(horizon)
    for ticker in sorted(series):
        own, own_pools, fallback = series[ticker], pools.get(ticker, []), fallbacks.get(ticker)
        if own_pools:
            fits.append(_fits_frame(ticker, own, own_pools[0]))
        if isinstance(fallback, Exclusion):
            exclusions.append((ticker, fallback))
            continue
        if fallback is not None:
            cause = without_garch[ticker]
            by_panel = ticker in usable.panel
            served_by = "the panel model was used" if by_panel else "exponentially weighted volatility was used"
            exclusions.append((ticker, Exclusion(cause.reason, f"{cause.detail}; {served_by}")))
            simple = ModelPool(len(own.returns), (FittedModel(fallback, len(own.returns), 0),), {})
            # The joint model of the risk reads its recursion, also where the distribution is the panel model's.
            fits.append(_fits_frame(ticker, own, simple))
            own_pools = [] if by_panel else [simple]
        elif not own_pools[0].models[0].estimate.is_stationary:
            why = without_long_run_level(own_pools[0].models[0].estimate)
            detail = f"{why.detail}; no fit has one, so that those without were used"
            exclusions.append((ticker, Exclusion(why.reason, detail)))
        own_panel = usable.panel.get(ticker)
        found = fit_ticker(
            ticker,
            own,
            own_pools,
            None if panel is None or own_panel is None else (panel, own_panel),
            settings=settings,
            horizon=horizon,
        )
        tickers.append(found)
        counts += found.counts
    served = {found.ticker for found in tickers}
    exclusions += [note for note in usable.notes if note[0] in served]
    return TickerFits(
        tickers,
        pl.concat(fits).sort("ticker", "window_size", "model") if fits else _FITS_SCHEMA.to_frame(),
        exclusions_frame(_STAGE, sorted(exclusions, key=_by_ticker_and_reason)),
        counts,
    )


def finish_volatility(parts: Sequence[TickerFits], pooled: PooledLevels | None = None) -> VolatilityFit:
    """Read the quantiles of all tickers at the levels that they learn from each other.

    Parameters
    ----------
    parts
        Fits of chunks of tickers.
    pooled
        Levels to use; None for those of these tickers.
    """
    if pooled is None:
        pooled = learnt_levels(parts)
    tickers = [found for part in parts for found in part.tickers]
    paths = [found.paths(pooled) for found in tickers]
    return VolatilityFit(
        paths=pl.concat([_PATHS_SCHEMA.to_frame(), *paths]),
        members=pl.concat([_MEMBERS_SCHEMA.to_frame(), *(found.members for found in tickers)]),
        fits=pl.concat([_FITS_SCHEMA.to_frame(), *(part.fits for part in parts)]),
        exclusions=pl.concat([EXCLUSIONS_SCHEMA.to_frame(), *(part.exclusions for part in parts)]),
    )


def learnt_levels(parts: Sequence[TickerFits]) -> PooledLevels:
    """Return the levels that the past outcomes of all tickers of some chunks, at least one, call for."""
    tickers = sum(bool(found.counts.any()) for part in parts for found in part.tickers)
    return pooled_levels(np.sum([part.counts for part in parts], axis=0), tickers, stride=STRIDE)


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
