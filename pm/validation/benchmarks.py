"""Returns that a trial is compared with: equal weights, cash, or holding a ticker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.validation.simulation import simulate_portfolio, stopped_sessions
from pm.validation.walk import daily_returns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from pm.typing import FloatArray
    from pm.validation.prices import SessionPrices

__all__ = ["CASH", "EQUAL", "equal_returns", "ticker_returns"]

EQUAL, CASH = "equal", "cash"
"""Names of benchmarks that are no tickers."""


def equal_returns(
    prices: SessionPrices,
    decisions: Sequence[date],
    *,
    cost: float,
    max_age_days: int,
    members: Mapping[date, Collection[str]] | None = None,
) -> FloatArray:
    """Return the daily returns of equal weights in all tickers that trade, rebalanced on the dates of the decisions.

    Fractions of shares can be held; orders are filled as those of a trial, at the same costs.

    Parameters
    ----------
    prices
        Prices on the sessions.
    decisions
        Dates of the decisions.
    cost
        Cost of a trade as a share of the value traded.
    max_age_days
        Age in days of a ticker's newest bar above which it is not bought, and is sold.
    members
        Tickers that can be bought on each date of a decision; None for all.

    Returns
    -------
    Shape (sessions after the first decision,).
    """
    rows = np.array([prices.row_of(day) for day in decisions])
    present = np.isfinite(prices.closes)
    newest = np.maximum.accumulate(np.where(present, prices.days[:, np.newaxis], np.iinfo(np.int64).min // 2), axis=0)
    trades = (prices.days[rows, np.newaxis] - newest[rows]) <= max_age_days
    if members is not None:
        trades &= np.array([np.isin(prices.tickers, sorted(members[day])) for day in decisions])
    weights = trades / np.maximum(trades.sum(axis=1, keepdims=True), 1)
    stopped = stopped_sessions(prices.days, prices.closes, max_age_days=max_age_days)
    first = rows[0] + 1
    found = simulate_portfolio(
        prices.fills[first:],
        prices.closes[first:],
        rows + 1 - first,
        weights,
        start=1.0,
        cost=cost,
        stopped=stopped[first:],
    )
    return daily_returns(found.equity, found.costs, np.zeros(len(found.equity)), start=1.0)[0]


def ticker_returns(prices: SessionPrices, ticker: str, first: date) -> FloatArray:
    """Return the daily returns of holding a ticker after a date; 0 in a session without a bar, and after its last one.

    Raises
    ------
    InputError
        The ticker cannot be held, or has no bar on or before the date.
    """
    row = prices.row_of(first)
    if ticker not in prices.tickers or not np.isfinite(prices.closes[: row + 1, prices.tickers.index(ticker)]).any():
        raise InputError(
            f"Benchmark {ticker} has no price on or before {first}, the date of the first decision.",
            where="validation.benchmark, --benchmark",
            hint="import older bars of it, choose a later --from, or another --benchmark: equal, cash",
        )
    closes = prices.closes[:, prices.tickers.index(ticker)]
    newest = np.maximum.accumulate(np.where(np.isfinite(closes), np.arange(len(closes)), 0))
    carried = closes[newest][row:]
    return np.asarray(carried[1:] / carried[:-1] - 1)
