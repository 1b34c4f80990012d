"""Residuals on joint dates: which dates count, how gaps are filled, and what the first factor is."""

from __future__ import annotations

import numpy as np
import pytest

from pm.risk.residuals import aged_probabilities, complete_residuals, first_factor, joint_dates


def days(first: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return np.datetime64(first, "D") + np.arange(count)


def test_every_date_of_any_ticker_counts() -> None:
    monday_to_friday = days("2024-01-01", 5)
    assert joint_dates({"A": monday_to_friday[[0, 1, 3]], "B": monday_to_friday[[1, 2]]}, 10).tolist() == (
        monday_to_friday[[0, 1, 2, 3]].tolist()
    )


def test_a_currency_that_trades_on_weekends_makes_them_no_sessions_of_shares() -> None:
    week = days("2024-01-01", 7)  # Monday to Sunday
    shares = dict.fromkeys(("A", "B", "C"), week[:5])
    assert joint_dates(shares | {"BTC": week}, 10).tolist() == week[:5].tolist()
    assert joint_dates({"ETH": week, "BTC": week}, 10).tolist() == week.tolist()


def test_only_the_newest_dates_count() -> None:
    assert joint_dates({"A": days("2024-01-01", 5)}, 2).tolist() == days("2024-01-04", 2).tolist()


def test_half_of_the_probability_is_in_the_newest_138_dates() -> None:
    probabilities = aged_probabilities(1000, 0.995)
    assert probabilities.sum() == pytest.approx(1.0)
    assert probabilities[-1] / probabilities[-2] == pytest.approx(1 / 0.995)
    assert probabilities[-138:].sum() == pytest.approx(0.5, abs=0.005)
    assert aged_probabilities(4, 1.0).tolist() == [0.25] * 4


def market(
    tickers: int = 6, dates: int = 800, *, slope: float = 0.8
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    generator = np.random.default_rng(3)
    shared = generator.standard_normal((dates, 1))
    return np.asarray(slope * shared + np.sqrt(1 - slope**2) * generator.standard_normal((dates, tickers)))


def test_without_gaps_the_first_factor_is_the_first_principal_component() -> None:
    residuals = market()
    factor, slopes = first_factor(residuals)
    left, _, _ = np.linalg.svd(residuals, full_matrices=False)
    assert abs(np.corrcoef(factor, left[:, 0])[0, 1]) == pytest.approx(1.0, abs=1e-8)
    assert np.mean(factor**2) == pytest.approx(1.0)
    assert slopes == pytest.approx(residuals.T @ factor / len(factor), abs=1e-8)


def test_gaps_hardly_change_the_first_factor() -> None:
    residuals = market()
    whole, _ = first_factor(residuals)
    residuals[np.random.default_rng(1).random(residuals.shape) < 0.3] = np.nan
    factor, _ = first_factor(residuals)
    assert abs(np.corrcoef(factor, whole)[0, 1]) > 0.97


def test_a_date_without_any_residual_has_a_factor_of_zero() -> None:
    residuals = market()
    residuals[5] = np.nan
    assert first_factor(residuals)[0][5] == 0.0


def test_filled_residuals_move_with_the_others_and_have_the_right_size() -> None:
    residuals = market(tickers=40, dates=4000)
    residuals[:3000, 0] = np.nan
    found = complete_residuals(residuals, tuple(f"T{place}" for place in range(40)), seed=1)
    assert found.filled == {"T0": 3000}
    filled = found.residuals[:3000]
    assert np.isfinite(filled).all()
    assert filled[:, 0].std() == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(filled[:, 0], filled[:, 1])[0, 1] == pytest.approx(0.64, abs=0.06)
    assert not (filled[:, 0] == 0.0).any()


def test_observed_residuals_are_only_standardised() -> None:
    residuals = market()
    found = complete_residuals(2.0 * residuals + 1.0, tuple("ABCDEF"), seed=1).residuals
    assert found == pytest.approx((residuals - residuals.mean(axis=0)) / residuals.std(axis=0))


def test_what_is_filled_in_depends_on_the_seed_and_the_name_alone() -> None:
    residuals = market()
    residuals[:100, 2] = np.nan
    first, again, other = (complete_residuals(residuals, tuple("ABCDEF"), seed=seed).residuals for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first[:100, 2] != other[:100, 2]).any()
    turned = complete_residuals(residuals[:, ::-1], tuple("FEDCBA"), seed=1).residuals[:, ::-1]
    assert turned == pytest.approx(first, abs=1e-9)


def test_a_residual_beyond_what_a_market_moves_is_replaced() -> None:
    residuals = market()
    residuals[7, 0] = 60.0
    found = complete_residuals(residuals, tuple("ABCDEF"), seed=1)
    assert found.filled == {"A": 1}
    assert abs(found.residuals[7, 0]) < 10


def test_one_ticker_and_a_ticker_with_few_residuals() -> None:
    alone = complete_residuals(market(tickers=1), ("A",), seed=1)
    assert alone.filled == {}
    residuals = market()
    residuals[:-5, 0] = np.nan
    found = complete_residuals(residuals, tuple("ABCDEF"), seed=1)
    assert np.isfinite(found.residuals).all()
