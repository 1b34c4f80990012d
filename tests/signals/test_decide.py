from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from scipy.stats import norm

from pm.forecast import forecast_tickers
from pm.settings import load_settings
from pm.signals import decide
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.volatility import fit_volatility

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.settings import SignalSettings

    Lognormal = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

ONE_OF_EACH = {"UP": (0.06, 0.08), "DOWN": (-0.06, 0.08), "FLAT": (0.0, 0.08)}


def by_ticker(signals: pl.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["ticker"]: row for row in signals.to_dicts()}


def test_signals_have_all_columns_of_the_table_that_the_stage_does_not_add(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    decisions = decide(*lognormal(ONE_OF_EACH), settings=settings)

    complete = decisions.signals.with_columns(
        last_bar_batch_id=pl.lit("b"),
        run_id=pl.lit("r"),
        snapshot_id=pl.lit(1, pl.Int64),
        cutoff=pl.lit(date(2013, 3, 1)),
    )
    assert_frame_equal(SIGNALS.conform(complete), complete)
    assert decisions.signals["ticker"].to_list() == ["DOWN", "FLAT", "UP"]
    assert decisions.exclusions.columns == ["stage", "ticker", "reason", "detail"]
    assert decisions.exclusions.is_empty()


def test_each_action_has_the_numbers_of_the_normal_distribution(lognormal: Lognormal, settings: SignalSettings) -> None:
    rows = by_ticker(decide(*lognormal(ONE_OF_EACH), settings=settings).signals)

    assert {ticker: row["action"] for ticker, row in rows.items()} == {"UP": "BUY", "DOWN": "SELL", "FLAT": "HOLD"}
    for ticker, (mean, sigma) in ONE_OF_EACH.items():
        row, log_return = rows[ticker], norm(mean, sigma)
        gain, loss = log_return.sf(math.log(1.002)), log_return.cdf(math.log(0.998))
        assert row["probability_gain"] == pytest.approx(gain)
        assert row["probability_loss"] == pytest.approx(loss)
        assert row["expected_return"] == pytest.approx(math.exp(mean) - 1)
        assert row["lower"] == pytest.approx(math.exp(log_return.ppf(0.05)) - 1)
        assert row["upper"] == pytest.approx(math.exp(log_return.ppf(0.95)) - 1)
        assert row["interval_level"] == 0.9
        assert (row["horizon"], row["close"], row["source"]) == (20, 100.0, "ensemble")
        assert (row["origin_date"], row["target_date"]) == (date(2013, 3, 1), date(2013, 3, 21))
        confidence = {"UP": gain, "DOWN": loss, "FLAT": 1 - gain - loss}[ticker]
        assert row["confidence"] == pytest.approx(confidence)


def test_stops_and_targets_are_quantiles_of_the_price_with_levels_mirrored_for_a_sell(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    short = settings.model_copy(update={"allow_short": True})
    rows = by_ticker(decide(*lognormal(ONE_OF_EACH), settings=short).signals)

    def price(ticker: str, level: float) -> float:
        return 100 * math.exp(float(norm(*ONE_OF_EACH[ticker]).ppf(level)))

    assert rows["UP"]["stop"] == pytest.approx(price("UP", 0.05))
    assert rows["UP"]["target"] == pytest.approx(price("UP", 0.75))
    assert rows["DOWN"]["stop"] == pytest.approx(price("DOWN", 0.95))
    assert rows["DOWN"]["target"] == pytest.approx(price("DOWN", 0.25))
    assert rows["FLAT"]["stop"] is None
    assert rows["FLAT"]["target"] is None


def test_a_sell_without_a_short_position_has_nothing_to_close(lognormal: Lognormal, settings: SignalSettings) -> None:
    row = by_ticker(decide(*lognormal(ONE_OF_EACH), settings=settings).signals)["DOWN"]
    assert (row["action"], row["size"], row["stop"], row["target"]) == ("SELL", 0.0, None, None)


def test_a_stop_on_the_wrong_side_of_the_close_is_null(lognormal: Lognormal, settings: SignalSettings) -> None:
    short = settings.model_copy(update={"allow_short": True})
    rows = by_ticker(decide(*lognormal({"UP": (0.5, 0.05), "DOWN": (-0.5, 0.05)}), settings=short).signals)
    assert (rows["UP"]["action"], rows["DOWN"]["action"]) == ("BUY", "SELL")
    assert rows["UP"]["stop"] is None
    assert rows["DOWN"]["stop"] is None
    assert rows["DOWN"]["target"] < 100 < rows["UP"]["target"]


@pytest.mark.parametrize(("level", "tail"), [(0.5, 0.25), (0.8, 0.1), (0.9, 0.05)])
def test_the_interval_has_the_level_of_the_settings(
    lognormal: Lognormal, settings: SignalSettings, level: float, tail: float
) -> None:
    changed = settings.model_copy(update={"interval_level": level})

    row = decide(*lognormal({"UP": (0.06, 0.08)}), settings=changed).signals.row(0, named=True)

    assert row["interval_level"] == pytest.approx(1 - 2 * tail)
    assert row["lower"] == pytest.approx(math.exp(0.06 + 0.08 * norm.ppf(tail)) - 1)
    assert row["upper"] == pytest.approx(math.exp(0.06 - 0.08 * norm.ppf(tail)) - 1)


def test_sizes_depend_on_volatility_and_not_on_confidence(lognormal: Lognormal, settings: SignalSettings) -> None:
    # √(252/20) × 8% is 28.4% a year; 5% over that is 17.6%.
    rows = by_ticker(decide(*lognormal(ONE_OF_EACH | {"SURE": (0.3, 0.08)}), settings=settings).signals)

    assert rows["UP"]["size"] == pytest.approx(0.05 / (0.08 * math.sqrt(12.6)))
    assert rows["SURE"]["confidence"] > rows["UP"]["confidence"] + 0.2
    assert rows["SURE"]["size"] == rows["UP"]["size"]
    assert (rows["DOWN"]["size"], rows["FLAT"]["size"]) == (0.0, 0.0)


def test_a_short_position_is_suggested_only_where_allowed(lognormal: Lognormal, settings: SignalSettings) -> None:
    allowed = settings.model_copy(update={"allow_short": True})

    rows = by_ticker(decide(*lognormal(ONE_OF_EACH), settings=allowed).signals)

    assert rows["DOWN"]["size"] == -rows["UP"]["size"] < 0
    assert rows["FLAT"]["size"] == 0.0


def test_a_probability_at_the_threshold_is_a_buy_and_one_just_below_a_hold(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    frames = lognormal({"UP": (0.06, 0.08)})
    gain = decide(*frames, settings=settings).signals["probability_gain"][0]

    at, above = (settings.model_copy(update={"threshold": level}) for level in (gain, math.nextafter(gain, 1)))

    assert decide(*frames, settings=at).signals["action"].to_list() == ["BUY"]
    assert decide(*frames, settings=above).signals["action"].to_list() == ["HOLD"]


def test_equal_probabilities_at_a_threshold_of_one_half_are_a_hold(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    even = settings.model_copy(update={"threshold": 0.5, "round_trip_cost": 0.0})

    row = decide(*lognormal({"FLAT": (0.0, 0.08)}), settings=even).signals.row(0, named=True)

    assert (row["probability_gain"], row["probability_loss"]) == (0.5, 0.5)
    assert (row["action"], row["confidence"]) == ("HOLD", 0.0)
    assert row["rule"].endswith("are 50.0% and 50.0%; both reach the threshold of 50%.")


def test_columns_hold_what_it_takes_to_repeat_the_decision(lognormal: Lognormal, settings: SignalSettings) -> None:
    forecasts, volatility = lognormal({"UP": (0.06, 0.08)})
    volatility = volatility.with_columns(run_id=pl.lit("earlier"), snapshot_id=pl.lit(9))

    row = decide(forecasts, volatility, settings=settings).signals.row(0, named=True)

    assert (row["threshold"], row["round_trip_cost"]) == (0.6, 0.002)
    assert row["sigma"] == pytest.approx(0.08)
    assert row["annual_volatility"] == pytest.approx(0.08 * math.sqrt(12.6))
    assert (row["forecast_run_id"], row["forecast_snapshot_id"]) == ("run", 11)
    assert (row["volatility_run_id"], row["volatility_snapshot_id"]) == ("earlier", 9)


def test_the_rule_is_a_sentence_with_its_numbers(lognormal: Lognormal, settings: SignalSettings) -> None:
    rows = by_ticker(decide(*lognormal(ONE_OF_EACH), settings=settings).signals)

    assert rows["UP"]["rule"] == (
        "The probability of gaining more than the costs of 0.2% is 76.58%, which reaches the threshold of 60%."
    )
    assert rows["DOWN"]["rule"] == (
        "The probability of losing more than the costs of 0.2% is 76.58%, which reaches the threshold of 60%."
    )
    assert rows["FLAT"]["rule"] == (
        "The probabilities of gaining and of losing more than the costs of 0.2% are 49.0% and 49.0%; "
        "neither reaches the threshold of 60%."
    )


BROKEN: dict[str, tuple[dict[str, pl.Expr], str]] = {
    "nan quantile": ({"q50": pl.lit(math.nan)}, "non_finite_forecast"),
    "null quantile": ({"q05": pl.lit(None, pl.Float64)}, "non_finite_forecast"),
    "infinite quantile": ({"q95": pl.lit(math.inf)}, "non_finite_forecast"),
    "null close": ({"origin_close": pl.lit(None, pl.Float64)}, "non_finite_forecast"),
    "nan sigma": ({"sigma": pl.lit(math.nan)}, "non_finite_forecast"),
    "zero quantile": ({"q05": pl.lit(0.0)}, "non_positive_forecast"),
    "negative close": ({"origin_close": pl.lit(-1.0)}, "non_positive_forecast"),
    "crossed quantiles": ({"q25": pl.col("q75")}, "unordered_quantiles"),
    "equal quantiles": ({"q90": pl.col("q75")}, "unordered_quantiles"),
    "other origin": ({"origin_date": pl.lit(date(2013, 2, 28))}, "origin_mismatch"),
}


def test_the_lowest_quantiles_can_be_equal_and_the_highest_cannot(
    lognormal: Lognormal, settings: SignalSettings
) -> None:
    forecasts, volatility = lognormal({"PENNY": (0.0, 0.08)})
    at_a_tick = forecasts.with_columns(pl.col(name).clip(pl.col("q50")) for name in ("q025", "q05", "q10", "q25"))
    row = decide(at_a_tick, volatility, settings=settings).signals.row(0, named=True)
    assert (row["probability_loss"], row["action"], row["lower"]) == (0.0, "HOLD", 0.0)
    flat = at_a_tick.with_columns(pl.col("q50").alias(name) for name in ("q75", "q90", "q95", "q975"))
    assert decide(flat, volatility, settings=settings).exclusions["reason"].to_list() == ["unordered_quantiles"]


@pytest.mark.parametrize("fault", BROKEN)
def test_an_unusable_forecast_is_excluded_and_changes_no_other_decision(
    lognormal: Lognormal, settings: SignalSettings, fault: str
) -> None:
    forecasts, volatility = lognormal(ONE_OF_EACH)
    change, reason = BROKEN[fault]
    broken = forecasts.with_columns(
        pl.when(pl.col("ticker") == "UP").then(value).otherwise(pl.col(name)).alias(name)
        for name, value in change.items()
    )

    decisions = decide(broken, volatility, settings=settings)

    whole = decide(forecasts, volatility, settings=settings)
    assert decisions.exclusions.select("stage", "ticker", "reason").rows() == [("signals", "UP", reason)]
    assert decisions.exclusions["detail"].null_count() == 0
    assert_frame_equal(decisions.signals, whole.signals.filter(pl.col("ticker") != "UP"))


@pytest.mark.parametrize(
    "keep",
    [pl.col("ticker") != "UP", (pl.col("ticker") != "UP") | (pl.col("step") < 20)],
    ids=["no volatility", "volatility of fewer steps than the forecast"],
)
def test_a_ticker_without_volatility_at_the_horizon_is_excluded(
    lognormal: Lognormal, settings: SignalSettings, keep: pl.Expr
) -> None:
    forecasts, volatility = lognormal(ONE_OF_EACH)

    decisions = decide(forecasts, volatility.filter(keep), settings=settings)

    assert decisions.exclusions["reason"].to_list() == ["no_volatility"]
    assert decisions.signals["ticker"].to_list() == ["DOWN", "FLAT"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, None])
def test_a_ticker_whose_volatility_is_not_a_positive_number_is_excluded(
    lognormal: Lognormal, settings: SignalSettings, bad: float | None
) -> None:
    forecasts, volatility = lognormal({"UP": (0.06, 0.08)})

    decisions = decide(forecasts, volatility.with_columns(cumulative_sigma=pl.lit(bad, pl.Float64)), settings=settings)

    assert decisions.signals.is_empty()
    expected = "non_positive_forecast" if bad == 0 else "non_finite_forecast"
    assert decisions.exclusions["reason"].to_list() == [expected]


def test_a_ticker_with_two_forecasts_is_excluded(lognormal: Lognormal, settings: SignalSettings) -> None:
    forecasts, volatility = lognormal(ONE_OF_EACH)
    second = forecasts.filter(pl.col("ticker") == "UP").with_columns(model=pl.lit("naive"))

    decisions = decide(pl.concat([forecasts, second]), volatility, settings=settings)

    assert decisions.exclusions.select("ticker", "reason").rows() == [("UP", "ambiguous_forecast")]
    assert decisions.signals["ticker"].to_list() == ["DOWN", "FLAT"]


def test_no_forecasts_give_no_signals(lognormal: Lognormal, settings: SignalSettings) -> None:
    forecasts, volatility = lognormal(ONE_OF_EACH)

    decisions = decide(forecasts.clear(), volatility.clear(), settings=settings)

    assert decisions.signals.is_empty()
    assert decisions.exclusions.is_empty()


moments = st.tuples(st.floats(-0.5, 0.5), st.floats(0.001, 0.9))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(tickers=st.dictionaries(st.text("ABCDE", min_size=1, max_size=3), moments, min_size=1, max_size=6))
def test_probabilities_sum_to_at_most_one_and_every_ticker_has_a_signal_or_an_exclusion(
    lognormal: Lognormal, settings: SignalSettings, tickers: dict[str, tuple[float, float]]
) -> None:
    decisions = decide(*lognormal(tickers), settings=settings)

    signals = decisions.signals
    assert sorted([*signals["ticker"], *decisions.exclusions["ticker"]]) == sorted(tickers)
    assert (signals["probability_gain"] + signals["probability_loss"] <= 1 + 1e-12).all()
    assert signals["confidence"].is_between(0, 1).all()
    assert signals["size"].is_between(0, settings.max_position).all()
    assert (signals["lower"] < signals["upper"]).all()


def test_the_order_of_rows_does_not_change_the_signals(lognormal: Lognormal, settings: SignalSettings) -> None:
    forecasts, volatility = lognormal(ONE_OF_EACH)

    shuffled = decide(forecasts.sample(fraction=1, shuffle=True, seed=5), volatility.reverse(), settings=settings)

    assert_frame_equal(shuffled.signals, decide(forecasts, volatility, settings=settings).signals)


def test_most_random_walks_with_an_estimated_drift_are_a_hold(lognormal: Lognormal, settings: SignalSettings) -> None:
    # The drift estimated from 1,000 bars of pure noise should seldom be large enough to trade on. Its standard error
    # over 20 sessions is 20σ/√1000, where the return has standard deviation √20 σ: a normal score of 0.14, and the
    # threshold of 60% needs a score of 0.25.
    generator = np.random.default_rng(20130301)
    returns = generator.normal(0, 0.02, (500, 1000))
    sigma = returns.std(axis=1, ddof=1) * math.sqrt(20)
    drift = returns.mean(axis=1) * 20
    walks = {f"W{place:03d}": (drift[place], sigma[place]) for place in range(500)}

    actions = decide(*lognormal(walks), settings=settings).signals["action"]

    assert (actions == "HOLD").sum() >= 450
    assert actions.n_unique() == 3


def moved(forecasts: pl.DataFrame, factor: float) -> pl.DataFrame:
    """Return forecasts whose quantiles are multiplied by a factor, and whose means are as before."""
    return forecasts.with_columns(pl.col(quantile_column("q", level)) * factor for level in QUANTILES)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 3.0])
def test_without_an_edge_the_distribution_is_centred_on_no_change(
    factor: float, lognormal: Lognormal, settings: SignalSettings
) -> None:
    forecasts, volatility = lognormal({"FLAT": (0.0, 0.08), "EDGE": (1e-6, 0.08)})
    found = by_ticker(decide(moved(forecasts, factor), volatility, settings=settings).signals)
    expected = by_ticker(decide(forecasts, volatility, settings=settings).signals)
    numbers = ("probability_gain", "probability_loss", "expected_return", "lower", "upper")
    assert found["FLAT"]["action"] == "HOLD"
    for name in numbers:
        assert found["FLAT"][name] == pytest.approx(expected["FLAT"][name], abs=1e-12)
    # A model with an edge is believed.
    assert found["EDGE"]["action"] == ("SELL" if factor < 1 else "BUY")
    assert found["EDGE"]["expected_return"] == pytest.approx(factor - 1, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "sigma", "kept"), [("ewma", 0.3, True), ("ewma", 0.6, False), ("garch_pool", 0.6, True)]
)
def test_a_wild_distribution_of_a_short_history_is_left_out(
    model: str, sigma: float, kept: bool, lognormal: Lognormal, settings: SignalSettings
) -> None:
    """The 95% quantile is exp(3.29 sigma) times the 5% quantile: 2.7 and 7.2."""
    forecasts, volatility = lognormal({"FLAT": (0.0, sigma), "EDGE": (0.1, sigma)})
    decisions = decide(forecasts, volatility.with_columns(model=pl.lit(model)), settings=settings)
    assert decisions.signals["ticker"].to_list() == (["EDGE", "FLAT"] if kept else ["EDGE"])
    if not kept:
        row = decisions.exclusions.row(0, named=True)
        assert (row["ticker"], row["reason"]) == ("FLAT", "too_little_history")
        assert (
            row["detail"] == "the 90% interval at step 20 is from 37% to 268% of the close: too little history to say"
        )


@pytest.mark.parametrize("jump", [-0.9, -0.5, 0.4, 0.9, 1.5, 2.2])
@pytest.mark.parametrize("ago", [3, 20, 60])
def test_a_jump_in_a_short_history_gives_no_signal(jump: float, ago: int, settings: SignalSettings) -> None:
    """From closes to the decision, with all that is simulated between."""
    returns = np.random.default_rng(ago).normal(0, 0.03, 100)
    returns[-ago] += jump
    days = [date(2020, 1, 1) + timedelta(days=day) for day in range(101)]
    closes = 100 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))
    prices = pl.DataFrame({"ticker": "X", "date": days, "close": closes, "adj_factor": 1.0})
    log_returns = prices.select("ticker", "date", log_return=pl.col("close").log().diff())
    packaged = load_settings()
    paths = fit_volatility(log_returns, settings=packaged.volatility, horizon=20).paths
    targets = pl.DataFrame({"ticker": "X", "step": range(1, 21)}).with_columns(
        target_date=pl.lit(days[-1]) + pl.duration(days="step")
    )
    result = forecast_tickers(prices, paths, targets, settings=packaged.forecast, as_of=days[-1])
    stamp = {"run_id": pl.lit("run"), "snapshot_id": pl.lit(1), "cutoff": pl.lit(days[-1])}
    forecasts = result.forecasts.filter(model="ensemble").with_columns(**stamp)
    decisions = decide(forecasts, paths.with_columns(**stamp), settings=settings)
    reasons = decisions.exclusions["reason"].to_list()
    assert decisions.signals["action"].to_list() + reasons in (["HOLD"], ["too_little_history"])
    if not reasons:
        assert decisions.signals["upper"].item() < 4.0
        assert decisions.signals["expected_return"].item() == pytest.approx(0.0, abs=1e-12)
