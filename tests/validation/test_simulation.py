"""The compiled simulation against a slow one, and accounts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.validation.simulation import simulate_portfolio

if TYPE_CHECKING:
    from pm.typing import FloatArray


def twin(  # noqa: C901 - one loop, to be read beside the description
    fills: FloatArray, closes: FloatArray, weights: dict[int, FloatArray], cash: float, cost: float, lot: float
) -> list[float]:
    """Simulate with one dictionary of positions, an order at a time."""
    held: dict[int, float] = {}
    known: dict[int, float] = {}
    last = {column: max(row for row in range(len(closes)) if np.isfinite(closes[row, column]))
            for column in range(closes.shape[1]) if np.isfinite(closes[:, column]).any()}  # fmt: skip
    equity = []
    for row in range(len(closes)):
        if row in weights:
            at = {column: price if np.isfinite(price := fills[row, column]) else known.get(column, 0.0)
                  for column in range(closes.shape[1])}  # fmt: skip
            value = cash + sum(size * at[column] for column, size in held.items())
            orders = []
            for column, weight in enumerate(weights[row]):
                if not np.isfinite(fills[row, column]) or not np.isfinite(weight):
                    continue
                size = weight * value / at[column]
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
                if lot:
                    held[column] = round(held[column] / lot) * lot
        for column in range(closes.shape[1]):
            if np.isfinite(closes[row, column]):
                known[column] = closes[row, column]
            if held.get(column) and last.get(column, -1) <= row < len(closes) - 1:
                worth = held.pop(column) * known[column]
                cash += worth - abs(worth) * cost
        equity.append(cash + sum(size * known.get(column, 0.0) for column, size in held.items()))
    return equity


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1.0, 10.0]), st.sampled_from([0.0, 0.001, 0.02]), st.booleans())
def test_equals_one_order_at_a_time(seed: int, lot: float, cost: float, full: bool) -> None:
    generator = np.random.default_rng(seed)
    sessions, tickers = int(generator.integers(2, 25)), int(generator.integers(1, 6))
    closes = 20 * np.exp(np.cumsum(generator.normal(0, 0.03, (sessions, tickers)), axis=0))
    fills = closes * np.exp(generator.normal(0, 0.01, closes.shape))
    gone = generator.random(closes.shape) < 0.15
    fills[gone] = closes[gone] = np.nan
    for column in range(tickers):  # some stop trading, or begin late
        if generator.random() < 0.3:
            fills[generator.integers(1, sessions) :, column] = np.nan
        if generator.random() < 0.3:
            closes[: generator.integers(0, sessions), column] = np.nan
    fills[np.isnan(closes)] = np.nan
    weights = {}
    for row in range(sessions):
        if generator.random() < 0.4:
            raw = generator.random(tickers)
            raw[generator.random(tickers) < 0.1] = np.nan
            weights[row] = raw / np.nansum(raw) if full and np.nansum(raw) > 0 else raw / tickers
    rows = np.array(sorted(weights), dtype=np.int64)
    given_ = np.array([weights[row] for row in rows]).reshape(len(rows), tickers)
    found = simulate_portfolio(fills, closes, rows, given_, cash=10_000, cost=cost, lot=lot)
    assert found.equity == pytest.approx(twin(fills, closes, weights, 10_000, cost, lot), rel=1e-9)
    assert (found.equity - found.invested >= -1e-6).all()  # never more than the cash that is there


def simulate(closes: list[list[float]], weights: dict[int, list[float]], **known: Any) -> Any:  # noqa: ANN401 - either
    values = np.array(closes, dtype=float)
    rows = np.array(sorted(weights), dtype=np.int64)
    targets = np.array([weights[row] for row in rows], dtype=float)
    return simulate_portfolio(values, values, rows, targets, **({"cash": 1000.0, "cost": 0.0} | known))


def test_a_position_that_is_left_alone_grows_with_its_price() -> None:
    found = simulate([[10], [11], [12.1]], {0: [0.5]})
    assert found.equity.tolist() == pytest.approx([1000, 1050, 1105])


def test_the_equity_is_what_costs_leave() -> None:
    found = simulate([[10], [10], [10]], {0: [0.5], 1: [0.0]}, cost=0.01)
    assert found.equity.tolist() == pytest.approx([995, 990, 990])
    assert found.costs.tolist() == pytest.approx([5, 5, 0])
    assert found.traded.tolist() == pytest.approx([500, 500, 0])


def test_a_ticker_that_stops_is_sold_at_its_last_close() -> None:
    nan = float("nan")
    found = simulate([[10, 10], [10, 8], [10, nan], [10, nan]], {0: [0.5, 0.5]}, cost=0.01)
    assert found.trades.closing.tolist() == [0, 0, 1]
    assert (found.trades.rows[-1], found.trades.columns[-1], found.trades.prices[-1]) == (1, 1, 8)
    assert found.invested.tolist() == pytest.approx([found.equity[0], 10 * 50, 500, 500], rel=0.02)


def test_whole_shares_are_rounded_towards_zero() -> None:
    found = simulate([[300], [300]], {0: [0.5]}, lot=1.0)
    assert found.trades.quantities.tolist() == [1]
    short = simulate([[300], [300]], {0: [-0.5]}, lot=1.0)
    assert short.trades.quantities.tolist() == [-1]


def test_a_day_without_decision_or_bars_changes_nothing() -> None:
    nan = float("nan")
    found = simulate([[10], [nan], [12]], {0: [1.0], 1: [0.0]})
    assert found.equity.tolist() == pytest.approx([1000, 1000, 1200])
    assert simulate([[nan], [nan]], {0: [1.0]}).equity.tolist() == [1000, 1000]
