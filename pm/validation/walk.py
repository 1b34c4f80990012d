"""Walk the decisions forward over past dates: decide, fill at the next open, and hold until the next decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.errors import InputError
from pm.tables.validation import TRIAL_FILLS, TRIAL_TARGETS
from pm.tables.vocabulary import FillKind
from pm.validation.decision import decide_on, held_before
from pm.validation.past_bars import PastBars
from pm.validation.simulation import Positions, simulate_portfolio, stopped_sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from pm.settings import Settings
    from pm.typing import FloatArray
    from pm.validation.decision import DayForecasts
    from pm.validation.prices import SessionPrices
    from pm.validation.simulation import SimulatedPortfolio

__all__ = ["Walk", "WalkInputs", "daily_returns", "walk_forward"]


@dataclass(frozen=True)
class WalkInputs:
    """What a backtest is computed from.

    Attributes
    ----------
    prices
        Prices on the sessions, from that of the first decision on.
    bars
        Bars up to the last session: ticker, date, close, adj_factor, volume, by ticker and date.
    decisions
        Dates of the decisions, sessions but the last one, ascending.
    known
        Returns what was forecast from a date.
    currencies
        Code of the currency of the tickers' prices, where it is known.
    newest
        Number of newest bars of each ticker that the volatility was fitted to.
    settings
        Settings of the decisions, with the costs and the allocator of the trial.
    deposits
        Cash paid in before the open of a session, by its date.
    """

    prices: SessionPrices
    bars: pl.DataFrame
    decisions: Sequence[date]
    known: Callable[[date], DayForecasts]
    currencies: Mapping[str, str]
    newest: int
    settings: Settings
    deposits: Mapping[date, float]


@dataclass(frozen=True)
class Walk:
    """What a backtest made.

    Attributes
    ----------
    returns, fills, targets
        Rows of tables `trial_returns` (without the benchmark), `trial_fills` and `trial_targets`, without trial_id.
    """

    returns: pl.DataFrame
    fills: pl.DataFrame
    targets: pl.DataFrame


def walk_forward(inputs: WalkInputs, progress: Callable[[int, int], None]) -> Walk:
    """Return the returns, fills and targets of the decisions walked forward.

    On each date of a decision the targets are computed from bars up to it and from what the portfolio holds at its
    close. They are filled at the open of the next session; a ticker without a bar in it keeps its position. A ticker
    without a bar for more than `forecast.max_age_days` is sold at its last close.

    Parameters
    ----------
    inputs
        What the backtest is computed from.
    progress
        Called with the number of decisions made, and of all.

    Raises
    ------
    InputError
        More is taken out than the portfolio is worth.
    """
    prices, settings = inputs.prices, inputs.settings
    past = PastBars(inputs.bars)
    stopped = stopped_sessions(prices.days, prices.closes, max_age_days=settings.forecast.max_age_days)
    deposits = _deposits(inputs)
    lot = 0.0 if settings.portfolio.fractional else float(settings.portfolio.lot)
    positions = Positions(settings.portfolio.model_equity, np.zeros(len(prices.tickers)), np.zeros(len(prices.tickers)))
    rows = [prices.row_of(day) for day in inputs.decisions]
    ends = [*rows[1:], len(prices.dates) - 1]
    pieces: list[tuple[int, SimulatedPortfolio]] = []
    targets: list[pl.DataFrame] = []
    for done, (day, row, end) in enumerate(zip(inputs.decisions, rows, ends, strict=True)):
        progress(done, len(rows))
        known = inputs.known(day)
        held = held_before(positions, prices.tickers, prices.factors[row], settings)
        proposal = decide_on(
            day,
            past,
            known,
            held,
            currencies=inputs.currencies,
            newest=inputs.newest,
            settings=settings,
        )
        targets.append(
            proposal.targets.with_columns(cutoff=pl.lit(day, pl.Date), forecast_run_id=pl.lit(known.run_id, pl.String))
        )
        span = slice(row + 1, end + 1)
        found = simulate_portfolio(
            prices.fills[span],
            prices.closes[span],
            np.zeros(1, dtype=np.int64),
            _wanted(proposal.targets, held.shares, prices.tickers, prices.factors[row])[np.newaxis],
            start=positions,
            cost=settings.signals.round_trip_cost / 2,
            lot=lot / prices.factors[row] if lot else 0.0,
            in_shares=True,
            stopped=stopped[span],
            deposits=deposits[span],
        )
        _check_withdrawals(prices, row + 1, positions.equity, found.equity, deposits[span])
        positions = found.end
        pieces.append((row + 1, found))
    progress(len(rows), len(rows))
    return Walk(
        _returns(prices, pieces, settings.portfolio.model_equity, deposits, rows[0]),
        _fills(prices, pieces, inputs.decisions),
        pl.concat(targets).select(name for name in TRIAL_TARGETS.polars_schema if name != "trial_id"),
    )


def _check_withdrawals(
    prices: SessionPrices, first: int, start: float, equity: FloatArray, deposits: FloatArray
) -> None:
    """Check that no more is taken out than there is.

    Raises
    ------
    InputError
        Nothing is left after a withdrawal.
    """
    left = np.concatenate([[start], equity[:-1]]) + deposits
    for place in np.flatnonzero((deposits < 0) & (left <= 0)):
        raise InputError(
            f"{-deposits[place]:,.2f} cannot be taken out on {prices.dates[first + place]}: the portfolio is worth "
            f"{left[place] - deposits[place]:,.2f}.",
            where="--deposit",
            hint="take out less",
        )


def _deposits(inputs: WalkInputs) -> FloatArray:
    amounts = np.zeros(len(inputs.prices.dates))
    for day, amount in inputs.deposits.items():
        amounts[inputs.prices.row_of(day)] += amount
    return amounts


def _wanted(
    targets: pl.DataFrame, held: Mapping[str, Decimal], tickers: tuple[str, ...], factors: FloatArray
) -> FloatArray:
    """Return the adjusted shares to hold of each ticker; NaN where the position stays."""
    place_of = {ticker: place for place, ticker in enumerate(tickers)}
    wanted = np.full(len(tickers), np.nan)
    for ticker, shares in targets.select("ticker", "shares").iter_rows():
        if shares is not None and shares != float(held.get(ticker, 0)):
            place = place_of[ticker]
            wanted[place] = shares / factors[place]
    return wanted


def _returns(
    prices: SessionPrices,
    pieces: Sequence[tuple[int, SimulatedPortfolio]],
    start: float,
    deposits: FloatArray,
    first: int,
) -> pl.DataFrame:
    """Return the columns of table `trial_returns` that follow from the portfolio alone."""
    equity, costs, invested = (
        np.concatenate([getattr(found, name) for _, found in pieces]) for name in ("equity", "costs", "invested")
    )
    net, share = daily_returns(equity, costs, deposits[first + 1 :], start=start)
    return pl.DataFrame(
        {
            "date": prices.dates[first + 1 :],
            "gross": net + share,
            "cost": share,
            "net": net,
            "equity": equity,
            "invested": invested / equity,
        }
    )


def daily_returns(
    equity: FloatArray, costs: FloatArray, deposits: FloatArray, *, start: float
) -> tuple[FloatArray, FloatArray]:
    """Return the return of each session after costs, and its costs, as shares of what there was before it.

    Cash that is paid in is no return: it counts as there before the session (time-weighted returns).

    Parameters
    ----------
    equity
        Value at the close of each session.
    costs
        Costs of the session's trades.
    deposits
        Cash paid in before the session.
    start
        Value before the first session.
    """
    before = np.concatenate([[start], equity[:-1]]) + deposits
    return np.asarray(equity / before - 1), np.asarray(costs / before)


def _fills(
    prices: SessionPrices, pieces: Sequence[tuple[int, SimulatedPortfolio]], decisions: Sequence[date]
) -> pl.DataFrame:
    """Return the rows of table `trial_fills`, without trial_id."""
    frames = []
    for (first, found), day in zip(pieces, decisions, strict=True):
        trades = found.trades
        rows, columns = trades.rows + first, trades.columns
        factors = prices.factors[rows, columns]
        closing = trades.closing.astype(np.bool_)
        at_close = np.where(prices.at_close[rows, columns], FillKind.CLOSE.value, FillKind.OPEN.value)
        frames.append(
            pl.DataFrame(
                {
                    "ticker": [prices.tickers[column] for column in columns],
                    "decided_on": [None if stops else day for stops in closing],
                    "date": prices.dates[rows],
                    "shares": trades.quantities * factors,
                    "price": trades.prices / factors,
                    "cost": trades.costs,
                    "kind": np.where(closing, FillKind.STOPPED.value, at_close),
                },
                schema_overrides={"ticker": pl.String, "decided_on": pl.Date, "kind": pl.String},
            )
        )
    numbered = pl.concat(frames).with_row_index("fill", offset=1)
    return numbered.select(
        pl.col(name).cast(dtype) for name, dtype in TRIAL_FILLS.polars_schema.items() if name != "trial_id"
    )
