"""Factors: principal components, exposures to them, and files of published factors."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.errors import InputError
from pm.risk.factor_files import default_factors, parse_factors, read_factors
from pm.risk.factors import exposures, monthly_returns, principal_factors, relative_betas
from pm.risk.history_matrix import weighted_returns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.risk.joint import JointModel

KEN_FRENCH = """This file was created by CMPT_ME_BEME_RETS using the 202410 CRSP database.

,Mkt-RF,SMB,HML,RF
192607,    2.96,   -2.56,   -2.43,    0.22
192608,    2.64,   -1.17,    3.82,    0.25
192609,  -99.99,   -1.40,    0.13,    0.23

 Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
  1927,   29.47,   -2.04,   -4.54,    3.12

Copyright 2024 Eugene F. Fama and Kenneth R. French
"""


def test_a_file_of_ken_french_is_read_to_the_end_of_its_months(tmp_path: Path) -> None:
    file = tmp_path / "factors.csv"
    file.write_text(KEN_FRENCH, "utf-8")
    found = read_factors(file)
    assert found.filter(factor="Mkt-RF").rows() == [
        (date(1926, 7, 1), "Mkt-RF", pytest.approx(0.0296)),
        (date(1926, 8, 1), "Mkt-RF", pytest.approx(0.0264)),
    ]
    assert found.height == 8


def test_the_default_factors_have_the_dates_of_their_file() -> None:
    found = default_factors().filter(factor="Mkt-RF")
    assert (found["month"][0], found["month"][-1], found.height) == (date(1926, 7, 1), date(2018, 11, 1), 1109)
    assert found["value"][0] == pytest.approx(0.0296)
    assert found["value"][-1] == pytest.approx(0.0169)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no monthly factor returns"),
        ("<html>\n<body>404</body>", "no monthly factor returns"),
        ("Date,Mkt-RF\n192607,x\n", "Line 2 does not have 1 numbers"),
        ("Date,Mkt-RF,SMB\n192607,1.0\n", "Line 2 does not have 2 numbers"),
    ],
)
def test_a_file_that_is_something_else_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_factors(text, where="factors.csv")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_factors(tmp_path / "none.csv")


def test_components_are_ordered_uncorrelated_and_of_variance_one(model: Callable[..., JointModel]) -> None:
    own = model(tickers=8, dates=500)
    found = principal_factors(own, 3)
    covariance = (found.values * own.probabilities[:, np.newaxis]).T @ found.values
    assert covariance == pytest.approx(np.eye(3), abs=1e-9)
    assert (np.diff(found.shares) < 0).all()
    assert np.corrcoef(found.values[:, 0], own.residuals.mean(axis=1))[0, 1] > 0.99
    weighted = own.residuals - own.probabilities @ own.residuals
    values = np.linalg.eigvalsh((weighted * own.probabilities[:, np.newaxis]).T @ weighted)[::-1]
    assert found.shares == pytest.approx(values[:3] / values.sum())


def test_there_are_no_more_components_than_tickers(model: Callable[..., JointModel]) -> None:
    assert principal_factors(model(tickers=2), 5).values.shape[1] == 2
    assert principal_factors(model(tickers=3, correlation=1.0), 5).values.shape[1] == 1


def test_shares_of_the_variance_sum_to_one() -> None:
    generator = np.random.default_rng(1)
    factors = generator.standard_normal((600, 2))
    returns = 0.02 * factors[:, 0] - 0.01 * factors[:, 1] + 0.01 * generator.standard_normal(600)
    returns[:5] = np.nan
    found = exposures(returns, factors, ["one", "two"])
    assert found["beta"].to_list() == pytest.approx([0.02, -0.01], abs=0.002)
    assert found["variance_share"].sum() + found["specific_share"][0] == pytest.approx(1.0)
    assert found["variance_share"].to_list() == pytest.approx([4 / 6, 1 / 6], abs=0.05)
    assert found["observations"].to_list() == [595, 595]
    assert (found["se"] < 0.001).all()


def test_too_few_returns_have_no_exposures() -> None:
    assert exposures(np.full(5, 0.01), np.ones((5, 2)), ["one", "two"]).is_empty()


def test_monthly_returns_leave_out_months_after_a_gap() -> None:
    days = [date(2024, 1, 30), date(2024, 1, 31), date(2024, 2, 15), date(2024, 2, 29), date(2024, 4, 30)]
    prices = pl.DataFrame(
        {"ticker": "A", "date": days, "close": [9.0, 10, 30, 22, 11], "adj_factor": [1.0, 1.0, 0.5, 0.5, 1.0]}
    )
    assert monthly_returns(prices).rows() == [("A", date(2024, 2, 1), pytest.approx(0.1))]


def test_relative_betas_have_a_mean_of_one_and_grow_with_volatility(model: Callable[..., JointModel]) -> None:
    betas = relative_betas(model(tickers=4))
    assert betas.mean() == pytest.approx(1.0)
    assert (np.diff(betas) > 0).all()


def test_weights_of_dates_without_some_returns_are_scaled_up() -> None:
    returns = np.array([[0.1, 0.2], [0.1, np.nan], [np.nan, 0.2], [np.nan, np.nan]])
    found = weighted_returns(returns, np.array([0.75, 0.25]))
    assert found[:2] == pytest.approx([0.125, 0.1])
    assert np.isnan(found[2:]).all()
    assert weighted_returns(returns, np.zeros(2)).tolist() == [0.0] * 4
