from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.tables.catalogue import TABLES
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility import fit_volatility

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pm.settings import VolatilitySettings

    Frame = Callable[..., pl.DataFrame]
    Simulate = Callable[..., NDArray[np.float64]]

STAMP = {"run_id": pl.String, "snapshot_id": pl.Int64, "cutoff": pl.Date}


@pytest.fixture
def returns(as_frame: Frame, simulate_garch: Simulate) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    lengths = {"AAA": 700, "BBB": 300, "CCC": 120, "DDD": 400}
    return as_frame({t: simulate_garch(rng, n, omega=4e-6, alpha=0.09, beta=0.88) for t, n in lengths.items()})


def test_frames_have_the_columns_of_their_tables(returns: pl.DataFrame, settings: VolatilitySettings) -> None:
    fit = fit_volatility(returns, settings=settings, horizon=10)
    for name, frame in (("volatility", fit.paths), ("volatility_fits", fit.fits), ("exclusions", fit.exclusions)):
        stamped = frame.with_columns(pl.lit(None, dtype=dtype).alias(column) for column, dtype in STAMP.items())
        assert_frame_equal(TABLES[name].conform(stamped), stamped)
    assert fit.paths["step"].to_list() == list(range(1, 11)) * 4


def test_a_short_history_has_exponentially_weighted_volatility_and_an_exclusion(
    returns: pl.DataFrame, settings: VolatilitySettings
) -> None:
    fit = fit_volatility(returns, settings=settings, horizon=5)
    models = dict(fit.paths.select("ticker", "model").unique().iter_rows())
    assert models == {"AAA": "garch_pool", "BBB": "garch_pool", "CCC": "ewma", "DDD": "garch_pool"}
    assert fit.exclusions.rows() == [
        (
            "volatility",
            "CCC",
            "short_history",
            "GARCH needs 250 returns, has 120; exponentially weighted volatility was used",
        )
    ]
    path = fit.paths.filter(pl.col("ticker") == "CCC")
    assert path.select("fits", "observations", "outcomes").unique().rows() == [(1, 120, 0)]
    (ewma,) = fit.fits.filter(pl.col("ticker") == "CCC").iter_rows(named=True)
    assert (ewma["model"], ewma["window_size"], ewma["observations"]) == ("ewma", 120, 120)
    assert (ewma["omega"], ewma["alpha"], ewma["beta"]) == pytest.approx((0.0, 0.06, 0.94))
    assert ewma["log_likelihood"] is None
    assert ewma["next_sigma"] == pytest.approx(path["sigma"][0])


def test_cumulative_variance_is_the_sum_of_the_variances(returns: pl.DataFrame, settings: VolatilitySettings) -> None:
    fit = fit_volatility(returns, settings=settings, horizon=8)
    path = fit.paths.filter(pl.col("ticker") == "AAA")
    sigma = path["sigma"].to_numpy()
    np.testing.assert_allclose(path["cumulative_sigma"].to_numpy() ** 2, np.cumsum(sigma**2))
    pool = fit.fits.filter(pl.col("ticker") == "AAA")
    assert pool.height == path["fits"][0] == 6
    expected = np.zeros(8)
    for omega, persistence, sigma_1 in pool.select("omega", "persistence", "next_sigma").iter_rows():
        variance = sigma_1**2
        for step in range(8):
            expected[step] += variance / 6
            variance = omega + persistence * variance
    np.testing.assert_allclose(sigma**2, expected)


def test_quantiles_are_ordered_and_intervals_widen_at_every_step(
    returns: pl.DataFrame, settings: VolatilitySettings
) -> None:
    enough = settings.model_copy(update={"simulations": 10_000})
    paths = fit_volatility(returns, settings=enough, horizon=20).paths
    quantiles = paths.select(quantile_column("r", level) for level in QUANTILES).to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    widths = (quantiles[:, -1] - quantiles[:, 0]).reshape(4, 20)
    assert (np.diff(widths, axis=1) > 0).all()


def test_rows_are_bitwise_equal_for_any_order_and_chunks(returns: pl.DataFrame, settings: VolatilitySettings) -> None:
    whole = fit_volatility(returns, settings=settings, horizon=6)
    shuffled = fit_volatility(returns.sample(fraction=1, shuffle=True, seed=3), settings=settings, horizon=6)
    alone = [fit_volatility(part, settings=settings, horizon=6) for part in returns.partition_by("ticker")]
    assert_frame_equal(shuffled.paths, whole.paths, check_exact=True)
    assert_frame_equal(shuffled.fits, whole.fits, check_exact=True)
    assert_frame_equal(pl.concat(fit.fits for fit in alone), whole.fits, check_exact=True)
    assert_frame_equal(pl.concat(fit.paths for fit in alone), whole.paths, check_exact=True)
    assert_frame_equal(pl.concat(fit.exclusions for fit in alone), whole.exclusions)


def test_a_longer_horizon_does_not_change_the_variance_of_a_step(
    returns: pl.DataFrame, settings: VolatilitySettings
) -> None:
    short = fit_volatility(returns, settings=settings, horizon=3).paths
    long = fit_volatility(returns, settings=settings, horizon=12).paths.filter(pl.col("step") <= 3)
    assert_frame_equal(short.select("ticker", "step", "sigma"), long.select("ticker", "step", "sigma"))


def test_returns_before_the_window_are_not_used(returns: pl.DataFrame, settings: VolatilitySettings) -> None:
    narrow = settings.model_copy(update={"windows": [260]})
    newest = returns.filter(pl.col("ticker") == "AAA").tail(260)
    older = returns.filter(pl.col("ticker") == "AAA").with_columns(pl.col("log_return") * 3).head(-260)
    fit = fit_volatility(pl.concat([older, newest]), settings=narrow, horizon=4)
    assert_frame_equal(fit.paths, fit_volatility(newest, settings=narrow, horizon=4).paths, check_exact=True)
    assert fit.paths["observations"][0] == 260


def test_the_newest_return_is_used(returns: pl.DataFrame, settings: VolatilitySettings) -> None:
    own = returns.filter(pl.col("ticker") == "AAA")
    shocked = pl.concat([own.head(-1), own.tail(1).with_columns(log_return=pl.lit(-0.2))])
    calm = fit_volatility(own, settings=settings, horizon=1).paths
    wild = fit_volatility(shocked, settings=settings, horizon=1).paths
    assert wild["origin_date"][0] == own["date"].max()
    assert wild["sigma"][0] > 1.5 * calm["sigma"][0]


def test_without_calibration_or_learning_the_levels_are_nominal(
    returns: pl.DataFrame, settings: VolatilitySettings
) -> None:
    for update in ({"calibration_sessions": 0}, {"conformal_rate": 0.0}):
        paths = fit_volatility(returns, settings=settings.model_copy(update=update), horizon=6).paths
        levels = paths.select(quantile_column("u", level) for level in QUANTILES).to_numpy()
        np.testing.assert_array_equal(levels, np.tile(QUANTILES, (paths.height, 1)))
    unlearned = fit_volatility(returns, settings=settings.model_copy(update={"conformal_rate": 0.0}), horizon=6).paths
    learnt = fit_volatility(returns, settings=settings, horizon=6).paths.filter(pl.col("ticker") == "AAA")
    assert learnt["outcomes"].min() > 80  # type: ignore[operator]
    assert learnt["u05"][0] != 0.05
    # The levels are all that learning changes.
    same = [name for name in learnt.columns if name[0] not in "ru" and name != "outcomes"]
    assert_frame_equal(learnt.select(same), unlearned.filter(pl.col("ticker") == "AAA").select(same), check_exact=True)


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.4])
def test_quantiles_do_not_cross_and_intervals_do_not_narrow_at_any_learning_rate(
    returns: pl.DataFrame, settings: VolatilitySettings, rate: float
) -> None:
    paths = fit_volatility(returns, settings=settings.model_copy(update={"conformal_rate": rate}), horizon=20).paths
    quantiles = paths.select(quantile_column("r", level) for level in QUANTILES).to_numpy().reshape(4, 20, -1)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    middle = QUANTILES.index(0.5)
    assert (np.diff(quantiles[:, :, :middle], axis=1) <= 0).all()
    assert (np.diff(quantiles[:, :, middle + 1 :], axis=1) >= 0).all()


def test_intervals_of_95_percent_hold_to_30_sessions(settings: VolatilitySettings, as_frame: Frame) -> None:
    """Simulated GARCH with Student t shocks; 500 series here, 2,000 in benchmarks/volatility.py."""
    count, known, horizon = 500, 900, 30
    rng = np.random.default_rng(31)
    variance, simulated = np.full(count, 1.5e-4), np.empty((count, known + horizon))
    for t in range(known + horizon):
        simulated[:, t] = np.sqrt(variance * 4 / 6) * rng.standard_t(6, count)
        variance = 3e-6 + 0.07 * simulated[:, t] ** 2 + 0.91 * variance
    past = as_frame({f"T{place:03d}": own[:known] for place, own in enumerate(simulated)})
    paths = fit_volatility(past, settings=settings, horizon=horizon).paths
    outcomes = np.cumsum(simulated[:, known:], axis=1)
    low, high = (paths[name].to_numpy().reshape(count, horizon) for name in ("r025", "r975"))
    held = ((low <= outcomes) & (outcomes <= high)).mean(axis=0)
    # A share among 500 has a standard error of .01; the mean over all steps is nearer to .95.
    assert held.min() > 0.91
    assert held.max() < 0.985
    assert 0.93 < held.mean() < 0.97


def zeros(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.zeros_like(values)


def put(value: float, place: int = 50) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    def apply(values: NDArray[np.float64]) -> NDArray[np.float64]:
        changed = values.copy()
        changed[place] = value
        return changed

    return apply


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (zeros, "constant"),
        (put(np.nan), "bad_return"),
        (put(-np.inf), "bad_return"),
        (lambda values: values[:4], "too_few_returns"),
        (lambda values: values[:0], "too_few_returns"),
        (lambda values: values * 1e-7, "constant"),
    ],
    ids=["constant", "NaN", "infinite", "5 bars", "1 bar", "tiny"],
)
def test_an_unusable_series_is_refused_and_does_not_change_others(
    spoil: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    reason: str,
    returns: pl.DataFrame,
    settings: VolatilitySettings,
    as_frame: Frame,
) -> None:
    values = np.random.default_rng(1).normal(0, 0.01, 400)
    bad = as_frame({"BAD": spoil(values)})
    clean = fit_volatility(returns, settings=settings, horizon=4)
    fit = fit_volatility(pl.concat([bad, returns]), settings=settings, horizon=4)
    assert_frame_equal(fit.paths, clean.paths, check_exact=True)
    assert fit.exclusions.filter(pl.col("ticker") == "BAD")["reason"].to_list() == [reason]
    assert fit.exclusions.height == clean.exclusions.height + 1


def test_a_null_after_the_first_bar_is_refused(settings: VolatilitySettings, as_frame: Frame) -> None:
    frame = as_frame({"X": np.random.default_rng(1).normal(0, 0.01, 400)})
    with_null = frame.with_columns(log_return=pl.when(pl.int_range(pl.len()) != 9).then("log_return"))
    fit = fit_volatility(with_null, settings=settings, horizon=4)
    assert fit.paths.is_empty()
    assert fit.exclusions["reason"].to_list() == ["bad_return"]


def test_duplicate_dates_are_refused(settings: VolatilitySettings, as_frame: Frame) -> None:
    frame = as_frame({"X": np.random.default_rng(1).normal(0, 0.01, 400)})
    fit = fit_volatility(pl.concat([frame, frame.tail(1)]), settings=settings, horizon=4)
    assert fit.paths.is_empty()
    assert fit.exclusions["reason"].to_list() == ["duplicate_dates"]


@pytest.mark.parametrize("factor", [4, 0.25, 100])
@pytest.mark.parametrize("place", [50, 389])
def test_an_unadjusted_split_is_left_out_and_does_not_widen_the_interval(
    settings: VolatilitySettings, as_frame: Frame, factor: float, place: int
) -> None:
    walk = np.random.default_rng(1).normal(0, 0.015, 400)
    fit = fit_volatility(as_frame({"X": put(np.log(factor), place)(walk)}), settings=settings, horizon=20)
    assert fit.exclusions["reason"].to_list() == ["jump_left_out"]
    last = fit.paths.row(-1, named=True)
    # The 90% interval of a normal walk is 3.29 standard deviations wide, and its median is its mean.
    assert last["r95"] - last["r05"] == pytest.approx(3.29 * 0.015 * np.sqrt(20), rel=0.25)
    assert abs(last["r50"]) < 0.1 * (last["r95"] - last["r05"])


def test_the_largest_real_returns_are_kept(
    settings: VolatilitySettings, as_frame: Frame, sp500_percent: NDArray[np.float64]
) -> None:
    fit = fit_volatility(as_frame({"SPX": sp500_percent / 100}), settings=settings, horizon=2)
    assert fit.exclusions.is_empty()


@pytest.mark.parametrize("sessions", [0, 2, 40])
def test_a_crash_is_kept_and_widens_the_interval(
    settings: VolatilitySettings, as_frame: Frame, real_returns: dict[str, NDArray[np.float64]], sessions: int
) -> None:
    """AAPL fell by 52% on 2000-09-29; after the calm returns simulated here that is beyond 25 standard deviations."""
    crash = int(real_returns["AAPL"].argmin())
    calm = np.random.default_rng(5).normal(0, 0.015, 600)
    crashed = np.concatenate([calm, real_returns["AAPL"][crash : crash + 1 + sessions]])
    fit = fit_volatility(as_frame({"BEFORE": calm, "X": crashed}), settings=settings, horizon=5)
    assert fit.exclusions.is_empty()
    before, after = fit.paths.filter(step=5).sort("ticker").select(pl.col("r95") - pl.col("r05")).to_series()
    assert after > before


def test_a_price_that_moved_once_is_constant(settings: VolatilitySettings, as_frame: Frame) -> None:
    fit = fit_volatility(as_frame({"X": put(0.4, 300)(np.zeros(600))}), settings=settings, horizon=2)
    assert fit.paths.is_empty()
    assert fit.exclusions["reason"].to_list() == ["constant"]


def test_no_returns_give_empty_frames(settings: VolatilitySettings, returns: pl.DataFrame) -> None:
    fit = fit_volatility(returns.clear(), settings=settings, horizon=4)
    assert fit.paths.is_empty()
    assert fit.exclusions.is_empty()


def without_long_run_level() -> NDArray[np.float64]:
    rng = np.random.default_rng(2)
    return np.concatenate([rng.normal(0, 0.05, 400), rng.normal(0, 0.001, 400)])


def test_a_ticker_none_of_whose_fits_has_a_long_run_level_is_served_by_those_without(
    settings: VolatilitySettings, as_frame: Frame
) -> None:
    one = settings.model_copy(update={"models": ["garch"], "windows": [1500]})
    fit = fit_volatility(as_frame({"X": without_long_run_level()}), settings=one, horizon=20)
    assert fit.paths["model"].unique().to_list() == ["garch_pool"]
    used = fit.fits.row(0, named=True)
    assert (used["model"], used["reason"]) == ("garch", None)
    assert used["persistence"] > 0.9999
    assert fit.exclusions["reason"].to_list() == ["not_stationary"]
    assert "the variance has no long-run level" in fit.exclusions["detail"].item()
    sigma = fit.paths["sigma"].to_numpy()
    assert sigma[0] == pytest.approx(0.001, rel=0.4)
    assert 1.0 < sigma[-1] / sigma[0] < 2.0  # it grows without end, but slowly
    # Its levels are learnt from past outcomes, as those of every pool.
    assert fit.paths["outcomes"][0] > 50


def test_fits_without_a_long_run_level_are_not_used_beside_others(
    settings: VolatilitySettings, as_frame: Frame
) -> None:
    two = settings.model_copy(update={"models": ["garch"], "windows": [390, 1500]})
    fit = fit_volatility(as_frame({"X": without_long_run_level()}), settings=two, horizon=4)
    recent, longest = fit.fits.sort("window_size").iter_rows(named=True)
    assert recent["reason"] is None
    assert longest["alpha"] is None
    assert "the variance has no long-run level" in longest["reason"]
    assert fit.paths["fits"][0] == 1
    assert fit.exclusions.is_empty()


@pytest.mark.parametrize(("alpha", "persistence"), [(0.1, 1.0), (0.06, 0.998)])
def test_intervals_of_integrated_variances_have_their_nominal_coverage(
    settings: VolatilitySettings, as_frame: Frame, alpha: float, persistence: float
) -> None:
    """Whether or not the fits are stationary: the pool serves both."""
    rng, count, horizon, length = np.random.default_rng(4), 150, 10, 500
    z = rng.standard_t(6, (length + horizon, count)) / np.sqrt(1.5)
    variance, returns = np.full(count, 1e-4), np.empty((length + horizon, count))
    for t in range(length + horizon):
        returns[t] = np.sqrt(variance) * z[t]
        variance = 2e-7 + alpha * returns[t] ** 2 + (persistence - alpha) * variance
    quick = settings.model_copy(update={"models": ["garch"], "windows": [1500], "simulations": 1000})
    series = {f"T{i:03}": returns[:length, i] for i in range(count)}
    fit = fit_volatility(as_frame(series), settings=quick, horizon=horizon)
    unstationary = set(fit.exclusions.filter(reason="not_stationary")["ticker"])
    assert len(unstationary) >= 5
    assert set(fit.paths.filter(pl.col("ticker").is_in(list(unstationary)))["model"]) == {"garch_pool"}
    totals = returns[length:].cumsum(axis=0)
    for step in (1, horizon):
        rows = fit.paths.filter(step=step).sort("ticker")
        inside = (rows["r05"].to_numpy() <= totals[step - 1]) & (totals[step - 1] <= rows["r95"].to_numpy())
        assert inside.mean() == pytest.approx(0.9, abs=3 * (0.9 * 0.1 / count) ** 0.5)


def test_intervals_have_their_nominal_coverage(
    settings: VolatilitySettings, as_frame: Frame, simulate_garch: Simulate
) -> None:
    rng = np.random.default_rng(21)
    known, horizon, count = 600, 10, 300
    simulated = {
        f"T{i:03d}": simulate_garch(rng, known + horizon, omega=4e-6, alpha=0.08, beta=0.9) for i in range(count)
    }
    past = as_frame({ticker: values[:known] for ticker, values in simulated.items()})
    paths = fit_volatility(past, settings=settings, horizon=horizon).paths
    future = pl.concat(
        pl.DataFrame({"ticker": ticker, "step": np.arange(1, horizon + 1), "outcome": np.cumsum(values[known:])})
        for ticker, values in simulated.items()
    )
    inside = paths.join(future, on=["ticker", "step"]).select(
        "step",
        wide=pl.col("outcome").is_between("r05", "r95"),
        half=pl.col("outcome").is_between("r25", "r75"),
    )
    for step in (1, 5, horizon):
        wide, half = inside.filter(pl.col("step") == step).select(pl.col("wide", "half").mean()).row(0)
        # Three standard errors of a share among 300 tickers.
        assert wide == pytest.approx(0.9, abs=3 * (0.9 * 0.1 / count) ** 0.5)
        assert half == pytest.approx(0.5, abs=3 * (0.5 * 0.5 / count) ** 0.5)


def test_a_move_too_large_for_a_percentage_is_written_as_a_log_return(
    settings: VolatilitySettings, as_frame: Frame
) -> None:
    walk = np.random.default_rng(1).normal(0, 0.015, 400)
    spike = put(-1381.0, 201)(put(1381.0, 200)(walk))
    fit = fit_volatility(as_frame({"X": spike}), settings=settings, horizon=2)
    assert "in log price" in fit.exclusions["detail"].item()
