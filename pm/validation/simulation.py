"""Simulate a portfolio that is brought to target weights on chosen sessions, after costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.compiled import compiled

if TYPE_CHECKING:
    from pm.typing import BoolArray, FloatArray, IntArray

__all__ = ["Positions", "SimulatedPortfolio", "Trades", "simulate_portfolio", "stopped_sessions"]


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
class Positions:
    """What a portfolio holds: cash, the number of shares of each ticker, and the price by which each is valued.

    Attributes
    ----------
    cash
        Cash.
    shares
        Number of shares, negative for a short position, shape (tickers,).
    prices
        Last price of each ticker; 0 before it has one. Shape (tickers,).
    """

    cash: float
    shares: FloatArray
    prices: FloatArray

    @property
    def equity(self) -> float:
        """Value of all that is held."""
        return self.cash + float(self.shares @ self.prices)


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
    end
        What is held after the last session.
    """

    equity: FloatArray
    costs: FloatArray
    traded: FloatArray
    invested: FloatArray
    trades: Trades
    end: Positions


def simulate_portfolio(  # noqa: PLR0913 - a market, targets, and what trades cost
    fills: FloatArray,
    closes: FloatArray,
    decisions: IntArray,
    targets: FloatArray,
    *,
    start: Positions | float,
    cost: float,
    lot: FloatArray | float = 0.0,
    in_shares: bool = False,
    stopped: BoolArray | None = None,
    deposits: FloatArray | None = None,
) -> SimulatedPortfolio:
    """Simulate a portfolio that is traded to targets on some sessions, and left alone between them.

    On a session of a decision the portfolio is valued at the prices at which it trades. Then each ticker is traded to
    its target: sales first, then purchases from the smallest to the largest, each made smaller if cash and cost do not
    suffice. A ticker without a price to trade at keeps its position, valued at its last close.

    Parameters
    ----------
    fills
        Prices at which orders of a session are filled, such as its opens; NaN where the ticker does not trade. Shape
        (sessions, tickers).
    closes
        Closes by which positions are valued; NaN where there is no bar.
    decisions
        Rows of the sessions on which the portfolio is traded, ascending, shape (decisions,).
    targets
        Target of each ticker at each decision, shape (decisions, tickers): a weight of the value of the portfolio, or a
        number of shares. NaN leaves the position of a ticker as it is.
    start
        What is held before the first session, or the cash if that is all.
    cost
        Cost of a trade as a share of the value traded.
    lot
        Number of shares of which positions that are traded to weights, and purchases that are made smaller, are
        multiples: 1 for whole shares, 0 for any fraction. One for all tickers, or shape (tickers,).
    in_shares
        Whether targets are numbers of shares.
    stopped
        Sessions at whose end a position is sold at the ticker's last close, since it trades no more, shape (sessions,
        tickers); None for none.
    deposits
        Cash paid in before each session, negative if taken out, shape (sessions,); None for none.

    Notes
    -----
    With weights and fractions the result equals that of vectorbt's `Portfolio.from_orders` with target percentages,
    shared cash and the automatic call sequence.
    """
    sessions, tickers = closes.shape
    if not isinstance(start, Positions):
        start = Positions(float(start), np.zeros(tickers), np.zeros(tickers))
    held, last = start.shares.astype(np.float64), start.prices.astype(np.float64)
    ends = np.zeros((sessions, tickers), dtype=np.bool_) if stopped is None else stopped
    flows = np.zeros(sessions) if deposits is None else deposits
    room = len(decisions) * tickers + int(ends.sum())
    equity, costs, traded, invested = (np.zeros(sessions) for _ in range(4))
    rows, columns, closing = (np.zeros(room, dtype=np.int64) for _ in range(3))
    quantities, prices, paid = (np.zeros(room) for _ in range(3))
    cash = np.array([start.cash])
    count = _simulate(
        np.ascontiguousarray(fills, dtype=np.float64), np.ascontiguousarray(closes, dtype=np.float64),
        np.ascontiguousarray(decisions, dtype=np.int64), np.ascontiguousarray(targets, dtype=np.float64),
        np.ascontiguousarray(ends), np.ascontiguousarray(flows, dtype=np.float64), float(cost),
        np.ascontiguousarray(np.broadcast_to(np.asarray(lot, dtype=np.float64), (tickers,))), in_shares,
        cash, held, last,
        equity, costs, traded, invested, rows, columns, closing, quantities, prices, paid,
    )  # fmt: skip
    made = Trades(rows[:count], columns[:count], quantities[:count], prices[:count], paid[:count], closing[:count])
    return SimulatedPortfolio(equity, costs, traded, invested, made, Positions(float(cash[0]), held, last))


def stopped_sessions(days: IntArray, closes: FloatArray, *, max_age_days: int) -> BoolArray:
    """Return the sessions on which a ticker is found to trade no more, shape (sessions, tickers).

    It is the first session that is more than `max_age_days` after the ticker's last bar: nothing is taken from what
    comes later, so that a ticker that trades again after a longer pause was sold in between.

    Parameters
    ----------
    days
        Number of the day of each session.
    closes
        Closes; NaN where there is no bar.
    """
    present = np.isfinite(closes)
    newest = np.maximum.accumulate(np.where(present, days[:, np.newaxis], np.iinfo(np.int64).min // 2), axis=0)
    late = (days[:, np.newaxis] - newest > max_age_days) & (newest >= days[0])
    return np.asarray(late & ~np.vstack([np.zeros((1, closes.shape[1]), dtype=np.bool_), late[:-1]]))


@compiled
def _simulate(  # noqa: PLR0913, PLR0915, PLR0917, C901, PLR0912 - a compiled loop over plain arrays
    fills: FloatArray, closes: FloatArray, decisions: IntArray, targets: FloatArray,
    stopped: BoolArray, deposits: FloatArray, cost: float, lot: FloatArray, in_shares: bool,
    cash: FloatArray, held: FloatArray, price: FloatArray,
    equity: FloatArray, costs: FloatArray, traded: FloatArray, invested: FloatArray,
    rows: IntArray, columns: IntArray, closing: IntArray, quantities: FloatArray, prices: FloatArray, paid: FloatArray,
) -> int:  # fmt: skip
    """Fill the arrays of a simulation, bring cash, positions and prices up to date, and return the number of trades."""
    sessions, tickers = closes.shape
    wanted = np.zeros(tickers)  # number of shares to hold
    change = np.zeros(tickers)  # value to buy, or to sell if negative
    count = 0
    decision = 0
    for row in range(sessions):
        cash[0] += deposits[row]
        if decision < len(decisions) and decisions[decision] == row:
            value = cash[0]
            if not in_shares:
                for place in range(tickers):
                    if held[place] != 0.0:
                        at = fills[row, place]
                        value += held[place] * (price[place] if math.isnan(at) else at)
            needed = 0.0
            for place in range(tickers):
                change[place] = 0.0
                at = fills[row, place]
                target = targets[decision, place]
                if not (math.isnan(at) or math.isnan(target)):
                    if not in_shares:
                        target = target * value / at
                        if lot[place] > 0.0:
                            rounding = 1e-9 if target >= 0.0 else -1e-9
                            target = np.trunc(target / lot[place] + rounding) * lot[place]
                    wanted[place] = target
                    change[place] = (target - held[place]) * at
                    if change[place] > 0.0:
                        needed += change[place]
            for place in range(tickers):
                if change[place] < 0.0:
                    at = fills[row, place]
                    fee = -change[place] * cost
                    cash[0] += -change[place] - fee
                    costs[row] += fee
                    traded[row] -= change[place]
                    rows[count], columns[count], closing[count] = row, place, 0
                    quantities[count], prices[count], paid[count] = wanted[place] - held[place], at, fee
                    count += 1
                    held[place] = wanted[place]
            # In the order of their values, if there is not cash enough for all.
            scarce = needed * (1.0 + cost) > cash[0]
            order = np.argsort(change) if scarce else np.arange(tickers)
            for turn in range(tickers):
                place = order[turn]
                if change[place] > 0.0:
                    at = fills[row, place]
                    size = wanted[place] - held[place]
                    is_whole = True
                    if scarce and size * at * (1.0 + cost) > cash[0]:
                        is_whole = False
                        size = max(0.0, cash[0] / (at * (1.0 + cost)))
                        if lot[place] > 0.0:
                            size = np.floor(size / lot[place] + 1e-9) * lot[place]
                    if size > 0.0:
                        fee = size * at * cost
                        cash[0] -= size * at + fee
                        held[place] = wanted[place] if is_whole else held[place] + size
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
                if stopped[row, place]:
                    worth = held[place] * price[place]
                    fee = abs(worth) * cost
                    cash[0] += worth - fee
                    costs[row] += fee
                    traded[row] += abs(worth)
                    rows[count], columns[count], closing[count] = row, place, 1
                    quantities[count], prices[count], paid[count] = -held[place], price[place], fee
                    count += 1
                    held[place] = 0.0
                else:
                    total += held[place] * price[place]
        invested[row] = total
        equity[row] = cash[0] + total
    return count
