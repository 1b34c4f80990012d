"""Compute an allocator's weights: within limits, tilted, no more volatile than wanted, and reached step by step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pm.portfolio.allocators import BlackLitterman, Kelly
from pm.portfolio.feasibility import InfeasibleError, relaxed
from pm.portfolio.projection import TOLERANCE, UnsolvedError, nearest
from pm.sessions import SESSIONS_PER_YEAR
from pm.tables.vocabulary import PortfolioStatus

if TYPE_CHECKING:
    from pm.portfolio.allocators import Allocator
    from pm.portfolio.held import Held
    from pm.portfolio.problem import Constraints, Problem
    from pm.settings import PortfolioSettings
    from pm.typing import BoolArray, FloatArray

__all__ = ["Settled", "annual_volatility", "settled_weights"]


@dataclass(frozen=True)
class Settled:
    """Weights of an allocator, or those held with the reason why there are no others.

    Attributes
    ----------
    weights
        Weights, shape (tickers,).
    core
        Weights of the allocator alone, within the limits.
    tilted
        Those after tilts.
    status, detail
        Outcome, and what was relaxed, or why the weights held stay; see table `portfolio_runs`.
    scale
        Factor by which all weights were multiplied for the volatility target.
    wanted
        Weights before bands and limits of risk acted on them; empty if none did.
    limited
        Whether limits of risk changed each weight; empty as `wanted`.
    """

    weights: FloatArray
    core: FloatArray
    tilted: FloatArray
    status: PortfolioStatus
    detail: str | None = None
    scale: float = 1.0
    wanted: FloatArray = field(default_factory=lambda: np.empty(0))
    limited: BoolArray = field(default_factory=lambda: np.empty(0, dtype=np.bool_))


def settled_weights(model: Allocator, problem: Problem, held: Held, settings: PortfolioSettings) -> Settled:
    """Return an allocator's weights before bands, or those held with the reason why there are no others.

    Limits are checked first, and relaxed in the order of the settings. The allocator's weights within them are tilted
    towards the views, made smaller where the whole would be too volatile, and approached from those held as far as the
    turnover allows.
    """
    previous = problem.constraints.previous
    stay = np.zeros(len(problem.tickers)) if previous is None else previous
    kept = PortfolioStatus.KEPT
    if held.problem is not None or not held.equity > 0:  # also if it is not a number
        why = held.problem or f"the value of the portfolio is {held.equity:,.2f}, which is not positive"
        return Settled(stay, stay, stay, kept, why)
    if not len(stay):
        return Settled(stay, stay, stay, kept, "there is no ticker that can be held")
    if problem.constraints.invested <= 0:
        nothing = np.zeros(len(stay))
        return Settled(nothing, nothing, nothing, PortfolioStatus.DONE)
    try:
        return _new_weights(model, problem, settings)
    except (InfeasibleError, UnsolvedError) as error:
        return Settled(stay, stay, stay, kept, f"{model.name}: {error}")


def _new_weights(model: Allocator, problem: Problem, settings: PortfolioSettings) -> Settled:
    free = relaxed(replace(problem.constraints, max_turnover=None), settings.relax)
    own = replace(problem, constraints=free.constraints)
    tilter = model if isinstance(model, BlackLitterman) else _tilter(model, settings)
    first = (tilter.core if tilter is model else model).allocate(own)
    # Growth may have use for less than there is to invest.
    limits = replace(own.constraints, invested=min(own.constraints.invested, float(first.sum())))
    own = replace(own, constraints=limits)
    core = nearest(first, limits)
    tilted = core if tilter is None else tilter.tilt(own, core)
    volatility = annual_volatility(tilted, own)
    if not np.isfinite(volatility):
        raise UnsolvedError("the volatility of the portfolio is not a number")
    scale = _scale(tilted, own, settings.target_annual_volatility)
    scaled = replace(limits, invested=limits.invested * scale, max_turnover=problem.constraints.max_turnover)
    moved = _within_turnover(tilted * scale, scaled, settings)
    notes = "; ".join((*free.notes, *moved[1]))
    status = PortfolioStatus.RELAXED if notes else PortfolioStatus.DONE
    return Settled(moved[0], core, tilted, status, notes or None, scale)


def _tilter(model: Allocator, settings: PortfolioSettings) -> BlackLitterman | None:
    """Return what tilts the weights of an allocator; None if they are not to be, or follow from views already."""
    if not settings.tilts or isinstance(model, Kelly):
        return None
    return BlackLitterman(model, risk_aversion=settings.risk_aversion, tau=settings.tau)


def _within_turnover(
    weights: FloatArray, constraints: Constraints, settings: PortfolioSettings
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return weights as far towards those given as the turnover allows, and which limits had to be relaxed for it.

    All positions go the same part of their way, unless what is held breaks a limit: then that limit comes first.
    """
    previous, limit = constraints.previous, constraints.max_turnover
    if previous is None or limit is None or constraints.turnover(weights) <= limit + TOLERANCE:
        return weights, ()
    part = limit / constraints.turnover(weights)
    moved = previous + part * (weights - previous)
    reached = replace(constraints, invested=min(constraints.invested, float(moved.sum())))
    if reached.largest_violation(moved) <= TOLERANCE:
        return moved, ()
    free = relaxed(constraints, settings.relax)
    return nearest(weights, free.constraints, with_turnover=True), free.notes


def annual_volatility(weights: FloatArray, problem: Problem) -> float:
    """Return the forecast volatility per year of a portfolio's simple returns, positions that are not traded too."""
    variance = sum(_variance(weights, problem))
    return float(np.sqrt(max(variance, 0.0) * SESSIONS_PER_YEAR / problem.scenarios.horizon))


def _variance(weights: FloatArray, problem: Problem) -> tuple[float, float, float]:
    """Return the variance of weights, twice their covariance with the positions that are not traded, and that of these.

    The first is by the covariance of the problem, what concerns fixed positions by the scenarios.
    """
    own = float(weights @ problem.covariance @ weights)
    if problem.fixed is None:
        return own, 0.0, 0.0
    probabilities, returns = problem.scenarios.probabilities, problem.fixed.returns
    centred = returns - probabilities @ returns
    moved = problem.scenarios.returns @ weights
    return own, 2.0 * float(probabilities @ (centred * moved)), float(probabilities @ centred**2)


def _scale(weights: FloatArray, problem: Problem, target: float) -> float:
    """Return the largest factor up to 1 of the weights with which the whole is no more volatile than the target.

    It is 0 if the positions that are not traded are too volatile alone.
    """
    if annual_volatility(weights, problem) <= target:
        return 1.0
    own, shared, fixed = _variance(weights, problem)
    allowed = target**2 * problem.scenarios.horizon / SESSIONS_PER_YEAR
    if problem.fixed is None:
        return float(np.sqrt(allowed / own))
    root = shared**2 - 4.0 * own * (fixed - allowed)
    return float(np.clip((np.sqrt(root) - shared) / (2.0 * own), 0.0, 1.0)) if root > 0.0 else 0.0
