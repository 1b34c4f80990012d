"""Propose what to hold: weights of an allocator within limits, and the targets that follow from what is held today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pm.portfolio.allocators import Equal, allocator
from pm.portfolio.bands import banded
from pm.portfolio.problem import Constraints, FixedPart, Group, Problem
from pm.portfolio.settle import Settled, annual_volatility, settled_weights
from pm.portfolio.shares import SMALLEST_FRACTION, whole_shares
from pm.tables.portfolio import PORTFOLIO_RUNS, TARGETS
from pm.tables.vocabulary import PortfolioStatus, TargetReason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.portfolio.held import Held
    from pm.portfolio.market import Market
    from pm.settings import PortfolioSettings
    from pm.typing import BoolArray, FloatArray

__all__ = ["Act", "Acted", "Keeps", "Proposal", "propose"]

_TAIL = 0.025
"""Probability of the tail that value at risk and expected shortfall are reported for."""


@dataclass(frozen=True)
class Proposal:
    """What to hold, and how the allocators compare.

    Attributes
    ----------
    targets, runs
        Columns of tables `targets` and `portfolio_runs`, without run_id, snapshot_id and cutoff.
    """

    targets: pl.DataFrame
    runs: pl.DataFrame


@dataclass(frozen=True)
class Acted:
    """What limits of risk made of weights that were about to be traded to.

    Attributes
    ----------
    weights
        Weights that may be traded to, shape (tickers,).
    blocked
        Why nothing is traded, as a sentence; None if the weights may be traded to.
    """

    weights: FloatArray
    blocked: str | None = None


Act = Callable[[tuple[str, ...], "FloatArray", "FloatArray"], Acted]
"""Applies limits of risk: given tickers, the weights to trade to, and those held."""

Keeps = Callable[[tuple[str, ...], "FloatArray"], bool]
"""Returns whether weights of tickers keep the limits of risk."""


def propose(
    market: Market,
    held: Held,
    settings: PortfolioSettings,
    *,
    cost: float,
    act: Act | None = None,
    keeps: Keeps | None = None,
    with_compared: bool = True,
) -> Proposal:
    """Return the targets of a portfolio, and the weights of all compared allocators in numbers.

    The weights of the allocator are tilted, made smaller where the whole is forecast to be too volatile, and moved
    towards from those held only as far as the turnover allows. Then only tickers beyond their band are traded. Where no
    weights are found, or the value of the portfolio is not known, the weights held stay, with the reason.

    Parameters
    ----------
    market
        The tickers that can be held.
    held
        What is held today. Positions in other tickers are closed, but for those that it says stay.
    settings
        Section `portfolio`.
    cost
        Cost of buying or of selling, as a share of the value traded.
    act
        Applies limits of risk to the weights that are about to be traded to; None for none. It has the last word: what
        it blocks is not traded.
    keeps
        Says whether weights keep the limits of risk: where the numbers of shares nearest to the weights do not, fewer
        are aimed at. None for without limits.
    with_compared
        Whether weights of the compared allocators and equal ones are computed too, and all of them put in numbers.
    """
    compared = [Equal.name, *settings.compare] if with_compared else []
    names = list(dict.fromkeys([settings.allocator, *compared]))
    problem = _problem(market, held, settings, cost)
    found = {name: settled_weights(allocator(name, settings), problem, held, settings) for name in names}
    chosen, traded = _to_trade(found[settings.allocator], problem, held, settings, act)
    found[settings.allocator] = chosen
    targets = _targets(chosen, traded, problem, market, held, settings, keeps)
    rows = [
        _row(name, found[name], problem, held) | {"in_use": name == settings.allocator}
        for name in (names if with_compared else ())
    ]
    return Proposal(targets, pl.DataFrame(rows, schema=PORTFOLIO_RUNS.unstamped_schema).fill_nan(None))


def _problem(market: Market, held: Held, settings: PortfolioSettings, cost: float) -> Problem:
    tickers = market.scenarios.tickers
    previous = np.array([held.weights.get(ticker, 0.0) for ticker in tickers], dtype=np.float64)
    groups = tuple(
        Group(name, np.isin(tickers, group.tickers), max(0.0, group.max_weight - _fixed_in(held, group.tickers)))
        for name, group in sorted(settings.groups.items())
    )
    fixed = _fixed(market, held)
    kept = 0.0 if fixed is None else float(fixed.weights.sum())
    staying = () if fixed is None else fixed.tickers
    leaving = sum(abs(weight) for ticker, weight in held.weights.items() if ticker not in {*tickers, *staying})
    constraints = Constraints(
        np.full(len(tickers), settings.max_weight),
        invested=max(0.0, min(1 - settings.cash_buffer, 1 - settings.cash_buffer - kept)),
        max_short=settings.max_short,
        groups=tuple(group for group in groups if group.members.any()),
        previous=previous if held.weights else None,
        # Positions that must be closed have used a part of the turnover already.
        max_turnover=max(0.0, settings.max_turnover - leaving),
    )
    return Problem(market.scenarios, constraints, market.views, cost, market.covariance, fixed)


def _fixed(market: Market, held: Held) -> FixedPart | None:
    """Return the positions that are not traded; one without scenarios is taken not to move."""
    tickers = tuple(sorted({ticker for ticker in held.stays if ticker in held.weights}))
    if not tickers:
        return None
    weights = np.array([held.weights[ticker] for ticker in tickers], dtype=np.float64)
    returns = np.zeros(len(market.scenarios.probabilities))
    others = market.others
    for ticker, weight in zip(tickers, weights, strict=True):
        if others is not None and ticker in others.tickers:
            returns += weight * others.returns[:, others.tickers.index(ticker)]
    return FixedPart(tickers, weights, returns)


def _fixed_in(held: Held, tickers: Sequence[str]) -> float:
    return sum(abs(held.weights.get(ticker, 0.0)) for ticker in tickers if ticker in held.stays)


def _to_trade(
    own: Settled, problem: Problem, held: Held, settings: PortfolioSettings, act: Act | None
) -> tuple[Settled, BoolArray]:
    """Return the weights after bands and limits of risk, and which of them are traded."""
    before = _weights_held(problem, held)
    none = np.zeros(len(before), dtype=np.bool_)
    if own.status is PortfolioStatus.KEPT:
        return own, none
    weights, _ = banded(
        own.weights,
        before,
        band=settings.band,
        smallest=settings.minimum_order / held.equity,
        invested=max(float(own.weights.sum()), problem.constraints.invested),
    )
    acted = Acted(weights) if act is None else _acted(act, problem, weights, before)
    if acted.blocked is not None:
        return replace(own, weights=before, status=PortfolioStatus.KEPT, detail=acted.blocked), none
    if not bool(np.isfinite(acted.weights).all()):
        unknown = "a weight is not a number after the limits of risk have acted"
        return replace(own, weights=before, status=PortfolioStatus.KEPT, detail=unknown), none
    final = replace(own, weights=acted.weights, wanted=own.weights, limited=acted.weights != weights)
    return final, np.asarray(acted.weights != before)


def _acted(act: Act, problem: Problem, weights: FloatArray, before: FloatArray) -> Acted:
    """Return what limits make of the weights, beside the positions that are not traded."""
    fixed = problem.fixed
    if fixed is None:
        return act(problem.tickers, weights, before)
    tickers = (*problem.tickers, *fixed.tickers)
    found = act(tickers, np.concatenate([weights, fixed.weights]), np.concatenate([before, fixed.weights]))
    return replace(found, weights=found.weights[: len(weights)])


def _weights_held(problem: Problem, held: Held) -> FloatArray:
    return np.array([held.weights.get(ticker, 0.0) for ticker in problem.tickers], dtype=np.float64)


def _targets(
    chosen: Settled,
    traded: BoolArray,
    problem: Problem,
    market: Market,
    held: Held,
    settings: PortfolioSettings,
    keeps: Keeps | None,
) -> pl.DataFrame:
    """Return table `targets`: the tickers of the problem, and those held that are not among them."""
    tickers = list(problem.tickers)
    is_kept = chosen.status is PortfolioStatus.KEPT
    others = sorted((set(held.weights) | set(held.shares)) - set(tickers))
    staying = set(others) if is_kept else set(held.stays)
    before, weights = _weights_held(problem, held), chosen.weights
    if is_kept:
        reasons = [TargetReason.KEPT] * len(tickers)
    else:
        reasons = _reasons(chosen, before, traded, settings.minimum_order / held.equity)
    shares = _shares(dict(zip(tickers, weights.tolist(), strict=True)), traded, market, held, settings, keeps)
    rows: list[dict[str, Any]] = []
    for place, ticker in enumerate(tickers):
        reason, count = reasons[place], shares.get(ticker)
        if count == 0 and weights[place] != 0 and reason is TargetReason.TRADED:
            reason = TargetReason.LESS_THAN_ONE
        rows.append(
            {
                "portfolio": held.portfolio,
                "ticker": ticker,
                "weight": float(weights[place]),
                "previous_weight": float(before[place]),
                "core_weight": float(chosen.core[place]),
                "tilt": float(chosen.tilted[place] - chosen.core[place]),
                "shares": None if count is None else float(count),
                "reason": reason.value,
            }
        )
    for ticker in others:
        now, count, stays = held.weights.get(ticker, 0.0), held.shares.get(ticker), ticker in staying
        reason = TargetReason.NOT_TRADED if ticker in held.stays else TargetReason.NOT_ALLOCATED
        rows.append(
            {
                "portfolio": held.portfolio,
                "ticker": ticker,
                "weight": now if stays else 0.0,
                "previous_weight": now,
                "core_weight": 0.0,
                "tilt": 0.0,
                "shares": (None if count is None else float(count)) if stays else 0.0,
                "reason": (TargetReason.KEPT if is_kept else reason).value,
            }
        )
    return pl.DataFrame(rows, schema=TARGETS.unstamped_schema).sort("ticker")


def _reasons(chosen: Settled, before: FloatArray, traded: BoolArray, smallest: float) -> list[TargetReason]:
    reasons = []
    for place, (wanted, now) in enumerate(zip(chosen.wanted, before, strict=True)):
        if chosen.limited[place]:
            reasons.append(TargetReason.LIMITED)
        elif traded[place]:
            reasons.append(TargetReason.TRADED)
        elif wanted == now:
            reasons.append(TargetReason.UNCHANGED)
        elif abs(wanted - now) < smallest:
            reasons.append(TargetReason.SMALL_ORDER)
        else:
            reasons.append(TargetReason.WITHIN_BAND)
    return reasons


def _shares(
    weights: Mapping[str, float],
    traded: BoolArray,
    market: Market,
    held: Held,
    settings: PortfolioSettings,
    keeps: Keeps | None,
) -> dict[str, Decimal]:
    """Return the number of shares of each ticker: those held where nothing is traded and they are known."""
    stay = {
        ticker: held.shares.get(ticker, Decimal(0))
        for ticker, trades in zip(weights, traded, strict=True)
        if not trades and (held.shares or weights[ticker] == 0)
    }
    if not np.isfinite(held.equity) or held.problem is not None:
        return {ticker: count for ticker, count in stay.items() if ticker in held.shares}
    new = {ticker: weight for ticker, weight in weights.items() if ticker not in stay and ticker in market.prices}
    fractional = settings.fractional if held.fractional is None else held.fractional
    lot = SMALLEST_FRACTION if fractional else Decimal(settings.lot)
    nearest = whole_shares(new, market.prices, equity=held.equity, lot=lot, largest=settings.max_weight)
    if keeps is not None and not keeps(*_with_shares(weights, nearest, market, held)):
        nearest = whole_shares(new, market.prices, equity=held.equity, lot=lot, largest=0.0)
    return stay | nearest


def _with_shares(
    weights: Mapping[str, float], shares: Mapping[str, Decimal], market: Market, held: Held
) -> tuple[tuple[str, ...], FloatArray]:
    """Return the tickers and weights of the whole portfolio with these numbers of shares."""
    rounded = {ticker: float(count) * market.prices[ticker] / held.equity for ticker, count in shares.items()}
    staying = {ticker: held.weights[ticker] for ticker in held.stays if ticker in held.weights}
    every = staying | dict(weights) | rounded
    return tuple(every), np.array(list(every.values()), dtype=np.float64)


def _tail(losses: FloatArray, probabilities: FloatArray) -> tuple[float, float]:
    """Return the value at risk and the expected shortfall of the worst 2.5% of the scenarios."""
    order = np.argsort(-losses, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    counted = np.clip(_TAIL - before, 0.0, probabilities[order])
    last = int(np.flatnonzero(counted > 0)[-1])
    return float(losses[order][last]), float(counted @ losses[order] / _TAIL)


def _row(name: str, own: Settled, problem: Problem, held: Held) -> dict[str, Any]:
    """Return a row of table `portfolio_runs` without `in_use`."""
    fixed = problem.fixed
    weights = own.weights if fixed is None else np.concatenate([own.weights, fixed.weights])
    gross = float(np.abs(weights).sum())
    changes = own.weights - (0.0 if problem.constraints.previous is None else problem.constraints.previous)
    moved = float(np.abs(changes).sum())
    has_tickers = len(own.weights) > 0
    losses = -problem.scenarios.returns @ own.weights - (0.0 if fixed is None else fixed.returns)
    tail = _tail(losses, problem.scenarios.probabilities) if has_tickers else (0.0, 0.0)
    return {
        "portfolio": held.portfolio,
        "allocator": name,
        "status": own.status.value,
        "detail": own.detail,
        "currency": held.currency,
        "equity": held.equity if np.isfinite(held.equity) else None,
        "tickers": len(own.weights),
        "positions": int((weights != 0).sum()),
        "views": len(problem.views.places),
        "invested": float(weights.sum()),
        "gross": gross,
        "largest_weight": float(np.abs(weights).max(initial=0.0)),
        "annual_volatility": annual_volatility(own.weights, problem) if has_tickers else 0.0,
        "volatility_scale": own.scale,
        "var_975": tail[0],
        "es_975": tail[1],
        "horizon": problem.scenarios.horizon,
        "effective_number": gross**2 / float((weights**2).sum()) if gross > 0 else 0.0,
        "turnover": moved,
        "cost": moved * problem.cost,
        "trades": int((np.abs(changes) > 0).sum()),
    }
