"""The model of relative returns, on simulated universes whose truth is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pm.features import compute_features
from pm.forecast.relative.cross_section import (
    REGRESSORS,
    CrossSection,
    cross_section_dates,
    cross_sections,
)
from pm.forecast.relative.model import PRIOR_DATES, WINDOW, DateTest, RelativeModel, fit_relative, ridge
from pm.forecast.relative.rows import relative_fits_frame, relative_tests_frame
from pm.statistics.diebold_mariano import diebold_mariano
from pm.tables.vocabulary import RelativeStatus

Array = NDArray[np.float64]

HORIZON, BARS = 20, 2000
LAST = date(2020, 12, 31)
DAYS = [LAST - timedelta(days=BARS - 1 - bar) for bar in range(BARS)]


def universe(tickers: int, *, persistence: float, seed: int = 0) -> pl.DataFrame:
    """Simulate bars with a common factor, and drifts of the tickers that change slowly: past winners go on winning."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.01, (BARS, 1))
    drift = np.zeros((BARS, tickers))
    for bar in range(1, BARS):
        drift[bar] = 0.99 * drift[bar - 1] + rng.normal(0, persistence * 0.02 * np.sqrt(1 - 0.99**2), tickers)
    volatility = rng.uniform(0.01, 0.03, tickers)
    returns = common + drift + volatility * rng.normal(size=(BARS, tickers))
    closes = 100 * np.exp(np.cumsum(returns, axis=0))
    return pl.concat(
        pl.DataFrame({"ticker": f"T{place:02d}", "date": DAYS, "close": closes[:, place], "adj_factor": 1.0})
        for place in range(tickers)
    )


def sections(bars: pl.DataFrame, *, as_of: date = LAST) -> list[CrossSection]:
    known = bars.filter(pl.col("date") <= as_of)
    whole = known.with_columns(
        **{name: pl.lit(None, pl.Float64) for name in ("open", "high", "low", "volume")} | {"close": pl.col("close")}
    )
    return cross_sections(
        compute_features(whole), known, cross_section_dates(known, as_of), as_of=as_of, horizon=HORIZON
    )


def model(bars: pl.DataFrame) -> RelativeModel:
    return fit_relative(sections(bars), horizon=HORIZON)


@pytest.fixture(scope="module")
def trending() -> list[CrossSection]:
    return sections(universe(20, persistence=0.15))


def test_lasting_differences_are_found_and_have_weight(trending: list[CrossSection]) -> None:
    found = fit_relative(trending, horizon=HORIZON)
    assert found.status is RelativeStatus.EDGE
    assert 0.5 < found.weight < 1
    assert found.slope.t > 3
    assert found.relative_loss < 1
    coefficients = dict(zip(REGRESSORS, found.coefficients, strict=True))
    assert coefficients["momentum_120"] > 0.01
    assert np.nansum(found.importance) == pytest.approx(1)


def test_random_walks_have_no_weight() -> None:
    found = [model(universe(12, persistence=0.0, seed=seed)) for seed in range(12)]
    assert {one.status for one in found} == {RelativeStatus.NO_EDGE}
    assert all(one.weight == 0 and one.reason.endswith("no weight") for one in found)


def test_the_test_equals_a_slow_walk_forward(trending: list[CrossSection]) -> None:
    """Each date is forecast by a regression, written out, on the sections whose returns had ended by then."""
    found = fit_relative(trending, horizon=HORIZON)
    past, gains, ranks, slopes = trending[:-1], [], [], []
    for day in found.dates:
        own = next(section for section in past if section.day == day)
        known = [section for section in past if section.last_target is not None and section.last_target <= day]
        known = known[-WINDOW:]
        rows = np.concatenate([section.regressors / np.sqrt(len(section.tickers)) for section in known])
        values = np.concatenate([section.outcome / np.sqrt(len(section.tickers)) for section in known])
        # Ridge by least squares with rows of the prior appended.
        prior = np.sqrt(PRIOR_DATES * HORIZON / 5) * np.eye(len(REGRESSORS))
        padded = np.concatenate([values, np.zeros(len(REGRESSORS))])
        beta = np.linalg.lstsq(np.concatenate([rows, prior]), padded, rcond=None)[0]
        forecast = own.regressors @ beta
        gains.append(np.mean(own.outcome**2) - np.mean((own.outcome - forecast) ** 2))
        ranks.append(spearmanr(forecast, own.outcome).statistic)
        slopes.append(np.polyfit((forecast - forecast.mean()) / forecast.std(), own.outcome, 1)[0])
    assert found.dates[-1] == past[-1].day
    assert [(b - a).days for a, b in zip(found.dates, found.dates[1:], strict=False)] == [HORIZON] * (len(gains) - 1)
    expected = diebold_mariano(np.array(gains), alternative="greater")
    assert found.test.statistic == pytest.approx(expected.statistic)
    assert found.rank_correlation.mean == pytest.approx(np.mean(ranks))
    assert found.slope.mean == pytest.approx(np.mean(slopes))


def test_later_bars_change_no_past_cross_section() -> None:
    bars = universe(10, persistence=0.1)
    early = DAYS[-301]
    before = sections(bars, as_of=early)
    spoilt = bars.with_columns(close=pl.when(pl.col("date") > early).then(50.0).otherwise("close"))
    after = [section for section in sections(spoilt) if section.last_target is not None]
    by_day = {section.day: section for section in after}
    shared = [section for section in before[:-1] if section.day in by_day]
    assert len(shared) > 200
    for section in shared:
        np.testing.assert_array_equal(section.outcome, by_day[section.day].outcome)
        np.testing.assert_array_equal(section.regressors, by_day[section.day].regressors)
        assert section.last_target is not None
        assert section.last_target <= early


@pytest.mark.parametrize("tickers", [1, 2, 3, 7])
def test_few_tickers_have_no_model(tickers: int) -> None:
    found = model(universe(tickers, persistence=0.1))
    assert (found.status, found.weight, len(found.means)) == (RelativeStatus.FEW_TICKERS, 0.0, 0)
    assert relative_fits_frame(found).is_empty()
    row = relative_tests_frame(found).row(0, named=True)
    assert (row["status"], row["dm_p_value"], row["rank_correlation"]) == ("few_tickers", None, None)


def test_new_tickers_have_no_model() -> None:
    found = model(universe(12, persistence=0.1).filter(pl.col("date") > DAYS[-200]))
    assert (found.status, found.weight) == (RelativeStatus.FEW_DATES, 0.0)
    assert relative_tests_frame(found)["tickers"].item() == 12


def test_no_features_give_no_model() -> None:
    bars = universe(12, persistence=0.1)
    none = compute_features(
        bars.with_columns(**{name: pl.lit(None, pl.Float64) for name in ("open", "high", "low", "volume")})
    ).clear()
    found = cross_sections(none, bars, cross_section_dates(bars, LAST), as_of=LAST, horizon=HORIZON)
    assert fit_relative(found, horizon=HORIZON).status is RelativeStatus.FEW_TICKERS


def test_a_feature_that_no_ticker_has_is_said_and_changes_nothing(trending: list[CrossSection]) -> None:
    """The simulated bars have no volume."""
    found = fit_relative(trending, horizon=HORIZON)
    fits = relative_fits_frame(found)
    volume = fits.filter(feature="volume_zscore_20").row(0, named=True)
    assert (volume["coefficient"], volume["importance"], volume["slope"]) == (None, None, None)
    assert fits.filter(pl.col("coefficient").is_null()).height == 1
    assert np.isfinite(found.means).all()


def test_features_that_order_tickers_alike_share_their_coefficient(trending: list[CrossSection]) -> None:
    copied = []
    for section in trending:
        regressors = section.regressors.copy()
        regressors[:, 1] = regressors[:, 0]
        copied.append(
            CrossSection(
                section.day,
                section.tickers,
                regressors,
                section.scale,
                section.outcome,
                section.last_target,
            )
        )
    found = fit_relative(copied, horizon=HORIZON)
    assert found.equal_to[:3] == (None, REGRESSORS[0], None)
    assert found.coefficients[0] == pytest.approx(found.coefficients[1])
    assert np.isfinite(found.means).all()


def test_a_wrong_quote_harms_no_other_ticker() -> None:
    bars = universe(20, persistence=0.15)
    wrong = (pl.col("ticker") == "T03") & (pl.col("date") == DAYS[-400])
    right, spoilt = model(bars), model(bars.with_columns(close=pl.when(wrong).then(1e6).otherwise("close")))
    others = np.array([ticker != "T03" for ticker in right.tickers])
    assert right.tickers == spoilt.tickers
    np.testing.assert_allclose(spoilt.means[others], right.means[others], atol=0.1 * np.abs(right.means).max())


def test_markets_of_five_and_of_seven_days_share_dates() -> None:
    bars = universe(16, persistence=0.1)
    weekdays = bars.filter(
        (pl.col("ticker") < "T12") & (pl.col("date").dt.weekday() <= 5) | (pl.col("ticker") >= "T12")
    )
    dates = cross_section_dates(weekdays, LAST)
    assert {day.isoweekday() for day in dates} <= {1, 2, 3, 4, 5}
    found = [section for section in sections(weekdays) if section.last_target is not None]
    assert {len(section.tickers) for section in found} == {16}


def test_a_ticker_that_stopped_trading_does_not_end_the_dates() -> None:
    bars = universe(12, persistence=0.1)
    ended = bars.filter((pl.col("ticker") != "T00") | (pl.col("date") < DAYS[-500]))
    found = sections(ended)
    assert "T00" not in found[-1].tickers
    assert {len(section.tickers) for section in found[:-1]} == {11, 12}


def test_ridge_shrinks_to_zero_and_counts_each_date_once() -> None:
    rng = np.random.default_rng(2)
    cross = np.tile(np.eye(3), (4000, 1, 1))
    product = np.tile([0.02, 0.0, -0.01], (4000, 1)) + rng.normal(0, 0.01, (4000, 3))
    found = ridge(cross, product, horizon=5)
    np.testing.assert_allclose(found, product.sum(axis=0) / (4000 + PRIOR_DATES))
    np.testing.assert_allclose(ridge(cross, product, horizon=20), product.sum(axis=0) / (4000 + 4 * PRIOR_DATES))


def test_a_mean_over_few_dates_has_no_t() -> None:
    assert np.isnan(DateTest.of(np.ones(15)).t)
    values = np.random.default_rng(1).normal(1, 1, 400)
    found = DateTest.of(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.t == pytest.approx(values.mean() / (values.std(ddof=1) / 20), rel=0.3)
