"""The quantities that limits bound, and how weights are made smaller so that one of them fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.measures import component_es, expected_shortfall, portfolio_losses
from pm.tables.vocabulary import LimitAction, LimitName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pm.risk.scenarios import Scenarios
    from pm.settings import Limit
    from pm.typing import BoolArray, FloatArray

__all__ = ["LimitState", "limit_values", "smaller_weights"]

_HALVINGS = 40
"""Number of halvings of the interval in which a factor lies: more than a float can tell apart in practice."""
_WHOLE = "portfolio"
"""Subject of a limit on the whole portfolio."""


@dataclass(frozen=True)
class LimitState:
    """What limits are applied to.

    Attributes
    ----------
    tickers
        The tickers.
    weights
        Proposed weight of each ticker: value / equity, negative for a short position.
    previous
        Weight of each ticker as held.
    equity
        Value of the account in its currency; NaN if it is not known.
    drawdown
        Fall of the equity from its highest value, as a share of that; NaN if it is not known.
    scenarios
        Scenarios of the tickers' returns over the horizon of limit `es`; None if they are not known.
    level
        Level of the expected shortfall.
    betas
        Beta of each ticker to the first factor, in units of that of equal weights; None if not known.
    traded_values
        Mean value traded per session of each ticker, in the currency of the equity; NaN or None if not known.
    groups
        Tickers of each group.
    fixed
        Tickers that are not traded tonight: their weights count, and no limit changes them.
    shortfalls
        Expected shortfalls that were computed, by the bytes of the weights.
    """

    tickers: tuple[str, ...]
    weights: FloatArray
    previous: FloatArray
    equity: float
    drawdown: float
    scenarios: Scenarios | None
    level: float
    betas: FloatArray | None = None
    traded_values: FloatArray | None = None
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    shortfalls: dict[bytes, float] = field(default_factory=dict)

    @property
    def free(self) -> BoolArray:
        """Whether each weight can be changed."""
        return ~np.isin(self.tickers, sorted(self.fixed))

    def members(self, group: str) -> FloatArray:
        """Return 1 for each ticker of a group, 0 for the others."""
        return np.isin(self.tickers, list(self.groups[group])).astype(np.float64)


def limit_values(state: LimitState, weights: FloatArray, name: LimitName) -> dict[str, float]:
    """Return the values of a quantity by subject: a ticker, a group, or 'portfolio'.

    A value is NaN if what it depends on is not known. All are if the equity is not: weights are shares of it.
    """
    if not np.isfinite(state.equity) or state.equity <= 0.0:
        return {_WHOLE: float("nan")}
    if name is LimitName.MAX_WEIGHT:
        return dict(zip(state.tickers, np.abs(weights).tolist(), strict=True))
    if name is LimitName.LIQUIDITY:
        held = weights != 0.0
        traded = np.full(len(weights), np.nan) if state.traded_values is None else state.traded_values
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = np.where(held, np.abs(weights) * state.equity / traded, 0.0)
        return dict(zip(state.tickers, shares.tolist(), strict=True))
    if name is LimitName.GROUP:
        return {group: float(np.abs(weights) @ state.members(group)) for group in state.groups}
    return {_WHOLE: _whole_value(state, weights, name)}


def _whole_value(state: LimitState, weights: FloatArray, name: LimitName) -> float:
    """Return the value of a quantity of the whole portfolio."""
    simple: dict[LimitName, Callable[[], float]] = {
        LimitName.DRAWDOWN: lambda: state.drawdown,
        LimitName.NET: lambda: abs(float(weights.sum())),
        LimitName.GROSS: lambda: float(np.abs(weights).sum()),
        LimitName.TURNOVER: lambda: float(np.abs(weights - state.previous).sum()),
        LimitName.BETA: lambda: float("nan") if state.betas is None else abs(_product(weights, state.betas)),
    }
    if name in simple:
        return simple[name]()
    if state.scenarios is None or not np.isfinite(weights).all():
        return float("nan")
    # Each limit asks again, before and after it has acted.
    key = weights.tobytes()
    if key not in state.shortfalls:
        losses = portfolio_losses(state.scenarios, weights)
        state.shortfalls[key] = expected_shortfall(losses, state.scenarios.probabilities, state.level)
    return state.shortfalls[key]


def smaller_weights(state: LimitState, weights: FloatArray, name: LimitName, subject: str, limit: Limit) -> FloatArray:
    """Return weights whose quantity is at its bound (action scale) or within it (action drop)."""
    bound, value = limit.bound, limit_values(state, weights, name)[subject]
    if name is LimitName.TURNOVER:
        return _fewer_changes(state, weights, bound, value, limit.action)
    concerned = _concerned(state, weights, name, subject) & state.free
    if limit.action is LimitAction.DROP:
        if name in {LimitName.MAX_WEIGHT, LimitName.LIQUIDITY, LimitName.GROUP, LimitName.DRAWDOWN}:
            return np.where(concerned, 0.0, weights)
        return _dropped(state, weights, name, bound)
    if state.fixed and name is not LimitName.DRAWDOWN:
        return _scaled(state, weights, name, subject, bound, concerned)
    if name is LimitName.NET:
        side, other = float(weights[concerned].sum()), float(weights[~concerned].sum())
        factor = (bound * np.sign(side) - other) / side
    else:
        factor = bound / value
    return np.where(concerned, weights * factor, weights)


def _scaled(
    state: LimitState, weights: FloatArray, name: LimitName, subject: str, bound: float, concerned: BoolArray
) -> FloatArray:
    """Return weights of which some are multiplied by the largest factor that brings a value to its bound, else by 0.

    It is for portfolios of which a part is fixed, where the value is not in proportion to the factor. All values are
    convex in it, so that between a factor that is too large and 0, which is not, there is one crossing.
    """

    def at(factor: float) -> FloatArray:
        return np.where(concerned, weights * factor, weights)

    low, high = 0.0, 1.0
    if not limit_values(state, at(low), name)[subject] <= bound:
        return at(low)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if limit_values(state, at(middle), name)[subject] <= bound:
            low = middle
        else:
            high = middle
    return at(low)


def _concerned(state: LimitState, weights: FloatArray, name: LimitName, subject: str) -> BoolArray:
    """Return which weights are made smaller."""
    if name in {LimitName.MAX_WEIGHT, LimitName.LIQUIDITY}:
        return np.array([ticker == subject for ticker in state.tickers], dtype=np.bool_)
    if name is LimitName.GROUP:
        return state.members(subject) > 0.0
    if name is LimitName.NET:
        return np.asarray(weights * np.sign(weights.sum()) > 0.0)
    return np.full(len(weights), fill_value=True)


def _dropped(state: LimitState, weights: FloatArray, name: LimitName, bound: float) -> FloatArray:
    """Return the weights without the positions that add most to a value of the whole, until it is within the bound."""
    adds: dict[LimitName, Callable[[FloatArray], FloatArray]] = {
        LimitName.GROSS: np.abs,
        LimitName.NET: lambda own: own * np.sign(own.sum()),
        LimitName.BETA: lambda own: own * np.asarray(state.betas) * np.sign(_product(own, state.betas)),
        LimitName.ES: lambda own: component_es(state.scenarios, own, state.level),  # type: ignore[arg-type] # or no value
    }
    left, free = weights.copy(), state.free
    while _whole_value(state, left, name) > bound and left[free].any():
        parts = np.where(free & (left != 0.0), adds[name](left), -np.inf)
        left[int(np.argmax(parts))] = 0.0
    return left


def _fewer_changes(
    state: LimitState, weights: FloatArray, bound: float, value: float, action: LimitAction
) -> FloatArray:
    """Return weights nearer to the previous ones: all changes smaller, or the largest not made."""
    changes = weights - state.previous
    if action is LimitAction.SCALE:
        return np.asarray(state.previous + changes * (bound / value))
    left = changes.copy()
    while np.abs(left).sum() > bound and left.any():
        left[int(np.argmax(np.abs(left)))] = 0.0
    return np.asarray(state.previous + left)


def _product(weights: FloatArray, betas: FloatArray | None) -> float:
    """Return the sum of weights times betas; a beta that is not known only matters where there is a weight."""
    assert betas is not None  # noqa: S101 - a value that is not known is not made smaller
    return float(np.sum(np.where(weights != 0.0, weights * betas, 0.0)))
