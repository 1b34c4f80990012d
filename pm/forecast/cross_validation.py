"""Rolling-origin cross-validation: origins, realised prices, and the errors of each model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.seeding import ticker_generator
from pm.statistics.accuracy import directional_accuracy, mae, mase, naive_scale, rmse, smape
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE, model_confidence_set
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import loss_differential, step_scaled_errors
from pm.volatility.jumps import known_as_now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = [
    "MIN_COMPARED_ORIGINS",
    "Backtest",
    "Scores",
    "backtests",
    "bars_needed",
    "outcomes",
    "rolling_origins",
    "score_models",
    "settled_origins",
    "window_overlap",
]

Scores: TypeAlias = "dict[str, float | int | bool | None]"
"""Columns of `model_weights` about the errors of a model, and their values; None for one that cannot be computed."""

TRAINING_BARS = 60
"""Minimum number of bars up to the first origin (one quarter)."""

MIN_ORIGINS = 2
"""Minimum number of origins of a cross-validation."""

MIN_COMPARED_ORIGINS = 8
"""Minimum number of origins for weights and for a confidence set: errors from fewer do not tell models apart."""

VARIANCE_FLOOR = 0.1
"""Minimum of the variance that errors are scaled by, as a fraction of the ticker's variance over all bars."""

CONFIDENCE_SET_SAMPLES = 1000
"""Number of bootstrap samples for the model confidence set."""

CONFIDENCE_SET_SEED = 0
"""Random seed of those samples."""


def bars_needed(settings: ForecastSettings) -> int:
    """Return the minimum number of bars for cross-validation: those of the first fit, and two windows after it."""
    return TRAINING_BARS + settings.horizon + (MIN_ORIGINS - 1) * settings.origin_step


def window_overlap(settings: ForecastSettings) -> int:
    """Return how many consecutive origins' windows share a session with one window, itself included; 1 if none do."""
    return -(-settings.horizon // settings.origin_step)


def rolling_origins(panel: Panel, settings: ForecastSettings) -> pl.DataFrame:
    """Return each ticker's origins: columns ticker and origin_date, oldest first.

    A ticker has `settings.origins` origins, `settings.origin_step` of its own sessions apart; the last one's horizon
    ends on the ticker's last bar. A ticker with a short history has fewer, so that TRAINING_BARS bars remain up to the
    first, and none if its history is too short for two.
    """
    bars = pl.len().over("ticker").cast(pl.Int64)
    last_origin = bars - 1 - settings.horizon
    sessions_before = last_origin - pl.col("bar")
    possible = (last_origin - (TRAINING_BARS - 1)) // settings.origin_step + 1
    origins = panel.bars.with_columns(sessions_before=sessions_before, bars=bars, possible=possible).filter(
        pl.col("bars") >= bars_needed(settings),
        pl.col("sessions_before") >= 0,
        pl.col("sessions_before") % settings.origin_step == 0,
        pl.col("sessions_before") // settings.origin_step < pl.min_horizontal("possible", pl.lit(settings.origins)),
    )
    return origins.select("ticker", pl.col("date").alias("origin_date"))


def settled_origins(origins: pl.DataFrame, quoted: pl.DataFrame, groups: Mapping[str, str]) -> pl.DataFrame:
    """Return the origins at which it was known what the panel takes for changes of units up to them.

    The panel is cleaned by what is known today. A wrong quote is known to be wrong once it is undone, and a split once
    ten sessions have followed: at an origin before that, a run would have seen other prices than those of the panel,
    and its errors say nothing about the models. At the origins that remain, it would have seen exactly the panel's.

    Parameters
    ----------
    origins
        Origins, from `rolling_origins`.
    quoted
        Log prices as quoted, from `PricedPanel.quoted`.
    groups
        Ticker → its group. The prices of all tickers of a group must be settled, because models read them together. A
        ticker without an entry is in no group.

    Returns
    -------
    Rows of `origins`, in their order. A ticker that has fewer than MIN_ORIGINS left has none.
    """
    series = {
        str(ticker): (own["date"].to_numpy(), np.diff(own["log_price"].to_numpy()))
        for (ticker,), own in quoted.partition_by("ticker", as_dict=True, maintain_order=True).items()
    }
    members: dict[str, list[str]] = {}
    for ticker, group in groups.items():
        members.setdefault(group, []).append(ticker)
    dates: dict[str, set[date]] = {}
    for ticker, day in origins.iter_rows():
        for member in members.get(groups.get(ticker, ""), [ticker]):
            dates.setdefault(member, set()).add(day)
    unsettled: set[tuple[str, date]] = set()
    for ticker, asked in dates.items():
        if ticker not in series:
            continue
        days, returns = series[ticker]
        ordered = sorted(asked)
        # Bars up to a day are one more than their returns.
        counts = np.maximum(np.searchsorted(days, np.array(ordered, dtype=days.dtype), side="right") - 1, 0)
        known = known_as_now(returns, counts.tolist())
        unsettled |= {(ticker, day) for day, same in zip(ordered, known.tolist(), strict=True) if not same}
    if not unsettled:
        return origins
    kept = [
        all((member, day) not in unsettled for member in members.get(groups.get(ticker, ""), [ticker]))
        for ticker, day in origins.iter_rows()
    ]
    return origins.filter(pl.Series(kept, dtype=pl.Boolean)).filter(pl.len().over("ticker") >= MIN_ORIGINS)


def outcomes(panel: Panel, origins: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return the realised log prices after each origin: columns ticker, origin_date, step, target_date, actual."""
    later = panel.bars.select("ticker", "bar", pl.col("date").alias("target_date"), pl.col("log_price").alias("actual"))
    return (
        panel.bars_at(origins)
        .select("ticker", "origin_date", "bar")
        .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
        .with_columns(pl.col("bar") + pl.col("step"))
        .join(later, on=["ticker", "bar"])
        .drop("bar")
    )


@dataclass(frozen=True)
class Backtest:
    """Forecast and realised log prices of one ticker over the origins of its cross-validation.

    Attributes
    ----------
    ticker
        The ticker.
    models
        Names of the models that forecast every step from every origin: naive first, then the others by name.
    origin_dates
        Dates of the origins, oldest first.
    last_target
        Last date forecast.
    actual
        Realised log prices, shape (origins, steps).
    means
        Forecast log prices, shape (models, origins, steps).
    origin
        Log prices at the origins, shape (origins,).
    naive_scale
        Mean absolute one-session log return of the bars up to each origin, shape (origins,).
    variance
        Mean squared one-session log return of the quarter before each origin, at least VARIANCE_FLOOR times that over
        all bars; shape (origins,).
    """

    ticker: str
    models: tuple[str, ...]
    origin_dates: tuple[date, ...]
    last_target: date
    actual: FloatArray
    means: FloatArray
    origin: FloatArray
    naive_scale: FloatArray
    variance: FloatArray

    @property
    def errors(self) -> FloatArray:
        """Forecast minus realised log prices, shape (models, origins, steps)."""
        return self.means - self.actual

    def with_model(self, model: str, means: FloatArray) -> Backtest:
        """Return the backtest with one more model, whose means have shape (origins, steps)."""
        return replace(self, models=(*self.models, model), means=np.concatenate([self.means, means[np.newaxis]]))

    def scaled_errors(self) -> FloatArray:
        """Return the errors divided by √(step × variance); see `step_scaled_errors`."""
        return step_scaled_errors(self.errors, self.variance)

    def error_products(self) -> FloatArray:
        """Return the mean over steps of the products of two models' scaled errors, shape (origins, models, models).

        The diagonal has the loss of each model at each origin. A combination with weights w has a loss of w'Gw, where G
        is an origin's matrix.
        """
        scaled = self.scaled_errors()
        return np.asarray(np.einsum("kos,los->okl", scaled, scaled) / scaled.shape[-1])


def backtests(panel: Panel, forecasts: pl.DataFrame, actual: pl.DataFrame) -> dict[str, Backtest]:
    """Return the backtest of each ticker that naive has forecasts of, sorted by ticker.

    A model that lacks a forecast of any step from any origin is left out of a ticker's backtest, because it cannot be
    compared with the others on equal terms.

    Parameters
    ----------
    panel
        Log prices of the tickers.
    forecasts
        Columns ticker, model, origin_date, step, mean (of the log price).
    actual
        Realised log prices, from `outcomes`.
    """
    bars = panel.bars.select("ticker", pl.col("date").alias("origin_date"), "bar")
    joined = (
        actual.join(bars, on=["ticker", "origin_date"])
        .join(forecasts, on=["ticker", "origin_date", "step"])
        .sort(pl.col("ticker"), pl.col("model") != NAIVE, pl.col("model"), pl.col("origin_date"), pl.col("step"))
    )
    series = panel.bars.partition_by("ticker", as_dict=True)
    parts: dict[str, dict[str, slice]] = {}
    begin = 0
    for ticker, model, rows in joined.group_by("ticker", "model", maintain_order=True).len().iter_rows():
        parts.setdefault(ticker, {})[model] = slice(begin, begin + rows)
        begin += rows
    columns = {
        name: joined[name].to_numpy() for name in ("origin_date", "target_date", "step", "bar", "actual", "mean")
    }
    found = {}
    # Computed by numpy, one ticker at a time: the order of summation must not depend on the other tickers.
    for ticker, models in parts.items():
        if NAIVE not in models:
            continue
        naive = {name: values[models[NAIVE]] for name, values in columns.items()}
        forecasts_of_naive = len(naive["step"])
        complete = {name: part for name, part in models.items() if part.stop - part.start == forecasts_of_naive}
        first = naive["step"] == 1
        shape = (int(first.sum()), forecasts_of_naive // int(first.sum()))
        log_prices = series[(ticker,)]["log_price"].to_numpy()
        origins = naive["bar"][first].tolist()
        scale, variance = _return_scales(log_prices, origins)
        found[ticker] = Backtest(
            ticker=ticker,
            models=tuple(complete),
            origin_dates=tuple(naive["origin_date"][first].tolist()),
            last_target=naive["target_date"][-1].item(),
            actual=naive["actual"].reshape(shape),
            means=np.stack([columns["mean"][part].reshape(shape) for part in complete.values()]),
            origin=log_prices[origins],
            naive_scale=scale,
            variance=variance,
        )
    return found


def _return_scales(log_prices: FloatArray, origins: list[int]) -> tuple[FloatArray, FloatArray]:
    """Return `Backtest.naive_scale` and `Backtest.variance`."""
    returns = np.diff(log_prices)
    # Without a minimum, errors from an origin would be divided by zero if the price was constant before it.
    floor = VARIANCE_FLOOR * float(np.mean(returns**2))
    recent = [float(np.mean(returns[origin - TRAINING_BARS + 1 : origin] ** 2)) for origin in origins]
    scale = [naive_scale(log_prices[: origin + 1]) for origin in origins]
    return np.array(scale), np.maximum(recent, floor)


def score_models(backtest: Backtest, *, overlap: int) -> dict[str, Scores]:
    """Compute each model's out-of-sample errors and compare the models: model → column of `model_weights` → value.

    Parameters
    ----------
    backtest
        Backtest of one ticker.
    overlap
        Number of consecutive origins whose windows overlap, from `window_overlap`.

    Notes
    -----
    The columns are described in table `model_weights`, and defined in `pm.statistics`. `loss` is the mean squared
    scaled error, as in `Backtest.error_products`. The direction is that of the change over the whole horizon, so that
    there is one an origin. Values that cannot be computed are None.
    """
    errors, changes = backtest.errors, backtest.actual[:, -1] - backtest.origin
    losses = np.diagonal(backtest.error_products(), axis1=1, axis2=2)
    gains = loss_differential(losses[:, :1], losses)
    p_values: FloatArray | None = None
    if len(losses) >= MIN_COMPARED_ORIGINS:
        p_values = model_confidence_set(losses, _resampled_origins(backtest.ticker, len(losses), overlap))
    naive_rmse = rmse(errors[0])
    scores: dict[str, Scores] = {}
    for i, model in enumerate(backtest.models):
        test = diebold_mariano(gains[:, i], overlap=overlap, alternative="greater")
        direction = directional_accuracy(backtest.means[i, :, -1] - backtest.origin, changes, overlap=overlap)
        numbers = {
            "rmse": rmse(errors[i]),
            "mae": mae(errors[i]),
            "smape": smape(np.exp(backtest.means[i]), np.exp(backtest.actual)),
            "mase": mase(errors[i], backtest.naive_scale[:, np.newaxis]),
            "loss": float(losses[:, i].mean()),
            "relative_rmse": rmse(errors[i]) / naive_rmse if naive_rmse else float("nan"),
            "directional_accuracy": direction.share,
            "directional_lower": direction.lower,
            "directional_upper": direction.upper,
            "dm_statistic": test.statistic if model != NAIVE else float("nan"),
            "dm_p_value": test.p_value if model != NAIVE else float("nan"),
            "mcs_p_value": float("nan") if p_values is None else float(p_values[i]),
        }
        scores[model] = {name: value if np.isfinite(value) else None for name, value in numbers.items()} | {
            "directional_origins": direction.trials,
            "in_confidence_set": None if p_values is None else bool(p_values[i] > CONFIDENCE_SET_SIZE),
        }
    return scores


def _resampled_origins(ticker: str, origins: int, overlap: int) -> NDArray[np.intp]:
    """Return bootstrap samples of a ticker's origins, in blocks as long as the number of overlapping windows.

    Longer blocks would eliminate good models too often: in a simulation of equally good models and 16 origins, 94% of
    them were in the 10% set with blocks of 1, but only 87% with blocks of 3.
    """
    generator = ticker_generator(CONFIDENCE_SET_SEED, ticker)
    return stationary_bootstrap(origins, block=overlap, reps=CONFIDENCE_SET_SAMPLES, generator=generator)
