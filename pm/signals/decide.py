"""BUY, SELL or HOLD: one decision a ticker, with every number it came from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.signals.distribution import PriceDistribution
from pm.signals.sizing import annual_volatility, position_size
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import Reason

if TYPE_CHECKING:
    from pm.settings import SignalSettings

__all__ = ["Decisions", "decide"]

_LEVELS = {"50%": 0.5, "80%": 0.8, "90%": 0.9}
_PRICES = [quantile_column("q", level) for level in QUANTILES]


@dataclass(frozen=True)
class Decisions:
    """What was decided, and what could not be.

    Attributes
    ----------
    signals
        Table `signals` without its run_id, snapshot_id and cutoff; one row a ticker, sorted.
    exclusions
        stage, ticker, reason, detail: tickers whose forecast cannot be read. Together the two frames hold every ticker
        of the forecasts exactly once.
    """

    signals: pl.DataFrame
    exclusions: pl.DataFrame


def decide(forecasts: pl.DataFrame, volatility: pl.DataFrame, *, settings: SignalSettings) -> Decisions:
    """Decide on each ticker from the distribution of its price at the horizon, its last step.

    The simple return r from the origin to the horizon has to exceed the round-trip cost c to be worth anything:
    gain = P(r > c), loss = P(r < −c), both read by `PriceDistribution`. BUY if gain reaches the threshold, SELL if
    loss does, else HOLD. The threshold is at least one half and gain + loss at most one, so both can reach it only when
    each is exactly one half; that tie is a HOLD.

    Parameters
    ----------
    forecasts
        Rows of table `forecasts` of one run and one model (the ensemble), all columns. Steps before the last are not
        read.
    volatility
        Rows of table `volatility`, all columns; the step of the horizon gives the size.
    settings
        Section `signals`.

    Notes
    -----
    `expected_return` is the median simple return, `lower` and `upper` the ends of its central interval, all three
    straight from the stored quantiles. `confidence` is the probability of the action taken: gain for BUY, loss for
    SELL, 1 − gain − loss for HOLD; it does not enter the size. `stop` and `target` are prices, the quantiles
    `stop_quantile` and `target_quantile` of the same distribution; for a SELL those of 1 − `stop_quantile` and
    1 − `target_quantile`. A ticker is excluded for `ambiguous_forecast` (two rows at its last step), `no_volatility`,
    `origin_mismatch` (forecast and volatility start at different dates), `non_finite_forecast`, `non_positive_forecast`
    or `unordered_quantiles`.
    """
    judged = _at_horizon(forecasts, volatility).with_columns(fault=_fault())
    faulty = judged.filter(pl.col("fault").is_not_null()).unique("ticker", keep="first", maintain_order=True)
    sound = judged.filter(pl.col("fault").is_null())
    return Decisions(_signals(sound, settings), _exclusions(faulty))


def _at_horizon(forecasts: pl.DataFrame, volatility: pl.DataFrame) -> pl.DataFrame:
    """Give each ticker's last step beside its volatility at that same step."""
    last = forecasts.filter(pl.col("step") == pl.col("step").max().over("ticker")).with_columns(
        copies=pl.len().over("ticker")
    )
    spread = volatility.select(
        "ticker",
        "step",
        "cumulative_sigma",
        volatility_origin=pl.col("origin_date"),
        volatility_run_id=pl.col("run_id"),
        volatility_snapshot_id=pl.col("snapshot_id"),
    ).unique(["ticker", "step"], keep="first", maintain_order=True)
    return last.join(spread, on=["ticker", "step"], how="left").sort("ticker")


def _fault() -> pl.Expr:
    """Name the first thing that keeps a row from being read; null if nothing does."""
    numbers = [pl.col(name) for name in ("origin_close", *_PRICES, "sigma", "cumulative_sigma")]
    finite = pl.all_horizontal(number.is_finite().fill_null(value=False) for number in numbers)
    positive = pl.all_horizontal(number > 0 for number in numbers)
    ordered = pl.all_horizontal(pl.col(low) < pl.col(high) for low, high in pairwise(_PRICES))
    return (
        pl.when(pl.col("copies") > 1)
        .then(pl.lit(Reason.AMBIGUOUS_FORECAST.value))
        .when(pl.col("volatility_origin").is_null())
        .then(pl.lit(Reason.NO_VOLATILITY.value))
        .when(pl.col("volatility_origin").ne_missing(pl.col("origin_date")))
        .then(pl.lit(Reason.ORIGIN_MISMATCH.value))
        .when(~finite)
        .then(pl.lit(Reason.NON_FINITE_FORECAST.value))
        .when(~positive)
        .then(pl.lit(Reason.NON_POSITIVE_FORECAST.value))
        .when(~ordered)
        .then(pl.lit(Reason.UNORDERED_QUANTILES.value))
    )


def _exclusions(faulty: pl.DataFrame) -> pl.DataFrame:
    quantiles = pl.concat_str([pl.col(name).cast(pl.String).fill_null("null") for name in _PRICES], separator=", ")
    shown = pl.format(
        "close {}, sigma {}, quantiles {}",
        pl.col("origin_close").cast(pl.String).fill_null("null"),
        pl.col("cumulative_sigma").cast(pl.String).fill_null("null"),
        quantiles,
    )
    details = {
        Reason.AMBIGUOUS_FORECAST.value: pl.format(
            "{} forecasts of step {}, of one model and run expected", "copies", "step"
        ),
        Reason.NO_VOLATILITY.value: pl.format("no volatility at step {}, so no size", "step"),
        Reason.ORIGIN_MISMATCH.value: pl.format(
            "forecast from {}, volatility from {}", "origin_date", "volatility_origin"
        ),
        Reason.NON_FINITE_FORECAST.value: pl.format("not every number is finite: {}", shown),
        Reason.NON_POSITIVE_FORECAST.value: pl.format("not every price is positive: {}", shown),
        Reason.UNORDERED_QUANTILES.value: pl.format("quantiles do not increase with their level: {}", shown),
    }
    detail = pl.coalesce(pl.when(pl.col("fault") == reason).then(words) for reason, words in details.items())
    return faulty.select(stage=pl.lit("signals"), ticker="ticker", reason="fault", detail=detail)


def _signals(sound: pl.DataFrame, settings: SignalSettings) -> pl.DataFrame:
    distribution = PriceDistribution.from_forecasts(sound)
    close = sound["origin_close"].to_numpy()
    cost = settings.round_trip_cost_bps / 10_000
    decided = sound.with_columns(
        probability_gain=pl.Series(distribution.probability_above(close * (1 + cost)), dtype=pl.Float64),
        probability_loss=pl.Series(distribution.probability_below(close * (1 - cost)), dtype=pl.Float64),
    ).with_columns(action=_action(settings.threshold))

    short = (decided["action"] == "SELL").to_numpy()
    stop = distribution.quantile(np.where(short, 1 - settings.stop_quantile, settings.stop_quantile))
    target = distribution.quantile(np.where(short, 1 - settings.target_quantile, settings.target_quantile))
    level = _LEVELS[settings.interval_level]
    annual = annual_volatility(pl.col("cumulative_sigma"), pl.col("step"))
    traded = pl.col("action") != "HOLD"
    side = pl.when(pl.col("action") == "SELL").then(-1).otherwise(1)
    rows = decided.with_columns(
        pl.Series("stop", stop, dtype=pl.Float64),
        pl.Series("target", target, dtype=pl.Float64),
        annual_volatility=annual,
        expected_return=_simple_return(0.5),
        lower=_simple_return((1 - level) / 2),
        upper=_simple_return((1 + level) / 2),
    ).with_columns(
        horizon=pl.col("step"),
        close=pl.col("origin_close"),
        interval_level=pl.lit(level),
        confidence=pl.when(pl.col("action") == "BUY")
        .then(pl.col("probability_gain"))
        .when(pl.col("action") == "SELL")
        .then(pl.col("probability_loss"))
        .otherwise((1 - pl.col("probability_gain") - pl.col("probability_loss")).clip(0, 1)),
        size=position_size(pl.col("action"), pl.col("annual_volatility"), settings=settings),
        # A quantile on the wrong side of the close is no price to give up, or take profit, at.
        stop=pl.when(traded & (side * (pl.col("stop") - pl.col("origin_close")) < 0)).then("stop"),
        target=pl.when(traded & (side * (pl.col("target") - pl.col("origin_close")) > 0)).then("target"),
        source=pl.col("model"),
        reasons=_reasons(settings, cost),
        provenance=_provenance(),
    )
    columns = SIGNALS.unstamped_schema
    return rows.select(pl.col(name).cast(dtype) for name, dtype in columns.items())


def _action(threshold: float) -> pl.Expr:
    gain, loss = pl.col("probability_gain") >= threshold, pl.col("probability_loss") >= threshold
    return pl.when(gain & ~loss).then(pl.lit("BUY")).when(loss & ~gain).then(pl.lit("SELL")).otherwise(pl.lit("HOLD"))


def _simple_return(level: float) -> pl.Expr:
    # Levels such as (1 − 0.9) / 2 are not exactly 0.05; the column's name rounds to whole percents.
    return pl.col(quantile_column("q", level)) / pl.col("origin_close") - 1


def _reasons(settings: SignalSettings, cost: float) -> pl.Expr:
    return pl.struct(
        rule=_rule(settings.threshold, cost),
        threshold=pl.lit(settings.threshold),
        round_trip_cost=pl.lit(cost),
        median_return=pl.col("expected_return"),
        sigma=pl.col("sigma"),
        annual_volatility=pl.col("annual_volatility"),
        quantiles=pl.struct(_PRICES),
    ).struct.json_encode()


def _rule(threshold: float, cost: float) -> pl.Expr:
    """Say which rule fired, in a sentence."""
    gain, loss = ((pl.col(name) * 100).round(2) for name in ("probability_gain", "probability_loss"))
    bar, hurdle = f"{threshold * 100:.6g}%", f"{cost * 100:.6g}%"
    return (
        pl.when(pl.col("action") == "BUY")
        .then(pl.format(f"Gaining more than {hurdle} has probability {{}}%, which reaches {bar}.", gain))
        .when(pl.col("action") == "SELL")
        .then(pl.format(f"Losing more than {hurdle} has probability {{}}%, which reaches {bar}.", loss))
        .otherwise(
            pl.format(
                f"Gaining more than {hurdle} has probability {{}}%, losing more {{}}%: neither alone reaches {bar}.",
                gain,
                loss,
            )
        )
    )


def _provenance() -> pl.Expr:
    return pl.struct(
        forecast_run_id=pl.col("run_id"),
        volatility_run_id=pl.col("volatility_run_id"),
        snapshot_id=pl.col("snapshot_id"),
        volatility_snapshot_id=pl.col("volatility_snapshot_id"),
        cutoff=pl.col("cutoff").cast(pl.String),
        origin_date=pl.col("origin_date").cast(pl.String),
    ).struct.json_encode()
