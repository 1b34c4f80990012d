"""Rolling-origin cross-validation: where to forecast from, what came, and how wrong each model was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.seeding import ticker_generator
from pm.statistics.accuracy import directional_accuracy, mae, mase, naive_scale, rmse, smape
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import model_confidence_set
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import loss_differential

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = [
    "FEWEST_COMPARED",
    "Backtest",
    "backtests",
    "bars_needed",
    "outcomes",
    "rolling_origins",
    "score",
    "window_overlap",
]

TRAINING_BARS = 60
"""Bars up to the first origin, at least: a quarter."""

MIN_ORIGINS = 2

FEWEST_COMPARED = 8
"""Origins below which a ticker's own evidence tells nothing: neither weights nor a confidence set rest on fewer."""

QUIETEST = 0.1
"""Share of a ticker's variance over all its bars that errors are standardised by at least."""

CONFIDENCE_SET_SIZE = 0.1
CONFIDENCE_SET_SAMPLES = 1000
CONFIDENCE_SET_SEED = 0


def bars_needed(settings: ForecastSettings) -> int:
    """Count the bars below which a ticker cannot be cross-validated: those of the fit, and two windows after it."""
    return TRAINING_BARS + settings.horizon + (MIN_ORIGINS - 1) * settings.origin_step


def window_overlap(settings: ForecastSettings) -> int:
    """Count the successive origins whose windows share a session with one window, itself included; 1 if none do."""
    return -(-settings.horizon // settings.origin_step)


def rolling_origins(panel: Panel, settings: ForecastSettings) -> pl.DataFrame:
    """Give each ticker's origins, columns ticker and origin_date, oldest first.

    There are `settings.origins` of them, `settings.origin_step` of the ticker's own sessions apart, such that the last
    one's horizon ends on its last bar. A short history has fewer, so that TRAINING_BARS are left before the first; one
    too short for two has none.
    """
    bars = pl.len().over("ticker").cast(pl.Int64)
    last_origin = bars - 1 - settings.horizon
    behind = last_origin - pl.col("bar")
    fitting = (last_origin - (TRAINING_BARS - 1)) // settings.origin_step + 1
    origins = panel.bars.with_columns(behind=behind, bars=bars, fitting=fitting).filter(
        pl.col("bars") >= bars_needed(settings),
        pl.col("behind") >= 0,
        pl.col("behind") % settings.origin_step == 0,
        pl.col("behind") // settings.origin_step < pl.min_horizontal("fitting", pl.lit(settings.origins)),
    )
    return origins.select("ticker", pl.col("date").alias("origin_date"))


def outcomes(panel: Panel, origins: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Give what came after each origin: columns ticker, origin_date, step, target_date, actual (log price)."""
    later = panel.bars.select("ticker", "bar", pl.col("date").alias("target_date"), pl.col("log_price").alias("actual"))
    return (
        panel.at(origins)
        .select("ticker", "origin_date", "bar")
        .join(pl.DataFrame({"step": pl.int_range(1, horizon + 1, eager=True)}), how="cross")
        .with_columns(pl.col("bar") + pl.col("step"))
        .join(later, on=["ticker", "bar"])
        .drop("bar")
    )


@dataclass(frozen=True)
class Backtest:
    """What the models of a ticker forecast over its origins, and what came.

    Attributes
    ----------
    ticker
        The ticker.
    models
        Naive first, then the others by name: those that forecast every step from every origin.
    origin_dates
        Dates forecast from, oldest first.
    last_target
        Last date forecast.
    actual
        Log prices that came, shape (origins, steps).
    means
        Log prices forecast, shape (models, origins, steps).
    origin
        Log prices at the origins.
    naive_scale
        Mean absolute one-session log return of the bars up to each origin.
    variance
        Mean squared one-session log return before each origin; never below a tenth of that over all bars.
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
        """Forecasts less outcomes, of the log price; shape (models, origins, steps)."""
        return self.means - self.actual

    def joined_by(self, model: str, means: FloatArray) -> Backtest:
        """Give the backtest with one model more, its means of shape (origins, steps)."""
        return replace(self, models=(*self.models, model), means=np.concatenate([self.means, means[np.newaxis]]))

    def products(self) -> FloatArray:
        """Give the mean products of the models' standardised errors, shape (origins, models, models).

        An error is divided by √(step·variance), so that a random walk's has a variance of about 1 at every step and
        in calm and wild times alike: otherwise the last few steps of the wildest origin would decide all. The
        diagonal has each model's loss at each origin; a combination with weights w loses w'Gw.
        """
        steps = np.arange(1, self.actual.shape[1] + 1)
        standard = self.errors / np.sqrt(steps * self.variance[:, np.newaxis])
        return np.asarray(np.einsum("kos,los->okl", standard, standard) / len(steps))


def backtests(panel: Panel, forecasts: pl.DataFrame, actual: pl.DataFrame) -> dict[str, Backtest]:
    """Give each ticker's backtest, in order of their names; none where naive has no forecast.

    A model that left out a step of an origin is not in it: it could not be compared on the same outcomes.

    Parameters
    ----------
    panel
        The tickers' log prices.
    forecasts
        Columns ticker, model, origin_date, step, mean (of the log price).
    actual
        From `outcomes`.
    """
    bars = panel.bars.select("ticker", pl.col("date").alias("origin_date"), "bar")
    joined = (
        actual.join(bars, on=["ticker", "origin_date"])
        .join(forecasts, on=["ticker", "origin_date", "step"])
        .sort(pl.col("ticker"), pl.col("model") != NAIVE, pl.col("model"), pl.col("origin_date"), pl.col("step"))
    )
    series = panel.bars.partition_by("ticker", as_dict=True)
    found = {}
    # By numpy, a ticker at a time: the order of a sum must not depend on who else is in the chunk.
    for key, rows in joined.partition_by("ticker", as_dict=True, maintain_order=True).items():
        parts = rows.partition_by("model", as_dict=True, maintain_order=True)
        own = parts.get((NAIVE,))
        if own is None:
            continue
        whole = {str(name): part for (name,), part in parts.items() if len(part) == len(own)}
        first = own.filter(step=1)
        shape = (len(first), len(own) // len(first))
        log_prices = series[key]["log_price"].to_numpy()
        origins = first["bar"].to_list()
        naive_scale, variance = _moves(log_prices, origins)
        found[str(key[0])] = Backtest(
            ticker=str(key[0]),
            models=tuple(whole),
            origin_dates=tuple(first["origin_date"].to_list()),
            last_target=own["target_date"].to_list()[-1],
            actual=own["actual"].to_numpy().reshape(shape),
            means=np.stack([part["mean"].to_numpy().reshape(shape) for part in whole.values()]),
            origin=log_prices[origins],
            naive_scale=naive_scale,
            variance=variance,
        )
    return found


def _moves(log_prices: FloatArray, origins: list[int]) -> tuple[FloatArray, FloatArray]:
    """Give `Backtest.naive_scale` and `Backtest.variance`."""
    returns = np.diff(log_prices)
    # A price that stood still just before an origin must not make its errors endless.
    floor = QUIETEST * float(np.mean(returns**2))
    recent = [float(np.mean(returns[origin - TRAINING_BARS + 1 : origin] ** 2)) for origin in origins]
    scale = [naive_scale(log_prices[: origin + 1]) for origin in origins]
    return np.array(scale), np.maximum(recent, floor)


def score(backtest: Backtest, *, overlap: int) -> dict[str, dict[str, float | int | bool | None]]:
    """Give each model's errors out of sample and their comparison: model → column of `model_weights` → value.

    Parameters
    ----------
    backtest
        A ticker's.
    overlap
        From `window_overlap`.

    Notes
    -----
    The columns are described in the table; see `accuracy` and `comparison` for the definitions. `loss` is the mean of
    the squared errors, each standardised as in `Backtest.products`. The direction is that of the whole horizon, so
    that an origin has one. What cannot be told is None.
    """
    errors, moved = backtest.errors, backtest.actual[:, -1] - backtest.origin
    losses = np.diagonal(backtest.products(), axis1=1, axis2=2)
    gains = loss_differential(losses[:, :1], losses)
    kept: FloatArray | None = None
    if len(losses) >= FEWEST_COMPARED:
        kept = model_confidence_set(losses, _resampled(backtest.ticker, len(losses), overlap))
    naive_rmse = rmse(errors[0])
    scores: dict[str, dict[str, float | int | bool | None]] = {}
    for place, model in enumerate(backtest.models):
        test = diebold_mariano(gains[:, place], overlap=overlap, alternative="greater")
        direction = directional_accuracy(backtest.means[place, :, -1] - backtest.origin, moved, overlap=overlap)
        numbers = {
            "rmse": rmse(errors[place]),
            "mae": mae(errors[place]),
            "smape": smape(np.exp(backtest.means[place]), np.exp(backtest.actual)),
            "mase": mase(errors[place], backtest.naive_scale[:, np.newaxis]),
            "loss": float(losses[:, place].mean()),
            "relative_rmse": rmse(errors[place]) / naive_rmse if naive_rmse else float("nan"),
            "directional_accuracy": direction.share,
            "directional_lower": direction.lower,
            "directional_upper": direction.upper,
            "dm_statistic": test.statistic if model != NAIVE else float("nan"),
            "dm_p_value": test.p_value if model != NAIVE else float("nan"),
            "mcs_p_value": float("nan") if kept is None else float(kept[place]),
        }
        scores[model] = {name: value if np.isfinite(value) else None for name, value in numbers.items()} | {
            "directional_origins": direction.trials,
            "in_confidence_set": None if kept is None else bool(kept[place] > CONFIDENCE_SET_SIZE),
        }
    return scores


def _resampled(ticker: str, origins: int, overlap: int) -> NDArray[np.intp]:
    """Give the bootstrap of a ticker's origins, in blocks as long as windows overlap: longer ones are too keen.

    (Of equally good models on 16 origins, 94% are in the 10% set with blocks of 1, and 87% with blocks of 3.)
    """
    generator = ticker_generator(CONFIDENCE_SET_SEED, ticker)
    return stationary_bootstrap(origins, block=overlap, reps=CONFIDENCE_SET_SAMPLES, generator=generator)
