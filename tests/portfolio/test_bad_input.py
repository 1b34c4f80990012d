"""Problems that data can set: few rows, prices that do not move or move alike, and positions that cannot be traded."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from pm.portfolio.allocators import allocator
from pm.portfolio.held import Held
from pm.portfolio.market import Market
from pm.portfolio.problem import Constraints, Problem
from pm.portfolio.projection import UnsolvedError, nearest
from pm.portfolio.propose import Acted, propose
from pm.risk.scenarios import Scenarios
from pm.settings import GroupSettings, PortfolioSettings, load_settings

PORTFOLIO = load_settings().portfolio
ALLOCATORS = ("equal", "inverse_volatility", "minimum_variance", "risk_budget", "hrp", "minimum_es", "black_litterman")
NOTHING = Held("main", "USD", 100_000.0)


def settings(**changes: object) -> PortfolioSettings:
    calm = {"compare": [], "target_annual_volatility": 10.0, "max_weight": 1.0, "band": 0.0, "minimum_order": 0.0}
    return PORTFOLIO.model_copy(update=calm | changes)


def drawn(tickers: int, rows: int = 400, seed: int = 1) -> Scenarios:
    generator = np.random.default_rng(seed)
    returns = 0.01 * (0.6 * generator.standard_normal((rows, 1)) + 0.8 * generator.standard_normal((rows, tickers)))
    return Scenarios(tuple(f"T{place:02}" for place in range(tickers)), 1, returns, np.full(rows, 1 / rows))


def weights_of(name: str, scenarios: Scenarios) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    limits = Constraints(np.ones(len(scenarios.tickers)), invested=0.98)
    weights = allocator(name, settings()).allocate(Problem(scenarios, limits))
    return nearest(weights, limits)


@pytest.mark.parametrize("name", ALLOCATORS)
def test_one_ticker_gets_all_there_is_to_invest(name: str) -> None:
    assert weights_of(name, drawn(1)) == pytest.approx([0.98], abs=1e-6)


@pytest.mark.parametrize("name", ALLOCATORS)
def test_fewer_rows_than_tickers_still_give_weights_that_add_up(name: str) -> None:
    weights = weights_of(name, drawn(30, rows=10))
    assert weights.sum() == pytest.approx(0.98, abs=1e-6)
    assert weights.min() >= 0


@pytest.mark.parametrize("name", [name for name in ALLOCATORS if name != "minimum_es"])  # any split is as good there
def test_tickers_that_move_exactly_alike_share_the_weight_of_one(name: str) -> None:
    own = drawn(3)
    twins = replace(own, returns=np.column_stack([own.returns[:, :2], own.returns[:, 1]]))
    weights = weights_of(name, twins)
    assert weights.sum() == pytest.approx(0.98, abs=1e-6)
    assert weights[1] == pytest.approx(weights[2], abs=0.01)


@pytest.mark.parametrize("name", ["inverse_volatility", "minimum_variance", "risk_budget", "hrp", "black_litterman"])
def test_a_price_that_does_not_move_is_refused_by_what_divides_by_its_risk(name: str) -> None:
    own = drawn(3)
    still = replace(own, returns=np.column_stack([own.returns[:, :2], np.zeros(400)]))
    proposal = propose(
        Market(still, dict.fromkeys(still.tickers, 50.0)), replace(NOTHING, weights={"T00": 0.3}),
        settings(allocator=name), cost=0.0,
    )  # fmt: skip
    used = proposal.runs.row(by_predicate=pl.col("in_use"), named=True)
    assert used["status"] == "kept"
    assert used["detail"].startswith(f"{name}: ")
    assert dict(proposal.targets.select("ticker", "weight").iter_rows()) == {"T00": 0.3, "T01": 0.0, "T02": 0.0}


def test_an_amount_that_is_not_a_number_is_no_weight() -> None:
    with pytest.raises(UnsolvedError, match="not a number"):
        nearest(np.array([np.nan, 0.5]), Constraints(np.ones(2)))


# Positions that are not traded ------------------------------------------------------------------------------------


def market_with_fixed() -> tuple[Market, Held, Scenarios]:
    """Return a market of two tickers, and an account that also holds T02, which is not traded tonight."""
    own = drawn(3)
    free = replace(own, tickers=own.tickers[:2], returns=own.returns[:, :2])
    others = replace(own, tickers=("T02",), returns=own.returns[:, 2:])
    market = Market(free, {"T00": 50.0, "T01": 20.0, "T02": 10.0}, others=others)
    held = replace(
        NOTHING, weights={"T00": 0.1, "T02": 0.4}, shares={"T00": Decimal(200), "T02": Decimal(4000)}, stays=("T02",)
    )
    return market, held, own


def test_a_position_that_is_not_traded_stays_and_leaves_the_rest_to_invest() -> None:
    market, held, own = market_with_fixed()
    proposal = propose(market, held, settings(), cost=0.001)
    rows = {row["ticker"]: row for row in proposal.targets.to_dicts()}
    assert (rows["T02"]["weight"], rows["T02"]["shares"], rows["T02"]["reason"]) == (0.4, 4000.0, "not_traded")
    assert rows["T00"]["weight"] + rows["T01"]["weight"] == pytest.approx(0.58, abs=1e-6)
    used = proposal.runs.row(by_predicate=pl.col("in_use"), named=True)
    weights = np.array([rows[ticker]["weight"] for ticker in own.tickers])
    moved = own.returns @ weights
    assert used["invested"] == pytest.approx(weights.sum())
    assert used["annual_volatility"] == pytest.approx(moved.std() * np.sqrt(252), rel=0.02)  # free part is shrunk
    assert used["es_975"] == pytest.approx(np.sort(-moved)[::-1][:10].mean())  # 2.5% of 400


def test_the_volatility_of_the_whole_is_brought_to_its_target_by_the_rest() -> None:
    market, held, own = market_with_fixed()
    for target in (0.08, 0.1):
        proposal = propose(market, held, settings(target_annual_volatility=target), cost=0.0)
        weights = dict(proposal.targets.select("ticker", "weight").iter_rows())
        moved = own.returns @ np.array([weights[ticker] for ticker in own.tickers])
        assert moved.std() * np.sqrt(252) == pytest.approx(target, rel=0.02)
        assert weights["T02"] == 0.4


def test_a_group_has_room_for_what_the_untraded_positions_leave() -> None:
    market, held, _ = market_with_fixed()
    group = {"some": GroupSettings(tickers=["T00", "T02"], max_weight=0.45)}
    weights = dict(propose(market, held, settings(groups=group), cost=0.0).targets.select("ticker", "weight").rows())
    assert weights["T00"] <= 0.05 + 1e-6
    assert weights["T01"] == pytest.approx(0.58 - weights["T00"], abs=1e-6)


def test_limits_see_the_positions_that_are_not_traded() -> None:
    market, held, _ = market_with_fixed()
    seen: dict[str, float] = {}

    def look(
        tickers: tuple[str, ...],
        weights: np.ndarray[tuple[int], np.dtype[np.float64]],
        before: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> Acted:
        seen.update(zip(tickers, weights.tolist(), strict=True))
        assert before[tickers.index("T02")] == 0.4
        return Acted(weights / 2)

    rows = dict(propose(market, held, settings(), cost=0.0, act=look).targets.select("ticker", "weight").iter_rows())
    assert seen["T02"] == 0.4
    assert rows == pytest.approx({"T00": seen["T00"] / 2, "T01": seen["T01"] / 2, "T02": 0.4})


def test_an_account_full_of_untraded_positions_buys_nothing() -> None:
    market, held, _ = market_with_fixed()
    full = replace(held, weights={"T02": 0.99}, shares={"T02": Decimal(9900)})
    proposal = propose(market, full, settings(), cost=0.0)
    assert proposal.runs.row(by_predicate=pl.col("in_use"), named=True)["status"] == "done"
    weights = dict(proposal.targets.select("ticker", "weight").iter_rows())
    assert weights == {"T00": 0.0, "T01": 0.0, "T02": 0.99}


def test_fractions_of_a_share_are_a_matter_of_the_account() -> None:
    market, _, _ = market_with_fixed()
    for flag, fractional, whole in ((None, False, True), (True, False, False), (False, True, True)):
        proposal = propose(
            market, replace(NOTHING, equity=1234.5, fractional=flag), settings(fractional=fractional), cost=0.0
        )
        counts = proposal.targets["shares"].to_list()
        assert all(count == int(count) for count in counts) == whole
