"""The model of relative returns in the tables of forecasts and weights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.forecast import ForecastResult, forecast_tickers, join_results
from pm.forecast.relative.model import DateTest, RelativeModel
from pm.forecast.relative.rows import relative_fits_frame, relative_tests_frame
from pm.settings import ForecastSettings
from pm.signals import edge_discoveries
from pm.statistics.diebold_mariano import DieboldMariano
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import RelativeStatus

HORIZON, BARS = 5, 200
LAST = date(2020, 12, 31)
SETTINGS = ForecastSettings(
    horizon=HORIZON,
    window=BARS,
    models=["naive", "drift"],
    origins=16,
    origin_step=HORIZON,
    arima_features=[],
    group_correlation=0.6,
    group_size=8,
    max_age_days=10,
)
MOVES = {"A": 0.02, "B": -0.01, "C": 0.005}
QUANTILE_COLUMNS = [quantile_column("q", level) for level in QUANTILES]


def relative(weight: float) -> RelativeModel:
    mean = DateTest(0.05, 4.0)
    return RelativeModel(
        status=RelativeStatus.EDGE if weight else RelativeStatus.NO_EDGE,
        coefficients=np.append(np.full(9, 0.01), np.nan),
        equal_to=(None,) * 10,
        importance=np.append(np.full(9, 1 / 9), np.nan),
        feature_slopes=(mean,) * 10,
        tickers=tuple(MOVES),
        means=np.array(list(MOVES.values())),
        sections=300,
        dates=(date(2019, 1, 1), date(2019, 1, 29)),
        last_target=date(2019, 2, 28),
        rank_correlation=mean,
        slope=mean,
        relative_loss=0.99,
        test=DieboldMariano(2.5, 0.007),
        weight=weight,
        reason="a reason",
    )


def parts() -> list[ForecastResult]:
    """Forecast three walks, and a fourth ticker that the model does not forecast, each as a chunk of its own."""
    rng = np.random.default_rng(4)
    days = [LAST - timedelta(days=BARS - 1 - bar) for bar in range(BARS)]
    found = []
    for ticker in (*MOVES, "D"):
        closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))
        prices = pl.DataFrame({"ticker": ticker, "date": days, "close": closes, "adj_factor": 1.0})
        steps = pl.DataFrame({"ticker": ticker, "step": range(1, HORIZON + 1)}, schema_overrides={"step": pl.Int64})
        scale = pl.col("step").sqrt() * 0.01
        paths = steps.with_columns(
            origin_date=pl.lit(LAST),
            cumulative_sigma=scale,
            regime=pl.lit("middle"),
            **{quantile_column("r", level): scale * (3 * (level - 0.5)) for level in QUANTILES},
        )
        targets = steps.with_columns(target_date=pl.lit(LAST) + pl.duration(days="step"))
        found.append(forecast_tickers(prices, paths, targets, settings=SETTINGS, as_of=LAST))
    return found


PARTS = parts()


def test_the_ensemble_is_moved_by_its_share_of_the_relative_return() -> None:
    before, after = join_results(PARTS, SETTINGS), join_results(PARTS, SETTINGS, relative=relative(0.75))
    assert_frame_equal(
        after.forecasts.filter(~pl.col("model").is_in(["ensemble", "relative"])),
        before.forecasts.filter(pl.col("model") != "ensemble"),
        check_exact=True,
    )
    naive = before.forecasts.filter(model="naive")
    for model, share in (("relative", 1.0), ("ensemble", 0.75)):
        for ticker, move in MOVES.items():
            own, base = (rows.filter(ticker=ticker) for rows in (after.forecasts.filter(model=model), naive))
            expected = share * move * np.arange(1, HORIZON + 1) / HORIZON
            np.testing.assert_allclose(own["mean_log_return"], expected, atol=1e-15)
            shift = np.log(own.select(QUANTILE_COLUMNS).to_numpy() / base.select(QUANTILE_COLUMNS).to_numpy())
            np.testing.assert_allclose(shift, np.tile(expected[:, None], len(QUANTILES)), atol=1e-12)
            np.testing.assert_allclose(own["mean"], base["mean"].to_numpy() * np.exp(expected))
    assert after.forecasts.filter(ticker="D").equals(before.forecasts.filter(ticker="D"))


def test_no_moved_quantile_falls_below_the_smallest_price_that_can_be_quoted() -> None:
    """B's model moves down by 1%: its quantiles at one tick stay there, and those above it are moved."""
    tick = PARTS[1].forecasts.filter(model="naive", step=HORIZON)["q25"].item()
    quoted = [
        replace(part, ticks=pl.DataFrame({"ticker": name, "tick": tick}))
        for name, part in zip("ABCD", PARTS, strict=True)
    ]
    free, held = (join_results(parts, SETTINGS, relative=relative(0.75)).forecasts for parts in (PARTS, quoted))
    moved = free.filter(ticker="B", model="relative", step=HORIZON)
    assert moved["q25"].item() < tick < moved["q75"].item()
    assert_frame_equal(held, free.with_columns(pl.max_horizontal(name, pl.lit(tick)) for name in QUANTILE_COLUMNS))


def test_the_weights_and_the_evidence_are_stated() -> None:
    after = join_results(PARTS, SETTINGS, relative=relative(0.75)).weights
    own = after.filter(ticker="A")
    assert own["model"].to_list() == ["drift", "ensemble", "naive", "relative"]
    assert own["weight"].to_list() == [0.0, None, 0.25, 0.75]
    assert (set(own["verdict"]), set(own["evidence"])) == ({"edge"}, {"relative"})
    assert own.filter(model="ensemble")["dm_p_value"].item() is None
    assert own.filter(model="naive")["rmse"].item() is not None
    discovered = dict(edge_discoveries(after, 0.1).select("ticker", "discovered").iter_rows())
    assert discovered == {"A": True, "B": True, "C": True, "D": False}
    assert not edge_discoveries(after, 0.01)["discovered"].any()


def test_without_weight_it_is_forecast_and_changes_no_ensemble() -> None:
    before, after = join_results(PARTS, SETTINGS), join_results(PARTS, SETTINGS, relative=relative(0.0))
    for name in ("forecasts", "weights"):
        kept = getattr(after, name).filter(pl.col("model") != "relative")
        assert_frame_equal(kept, getattr(before, name), check_exact=True)
    stated = after.weights.filter(model="relative")
    assert stated["ticker"].to_list() == list(MOVES)
    assert set(stated["reason"]) == {"a reason"}
    assert set(stated["weight"]) == {0.0}


def test_a_ticker_with_an_edge_of_its_own_keeps_it() -> None:
    edge = pl.col("ticker") == "B"
    owned = [
        replace(
            part,
            weights=part.weights.with_columns(
                verdict=pl.when(edge).then(pl.lit("edge")).otherwise("verdict"),
                weight=pl.when(edge & (pl.col("model") == "drift")).then(1.0).otherwise("weight"),
            ),
        )
        for part in PARTS
    ]
    before, after = join_results(owned, SETTINGS), join_results(owned, SETTINGS, relative=relative(0.75))
    ensemble = {"ticker": "B", "model": "ensemble"}
    assert_frame_equal(after.forecasts.filter(**ensemble), before.forecasts.filter(**ensemble), check_exact=True)
    assert set(after.weights.filter(ticker="B")["evidence"]) == {"own"}
    assert after.weights.filter(ticker="B")["weight"].sum() == pytest.approx(2.0)  # naive's and drift's, as given


def test_the_order_of_chunks_is_irrelevant() -> None:
    one, other = (join_results(order, SETTINGS, relative=relative(0.75)) for order in (PARTS, PARTS[::-1]))
    assert_frame_equal(one.forecasts, other.forecasts, check_exact=True)
    assert_frame_equal(one.weights, other.weights, check_exact=True)


def test_the_fit_and_the_test_are_rows() -> None:
    fits = relative_fits_frame(relative(0.75))
    assert fits.height == 10
    assert fits["importance"].sum() == pytest.approx(1)
    assert fits["coefficient"].null_count() == 1
    row = relative_tests_frame(relative(0.75)).row(0, named=True)
    assert (row["status"], row["tickers"], row["dates"], row["weight"]) == ("edge", 3, 2, 0.75)
    assert (row["first_date"], row["last_target"]) == (date(2019, 1, 1), date(2019, 2, 28))
