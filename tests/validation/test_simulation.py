"""The compiled simulation against a slow one, and accounts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.validation.simulation import Positions, simulate_portfolio, stopped_sessions

if TYPE_CHECKING:
    from pm.typing import FloatArray
    from pm.validation.simulation import SimulatedPortfolio

NAN = float("nan")


def twin(  # noqa: C901, PLR0913 - one loop, to be read beside the description
    fills: FloatArray,
    closes: FloatArray,
    targets: dict[int, FloatArray],
    *,
    cash: float,
    cost: float,
    lot: float,
    in_shares: bool,
    stops: set[tuple[int, int]],
    deposits: dict[int, float],
) -> list[float]:
    """Simulate with one dictionary of positions, an order at a time."""
    held: dict[int, float] = {}
    known: dict[int, float] = {}
    equity = []
    for row in range(len(closes)):
        cash += deposits.get(row, 0.0)
        if row in targets:
            at = {column: price if np.isfinite(price := fills[row, column]) else known.get(column, 0.0)
                  for column in range(closes.shape[1])}  # fmt: skip
            value = cash + sum(size * at[column] for column, size in held.items())
            orders = []
            for column, target in enumerate(targets[row]):
                if not np.isfinite(fills[row, column]) or not np.isfinite(target):
                    continue
                size = target
                if not in_shares:
                    size = target * value / at[column]
                    if lot:
                        size = np.trunc(size / lot + np.copysign(1e-9, size)) * lot
                orders.append(((size - held.get(column, 0.0)) * at[column], column))
            for amount, column in sorted(orders):
                size = amount / at[column]
                if amount > 0:
                    affordable = max(0.0, cash / (at[column] * (1 + cost)))
                    if size > affordable:
                        size = np.floor(affordable / lot + 1e-9) * lot if lot else affordable
                cash -= size * at[column] + abs(size * at[column]) * cost
                held[column] = held.get(column, 0.0) + size
        for column in range(closes.shape[1]):
            if np.isfinite(closes[row, column]):
                known[column] = closes[row, column]
            if held.get(column) and (row, column) in stops:
                worth = held.pop(column) * known[column]
                cash += worth - abs(worth) * cost
        equity.append(cash + sum(size * known.get(column, 0.0) for column, size in held.items()))
    return equity


def example(seed: int, *, full: bool, in_shares: bool) -> tuple[FloatArray, FloatArray, dict[int, FloatArray]]:
    generator = np.random.default_rng(seed)
    sessions, tickers = int(generator.integers(2, 25)), int(generator.integers(1, 6))
    closes = 20 * np.exp(np.cumsum(generator.normal(0, 0.03, (sessions, tickers)), axis=0))
    fills = closes * np.exp(generator.normal(0, 0.01, closes.shape))
    gone = generator.random(closes.shape) < 0.15
    fills[gone] = closes[gone] = NAN
    for column in range(tickers):  # some stop trading, or begin late
        if generator.random() < 0.3:
            fills[generator.integers(1, sessions) :, column] = NAN
        if generator.random() < 0.3:
            closes[: generator.integers(0, sessions), column] = NAN
    fills[np.isnan(closes)] = NAN
    targets = {}
    for row in range(sessions):
        if generator.random() < 0.4:
            raw = generator.random(tickers)
            raw[generator.random(tickers) < 0.1] = NAN
            scaled = raw / np.nansum(raw) if full and np.nansum(raw) > 0 else raw / tickers
            targets[row] = np.round(scaled * 500) if in_shares else scaled
    return fills, closes, targets


def stacked(targets: dict[int, FloatArray], tickers: int) -> tuple[Any, FloatArray]:
    rows = np.array(sorted(targets), dtype=np.int64)
    return rows, np.array([targets[row] for row in rows], dtype=np.float64).reshape(len(rows), tickers)


@settings(max_examples=80)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 1.0, 10.0]),
    st.sampled_from([0.0, 0.001, 0.02]),
    st.booleans(),
    st.booleans(),
)
def test_equals_one_order_at_a_time(seed: int, lot: float, cost: float, full: bool, in_shares: bool) -> None:
    fills, closes, targets = example(seed, full=full, in_shares=in_shares)
    generator = np.random.default_rng(seed)
    stopped = generator.random(closes.shape) < 0.05
    deposits = np.where(generator.random(len(closes)) < 0.1, 500.0, 0.0)
    rows, given_ = stacked(targets, closes.shape[1])
    found = simulate_portfolio(
        fills, closes, rows, given_,
        start=10_000, cost=cost, lot=lot, in_shares=in_shares, stopped=stopped, deposits=deposits,
    )  # fmt: skip
    slow = twin(
        fills, closes, targets, cash=10_000, cost=cost, lot=lot, in_shares=in_shares,
        stops={(int(row), int(column)) for row, column in zip(*np.nonzero(stopped), strict=True)},
        deposits={row: float(amount) for row, amount in enumerate(deposits)},
    )  # fmt: skip
    assert found.equity == pytest.approx(slow, rel=1e-9)
    assert (found.equity - found.invested >= -1e-6).all()  # never more than the cash that is there


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.booleans())
def test_pieces_one_after_another_equal_the_whole(seed: int, in_shares: bool) -> None:
    fills, closes, targets = example(seed, full=True, in_shares=in_shares)
    rows, given_ = stacked(targets, closes.shape[1])
    whole = simulate_portfolio(fills, closes, rows, given_, start=10_000, cost=0.001, lot=1.0, in_shares=in_shares)
    state: Positions | float = 10_000.0
    equity: list[float] = []
    cut = len(closes) // 2
    for piece in (slice(0, cut), slice(cut, None)):
        own = {row - (piece.start or 0): target for row, target in targets.items() if row in range(len(closes))[piece]}
        found = simulate_portfolio(
            fills[piece], closes[piece], *stacked(own, closes.shape[1]),
            start=state, cost=0.001, lot=1.0, in_shares=in_shares,
        )  # fmt: skip
        state = found.end
        equity += found.equity.tolist()
    assert equity == whole.equity.tolist()


def simulate(closes: list[list[float]], weights: dict[int, list[float]], **known: Any) -> SimulatedPortfolio:  # noqa: ANN401 - either
    values = np.array(closes, dtype=float)
    rows = np.array(sorted(weights), dtype=np.int64)
    targets = np.array([weights[row] for row in rows], dtype=float)
    return simulate_portfolio(values, values, rows, targets, **({"start": 1000.0, "cost": 0.0} | known))


def test_a_position_that_is_left_alone_grows_with_its_price() -> None:
    found = simulate([[10], [11], [12.1]], {0: [0.5]})
    assert found.equity.tolist() == pytest.approx([1000, 1050, 1105])
    assert found.end.equity == pytest.approx(1105)


def test_the_equity_is_what_costs_leave() -> None:
    found = simulate([[10], [10], [10]], {0: [0.5], 1: [0.0]}, cost=0.01)
    assert found.equity.tolist() == pytest.approx([995, 990, 990])
    assert found.costs.tolist() == pytest.approx([5, 5, 0])
    assert found.traded.tolist() == pytest.approx([500, 500, 0])


def test_a_ticker_that_stops_is_sold_at_its_last_close_once_it_is_known_to_have_stopped() -> None:
    closes: list[list[float]] = [[10, 10], [10, 8], [10, NAN], [10, NAN], [10, NAN], [10, NAN]]
    days = np.array([0, 1, 4, 5, 6, 7])
    stopped = stopped_sessions(days, np.array(closes, dtype=float), max_age_days=4)
    assert np.argwhere(stopped).tolist() == [[4, 1]]  # 6 − 1 is the first age above 4
    found = simulate(closes, {0: [0.5, 0.5]}, cost=0.01, stopped=stopped)
    assert found.trades.closing.tolist() == [0, 0, 1]
    assert (found.trades.rows[-1], found.trades.columns[-1], found.trades.prices[-1]) == (4, 1, 8)
    assert found.end.shares[1] == 0


@given(st.integers(0, 1000), st.integers(1, 29))
def test_whether_a_ticker_stopped_is_known_from_its_past(seed: int, cut: int) -> None:
    generator = np.random.default_rng(seed)
    closes = np.where(generator.random((30, 4)) < 0.5, NAN, 1.0)
    days = np.cumsum(generator.integers(1, 4, 30))
    whole = stopped_sessions(days, closes, max_age_days=5)
    assert (stopped_sessions(days[:cut], closes[:cut], max_age_days=5) == whole[:cut]).all()


def test_whole_shares_are_rounded_towards_zero() -> None:
    found = simulate([[300], [300]], {0: [0.5]}, lot=1.0)
    assert found.trades.quantities.tolist() == [1]
    short = simulate([[300], [300]], {0: [-0.5]}, lot=1.0)
    assert short.trades.quantities.tolist() == [-1]


def test_a_deposit_buys_at_the_next_decision() -> None:
    found = simulate([[10], [10], [10]], {0: [1.0], 2: [1.0]}, deposits=np.array([0.0, 500.0, 0.0]))
    assert found.equity.tolist() == [1000, 1500, 1500]
    assert found.invested.tolist() == [1000, 1000, 1500]


def test_a_day_without_decision_or_bars_changes_nothing() -> None:
    found = simulate([[10], [NAN], [12]], {0: [1.0], 1: [0.0]})
    assert found.equity.tolist() == pytest.approx([1000, 1000, 1200])
    assert simulate([[NAN], [NAN]], {0: [1.0]}).equity.tolist() == [1000, 1000]
