"""Decide BUY, SELL or HOLD for each ticker, and keep every number that the decision came from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import EXCLUSIONS_SCHEMA
from pm.signals.centring import centred_quantiles
from pm.signals.distribution import PriceDistribution
from pm.signals.sizing import annual_volatility, position_size
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import Action, Reason, SignalReason

if TYPE_CHECKING:
    from pm.settings import SignalSettings

__all__ = ["Decisions", "decide"]

_STAGE = "signals"
_QUANTILES = [quantile_column("q", level) for level in QUANTILES]
_WIDEST_RATIO = 5.0
"""Ratio of the 95% to the 5% quantile of a price at the horizon, above which a distribution from a short history says
nothing. Over 20 sessions, it is that of a volatility of 170% per year."""
_WITHOUT_GARCH = ("ewma", "panel")
"""Models of volatility of tickers without a GARCH fit, mostly because of too few returns; column `model` of table
`volatility`."""
_COLUMNS = {name: dtype for name, dtype in SIGNALS.unstamped_schema.items() if name != "last_bar_batch_id"}
"""Columns of `Decisions.signals`. Only the lake knows the batch of a bar, so the stage adds it."""


@dataclass(frozen=True)
class Decisions:
    """The decisions about the tickers of a forecast. Each ticker is in exactly one of the two frames.

    Attributes
    ----------
    signals
        Columns of table `signals` without last_bar_batch_id and without run_id, snapshot_id and cutoff; one row per
        ticker, sorted by ticker.
    exclusions
        Columns stage, ticker, reason, detail: the tickers without a decision, sorted by ticker.
    """

    signals: pl.DataFrame
    exclusions: pl.DataFrame


def decide(
    forecasts: pl.DataFrame,
    volatility: pl.DataFrame,
    *,
    settings: SignalSettings,
    discoveries: pl.DataFrame | None = None,
) -> Decisions:
    """Decide on each ticker from the distribution of its price at the horizon, the last step of its forecast.

    Let r be the simple return from the origin to the horizon and c the cost of a round trip (opening and closing a
    position). The probability of a gain is P(r > c), that of a loss P(r < −c), both from `PriceDistribution`. The
    action is BUY if the probability of a gain reaches the threshold, SELL if that of a loss does, else HOLD. The
    threshold is at least one half, so both can reach it only if each is exactly one half; then the action is HOLD. It
    is also HOLD if the ticker's edge is not among the discoveries.

    Parameters
    ----------
    forecasts
        Rows of table `forecasts` of one run and one model (the ensemble), all columns. Only each ticker's last step is
        used.
    volatility
        Rows of table `volatility`, all columns. Only the step of the horizon is used, to compute the size.
    settings
        Section `signals`.
    discoveries
        Whether each ticker's edge is a discovery, from `edge_discoveries`. A ticker that is not, or that is not in the
        frame, is a HOLD. None: false discoveries are not controlled.

    Notes
    -----
    A ticker without an edge is forecast with no change: its `mean_log_return` is 0. The median of its simulated returns
    need not be 0, since returns are skewed and few, but says nothing about the future. Therefore all its quantiles are
    divided by their median and multiplied by the close: the distribution is centred on no change.

    `expected_return` is the median simple return, `lower` and `upper` are the ends of its central interval; all three
    come from these quantiles. `confidence` is the probability of a gain for BUY, of a loss for SELL, and of
    neither for HOLD; it does not enter the size. `stop` and `target` are the quantiles of the price at levels
    `stop_quantile` and `target_quantile`; for a SELL, at 1 − `stop_quantile` and 1 − `target_quantile`. Both are null
    where size is 0, and where the quantile is on the wrong side of the close.

    A ticker is excluded, with the first of these reasons that applies, for `ambiguous_forecast` (two rows at its last
    step), `no_volatility` (none at that step), `origin_mismatch` (forecast and volatility start at different dates),
    `non_finite_forecast`, `non_positive_forecast`, `unordered_quantiles`, or `too_little_history`: no edge, no GARCH
    fit because there are too few returns or none converged, and a 95% quantile of more than 5 times the 5% quantile.
    """
    checked = (
        _at_horizon(forecasts, volatility).with_columns(reason=_reason_to_exclude()).with_columns(centred_quantiles())
    )
    excluded = checked.filter(pl.col("reason").is_not_null()).unique("ticker", keep="first", maintain_order=True)
    usable = checked.filter(pl.col("reason").is_null())
    return Decisions(_signals(_with_discoveries(usable, discoveries), settings), _exclusions(excluded))


def _with_discoveries(usable: pl.DataFrame, discoveries: pl.DataFrame | None) -> pl.DataFrame:
    """Return the rows with edge_p_value, edge_q_value and discovered; all are discovered if nothing is controlled."""
    if discoveries is None:
        number = pl.lit(None, pl.Float64)
        return usable.with_columns(edge_p_value=number, edge_q_value=number, discovered=pl.lit(value=True))
    return usable.join(discoveries, on="ticker", how="left", maintain_order="left").with_columns(
        pl.col("discovered").fill_null(value=False)
    )


def _at_horizon(forecasts: pl.DataFrame, volatility: pl.DataFrame) -> pl.DataFrame:
    """Join each ticker's last step of the forecast with the volatility of the same step."""
    last = forecasts.filter(pl.col("step") == pl.col("step").max().over("ticker")).with_columns(
        row_count=pl.len().over("ticker")
    )
    sigmas = volatility.select(
        "ticker",
        "step",
        "cumulative_sigma",
        volatility_model=pl.col("model"),
        volatility_origin=pl.col("origin_date"),
        volatility_run_id=pl.col("run_id"),
        volatility_snapshot_id=pl.col("snapshot_id"),
    ).unique(["ticker", "step"], keep="first", maintain_order=True)
    return last.join(sigmas, on=["ticker", "step"], how="left").sort("ticker")


def _reason_to_exclude() -> pl.Expr:
    """Return the first reason to exclude a row, null if there is none."""
    numbers = [pl.col(name) for name in ("origin_close", *_QUANTILES, "sigma", "cumulative_sigma")]
    finite = pl.all_horizontal(number.is_finite().fill_null(value=False) for number in numbers)
    positive = pl.all_horizontal(number > 0 for number in numbers)
    no_edge = pl.col("mean_log_return") == 0.0
    wide = pl.col(quantile_column("q", 0.95)) > _WIDEST_RATIO * pl.col(quantile_column("q", 0.05))
    # The lowest can be equal: the smallest price that can be quoted.
    lowest = pl.col(_QUANTILES[0])
    rising = [(pl.col(low) < pl.col(high)) | (pl.col(high) == lowest) for low, high in pairwise(_QUANTILES)]
    ordered = pl.all_horizontal(*rising, pl.col(_QUANTILES[-2]) < pl.col(_QUANTILES[-1]))
    return (
        pl.when(pl.col("row_count") > 1)
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
        .when(no_edge & pl.col("volatility_model").is_in(_WITHOUT_GARCH) & wide)
        .then(pl.lit(Reason.TOO_LITTLE_HISTORY.value))
    )


def _exclusions(excluded: pl.DataFrame) -> pl.DataFrame:
    quantiles = pl.concat_str([pl.col(name).cast(pl.String).fill_null("null") for name in _QUANTILES], separator=", ")
    numbers = pl.format(
        "close {}, sigma {}, cumulative sigma of the volatility {}, quantiles {}",
        *(pl.col(name).cast(pl.String).fill_null("null") for name in ("origin_close", "sigma", "cumulative_sigma")),
        quantiles,
    )
    details = {
        Reason.AMBIGUOUS_FORECAST.value: pl.format(
            "{} forecasts of step {}; one model and one run must give only one", "row_count", "step"
        ),
        Reason.NO_VOLATILITY.value: pl.format(
            "there is no volatility at step {}, from which to compute a size", "step"
        ),
        Reason.ORIGIN_MISMATCH.value: pl.format(
            "the forecast starts from {}, the volatility from {}", "origin_date", "volatility_origin"
        ),
        Reason.NON_FINITE_FORECAST.value: pl.format("a number is missing or not finite: {}", numbers),
        Reason.NON_POSITIVE_FORECAST.value: pl.format("a number is not positive: {}", numbers),
        Reason.UNORDERED_QUANTILES.value: pl.format("the quantiles do not increase with their level: {}", numbers),
        Reason.TOO_LITTLE_HISTORY.value: pl.format(
            "the 90% interval at step {} is from {}% to {}% of the close: too little history to say",
            "step",
            *(
                (pl.col(quantile_column("q", level)) / pl.col("origin_close") * 100).round(0).cast(pl.Int64)
                for level in (0.05, 0.95)
            ),
        ),
    }
    detail = pl.coalesce(pl.when(pl.col("reason") == reason).then(words) for reason, words in details.items())
    columns = {"stage": pl.lit(_STAGE), "ticker": pl.col("ticker"), "reason": pl.col("reason"), "detail": detail}
    return excluded.select(columns[name].cast(dtype).alias(name) for name, dtype in EXCLUSIONS_SCHEMA.items())


def _signals(usable: pl.DataFrame, settings: SignalSettings) -> pl.DataFrame:
    distribution = PriceDistribution.from_forecasts(usable)
    close = usable["origin_close"].to_numpy()
    cost = settings.round_trip_cost
    decided = usable.with_columns(
        probability_gain=pl.Series(distribution.probability_above(close * (1 + cost)), dtype=pl.Float64),
        probability_loss=pl.Series(distribution.probability_below(close * (1 - cost)), dtype=pl.Float64),
    ).with_columns(reason=_action_reason(settings.threshold))
    decided = decided.with_columns(action=_action(settings.threshold))

    sells = (decided["action"] == Action.SELL.value).to_numpy()
    stop = distribution.quantile(np.where(sells, 1 - settings.stop_quantile, settings.stop_quantile))
    target = distribution.quantile(np.where(sells, 1 - settings.target_quantile, settings.target_quantile))
    level = settings.interval_level
    size = position_size(pl.col("action"), pl.col("annual_volatility"), settings=settings)
    side = pl.when(pl.col("action") == Action.SELL.value).then(-1).otherwise(1)
    rows = decided.with_columns(
        pl.Series("stop", stop, dtype=pl.Float64),
        pl.Series("target", target, dtype=pl.Float64),
        annual_volatility=annual_volatility(pl.col("cumulative_sigma"), pl.col("step")),
    ).with_columns(
        horizon=pl.col("step"),
        close=pl.col("origin_close"),
        expected_return=_simple_return(0.5),
        lower=_simple_return((1 - level) / 2),
        upper=_simple_return((1 + level) / 2),
        interval_level=pl.lit(level),
        confidence=_confidence(),
        size=size,
        # Without a position (HOLD, or SELL where short positions are off) there is nothing to close. A quantile on the
        # wrong side of the close is no price to limit a loss or to take a profit at.
        stop=pl.when((size != 0) & (side * (pl.col("stop") - pl.col("origin_close")) < 0)).then("stop"),
        target=pl.when((size != 0) & (side * (pl.col("target") - pl.col("origin_close")) > 0)).then("target"),
        source=pl.col("model"),
        rule=_rule(settings, cost),
        threshold=pl.lit(settings.threshold),
        false_discovery_rate=pl.lit(settings.false_discovery_rate),
        round_trip_cost=pl.lit(cost),
        forecast_run_id=pl.col("run_id"),
        forecast_snapshot_id=pl.col("snapshot_id"),
    )
    return rows.select(pl.col(name).cast(dtype) for name, dtype in _COLUMNS.items())


def _action_reason(threshold: float) -> pl.Expr:
    gain, loss = pl.col("probability_gain") >= threshold, pl.col("probability_loss") >= threshold
    return (
        pl.when(gain & loss)
        .then(pl.lit(SignalReason.BOTH_REACHED.value))
        .when(~gain & ~loss)
        .then(pl.lit(SignalReason.NOT_REACHED.value))
        .when("discovered")
        .then(pl.lit(SignalReason.REACHED.value))
        .otherwise(pl.lit(SignalReason.NOT_AMONG_DISCOVERIES.value))
    )


def _action(threshold: float) -> pl.Expr:
    reached = pl.col("reason") == SignalReason.REACHED.value
    return (
        pl.when(reached & (pl.col("probability_gain") >= threshold))
        .then(pl.lit(Action.BUY.value))
        .when(reached)
        .then(pl.lit(Action.SELL.value))
        .otherwise(pl.lit(Action.HOLD.value))
    )


def _confidence() -> pl.Expr:
    return (
        pl.when(pl.col("action") == Action.BUY.value)
        .then(pl.col("probability_gain"))
        .when(pl.col("action") == Action.SELL.value)
        .then(pl.col("probability_loss"))
        .otherwise((1 - pl.col("probability_gain") - pl.col("probability_loss")).clip(0, 1))
    )


def _simple_return(level: float) -> pl.Expr:
    # (1 − 0.9) / 2 is not exactly 0.05 in floating point; `quantile_column` rounds the level.
    return pl.col(quantile_column("q", level)) / pl.col("origin_close") - 1


def _rule(settings: SignalSettings, cost: float) -> pl.Expr:
    """Return the rule that decided, as a sentence."""
    gain, loss = ((pl.col(name) * 100).round(2) for name in ("probability_gain", "probability_loss"))
    needed, costs = f"the threshold of {settings.threshold * 100:.6g}%", f"the costs of {cost * 100:.6g}%"
    bought = f"The probability of gaining more than {costs} is {{}}%, which reaches {needed}."
    sold = f"The probability of losing more than {costs} is {{}}%, which reaches {needed}."
    tied = f"The probabilities of gaining and of losing more than {costs} are {{}}% and {{}}%; both reach {needed}."
    held = (
        f"The probabilities of gaining and of losing more than {costs} are {{}}% and {{}}%; neither reaches {needed}."
    )
    rate = f"{settings.false_discovery_rate * 100:.6g}%"
    unsafe = f"{{}} But the edge behind it is not among the discoveries: {{}}, where {rate} is allowed."
    is_gain = pl.col("probability_gain") >= settings.threshold
    reached = pl.when(is_gain).then(pl.format(bought, gain)).otherwise(pl.format(sold, loss))
    adjusted = pl.format("its p-value adjusted for all tickers is {}", pl.col("edge_q_value").round(4))
    return (
        pl.when(pl.col("reason") == SignalReason.REACHED.value)
        .then(reached)
        .when(pl.col("reason") == SignalReason.BOTH_REACHED.value)
        .then(pl.format(tied, gain, loss))
        .when(pl.col("reason") == SignalReason.NOT_REACHED.value)
        .then(pl.format(held, gain, loss))
        .otherwise(pl.format(unsafe, reached, adjusted.fill_null("it has no test of its own")))
    )
