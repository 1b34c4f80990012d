"""What a portfolio would lose: in the worst sessions of its own past, in a named period, in a shock to all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.residuals import first_factor
from pm.risk.scenarios import simple_returns
from pm.tables.vocabulary import StressKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pm.risk.joint import JointModel
    from pm.typing import BoolArray, DateArray, FloatArray

__all__ = ["StressResult", "alike_loss", "factor_shock", "period_losses", "worst_sessions"]


@dataclass(frozen=True)
class StressResult:
    """Result of a stress test.

    Attributes
    ----------
    kind
        What was assumed.
    scenario
        Name of the scenario.
    sessions
        Number of sessions that it takes.
    portfolio_return
        Simple return of the portfolio: of today's weights, without trading.
    covered
        Share of the gross weight in tickers whose return is known; the others are taken to stay where they are.
    start_date, end_date
        First and last session; None for a shock that is no period.
    """

    kind: StressKind
    scenario: str
    sessions: int
    portfolio_return: float
    covered: float
    start_date: date | None = None
    end_date: date | None = None


def worst_sessions(
    returns: FloatArray, dates: DateArray, weights: FloatArray, horizons: Sequence[int]
) -> list[StressResult]:
    """Return for each horizon the consecutive sessions in which today's weights would have lost most.

    Parameters
    ----------
    returns
        Log returns, of shape (dates, tickers), oldest first; NaN where a ticker has none, which counts as no move.
    dates
        Date of each row.
    weights
        Share of the portfolio's value in each ticker.
    horizons
        Numbers of sessions.
    """
    known = np.isfinite(returns)
    levels = np.vstack([np.zeros(returns.shape[1]), np.cumsum(np.where(known, returns, 0.0), axis=0)])
    found = []
    for horizon in horizons:
        if horizon > len(returns):
            continue
        outcomes = simple_returns(levels[horizon:] - levels[:-horizon]) @ weights
        first = int(np.argmin(outcomes))
        seen = np.asarray(known[first : first + horizon].any(axis=0))
        found.append(
            StressResult(
                StressKind.WORST_SESSIONS,
                f"worst {horizon} sessions" if horizon > 1 else "worst session",
                horizon,
                float(outcomes[first]),
                _covered(weights, seen),
                dates[first].item(),
                dates[first + horizon - 1].item(),
            )
        )
    return found


def period_losses(
    returns: FloatArray, dates: DateArray, weights: FloatArray, periods: Mapping[str, tuple[date, date]]
) -> list[StressResult]:
    """Return the return of today's weights over each named period of the past; those without a session are left out.

    Parameters
    ----------
    returns, dates, weights
        As in `worst_sessions`.
    periods
        First and last day of each period, by name. The move from the last close before the first day counts.
    """
    found = []
    for name, (start, end) in periods.items():
        inside = (dates >= np.datetime64(start)) & (dates <= np.datetime64(end))
        if not inside.any():
            continue
        known = np.isfinite(returns[inside])
        total = np.where(known, returns[inside], 0.0).sum(axis=0)
        within = dates[inside]
        found.append(
            StressResult(
                StressKind.PERIOD,
                name,
                len(within),
                float(simple_returns(total) @ weights),
                _covered(weights, np.asarray(known.any(axis=0))),
                within[0].item(),
                within[-1].item(),
            )
        )
    return found


def factor_shock(model: JointModel, weights: FloatArray, *, sigmas: float, sessions: int) -> StressResult:
    """Return the loss if the first factor moves by a number of its standard deviations, and nothing else does.

    The factor is that of the residuals; a ticker moves by its slope on it times its volatility. The sign of the move is
    the one by which the portfolio loses.

    Parameters
    ----------
    sigmas
        Size of the move.
    sessions
        Number of sessions that it takes: volatility is scaled by the square root of it.
    """
    _, slopes = first_factor(model.residuals)
    move = slopes * model.sigmas * np.sqrt(sessions) * sigmas
    outcomes = {sign: float(simple_returns(sign * move) @ weights) for sign in (-1.0, 1.0)}
    return StressResult(
        StressKind.FACTOR_SHOCK, f"first factor moves {sigmas:g} sigma", sessions, min(outcomes.values()), 1.0
    )


def alike_loss(model: JointModel, weights: FloatArray, *, sigmas: float, sessions: int) -> StressResult:
    """Return the loss if all correlations go to one: every ticker moves by a number of its own standard deviations.

    Long positions fall and short ones rise with all others, so that they offset each other; the sign of the move is the
    one by which the portfolio loses.

    Parameters
    ----------
    sigmas, sessions
        As in `factor_shock`.
    """
    move = model.sigmas * np.sqrt(sessions) * sigmas
    outcomes = {sign: float(simple_returns(sign * move) @ weights) for sign in (-1.0, 1.0)}
    return StressResult(
        StressKind.CORRELATIONS_TO_ONE, f"all move {sigmas:g} sigma alike", sessions, min(outcomes.values()), 1.0
    )


def _covered(weights: FloatArray, seen: BoolArray) -> float:
    """Return the share of the gross weight in tickers whose return is known."""
    gross = float(np.abs(weights).sum())
    return float(np.abs(weights[seen]).sum()) / gross if gross else 1.0
