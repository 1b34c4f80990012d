"""Feasibility, projection, bands, shares, currencies and drift, against twins and properties."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.portfolio.bands import banded
from pm.portfolio.currencies import in_base_currency, is_rate, rate_of
from pm.portfolio.feasibility import InfeasibleError, relaxed
from pm.portfolio.held import drifted_weights, held_of_accounts
from pm.portfolio.holdable import holdable_of
from pm.portfolio.problem import Constraints, Group, Problem
from pm.portfolio.projection import UnsolvedError, cleaned, nearest
from pm.portfolio.shares import whole_shares
from pm.risk.scenarios import Scenarios

if TYPE_CHECKING:
    from pm.typing import FloatArray

ORDER = ("turnover", "invested", "groups", "max_weight")


def caps(*upper: float, **others: object) -> Constraints:
    return Constraints(np.array(upper), **others)  # type: ignore[arg-type]


# Feasibility ------------------------------------------------------------------------------------------------------


def test_limits_that_some_weights_keep_stay_as_they_are() -> None:
    limits = caps(0.5, 0.5, 0.5)
    found = relaxed(limits, ORDER)
    assert found.constraints is limits
    assert found.notes == ()


def test_caps_that_cannot_sum_to_one_leave_more_in_cash_or_are_raised_as_the_order_says() -> None:
    limits = caps(0.2, 0.2, 0.2)
    cash = relaxed(limits, ORDER)
    assert cash.constraints.invested == pytest.approx(0.6, abs=1e-6)
    assert cash.notes == ("invested lowered from 100.00% to 60.00%",)
    wider = relaxed(limits, ("max_weight", "invested"))
    assert wider.constraints.upper == pytest.approx(np.full(3, 1 / 3), abs=1e-6)
    assert wider.notes == ("max_weight raised from 20.00% to 33.33%",)


def test_what_may_not_be_relaxed_is_named() -> None:
    with pytest.raises(
        InfeasibleError, match=r"100\.00% to invest, largest weights that sum to 60\.00%.*invested or max_weight"
    ):
        relaxed(caps(0.2, 0.2, 0.2), ("turnover", "groups"))


def test_a_group_that_is_too_small_is_named_with_its_limit() -> None:
    everything = Group("all", np.ones(2, dtype=bool), 0.5)
    with pytest.raises(InfeasibleError, match=r"group all of at most 50\.00%"):
        relaxed(caps(1, 1, groups=(everything,)), ())
    found = relaxed(caps(1, 1, groups=(everything,)), ("groups",))
    assert found.notes == ("group all raised from 50.00% to 100.00%",)


def test_a_turnover_that_is_too_small_to_reach_the_limits_is_raised_to_what_is_needed() -> None:
    limits = caps(0.4, 1.0, previous=np.array([1.0, 0.0]), max_turnover=0.2)
    found = relaxed(limits, ORDER)
    assert found.constraints.max_turnover == pytest.approx(1.2, abs=1e-6)
    assert nearest(np.array([0.4, 0.6]), found.constraints, with_turnover=True) == pytest.approx([0.4, 0.6], abs=1e-5)


def test_two_limits_are_relaxed_together_where_neither_helps_alone() -> None:
    group = Group("both", np.array([True, True]), 0.5)
    found = relaxed(caps(0.3, 0.3, groups=(group,)), ("groups", "max_weight"))
    assert found.constraints.upper == pytest.approx([0.5, 0.5], abs=1e-6)
    assert found.constraints.groups[0].upper == pytest.approx(1.0, abs=1e-6)
    assert len(found.notes) == 2


# Projection -------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 2), min_size=4, max_size=4), st.lists(st.floats(0.3, 1), min_size=4, max_size=4))
def test_the_nearest_weights_keep_all_limits_and_no_others_are_nearer(wanted: list[float], upper: list[float]) -> None:
    group = Group("pair", np.array([True, True, False, False]), 0.5)
    limits = caps(*upper, groups=(group,))
    found = nearest(np.array(wanted), limits)
    assert limits.largest_violation(found) < 1e-6
    # The distance is convex: no step towards any other weights that keep the limits makes it smaller.
    for other in (np.full(4, 0.25), np.array([0.2, 0.3, 0.2, 0.3]), np.array([0.0, 0.2, upper[2], 0.8 - upper[2]])):
        if limits.largest_violation(other) < 1e-12:
            step = found + 0.01 * (other - found)
            assert ((found - wanted) ** 2).sum() <= ((step - wanted) ** 2).sum() + 1e-6


def test_weights_that_keep_the_limits_are_returned_as_they_are() -> None:
    weights = np.array([0.3, 0.7])
    assert nearest(weights, caps(1, 1)) is weights


def test_rounding_errors_of_a_solver_are_no_positions_and_a_missing_weight_is_no_result() -> None:
    weights = cleaned(np.array([-1e-9, 0.4, 0.6 + 1e-8, 1e-9]), caps(1, 1, 0.6, 1))
    assert (weights[0], weights[3]) == (0.0, 0.0)
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    with pytest.raises(UnsolvedError, match="not a number"):
        cleaned(np.array([np.nan, 1.0]), caps(1, 1))


# Bands ------------------------------------------------------------------------------------------------------------


def test_only_what_is_beyond_its_band_is_traded() -> None:
    target, held = np.array([0.30, 0.30, 0.20, 0.0]), np.array([0.29, 0.20, 0.0, 0.2])
    weights, traded = banded(target, held, band=0.2, smallest=0.001, invested=1.0)
    assert traded.tolist() == [False, True, True, True]
    assert weights.tolist() == [0.29, 0.30, 0.20, 0.0]


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.2)), min_size=1, max_size=5),
    st.floats(0, 0.9),
    st.floats(0, 0.05),
)
def test_bands_hold_for_any_weights_and_never_spend_more_than_there_is(
    pairs: list[tuple[float, float]], band: float, smallest: float
) -> None:
    target, held = np.array(pairs).T
    weights, traded = banded(target, held, band=band, smallest=smallest, invested=1.0)
    far = np.abs(target - held) > band * np.maximum(target, held)
    assert not (traded & ~far).any()
    assert (weights[~traded] == held[~traded]).all()
    between = (weights >= np.minimum(target, held) - 1e-12) & (weights <= np.maximum(target, held) + 1e-12)
    assert between.all()
    assert weights.sum() <= max(1.0, target.sum(), held.sum()) + 1e-9


# Shares -----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(0.5, 900)), min_size=1, max_size=5),
    st.floats(500, 1e6),
    st.sampled_from([1, 10]),
)
def test_shares_are_multiples_of_the_lot_near_their_weight_and_cost_no_more_than_all_weigh(
    tickers: list[tuple[float, float]], equity: float, lot: int
) -> None:
    weights = {str(place): weight for place, (weight, _) in enumerate(tickers)}
    prices = {str(place): price for place, (_, price) in enumerate(tickers)}
    shares = whole_shares(weights, prices, equity=equity, lot=Decimal(lot))
    assert all(count % lot == 0 for count in shares.values())
    assert all(abs(float(shares[t]) * prices[t] - weights[t] * equity) <= prices[t] * lot * (1 + 1e-9) for t in shares)
    spent = sum(float(shares[t]) * prices[t] for t in shares)
    assert spent <= sum(weights.values()) * equity * (1 + 1e-9) + 1e-6


def test_no_additional_lot_makes_a_position_larger_than_the_largest_weight() -> None:
    weights, prices = dict.fromkeys("ABCD", 0.25), dict.fromkeys("ABCD", 14_000.0)
    assert sum(whole_shares(weights, prices, equity=1e5, lot=Decimal(1)).values()) == 7
    bounded = whole_shares(weights, prices, equity=1e5, lot=Decimal(1), largest=0.25)
    assert bounded == dict.fromkeys("ABCD", Decimal(1))


def test_the_currency_of_a_ticker_is_that_of_the_watch_list_or_else_of_the_ledger() -> None:
    tickers = ("AAA", "USDVND=X", "VCB")
    found = holdable_of({"VCB": "VND"}, tickers, "USD")
    assert found.tickers == ("AAA", "VCB")
    assert found.rates == {"VCB": (("USDVND=X", True),)}
    assert holdable_of({}, tickers, "USD").exclusions[0][0] == "USDVND=X"


def test_a_short_position_is_rounded_towards_nothing() -> None:
    assert whole_shares({"A": -0.1}, {"A": 30.0}, equity=1000, lot=Decimal(1)) == {"A": Decimal(-3)}


# Currencies and drift ---------------------------------------------------------------------------------------------


def test_the_return_in_the_base_currency_includes_that_of_the_rate() -> None:
    own = Scenarios(("BMW", "EURUSD=X", "USDJPY=X", "SONY"), 1, np.array([[0.1, -0.05, 0.25, 0.5]]), np.ones(1))
    found = in_base_currency(own, {"BMW": (("EURUSD=X", False),), "SONY": (("USDJPY=X", True),)})
    assert found.returns[0] == pytest.approx([1.1 * 0.95 - 1, -0.05, 0.25, 1.5 / 1.25 - 1])


def test_rates_are_found_by_how_they_are_spelt() -> None:
    assert rate_of("EUR", "USD", {"EURUSD=X"}) == (("EURUSD=X", False),)
    assert rate_of("JPY", "USD", {"USDJPY"}) == (("USDJPY", True),)
    assert rate_of("CHF", "USD", {"EURUSD=X"}) is None
    assert all(is_rate(ticker) for ticker in ("EURUSD=X", "USDVND=X", "USDJPY"))
    assert not any(is_rate(ticker) for ticker in ("GOOGLE", "BTCUSD", "XAUUSD=X", "USDUSD", "EUR=X"))


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(0.2, 3)), min_size=1, max_size=5))
def test_drifted_weights_are_those_of_positions_that_nobody_touched(pairs: list[tuple[float, float]]) -> None:
    weights = {str(place): weight for place, (weight, _) in enumerate(pairs)}
    growth = {str(place): ratio for place, (_, ratio) in enumerate(pairs)}
    money = {t: 1000 * w * growth[t] for t, w in weights.items()}
    equity = 1000 * (1 - sum(weights.values())) + sum(money.values())
    found = drifted_weights(weights, growth)
    assert found == pytest.approx({t: value / equity for t, value in money.items()})


def test_a_portfolio_that_lost_everything_holds_nothing() -> None:
    assert drifted_weights({"A": 2.0}, {"A": 0.5}) == {}
    assert drifted_weights({"A": 1.0}, {"A": float("nan")}) == {}


def test_an_account_whose_value_is_not_known_says_why() -> None:
    positions = pl.DataFrame(
        {
            "account": ["broke", "fine", "unknown", "unknown"],
            "ticker": ["A", "A", "A", "GONE"],
            "currency": "USD",
            "quantity": [Decimal(10)] * 4,
            "base_value": [Decimal(900), Decimal(900), Decimal(900), None],
        }
    )
    days = [date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 3)]
    equity = pl.DataFrame(
        {
            "account": ["broke", "fine", "fine", "cash", "unknown"],
            "date": days,
            "currency": "USD",
            "equity": [Decimal(0), Decimal(1000), Decimal(5000), Decimal(50), Decimal(1000)],
        }
    ).sample(fraction=1, shuffle=True, seed=1)
    broke, cash, fine, unknown = sorted(
        held_of_accounts(positions, equity), key=lambda held: ["broke", "cash", "fine", "unknown"].index(held.portfolio)
    )
    assert (fine.equity, dict(fine.weights), dict(fine.shares), fine.problem) == (
        1000.0,
        {"A": 0.9},
        {"A": Decimal(10)},
        None,
    )
    assert (cash.equity, dict(cash.weights), cash.problem) == (50.0, {}, None)
    assert broke.problem == "the equity of the account is 0.00, which is not positive"
    assert unknown.problem == "there is no price, in USD, of GONE, which the account holds"


# Covariance -------------------------------------------------------------------------------------------------------


def covariance_of(scenarios: Scenarios) -> FloatArray:
    return Problem(scenarios, Constraints(np.ones(len(scenarios.tickers)))).covariance


def test_a_weight_of_two_is_as_good_as_two_scenarios_for_the_variances(shares: Scenarios) -> None:
    probabilities = np.r_[np.full(100, 2.0), np.ones(400)]
    weighted = Scenarios(shares.tickers, 1, shares.returns, probabilities / probabilities.sum())
    repeated = np.vstack([shares.returns[:100], shares.returns])
    covariance = covariance_of(weighted)
    assert np.diag(covariance) == pytest.approx(repeated.var(axis=0), rel=1e-9)
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_fewer_scenarios_than_tickers_still_give_a_covariance_that_can_be_inverted(shares: Scenarios) -> None:
    few = Scenarios(shares.tickers, 1, shares.returns[:10], np.full(10, 0.1))
    assert np.linalg.eigvalsh(covariance_of(few)).min() > 1e-6
