"""Forecast a chunk of tickers: every model, their weights, and the ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.cross_validation import bars_needed, outcomes, rolling_origins, score
from pm.forecast.distribution import price_distribution
from pm.forecast.models import forecaster
from pm.forecast.panel import build_panel
from pm.forecast.weights import ensemble_weights
from pm.lake.tables import QUANTILES, quantile_column, table
from pm.volatility.base import Refusal

if TYPE_CHECKING:
    from datetime import date

    from pm.forecast.base import Forecaster, Forecasts, Panel
    from pm.forecast.panel import PricedPanel
    from pm.settings import ForecastSettings

__all__ = ["ENSEMBLE", "ForecastResult", "forecast_tickers"]

ENSEMBLE = "ensemble"
STAGE = "forecast"
NAIVE = "naive"

FURTHEST = 2.0
"""A mean further from today's price than this many times the widest range of any horizon in the window is absurd: a
model that broke down, not one that dares."""

STAMP = ("run_id", "snapshot_id", "cutoff")


def _schema(name: str) -> pl.Schema:
    return pl.Schema({k: v for k, v in table(name).polars_schema.items() if k not in STAMP})


FORECASTS_SCHEMA, WEIGHTS_SCHEMA, EXCLUSIONS_SCHEMA = map(_schema, ("forecasts", "model_weights", "exclusions"))


@dataclass(frozen=True)
class ForecastResult:
    """What `forecast_tickers` gives, each frame a table of the lake without its stamp.

    Attributes
    ----------
    forecasts
        Table `forecasts`: the models that took part, and 'ensemble'; sorted by ticker, model and step.
    weights
        Table `model_weights`: every model of the settings for every ticker forecast; sorted by ticker and model.
    exclusions
        Table `exclusions`; sorted by ticker. One that is also in `forecasts` was served by naive alone.
    """

    forecasts: pl.DataFrame
    weights: pl.DataFrame
    exclusions: pl.DataFrame


@dataclass(frozen=True)
class _Run:
    """A model's work on a panel.

    `tested` has its cross-validation (ticker, model, origin_date, step, mean), `today` what it says now (ticker,
    model, step, mean_log_return), `reasons` why it took no part where it did not.
    """

    tested: pl.DataFrame
    today: pl.DataFrame
    reasons: dict[str, str]


def forecast_tickers(
    prices: pl.DataFrame,
    volatility: pl.DataFrame,
    targets: pl.DataFrame,
    *,
    settings: ForecastSettings,
    as_of: date,
) -> ForecastResult:
    """Give the forecasts of each ticker's close at each step of the horizon, by every model and by their ensemble.

    Models see the log of the adjusted close of the last `settings.window` bars up to `as_of`. Each is fitted twice a
    ticker: on the bars before cross-validation begins, whence it is rolled forward over the origins with its
    parameters held, and on all bars, for today's forecast. A ticker's rows depend on its own bars and the settings
    alone, to the last bit.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor. Bars after `as_of` are ignored.
    volatility
        Table `volatility` of these tickers, of the same cutoff.
    targets
        Columns ticker, step, target_date: the sessions to forecast.
    settings
        Models, window, horizon, cross-validation.
    as_of
        The cutoff.

    Raises
    ------
    SettingsError
        `settings.models` names a model that there is not.

    Notes
    -----
    Reasons in `exclusions`. Served by naive alone: short_history. Not served: no_prices, duplicate_dates, bad_price,
    stale, too_few_bars, constant, no_volatility, volatility_misaligned, no_targets.
    """
    models = [forecaster(name) for name in settings.models]
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
    origins = rolling_origins(panel, settings)
    runs = {model.name: _run(model, priced, panel, origins, settings) for model in models}

    tested = score(pl.concat(run.tested for run in runs.values()), outcomes(panel, origins, settings.horizon))
    weights = _weigh(panel, runs, tested, settings)
    means = pl.concat([*(run.today for run in runs.values()), _combine(runs, weights)])
    forecasts = price_distribution(means, volatility, targets, priced.last)

    needed = bars_needed(settings)
    for ticker, bars in panel.lengths().items():
        if bars < needed:
            refused[ticker] = Refusal("short_history", f"weights need {needed} bars, has {bars}; served by naive alone")
    exclusions = [(STAGE, ticker, refusal.reason, refusal.detail) for ticker, refusal in sorted(refused.items())]
    return ForecastResult(
        forecasts=forecasts.cast(FORECASTS_SCHEMA),
        weights=weights,
        exclusions=pl.DataFrame(exclusions, schema=EXCLUSIONS_SCHEMA, orient="row"),
    )


def _unsupported(
    last: pl.DataFrame, volatility: pl.DataFrame, targets: pl.DataFrame, horizon: int
) -> dict[str, Refusal]:
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
    refused: dict[str, Refusal] = {}
    facts = last.join(paths, on="ticker", how="left").join(ahead, on="ticker", how="left")
    for row in facts.iter_rows(named=True):
        ticker, origin = row["ticker"], row["origin_date"]
        if row["steps"] != horizon:
            refused[ticker] = Refusal("no_volatility", f"volatility has {row['steps'] or 0} of {horizon} steps")
        elif row["from_date"] != origin:
            refused[ticker] = Refusal("volatility_misaligned", f"volatility is from {row['from_date']}, not {origin}")
        elif row["sessions"] != horizon:
            refused[ticker] = Refusal("no_targets", f"{row['sessions'] or 0} of {horizon} sessions after {origin}")
    return refused


def _run(
    model: Forecaster, priced: PricedPanel, panel: Panel, origins: pl.DataFrame, settings: ForecastSettings
) -> _Run:
    """Cross-validate a model and take its forecast from the last bar, where it has bars enough for both."""
    reasons: dict[str, str] = {}
    needed = bars_needed(settings)
    for ticker, bars in panel.lengths().items():
        least = model.min_observations if model.name == NAIVE else max(model.min_observations, needed)
        if bars < least:
            reasons[ticker] = f"needs {least} bars, has {bars}"
    able = panel.only(panel.lengths().keys() - reasons.keys())
    tested = model.forecast(able, origins, settings.horizon)
    reasons |= _unsound(tested)
    able = able.only(able.lengths().keys() - reasons.keys())
    today = model.forecast(able, able.last_origins(), settings.horizon)
    reasons |= _unsound(today)

    returns = today.means.join(priced.last, on=["ticker", "origin_date"]).with_columns(
        mean_log_return=pl.col("mean") - pl.col("log_price")
    )
    for ticker, step, far in (
        returns.filter(pl.col("mean_log_return").abs() > FURTHEST * pl.col("reach"))
        .group_by("ticker", maintain_order=True)
        .first()
        .select("ticker", "step", "mean_log_return")
        .iter_rows()
    ):
        reasons.setdefault(ticker, f"absurd: log return of {far:.3g} at step {step}")
    took_part = ~pl.col("ticker").is_in(list(reasons))
    named = pl.lit(model.name).alias("model")
    return _Run(
        tested=tested.means.filter(took_part).select("ticker", named, "origin_date", "step", "mean"),
        today=returns.filter(took_part).select("ticker", named, "step", "mean_log_return"),
        reasons=reasons,
    )


def _unsound(forecasts: Forecasts) -> dict[str, str]:
    """Give the tickers that a model failed on, or answered with something that is no number."""
    broken = forecasts.means.filter(~pl.col("mean").is_finite())["ticker"].unique()
    return {str(ticker): "forecast is not finite" for ticker in broken} | forecasts.failures


def _weigh(panel: Panel, runs: dict[str, _Run], tested: pl.DataFrame, settings: ForecastSettings) -> pl.DataFrame:
    """Give table `model_weights`: a row for every model of the settings and every ticker of the panel."""
    scores = {(row["ticker"], row["model"]): row for row in tested.iter_rows(named=True)}
    rows = []
    for ticker in panel.lengths():
        members = [model for model, run in runs.items() if ticker not in run.reasons]
        losses = {model: scores[ticker, model]["loss"] for model in members if (ticker, model) in scores}
        weights = ensemble_weights(losses, naive_share=settings.naive_share) if losses else {NAIVE: 1.0}
        naive_rmse = scores.get((ticker, NAIVE), {}).get("rmse")
        for model, run in runs.items():
            errors = scores.get((ticker, model), {})
            rmse = errors.get("rmse")
            rows.append(
                {
                    "ticker": ticker,
                    "model": model,
                    "weight": weights.get(model, 0.0),
                    "rmse": rmse,
                    "mae": errors.get("mae"),
                    "relative_rmse": rmse / naive_rmse if rmse is not None and naive_rmse else None,
                    "origins": errors.get("origins", 0),
                    "first_origin": errors.get("first_origin"),
                    "last_target": errors.get("last_target"),
                    "reason": run.reasons.get(ticker),
                }
            )
    return pl.DataFrame(rows, schema=WEIGHTS_SCHEMA).sort("ticker", "model")


def _combine(runs: dict[str, _Run], weights: pl.DataFrame) -> pl.DataFrame:
    """Give the ensemble's mean log returns: the members' by ticker and step, times their weights.

    Members are added one column after the other, in the order of the settings: the sum is the same to the last bit
    whatever else is in the chunk.
    """
    steps = runs[NAIVE].today.select("ticker", "step")
    total = steps.with_columns(mean_log_return=pl.lit(0.0))
    for model, run in runs.items():
        share = weights.filter(pl.col("model") == model).select("ticker", "weight")
        part = run.today.join(share, on="ticker").select(
            "ticker", "step", part=pl.col("mean_log_return") * pl.col("weight")
        )
        total = total.join(part, on=["ticker", "step"], how="left", maintain_order="left").select(
            "ticker", "step", pl.col("mean_log_return") + pl.col("part").fill_null(0.0)
        )
    return total.select("ticker", pl.lit(ENSEMBLE).alias("model"), "step", "mean_log_return")
