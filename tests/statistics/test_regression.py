"""Regression with Newey-West errors, against values of statsmodels on the data that arch ships."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from arch.data import sp500

from pm.risk.factor_files import default_factors
from pm.statistics.regression import newey_west_lags, regress


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Return the S&P 500's monthly returns above the risk-free rate and three factors, to 2018-11, in percent."""
    prices = sp500.load()["Adj Close"]
    index = pl.DataFrame({"date": prices.index.to_numpy().astype("datetime64[us]"), "price": prices.to_numpy()})
    monthly = index.group_by_dynamic("date", every="1mo").agg(pl.col("price").last())
    own = monthly.select(pl.col("date").cast(pl.Date).alias("month"), change=100 * pl.col("price").pct_change())
    factors = default_factors().pivot("factor", index="month", values="value")
    joined = own.drop_nulls().join(factors, on="month").sort("month")
    assert joined.height == 238
    x = 100 * joined.select("Mkt-RF", "SMB", "HML").to_numpy()
    return joined["change"].to_numpy() - 100 * joined["RF"].to_numpy(), x


def test_monthly_returns_of_the_index_on_three_factors(
    sample: tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int, int], np.dtype[np.float64]]],
) -> None:
    plain = regress(*sample, lags=6, correct=False)
    assert plain.coefficients == pytest.approx([-0.156304, 0.987014, -0.164271, 0.034090], abs=6e-7)
    assert plain.errors == pytest.approx([0.019952, 0.007065, 0.016912, 0.011291], abs=6e-7)
    assert plain.r_squared == pytest.approx(0.992936, abs=6e-7)
    corrected = regress(*sample, lags=6)
    assert corrected.errors == pytest.approx([0.020122, 0.007125, 0.017056, 0.011387], abs=6e-7)


def test_the_mean_of_the_market_factor() -> None:
    market = 100 * default_factors().filter(factor="Mkt-RF")["value"].to_numpy()
    found = regress(market, np.empty((len(market), 0)), lags=12, correct=False)
    assert len(market) == 1109
    assert found.coefficients[0] == pytest.approx(0.659946, abs=6e-7)
    assert found.errors[0] == pytest.approx(0.173707, abs=6e-7)


def test_the_residual_variance_and_a_constant_return() -> None:
    x = np.arange(10.0)[:, np.newaxis]
    y = np.array([0.0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    slope, constant = np.polyfit(x[:, 0], y, 1)
    residuals = y - constant - slope * x[:, 0]
    assert regress(y, x, lags=0).residual_variance == pytest.approx(residuals @ residuals / 8)
    assert regress(np.ones(10), x, lags=1).r_squared == 0.0


def test_collinear_columns_have_finite_coefficients() -> None:
    x = np.random.default_rng(1).standard_normal((50, 1)) @ np.ones((1, 2))
    found = regress(x[:, 0], x, lags=2)
    assert found.coefficients == pytest.approx([0.0, 0.5, 0.5], abs=1e-9)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rows"):
        regress(np.ones(2), np.ones((2, 1)), lags=0)


def test_lags() -> None:
    assert [newey_west_lags(n) for n in (50, 100, 1000)] == [3, 4, 6]
