"""Forecast a chunk of tickers with all models, and combine their forecasts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.forecast.base import NAIVE
from pm.forecast.calendar import with_calendar
from pm.forecast.cross_validation import (
    backtests,
    bars_needed,
    outcomes,
    rolling_origins,
    settled_origins,
    window_overlap,
)
from pm.forecast.distribution import (
    TICKS_SCHEMA,
    at_least_a_tick,
    martingale_distribution,
    price_distribution,
    return_scales,
    unrepresentable_forecasts,
)
from pm.forecast.model_run import run_model
from pm.forecast.models import forecaster
from pm.forecast.models.observed import ObservedForecaster
from pm.forecast.observed import with_observations
from pm.forecast.panel import build_panel
from pm.forecast.pooling import (
    ERROR_PRODUCTS_SCHEMA,
    combine_pooled,
    error_products_frame,
    reweight_ensemble,
    with_pooled_weights,
)
from pm.forecast.relative.rows import with_relative
from pm.forecast.spread import estimate_spreads
from pm.forecast.weights import combine_models, model_weights, weighted_means
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Evidence, Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from pm.forecast.observed import AcceptedObservations
    from pm.forecast.policy import Policy
    from pm.forecast.relative.model import RelativeModel
    from pm.settings import ForecastSettings

__all__ = ["ForecastResult", "forecast_tickers", "join_results"]

STAGE = "forecast"
"""Name of the stage in table `exclusions`."""

FORECASTS_SCHEMA = FORECASTS.unstamped_schema


@dataclass(frozen=True)
class ForecastResult:
    """Rows of the tables that the forecast writes, without their stamp.

    Attributes
    ----------
    forecasts
        Table `forecasts`: the models that could be used, 'ensemble' and 'martingale'; sorted by ticker, model and step.
    weights
        Table `model_weights`: every model of the settings and 'ensemble', for every ticker forecast; sorted by ticker
        and model.
    exclusions
        Table `exclusions`; sorted by ticker. A ticker that is in `forecasts` too was forecast with naive only.
    error_products
        Cross-validated errors, from `pooling.error_products_frame`; see `join_results` for their use.
    ticks
        Smallest price that can be quoted: columns ticker, tick. A ticker without a row has none known.
    """

    forecasts: pl.DataFrame
    weights: pl.DataFrame
    exclusions: pl.DataFrame
    error_products: pl.DataFrame = field(default_factory=ERROR_PRODUCTS_SCHEMA.to_frame)
    ticks: pl.DataFrame = field(default_factory=TICKS_SCHEMA.to_frame)


def forecast_tickers(  # noqa: PLR0913 - the frames of a chunk, and what they are forecast with
    prices: pl.DataFrame,
    volatility: pl.DataFrame,
    targets: pl.DataFrame,
    groups: pl.DataFrame | None = None,
    observations: pl.DataFrame | None = None,
    *,
    settings: ForecastSettings,
    as_of: date,
    policy: Policy | None = None,
    accepted: AcceptedObservations | None = None,
) -> ForecastResult:
    """Forecast each ticker's close at each step of the horizon, with every model and their ensemble.

    Models use the log of the adjusted close of the last `settings.window` bars up to `as_of`. Each model is fitted
    twice to a ticker: to the bars up to the first origin of the cross-validation, and rolled forward over the origins
    with these parameters; and to all bars, for the current forecast. A ticker's rows depend only on its own bars, those
    of its group, and the settings: other tickers in the chunk do not even change their rounding.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor. Bars after `as_of` are ignored; those before the last
        `settings.window` only help to find changes of units.
    volatility
        Rows of table `volatility` of these tickers, with the same cutoff.
    targets
        Columns ticker, step, target_date: the sessions to forecast.
    groups
        Columns ticker, group: related tickers, from `groups.related_groups`. All tickers of a group must be in this
        chunk.
    observations
        Rows of table `observations` of these tickers that were known on the day; None if forecasts use none.
    settings
        Models, window, horizon, and cross-validation.
    as_of
        Last date whose bars may be used.
    policy
        Accepted policy for `mssa_cp`, or None for its fixed rank and window.
    accepted
        Observations that passed the test of edges: model 'observed' uses them. None for no such model.

    Raises
    ------
    SettingsError
        `settings.models` has an unknown model.

    Notes
    -----
    Reasons in `exclusions`: short_history for a ticker that is forecast with naive only; no_prices, duplicate_dates,
    bad_price, stale, too_few_bars, constant, out_of_range, no_volatility, origin_mismatch and no_targets for one that
    is not forecast.
    """
    models = [forecaster(name, policy=policy) for name in settings.models]
    if accepted is not None:
        models.append(ObservedForecaster(since=accepted.since))
    targets = targets.with_columns(pl.col("step").cast(pl.Int64))
    priced = build_panel(
        prices,
        as_of=as_of,
        window=settings.window,
        horizon=settings.horizon,
        max_age_days=settings.max_age_days,
        min_bars=forecaster(NAIVE).min_observations,
    )
    excluded = priced.refused | _incomplete_inputs(priced.last, volatility, targets, settings.horizon)
    panel = priced.panel.only(priced.panel.bar_counts().keys() - excluded.keys())
    panel = with_calendar(panel, targets, settings.arima_features)
    panel = with_observations(panel, observations, accepted.names if accepted is not None else ())
    if groups is not None:
        panel = replace(panel, groups=dict(groups.select("ticker", "group").iter_rows()))
    origins = settled_origins(rolling_origins(panel, settings), priced.quoted, panel.groups)
    runs = {model.name: run_model(model, panel, priced.last, origins, settings) for model in models}

    cross_validated = pl.concat(run.cross_validated for run in runs.values())
    tests = backtests(panel, cross_validated, outcomes(panel, origins, settings.horizon))
    reasons = {name: run.reasons for name, run in runs.items()}
    ensembles = combine_models(tests, overlap=window_overlap(settings))
    weights = model_weights(panel.bar_counts(), ensembles, reasons)
    means = pl.concat(run.current for run in runs.values())
    means = pl.concat([means, weighted_means(means, weights)])
    last = priced.last.join(return_scales(panel), on="ticker")
    forecasts = pl.concat(
        [
            price_distribution(means, volatility, targets, last, estimate_spreads(ensembles)),
            martingale_distribution(targets, volatility, last),
        ]
    ).sort("ticker", "model", "step")

    out_of_range = unrepresentable_forecasts(forecasts)
    kept = ~pl.col("ticker").is_in(list(out_of_range))
    tests = {ticker: test for ticker, test in tests.items() if ticker not in out_of_range}
    needed = bars_needed(settings)
    for ticker, bars in panel.bar_counts().items():
        if bars < needed:
            excluded[ticker] = Exclusion(
                Reason.SHORT_HISTORY, f"cross-validation needs {needed} bars, has {bars}; forecast with naive only"
            )
    excluded |= {ticker: Exclusion(Reason.OUT_OF_RANGE, detail) for ticker, detail in out_of_range.items()}
    return ForecastResult(
        forecasts=forecasts.filter(kept).cast(FORECASTS_SCHEMA),
        weights=weights.filter(kept),
        exclusions=exclusions_frame(STAGE, sorted(excluded.items())),
        error_products=error_products_frame(tests),
        ticks=last.filter(kept).select(TICKS_SCHEMA.names()),
    )


def join_results(
    results: Iterable[ForecastResult], settings: ForecastSettings, *, relative: RelativeModel | None = None
) -> ForecastResult:
    """Join the results of all chunks, and add what depends on all tickers of the run.

    That is the weights of tickers with a short history, from the errors of all; and the model of relative returns, with
    its weight in the ensembles. No quantile that they move falls below the smallest price that can be quoted. The
    result depends neither on how the tickers were divided into chunks nor on the order of the chunks.

    Parameters
    ----------
    results
        Results of the chunks.
    settings
        Horizon and cross-validation.
    relative
        Model of relative returns over the horizon; None for none.
    """
    parts = list(results)
    forecasts = pl.concat(part.forecasts for part in parts).sort("ticker", "model", "step")
    weights = pl.concat(part.weights for part in parts).sort("ticker", "model")
    products = pl.concat(part.error_products for part in parts)
    weights = with_pooled_weights(weights, combine_pooled(products, overlap=window_overlap(settings)))
    pooled = weights.filter(evidence=Evidence.POOLED.value, verdict=Verdict.EDGE.value)["ticker"].unique()
    reweighted = pl.col("ticker").is_in(pooled.to_list())
    changed = reweight_ensemble(forecasts.filter(reweighted), weights.filter(reweighted))
    forecasts = pl.concat([forecasts.filter(~reweighted), changed]).sort("ticker", "model", "step")
    if relative is not None:
        forecasts, weights = with_relative(forecasts, weights, relative, horizon=settings.horizon)
    ticks = pl.concat(part.ticks for part in parts).sort("ticker")
    return ForecastResult(
        forecasts=at_least_a_tick(forecasts, ticks),
        weights=weights,
        exclusions=pl.concat(part.exclusions for part in parts).sort("ticker", maintain_order=True),
        error_products=products,
        ticks=ticks,
    )


def _incomplete_inputs(
    last: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, horizon: int
) -> dict[str, Exclusion]:
    """Return the tickers that lack volatility for every step from their last bar, or sessions to forecast."""
    numbers = ["cumulative_sigma", *(quantile_column("r", p) for p in QUANTILES)]
    paths = (
        volatility.filter(pl.col("step") <= horizon, pl.all_horizontal(pl.col(numbers).is_finite()))
        .group_by("ticker")
        .agg(steps=pl.col("step").n_unique(), from_date=pl.col("origin_date").max())
    )
    ahead = (
        targets.join(last, on="ticker")
        .filter(pl.col("step").is_between(1, horizon), pl.col("target_date") > pl.col("origin_date"))
        .group_by("ticker")
        .agg(sessions=pl.col("step").n_unique())
    )
    excluded: dict[str, Exclusion] = {}
    facts = last.join(paths, on="ticker", how="left").join(ahead, on="ticker", how="left")
    for row in facts.iter_rows(named=True):
        ticker, origin = row["ticker"], row["origin_date"]
        if row["steps"] != horizon:
            excluded[ticker] = Exclusion(Reason.NO_VOLATILITY, f"volatility has {row['steps'] or 0} of {horizon} steps")
        elif row["from_date"] != origin:
            excluded[ticker] = Exclusion(
                Reason.ORIGIN_MISMATCH, f"volatility starts from {row['from_date']}, the last bar is of {origin}"
            )
        elif row["sessions"] != horizon:
            excluded[ticker] = Exclusion(
                Reason.NO_TARGETS, f"{row['sessions'] or 0} of {horizon} sessions after {origin} are known"
            )
    return excluded
