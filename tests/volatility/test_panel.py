from __future__ import annotations

from dataclasses import fields
from datetime import date, timedelta
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.volatility import finish_volatility, fit_tickers, fit_volatility
from pm.volatility.fit import panel_days, sum_panel
from pm.volatility.panel import TERMS, PanelModel, fit_panel, shipped_panel
from pm.volatility.panel_series import KINDS, NODES, REGRESSORS, panel_series
from pm.volatility.panel_sums import MARKET_CENTRES, PanelSums, day_of, panel_sums
from pm.volatility.panel_tables import levels_from_table, panel_fits_frame, panel_from_tables, panel_market_frame
from pm.volatility.pooled_levels import PooledLevels, level_counts, pooled_levels
from pm.volatility.series import usable_returns
from pm.volatility.session_variance import SessionVariances, bars_by_ticker, returns_and_ranges, series_variances
from pm.volatility.shipped_panel import SHAPE_LEVELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.settings import VolatilitySettings

FIRST = date(2015, 1, 1)
Fitted = PanelModel | PanelSums | PooledLevels


def log_volatility(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return the log of a volatility that is 1.5% a session on average and returns to it slowly."""
    found = np.empty(count)
    found[0] = 0.0
    for t in range(1, count):
        found[t] = 0.97 * found[t - 1] + 0.12 * rng.normal()
    return np.asarray(np.log(0.015) + found)


def closes(returns: NDArray[np.float64]) -> SessionVariances:
    return SessionVariances(returns**2, from_ranges=False)


def bars_of(
    ticker: str, rng: np.random.Generator, count: int, *, ranges: bool = True, scale: float = 1.0
) -> pl.DataFrame:
    """Return bars of a simulated ticker: each session is 30 steps of a walk, whose range the bar has."""
    sigma = scale * np.exp(log_volatility(rng, count))
    steps = rng.normal(size=(count, 30)) * (sigma / 30**0.5)[:, np.newaxis]
    inside = np.cumsum(steps.ravel()).reshape(count, 30)
    opened = np.concatenate([[0.0], inside[:-1, -1]])
    lowest, highest = np.minimum(opened, inside.min(axis=1)), np.maximum(opened, inside.max(axis=1))
    days = [FIRST + timedelta(days=day) for day in range(count)]
    frame = pl.DataFrame(
        {
            "ticker": ticker,
            "date": days,
            "open": 50 * np.exp(opened),
            "high": 50 * np.exp(highest),
            "low": 50 * np.exp(lowest),
            "close": 50 * np.exp(inside[:, -1]),
            "adj_factor": 1.0,
        }
    )
    missing = [pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low")]
    return frame if ranges else frame.with_columns(missing)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    rng = np.random.default_rng(8)
    lengths = {"A": 900, "B": 900, "C": 500, "D": 130, "E": 900}
    return pl.concat(bars_of(ticker, rng, count, ranges=ticker != "B") for ticker, count in lengths.items())


@pytest.fixture(scope="module")
def moves(bars: pl.DataFrame) -> pl.DataFrame:
    return returns_and_ranges(bars)


def last_day(moves: pl.DataFrame) -> date:
    return moves["date"].max()  # type: ignore[return-value]


def fitted(moves: pl.DataFrame, settings: VolatilitySettings) -> PanelModel:
    return fit_panel(sum_panel(moves, settings=settings, as_of=last_day(moves)))


def assert_equal(one: Fitted, other: Fitted) -> None:
    for field in fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def test_range_variance_is_parkinsons_and_the_overnight_move(bars: pl.DataFrame, moves: pl.DataFrame) -> None:
    own, rows = bars.filter(ticker="A"), moves.filter(ticker="A")
    open_, high, low, close = (own[name].to_numpy() for name in ("open", "high", "low", "close"))
    expected = np.log(high / low)[1:] ** 2 / (4 * np.log(2)) + np.log(open_[1:] / close[:-1]) ** 2
    np.testing.assert_allclose(rows["range_variance"].to_numpy(), expected)
    assert moves.filter(ticker="B")["range_variance"].null_count() == 899
    # The range knows a session better than its close does: both are right on average.
    assert rows["range_variance"].mean() == pytest.approx((rows["log_return"] ** 2).mean(), rel=0.25)


def test_regressors_equal_their_definitions() -> None:
    rng = np.random.default_rng(1)
    returns, variances = rng.normal(0, 0.01, 80), rng.uniform(1e-5, 2e-4, 80)
    found = panel_series(returns, np.arange(80), SessionVariances(variances, from_ranges=True))
    assert found is not None
    moves = np.sqrt(variances)
    for t in (60, 79):
        for name, age in (("day", 1), ("week", 5), ("month", 25), ("half_year", 125)):
            weights = (age / (1 + age)) ** np.arange(t, -1, -1.0)
            expected = np.log(weights @ moves[: t + 1] / weights.sum() / moves[: t + 1].mean())
            assert found.regressors[t, REGRESSORS.index(name)] == pytest.approx(expected)
        weights = 0.75 ** np.arange(t, -1, -1.0)
        squares = returns[: t + 1] ** 2
        share = weights @ (squares * (returns[: t + 1] < 0)) / (weights @ squares)
        assert found.regressors[t, REGRESSORS.index("falls")] == pytest.approx(share - 0.5)
        assert found.level[t] == pytest.approx(np.abs(returns[: t + 1]).mean())
    assert found.log_ratio[60, 1] == pytest.approx(np.log(moves[61:66].mean() / moves[:61].mean()))
    assert np.isnan(found.log_ratio[75:, 1]).all()
    assert found.begin == 59


def test_a_series_that_is_too_short_or_does_not_move_is_not_modelled() -> None:
    assert panel_series(np.full(59, 0.01), np.arange(59), closes(np.full(59, 0.01))) is None
    still = np.zeros(100)
    assert panel_series(still, np.arange(100), closes(still)) is None


def test_sums_are_equal_to_the_last_bit_however_tickers_are_divided(
    moves: pl.DataFrame, settings: VolatilitySettings
) -> None:
    as_of = last_day(moves)
    whole = sum_panel(moves, settings=settings, as_of=as_of)
    for division in (["E", "DCBA"], ["CA", "EB", "D"]):
        parts = PanelSums.empty(as_of, panel_days(settings))
        for tickers in division:
            parts.add(sum_panel(moves.filter(pl.col("ticker").is_in(list(tickers))), settings=settings, as_of=as_of))
        assert_equal(parts, whole)
        assert_equal(fit_panel(parts), fit_panel(whole))


def test_coefficients_solve_the_ridge_regression_written_out(moves: pl.DataFrame, settings: VolatilitySettings) -> None:
    as_of = last_day(moves)
    own = bars_by_ticker(moves)
    series = []
    for ticker, usable in usable_returns(moves, max(settings.windows)).items():
        variances = series_variances(usable, own[ticker])
        assert variances.refused is None
        assert variances.from_ranges == (ticker != "B")
        panel = panel_series(usable.returns, usable.dates.astype("datetime64[D]").astype(np.int64), variances)
        assert panel is not None
        series.append(panel)
    model = fit_panel(panel_sums(series, as_of, panel_days(settings)))
    factor: dict[int, float] = {}
    for day in range(day_of(FIRST), day_of(as_of) + 1):
        values = []
        for each in series:
            before = np.flatnonzero(
                (each.days <= day) & (each.days > day - 7) & (np.arange(len(each.days)) >= each.begin)
            )
            if len(before):
                values.append(each.regressors[before[-1], 1] - MARKET_CENTRES[each.kind])
        factor[day] = sum(values) / (len(values) + 3)
    shipped = shipped_panel().coefficients
    for (kind, _), (node, steps) in product(enumerate(KINDS), enumerate(NODES)):
        rows, targets = [], []
        for each in series:
            for place in range(each.begin, len(each.returns) - steps) if each.kind == kind else ():
                rows.append([*each.regressors[place], factor[int(each.days[place])]])
                targets.append(each.log_ratio[place, node])
        x, y = np.array(rows), np.array(targets)
        prior = 10_000 * steps * np.mean(x**2, axis=0)
        expected = np.linalg.solve(x.T @ x + np.diag(prior), x.T @ y + prior * shipped[kind, node])
        # The sums are of numbers rounded to 2⁻¹².
        np.testing.assert_allclose(model.coefficients[kind, node], expected, atol=2e-4)
        assert model.rows[kind, node] == len(y)


def test_later_bars_do_not_change_what_was_fitted_or_forecast_before(
    bars: pl.DataFrame, settings: VolatilitySettings
) -> None:
    cut = FIRST + timedelta(days=450)
    known = bars.filter(pl.col("date") <= cut)
    later = bars.with_columns(
        *(
            pl.when(pl.col("date") > cut).then(pl.col(name) * 3).otherwise(name).alias(name)
            for name in ("high", "close")
        )
    )
    then = returns_and_ranges(known)
    assert_equal(
        fitted(then, settings),
        fit_panel(sum_panel(returns_and_ranges(later).filter(pl.col("date") <= cut), settings=settings, as_of=cut)),
    )
    panel = fitted(then, settings)
    whole = returns_and_ranges(bars).filter(ticker="A")
    variances = whole["range_variance"].to_numpy()
    days = whole["date"].to_physical().to_numpy().astype(np.int64)
    returns = whole["log_return"].to_numpy()
    early, late = (
        panel_series(returns[:count], days[:count], SessionVariances(variances[:count], from_ranges=True))
        for count in (450, len(returns))
    )
    assert early is not None
    assert late is not None
    count = len(panel.path(early, 20).sigma)
    np.testing.assert_allclose(panel.path(early, 20).sigma, panel.path(late, 20).sigma[:count], rtol=1e-12)


def test_the_model_survives_its_tables(moves: pl.DataFrame, settings: VolatilitySettings) -> None:
    model = fitted(moves, settings)
    rng = np.random.default_rng(5)
    levels = pooled_levels(level_counts(rng.random((50, 20))), 4, stride=2)
    fits = panel_fits_frame(model, levels, "run")
    assert_equal(panel_from_tables(fits, panel_market_frame(model)), model)
    assert_equal(levels_from_table(fits), levels)


def test_a_tickers_rows_do_not_depend_on_who_is_computed_with_it(
    moves: pl.DataFrame, settings: VolatilitySettings
) -> None:
    panel = fitted(moves, settings)
    together = fit_volatility(moves, settings=settings, horizon=5, panel=panel)
    for division in (["E", "DCBA"], ["CA", "EB", "D"]):
        parts = [
            fit_tickers(moves.filter(pl.col("ticker").is_in(list(tickers))), settings=settings, horizon=5, panel=panel)
            for tickers in division
        ]
        divided = finish_volatility(parts)
        assert divided.paths.sort("ticker", "step").equals(together.paths)
        assert divided.members.sort("ticker").equals(together.members.sort("ticker"))


def test_a_young_ticker_has_the_panel_model_and_others_a_combination(
    moves: pl.DataFrame, settings: VolatilitySettings
) -> None:
    fit = fit_volatility(moves, settings=settings, horizon=5, panel=fitted(moves, settings))
    models = dict(fit.paths.select("ticker", "model").unique().iter_rows())
    assert models == {**dict.fromkeys("ABCE", "pool_and_panel"), "D": "panel"}
    detail = fit.exclusions.filter(ticker="D")["detail"].item()
    assert detail == "GARCH needs 250 returns, has 129; the panel model was used"
    assert fit.fits.filter(ticker="D")["model"].to_list() == ["ewma"]
    sums = fit.members.group_by("ticker", "step").agg(pl.col("weight").sum())
    np.testing.assert_allclose(sums["weight"], 1.0)
    assert set(fit.members["ticker"]) == set("ABCE")


def test_the_panel_forecasts_volatility_better_than_a_constant(settings: VolatilitySettings) -> None:
    """Of simulated volatility the truth is known: the forecast is nearer to it than the ticker's own mean is."""
    rng = np.random.default_rng(4)
    truth, panels = [], []
    for _ in range(6):
        sigma = np.exp(log_volatility(rng, 1200))
        returns = sigma * rng.normal(size=1200)
        found = panel_series(returns, np.arange(1200), closes(returns))
        assert found is not None
        truth.append(np.log(sigma))
        panels.append(found)
    model = fit_panel(panel_sums(panels, date(1970, 1, 1) + timedelta(days=1199), panel_days(settings)))
    errors = []
    for log_sigma, series in zip(truth, panels, strict=True):
        path = model.path(series, 5)
        forecast = np.log(path.sigma[:-1, 0])
        actual = log_sigma[path.begin + 1 :]
        errors.append((np.std(forecast - actual), np.std(actual), np.mean(forecast - actual)))
    own, constant, bias = np.mean(errors, axis=0)
    assert own < 0.75 * constant
    assert abs(bias) < 0.1


def wrong(bars: pl.DataFrame, ticker: str, **columns: pl.Expr) -> pl.DataFrame:
    """Return the bars with columns of one ticker replaced."""
    own = pl.col("ticker") == ticker
    return bars.with_columns(**{name: pl.when(own).then(value).otherwise(name) for name, value in columns.items()})


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"high": pl.col("high") * 10}, "times that from closes"),
        ({"high": pl.col("close"), "low": pl.col("close"), "open": pl.col("close")}, "0 of the last 250 bars"),
        ({"high": pl.col("low") * 0.9}, "0 of the last 250 bars"),
    ],
    ids=["highs wrong by ten", "no range", "a high below the low"],
)
def test_bad_ranges_are_said_and_closes_used_instead(
    bars: pl.DataFrame, settings: VolatilitySettings, columns: dict[str, pl.Expr], said: str
) -> None:
    spoilt = returns_and_ranges(wrong(bars, "A", **columns))
    closes = spoilt.with_columns(range_variance=pl.when(pl.col("ticker") != "A").then("range_variance"))
    panel = fitted(closes, settings)
    assert_equal(fitted(spoilt, settings), panel)
    fit = fit_volatility(spoilt, settings=settings, horizon=3, panel=panel)
    assert fit.paths.equals(fit_volatility(closes, settings=settings, horizon=3, panel=panel).paths)
    noted = fit.exclusions.filter(reason="ranges_not_used")
    assert noted["ticker"].to_list() == ["A"]
    assert said in noted["detail"].item()


def test_one_wrong_high_is_limited_and_gone_after_a_year(bars: pl.DataFrame, settings: VolatilitySettings) -> None:
    day = FIRST + timedelta(days=500)
    spoilt = wrong(bars, "A", high=pl.when(pl.col("date") == day).then(pl.col("high") * 10).otherwise("high"))
    panel = fitted(returns_and_ranges(bars), settings)
    sigma = [
        fit_volatility(returns_and_ranges(each).filter(ticker="A"), settings=settings, horizon=3, panel=panel)
        .paths["sigma"]
        .to_numpy()
        for each in (bars, spoilt)
    ]
    np.testing.assert_allclose(sigma[1], sigma[0], rtol=0.02)


def test_one_ticker_or_only_young_ones_are_served_by_nearly_the_shipped_model(
    moves: pl.DataFrame, settings: VolatilitySettings
) -> None:
    shipped = shipped_panel()
    for rows in (moves.filter(ticker="D"), moves.filter(pl.col("date") < FIRST + timedelta(days=90))):
        model = fit_panel(sum_panel(rows, settings=settings, as_of=last_day(rows)))
        np.testing.assert_allclose(model.coefficients, shipped.coefficients, atol=0.05)
        fit = fit_volatility(rows, settings=settings, horizon=3, panel=model)
        assert set(fit.paths["model"]) == {"panel"}
        assert fit.paths.select(pl.col("cumulative_sigma").is_finite().all()).item()


def test_tickers_of_every_day_and_of_weekdays_share_a_market(settings: VolatilitySettings) -> None:
    rng = np.random.default_rng(9)
    every = pl.concat(bars_of(ticker, rng, 500) for ticker in "ABC")
    weekdays = pl.concat(bars_of(ticker, rng, 500) for ticker in "XYZ").filter(pl.col("date").dt.weekday() <= 5)
    both = fitted(returns_and_ranges(pl.concat([every, weekdays])), settings)
    sums = sum_panel(
        returns_and_ranges(pl.concat([every, weekdays])), settings=settings, as_of=FIRST + timedelta(days=499)
    )
    # On a Sunday the last weekday of the others still counts.
    assert set(sums.market_tickers[-300:]) == {6.0}
    assert np.isfinite(both.coefficients).all()


def test_shapes_ascend_and_a_steps_shape_is_between_those_of_its_nodes(
    moves: pl.DataFrame, settings: VolatilitySettings
) -> None:
    model = fitted(moves, settings)
    assert (np.diff(model.shape, axis=2) > 0).all()
    returns = np.random.default_rng(1).normal(0, 0.01, 100)
    series = panel_series(returns, np.arange(100), closes(returns))
    assert series is not None
    path = model.path(series, 70)
    np.testing.assert_allclose(path.shape[[0, 4, 19, 59, 69]], model.shape[0, [0, 1, 2, 3, 3]])
    low, high = np.minimum(*model.shape[0, 1:3]), np.maximum(*model.shape[0, 1:3])
    assert ((path.shape[9] >= low) & (path.shape[9] <= high)).all()
    assert (np.diff(path.sigma, axis=1) >= 0).all()
    assert len(SHAPE_LEVELS) == path.shape.shape[1]
    assert len(TERMS) == model.coefficients.shape[2]
