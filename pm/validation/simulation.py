"""Simulate a portfolio that is brought to target weights on chosen sessions, after costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import FloatArray, IntArray

__all__ = ["SimulatedPortfolio", "Trades", "simulate_portfolio"]


@dataclass(frozen=True)
class Trades:
    """The trades of a simulated portfolio, in the order in which they were made; all arrays have shape (trades,).

    Attributes
    ----------
    rows, columns
        Row of the session and column of the ticker.
    quantities
        Number of shares; negative for a sale.
    prices
        Price of one share.
    costs
        Cost in money.
    closing
        Whether the position was closed because the ticker has no later bar.
    """

    rows: IntArray
    columns: IntArray
    quantities: FloatArray
    prices: FloatArray
    costs: FloatArray
    closing: IntArray


@dataclass(frozen=True)
class SimulatedPortfolio:
    """What a simulated portfolio was worth.

    Attributes
    ----------
    equity
        Value at the close of each session, shape (sessions,).
    costs
        Cost of the trades of each session, in money, shape (sessions,).
    traded
        Value traded in each session, buying and selling both counted, shape (sessions,).
    invested
        Value of the positions at each close, shorts negative, shape (sessions,).
    trades
        All trades.
    """

    equity: FloatArray
    costs: FloatArray
    traded: FloatArray
    invested: FloatArray
    trades: Trades


def simulate_portfolio(
    fills: FloatArray,
    closes: FloatArray,
    decisions: IntArray,
    weights: FloatArray,
    *,
    cash: float,
    cost: float,
    lot: float = 0.0,
) -> SimulatedPortfolio:
    """Simulate a portfolio that is traded to weights on some sessions, and left alone between them.

    On a session of a decision the portfolio is valued at the prices at which it trades. Then each ticker is traded to
    its weight of that value: sales first, then purchases from the smallest to the largest, each made smaller if cash
    and cost do not suffice. A ticker without a price to trade at keeps its position, valued at its last close. After
    its last bar a ticker is sold at its last close, since it trades no more.

    Parameters
    ----------
    fills
        Prices at which orders of a session are filled, such as its opens; NaN where the ticker does not trade. Shape
        (sessions, tickers).
    closes
        Closes by which positions are valued; NaN where there is no bar. A ticker whose last bar is before the last
        session is sold at the close of its last bar.
    decisions
        Rows of the sessions on which the portfolio is traded, ascending, shape (decisions,).
    weights
        Target weights of each decision, shape (decisions, tickers). NaN leaves the position of a ticker as it is.
    cash
        Cash to begin with.
    cost
        Cost of a trade as a share of the value traded.
    lot
        Number of shares of which positions are multiples, such as 1 for whole shares; 0 for any fraction.

    Notes
    -----
    With fractions the result equals that of vectorbt's `Portfolio.from_orders` with target percentages, shared cash and
    the automatic call sequence.
    """
    sessions, tickers = closes.shape
    room = len(decisions) * tickers + tickers
    equity, costs, traded, invested = (np.zeros(sessions) for _ in range(4))
    rows, columns, closing = (np.zeros(room, dtype=np.int64) for _ in range(3))
    quantities, prices, paid = (np.zeros(room) for _ in range(3))
    count = _simulate(
        np.ascontiguousarray(fills, dtype=np.float64), np.ascontiguousarray(closes, dtype=np.float64),
        np.ascontiguousarray(decisions, dtype=np.int64), np.ascontiguousarray(weights, dtype=np.float64),
        _last_rows(closes), float(cash), float(cost), float(lot),
        equity, costs, traded, invested, rows, columns, closing, quantities, prices, paid,
    )  # fmt: skip
    made = Trades(rows[:count], columns[:count], quantities[:count], prices[:count], paid[:count], closing[:count])
    return SimulatedPortfolio(equity, costs, traded, invested, made)


def _last_rows(closes: FloatArray) -> IntArray:
    """Return the row of each ticker's last close; −1 for a ticker without any."""
    present = np.isfinite(closes)
    last = len(closes) - 1 - present[::-1].argmax(axis=0)
    return np.where(present.any(axis=0), last, -1).astype(np.int64)


@compiled
def _simulate(  # noqa: PLR0913, PLR0915, PLR0917, C901, PLR0912 - a compiled loop over plain arrays
    fills: FloatArray, closes: FloatArray, decisions: IntArray, weights: FloatArray, last: IntArray,
    cash: float, cost: float, lot: float,
    equity: FloatArray, costs: FloatArray, traded: FloatArray, invested: FloatArray,
    rows: IntArray, columns: IntArray, closing: IntArray, quantities: FloatArray, prices: FloatArray, paid: FloatArray,
) -> int:  # fmt: skip
    """Fill the arrays of a simulation, and return the number of trades."""
    sessions, tickers = closes.shape
    held = np.zeros(tickers)
    price = np.zeros(tickers)  # at which a position is valued
    change = np.zeros(tickers)  # value to buy, or to sell if negative
    count = 0
    decision = 0
    for row in range(sessions):
        if decision < len(decisions) and decisions[decision] == row:
            value = cash
            for place in range(tickers):
                if held[place] != 0.0:
                    at = fills[row, place]
                    value += held[place] * (price[place] if math.isnan(at) else at)
            wanted = 0.0
            for place in range(tickers):
                change[place] = 0.0
                at = fills[row, place]
                weight = weights[decision, place]
                if not (math.isnan(at) or math.isnan(weight)):
                    target = weight * value / at
                    if lot > 0.0:
                        target = np.trunc(target / lot + (1e-9 if target >= 0.0 else -1e-9)) * lot
                    change[place] = (target - held[place]) * at
                    if change[place] > 0.0:
                        wanted += change[place]
            for place in range(tickers):
                if change[place] < 0.0:
                    at = fills[row, place]
                    fee = -change[place] * cost
                    cash += -change[place] - fee
                    held[place] += change[place] / at
                    if lot > 0.0:
                        held[place] = np.rint(held[place] / lot) * lot
                    costs[row] += fee
                    traded[row] -= change[place]
                    rows[count], columns[count], closing[count] = row, place, 0
                    quantities[count], prices[count], paid[count] = change[place] / at, at, fee
                    count += 1
            # In the order of their values, if there is not cash enough for all.
            scarce = wanted * (1.0 + cost) > cash
            order = np.argsort(change) if scarce else np.arange(tickers)
            for turn in range(tickers):
                place = order[turn]
                if change[place] > 0.0:
                    at = fills[row, place]
                    size = change[place] / at
                    if scarce and size * at * (1.0 + cost) > cash:
                        size = max(0.0, cash / (at * (1.0 + cost)))
                        if lot > 0.0:
                            size = np.floor(size / lot + 1e-9) * lot
                    if size > 0.0:
                        fee = size * at * cost
                        cash -= size * at + fee
                        held[place] += size
                        if lot > 0.0:
                            held[place] = np.rint(held[place] / lot) * lot
                        costs[row] += fee
                        traded[row] += size * at
                        rows[count], columns[count], closing[count] = row, place, 0
                        quantities[count], prices[count], paid[count] = size, at, fee
                        count += 1
            decision += 1
        total = 0.0
        for place in range(tickers):
            close = closes[row, place]
            if not math.isnan(close):
                price[place] = close
            if held[place] != 0.0:
                if last[place] <= row < sessions - 1:
                    worth = held[place] * price[place]
                    fee = abs(worth) * cost
                    cash += worth - fee
                    costs[row] += fee
                    traded[row] += abs(worth)
                    rows[count], columns[count], closing[count] = row, place, 1
                    quantities[count], prices[count], paid[count] = -held[place], price[place], fee
                    count += 1
                    held[place] = 0.0
                else:
                    total += held[place] * price[place]
        invested[row] = total
        equity[row] = cash + total
    return count
