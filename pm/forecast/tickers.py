"""Forecast a chunk of tickers: every model, their weights, and the ensemble."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from pm.exclusions import Exclusion
from pm.forecast.base import NAIVE
from pm.forecast.calendar import with_calendar
from pm.forecast.cross_validation import backtests, bars_needed, outcomes, rolling_origins, window_overlap
from pm.forecast.distribution import beyond_numbers, martingale_distribution, past_moves, price_distribution
from pm.forecast.member import enlist
from pm.forecast.models import forecaster
from pm.forecast.panel import build_panel
from pm.forecast.pooling import EVIDENCE_SCHEMA, evidence, pool_evidence, pooled_weights, recombine
from pm.forecast.spread import remaining_spread
from pm.forecast.weights import EDGE, combine_models, model_weights, weighted_means
from pm.tables.forecast import FORECASTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from pm.forecast.policy import Policy
    from pm.settings import ForecastSettings

__all__ = ["ForecastResult", "forecast_tickers", "join_results"]

STAGE = "forecast"

FORECASTS_SCHEMA, EXCLUSIONS_SCHEMA = FORECASTS.unstamped_schema, EXCLUSIONS.unstamped_schema


@dataclass(frozen=True)
class ForecastResult:
    """What `forecast_tickers` gives, each frame a table of the lake without its stamp.

    Attributes
    ----------
    forecasts
        Table `forecasts`: the models that took part, 'ensemble' and 'martingale'; sorted by ticker, model and step.
    weights
        Table `model_weights`: every model of the settings and 'ensemble', for every ticker forecast; sorted by ticker
        and model.
    exclusions
        Table `exclusions`; sorted by ticker. One that is also in `forecasts` was served by naive alone.
    evidence
        From `pooling.evidence`: what the tickers tell one another; see `join_results`.
    """

    forecasts: pl.DataFrame
    weights: pl.DataFrame
    exclusions: pl.DataFrame
    evidence: pl.DataFrame = field(default_factory=EVIDENCE_SCHEMA.to_frame)


def forecast_tickers(
    prices: pl.DataFrame,
    volatility: pl.DataFrame,
    targets: pl.DataFrame,
    groups: pl.DataFrame | None = None,
    *,
    settings: ForecastSettings,
    as_of: date,
    policy: Policy | None = None,
) -> ForecastResult:
    """Give the forecasts of each ticker's close at each step of the horizon, by every model and by their ensemble.

    Models see the log of the adjusted close of the last `settings.window` bars up to `as_of`. Each is fitted twice a
    ticker: on the bars before cross-validation begins, whence it is rolled forward over the origins with its
    parameters held, and on all bars, for today's forecast. A ticker's rows depend on its own bars, its group's, and
    the settings alone, to the last bit.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor. Bars after `as_of` are ignored.
    volatility
        Table `volatility` of these tickers, of the same cutoff.
    targets
        Columns ticker, step, target_date: the sessions to forecast.
    groups
        Columns ticker, group: related tickers, a group's all in this chunk; see `groups.related_groups`.
    settings
        Models, window, horizon, cross-validation.
    as_of
        The cutoff.
    policy
        An accepted policy for the models that go by one; None for their fixed choices.

    Raises
    ------
    SettingsError
        `settings.models` names a model that there is not.

    Notes
    -----
    Reasons in `exclusions`. Served by naive alone: short_history. Not served: no_prices, duplicate_dates, bad_price,
    stale, too_few_bars, constant, out_of_range, no_volatility, volatility_misaligned, no_targets.
    """
    models = [forecaster(name, policy=policy) for name in settings.models]
    targets = targets.with_columns(pl.col("step").cast(pl.Int64))
    priced = build_panel(
        prices,
        as_of=as_of,
        window=settings.window,
        horizon=settings.horizon,
        max_age_days=settings.max_age_days,
        min_bars=forecaster(NAIVE).min_observations,
    )
    refused = priced.refused | _unsupported(priced.last, volatility, targets, settings.horizon)
    panel = priced.panel.only(priced.panel.lengths().keys() - refused.keys())
    panel = with_calendar(panel, targets, settings.arima_features)
    if groups is not None:
        panel = replace(panel, groups=dict(groups.select("ticker", "group").iter_rows()))
    origins = rolling_origins(panel, settings)
    members = {model.name: enlist(model, panel, priced.last, origins, settings) for model in models}

    tested = pl.concat(member.tested for member in members.values())
    tests = backtests(panel, tested, outcomes(panel, origins, settings.horizon))
    reasons = {name: member.reasons for name, member in members.items()}
    ensembles = combine_models(tests, overlap=window_overlap(settings))
    weights = model_weights(panel.lengths(), ensembles, reasons, overlap=window_overlap(settings))
    means = pl.concat(member.today for member in members.values())
    means = pl.concat([means, weighted_means(means, weights)])
    last = priced.last.join(past_moves(panel), on="ticker")
    forecasts = pl.concat(
        [
            price_distribution(means, volatility, targets, last, remaining_spread(ensembles)),
            martingale_distribution(targets, volatility, last),
        ]
    ).sort("ticker", "model", "step")

    lost = beyond_numbers(forecasts)
    held = ~pl.col("ticker").is_in(list(lost))
    tests = {ticker: test for ticker, test in tests.items() if ticker not in lost}
    needed = bars_needed(settings)
    for ticker, bars in panel.lengths().items():
        if bars < needed:
            refused[ticker] = Exclusion(
                Reason.SHORT_HISTORY, f"weights need {needed} bars, has {bars}; served by naive alone"
            )
    refused |= {ticker: Exclusion(Reason.OUT_OF_RANGE, detail) for ticker, detail in lost.items()}
    exclusions = [(STAGE, ticker, refusal.reason, refusal.detail) for ticker, refusal in sorted(refused.items())]
    return ForecastResult(
        forecasts=forecasts.filter(held).cast(FORECASTS_SCHEMA),
        weights=weights.filter(held),
        exclusions=pl.DataFrame(exclusions, schema=EXCLUSIONS_SCHEMA, orient="row"),
        evidence=evidence(tests),
    )


def join_results(results: Iterable[ForecastResult], settings: ForecastSettings) -> ForecastResult:
    """Put the results of all chunks together, and lend tickers with a short history the evidence of all.

    Only those tickers' weights and ensemble change, and only they depend on what else is in the run. How the tickers
    were cut into chunks, and in which order those come, changes nothing.
    """
    parts = list(results)
    forecasts = pl.concat(part.forecasts for part in parts).sort("ticker", "model", "step")
    weights = pl.concat(part.weights for part in parts).sort("ticker", "model")
    told = pl.concat(part.evidence for part in parts)
    pooled = pooled_weights(weights, pool_evidence(told, overlap=window_overlap(settings)))
    lent = pl.col("ticker").is_in(pooled.filter(evidence="pooled", verdict=EDGE)["ticker"].unique().to_list())
    again = recombine(forecasts.filter(lent), pooled.filter(lent))
    return ForecastResult(
        forecasts=pl.concat([forecasts.filter(~lent), again]).sort("ticker", "model", "step"),
        weights=pooled,
        exclusions=pl.concat(part.exclusions for part in parts).sort("ticker", maintain_order=True),
        evidence=told,
    )


def _unsupported(
    last: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, horizon: int
) -> dict[str, Exclusion]:
    """Refuse the tickers without a whole path of volatility from their last bar, or without sessions to forecast."""
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
    refused: dict[str, Exclusion] = {}
    facts = last.join(paths, on="ticker", how="left").join(ahead, on="ticker", how="left")
    for row in facts.iter_rows(named=True):
        ticker, origin = row["ticker"], row["origin_date"]
        if row["steps"] != horizon:
            refused[ticker] = Exclusion(Reason.NO_VOLATILITY, f"volatility has {row['steps'] or 0} of {horizon} steps")
        elif row["from_date"] != origin:
            refused[ticker] = Exclusion(Reason.ORIGIN_MISMATCH, f"volatility is from {row['from_date']}, not {origin}")
        elif row["sessions"] != horizon:
            refused[ticker] = Exclusion(
                Reason.NO_TARGETS, f"{row['sessions'] or 0} of {horizon} sessions after {origin}"
            )
    return refused
