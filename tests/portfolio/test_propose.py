"""What is proposed of a whole portfolio, on ordinary and on bad nights."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.portfolio.edges import edge_views
from pm.portfolio.held import Held
from pm.portfolio.market import Market
from pm.portfolio.problem import Views
from pm.portfolio.propose import Acted, propose
from pm.settings import GroupSettings, load_settings
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS

if TYPE_CHECKING:
    from pm.portfolio.propose import Proposal
    from pm.risk.scenarios import Scenarios
    from pm.settings import PortfolioSettings
    from pm.typing import FloatArray

PORTFOLIO = load_settings().portfolio


def settings(**changes: Any) -> PortfolioSettings:  # noqa: ANN401 - values of settings
    return PORTFOLIO.model_copy(update={"compare": [], "target_annual_volatility": 1.0} | changes)


@pytest.fixture
def market(shares: Scenarios) -> Market:
    prices = {ticker: 20.0 + 10 * place for place, ticker in enumerate(shares.tickers)}
    return Market(shares, prices)


NOTHING = Held("model", "USD", 100_000.0)


def weights(proposal: Proposal, column: str = "weight") -> dict[str, float]:
    return dict(proposal.targets.select("ticker", column).iter_rows())


def used(proposal: Proposal) -> dict[str, Any]:
    return proposal.runs.row(by_predicate=pl.col("in_use"), named=True)


def held(**positions: float) -> Held:
    return replace(NOTHING, weights=positions)


def test_the_first_night_buys_the_core_with_all_but_the_buffer(market: Market) -> None:
    proposal = propose(market, NOTHING, settings(), cost=0.001)
    assert proposal.targets.schema == TARGETS.unstamped_schema
    assert proposal.runs.schema == PORTFOLIO_RUNS.unstamped_schema
    assert sum(weights(proposal).values()) == pytest.approx(0.98)
    assert weights(proposal) == weights(proposal, "core_weight")
    assert set(proposal.targets["tilt"]) == {0.0}
    row = used(proposal)
    assert (row["status"], row["positions"], row["views"]) == ("done", 20, 0)
    assert row["turnover"] == pytest.approx(0.98)
    assert row["cost"] == pytest.approx(0.00098)
    cost = sum(count * market.prices[ticker] for ticker, count in weights(proposal, "shares").items())
    assert 96_000 < cost <= 98_000
    assert all(count == int(count) for count in weights(proposal, "shares").values())


def test_equal_weights_are_always_beside_it(market: Market) -> None:
    runs = propose(market, NOTHING, settings(compare=["hrp"]), cost=0.0).runs
    assert runs["allocator"].to_list() == ["risk_budget", "equal", "hrp"]
    assert runs["in_use"].to_list() == [True, False, False]
    assert runs.filter(allocator="equal")["effective_number"].item() == pytest.approx(20)
    losses = -market.scenarios.returns.mean(axis=1) * 0.98
    worst = np.sort(losses)[::-1]
    expected = (worst[:12].sum() + 0.5 * worst[12]) / 12.5  # 2.5% of 500
    assert runs.filter(allocator="equal")["es_975"].item() == pytest.approx(expected)
    assert runs.filter(allocator="equal")["var_975"].item() == pytest.approx(worst[12])


def test_a_discovered_edge_tilts_the_core_and_no_other_does(market: Market, shares: Scenarios) -> None:
    view = Views((shares.tickers.index("KO"),), np.array([0.003]), np.array([0.01**2]))
    proposal = propose(replace(market, views=view), NOTHING, settings(), cost=0.0)
    tilts = weights(proposal, "tilt")
    assert tilts["KO"] > 0.01
    assert sum(tilts.values()) == pytest.approx(0, abs=1e-7)
    without = propose(replace(market, views=view), NOTHING, settings(tilts=False), cost=0.0)
    assert set(weights(without, "tilt").values()) == {0.0}


def test_the_whole_is_made_smaller_where_it_would_be_too_volatile(market: Market) -> None:
    row = used(propose(market, NOTHING, settings(target_annual_volatility=0.08), cost=0.0))
    assert row["annual_volatility"] == pytest.approx(0.08)
    assert row["invested"] == pytest.approx(0.98 * row["volatility_scale"])
    calm = used(propose(market, NOTHING, settings(target_annual_volatility=3.0), cost=0.0))
    assert (calm["volatility_scale"], calm["invested"]) == (1.0, pytest.approx(0.98))  # never larger than what is there


def test_the_next_night_trades_nothing_within_the_band_and_everything_is_counted_from_todays_weights(
    market: Market,
) -> None:
    first = weights(propose(market, NOTHING, settings(), cost=0.0))
    second = propose(market, held(**first), settings(), cost=0.0)
    assert set(second.targets["reason"]) <= {"unchanged", "within_band", "small_order"}
    assert weights(second) == first
    moved = first | {"AAPL": first["AAPL"] * 3}
    third = propose(market, held(**moved), settings(), cost=0.0)
    assert third.targets.filter(reason="traded")["ticker"].to_list() == ["AAPL"]
    assert weights(third, "previous_weight") == pytest.approx(moved)


def test_the_turnover_is_kept_and_all_positions_go_the_same_part_of_their_way(market: Market) -> None:
    start = held(AAPL=0.25, AMD=0.25, BAC=0.25)
    proposal = propose(market, start, settings(max_turnover=0.1, band=0.0, minimum_order=0.0), cost=0.0)
    row = used(proposal)
    assert row["turnover"] == pytest.approx(0.1, abs=1e-9)
    assert row["status"] == "done"
    before = np.array([start.weights.get(t, 0.0) for t in proposal.targets["ticker"]])
    change = proposal.targets["weight"].to_numpy() - before
    way = proposal.targets["core_weight"].to_numpy() - before
    assert change / way == pytest.approx(np.full(20, change[0] / way[0]), rel=1e-6)


def test_a_position_above_its_cap_is_brought_down_though_the_turnover_does_not_allow_it(market: Market) -> None:
    proposal = propose(market, held(AAPL=0.9), settings(max_turnover=0.1), cost=0.0)
    assert used(proposal)["status"] == "relaxed"
    assert "turnover raised from 10.00% to" in used(proposal)["detail"]
    assert weights(proposal)["AAPL"] <= 0.25 + 1e-6


def test_limits_that_cannot_hold_are_relaxed_in_order_or_the_weights_stay(market: Market) -> None:
    relaxed = propose(market, NOTHING, settings(max_weight=0.01), cost=0.0)
    assert used(relaxed)["status"] == "relaxed"
    assert used(relaxed)["detail"] == "invested lowered from 98.00% to 20.00%"
    assert sum(weights(relaxed).values()) == pytest.approx(0.2, abs=1e-6)

    kept = propose(market, held(AAPL=0.3, GONE=0.2), settings(max_weight=0.01, relax=[]), cost=0.0)
    assert used(kept)["status"] == "kept"
    assert "risk_budget: no weights keep all limits" in used(kept)["detail"]
    assert {t: w for t, w in weights(kept).items() if w} == {"AAPL": 0.3, "GONE": 0.2}
    assert set(kept.targets["reason"]) == {"kept"}
    again = propose(market, held(**weights(kept)), settings(), cost=0.0)  # and the next night is not poisoned
    assert used(again)["status"] == "done"


def test_groups_hold_for_allocators_that_do_not_know_them(market: Market) -> None:
    group = {"oil": GroupSettings(tickers=["CVX", "XOM", "RRC", "UNKNOWN"], max_weight=0.03)}
    for name in ("equal", "hrp", "risk_budget", "inverse_volatility", "minimum_variance"):
        found = weights(propose(market, NOTHING, settings(allocator=name, groups=group), cost=0.0))
        assert found["CVX"] + found["XOM"] + found["RRC"] <= 0.03 + 1e-6, name
        assert sum(found.values()) == pytest.approx(0.98, abs=1e-6)


def test_a_position_in_a_ticker_that_is_not_in_the_universe_is_closed(market: Market) -> None:
    row = propose(market, held(GONE=0.2), settings(), cost=0.0).targets.row(
        by_predicate=pl.col("ticker") == "GONE", named=True
    )
    assert (row["weight"], row["previous_weight"], row["shares"], row["reason"]) == (0.0, 0.2, 0.0, "not_allocated")


def test_an_account_of_unknown_value_trades_nothing(market: Market) -> None:
    shares = {"AAPL": Decimal(10)}
    unknown = Held("main", "USD", float("nan"), {}, shares, problem="there is no price, in USD, of GONE")
    proposal = propose(market, unknown, settings(), cost=0.0)
    assert used(proposal)["status"] == "kept"
    assert used(proposal)["equity"] is None
    assert set(proposal.targets["reason"]) == {"kept"}
    assert proposal.targets.filter(ticker="AAPL")["shares"].to_list() == [10.0]


@pytest.mark.parametrize("equity", [float("nan"), 0.0, -5.0])
def test_a_value_that_is_no_positive_number_trades_nothing(market: Market, equity: float) -> None:
    proposal = propose(market, Held("main", "USD", equity, {"AAPL": 0.5}), settings(), cost=0.0)
    assert used(proposal)["status"] == "kept"
    assert {t: w for t, w in weights(proposal).items() if w} == {"AAPL": 0.5}


def test_a_covariance_that_is_not_a_number_trades_nothing(market: Market) -> None:
    broken = replace(market, covariance=np.full((20, 20), np.nan))
    for name in ("risk_budget", "minimum_variance", "hrp", "inverse_volatility"):
        proposal = propose(broken, held(AAPL=0.2), settings(allocator=name), cost=0.0)
        assert used(proposal)["status"] == "kept", name
        assert {t: w for t, w in weights(proposal).items() if w} == {"AAPL": 0.2}
        assert np.isfinite(proposal.targets["weight"].to_numpy()).all()


def test_shares_held_stay_where_nothing_is_traded(market: Market) -> None:
    first = propose(market, NOTHING, settings(), cost=0.0)
    counts = {t: Decimal(int(n)) for t, n in weights(first, "shares").items()}
    values = {t: float(n) * market.prices[t] / 100_000 for t, n in counts.items()}
    second = propose(market, replace(NOTHING, weights=values, shares=counts), settings(), cost=0.0)
    assert weights(second, "shares") == weights(first, "shares")


def test_limits_of_risk_have_the_last_word(market: Market) -> None:
    seen = {}

    def halve(tickers: tuple[str, ...], target: FloatArray, before: FloatArray) -> Acted:
        seen["before"] = dict(zip(tickers, before.tolist(), strict=True))
        return Acted(np.where(np.array(tickers) == "KO", target / 2, target))

    free = propose(market, held(AAPL=0.1), settings(), cost=0.0)
    limited = propose(market, held(AAPL=0.1), settings(), cost=0.0, act=halve)
    assert seen["before"]["AAPL"] == 0.1
    assert weights(limited) == weights(free) | {"KO": weights(free)["KO"] / 2}
    assert limited.targets.filter(reason="limited")["ticker"].to_list() == ["KO"]
    assert used(limited)["invested"] == pytest.approx(sum(weights(limited).values()))

    for blocking in (Acted(np.zeros(20), "the drawdown is 31%"), Acted(np.full(20, np.nan))):
        kept = propose(market, held(AAPL=0.1), settings(), cost=0.0, act=lambda *_, found=blocking: found)
        assert used(kept)["status"] == "kept"
        assert {t: w for t, w in weights(kept).items() if w} == {"AAPL": 0.1}
        assert blocking.blocked is None or used(kept)["detail"] == "the drawdown is 31%"


def test_shares_are_rounded_up_only_within_the_limits_of_risk(market: Market) -> None:
    market = replace(market, prices=dict.fromkeys(market.scenarios.tickers, 1_500.0))
    seen: list[float] = []

    def keeps(tickers: tuple[str, ...], target: FloatArray) -> bool:
        seen.append(float(target.sum()))
        assert tickers == market.scenarios.tickers
        return False

    free = weights(propose(market, NOTHING, settings(), cost=0.0), "shares")
    bounded = propose(market, NOTHING, settings(), cost=0.0, keeps=keeps)
    assert seen == [pytest.approx(sum(free.values()) * 1_500 / 100_000)]
    assert weights(bounded, "shares") == {t: w * 100_000 // 1_500 for t, w in weights(bounded).items()}
    assert weights(bounded, "shares") != free


def test_no_ticker_and_one_ticker(shares: Scenarios) -> None:
    none = replace(shares, tickers=(), returns=np.empty((500, 0)))
    empty = propose(Market(none, {}), NOTHING, settings(), cost=0.0)
    assert empty.targets.is_empty()
    assert used(empty)["detail"] == "there is no ticker that can be held"
    one = replace(shares, tickers=("AAPL",), returns=shares.returns[:, :1])
    alone = propose(Market(one, {"AAPL": 100.0}), NOTHING, settings(), cost=0.0)
    assert weights(alone) == {"AAPL": pytest.approx(0.25, abs=1e-6)}


def test_kelly_without_a_view_holds_nothing(market: Market) -> None:
    proposal = propose(market, NOTHING, settings(allocator="kelly"), cost=0.001)
    assert set(weights(proposal).values()) == {0.0}
    assert used(proposal)["status"] == "done"


# Views and scenarios ----------------------------------------------------------------------------------------------


def test_a_view_is_the_expected_simple_return_with_the_variance_of_the_forecast() -> None:
    rows = [("A", 20, 0.02, 0.08), ("A", 10, 9.0, 9.0), ("B", 20, 0.05, 0.1), ("C", 20, 0.0, 0.1), ("D", 20, 0.1, 0.1)]
    frame = pl.DataFrame(rows, schema=["ticker", "step", "mean_log_return", "sigma"], orient="row")
    views = edge_views(frame, ["A", "C", "D", "UNKNOWN"], ["B", "A", "C"], 20)
    assert views.places == (1,)
    draws = np.exp(np.random.default_rng(1).normal(0.02, 0.08, 2_000_000))
    assert views.expected[0] == pytest.approx(draws.mean() - np.exp(0.08**2 / 2), abs=3e-4)
    assert views.variance[0] == pytest.approx(draws.var(), rel=0.01)
