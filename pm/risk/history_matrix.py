"""Returns of several tickers as a matrix of dates and tickers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pm.risk.residuals import joint_dates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["return_matrix", "weighted_returns"]


def return_matrix(series: Mapping[str, ReturnSeries], tickers: Sequence[str]) -> tuple[DateArray, FloatArray]:
    """Return the dates on which any of the tickers has a return, and their log returns on these dates.

    Parameters
    ----------
    series
        Returns by ticker; a ticker that it lacks has none.
    tickers
        The tickers.

    Returns
    -------
    tuple[DateArray, FloatArray]
        Dates, ascending (weekends as in `joint_dates`), and log returns of shape (dates, tickers), NaN where there is
        none.
    """
    known = {ticker: series[ticker] for ticker in tickers if ticker in series and len(series[ticker].returns)}
    longest = sum(len(own.returns) for own in known.values())
    dates = joint_dates({ticker: own.dates for ticker, own in known.items()}, max(longest, 1))
    matrix = np.full((len(dates), len(tickers)), np.nan)
    for place, ticker in enumerate(tickers):
        if ticker in known:
            own = known[ticker]
            shared = np.isin(own.dates, dates)
            matrix[np.searchsorted(dates, own.dates[shared]), place] = own.returns[shared]
    return dates, matrix


def weighted_returns(returns: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the returns of fixed weights on each date.

    Where some tickers have no return, the weights of the others are made larger so that the gross weight stays. A date
    on which tickers with less than half of the gross weight have a return has NaN.

    Parameters
    ----------
    returns
        Simple returns, of shape (dates, tickers); NaN where there is none.
    weights
        Share of the portfolio's value in each ticker.
    """
    known = np.isfinite(returns)
    gross = float(np.abs(weights).sum())
    held = known @ np.abs(weights)
    enough = held >= 0.5 * gross
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(known, returns, 0.0) @ weights * (gross / held)
    return np.where(enough & (held > 0.0), moved, 0.0 if gross == 0.0 else np.nan)
