"""Limits that act: weights and the state of the account in, weights and what was done about them out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.risk.limit_values import LimitState, limit_values, smaller_weights
from pm.tables.risk import LIMIT_EVENTS
from pm.tables.vocabulary import LimitAction, LimitName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.settings import Limit
    from pm.typing import FloatArray

__all__ = ["DUST", "LimitEvent", "Limited", "apply_limits", "limit_events_frame", "limit_warnings"]

DUST = 1e-8
"""Absolute weight below which a position is none: a rounding error of an optimiser must not become an order."""
_ROUNDING = 1e-9
"""Relative excess over a bound that is a rounding error."""
_PASSES = 10
"""Maximum number of times that all limits are gone through: what one changes, another may mind."""


@dataclass(frozen=True)
class LimitEvent:
    """A limit whose value was beyond its bound or not known, and what was done; see table `limit_events`."""

    limit: LimitName
    subject: str
    value: float
    bound: float
    action: LimitAction
    value_after: float
    detail: str


@dataclass(frozen=True)
class Limited:
    """Result of `apply_limits`.

    Attributes
    ----------
    weights
        Weights that may be traded to.
    events
        What was done, in the order of `LimitName`.
    blocked
        Whether nothing is to be traded: the weights are the previous ones.
    halted
        Whether trading is to stop until a person resumes it; then it is also blocked.
    """

    weights: FloatArray
    events: tuple[LimitEvent, ...] = field(default=())
    blocked: bool = False
    halted: bool = False


@dataclass
class _Found:
    """Values beyond their bounds, as they were first found, and the action of each."""

    values: dict[tuple[LimitName, str], float]
    actions: dict[tuple[LimitName, str], LimitAction]
    details: dict[tuple[LimitName, str], str]

    def note(self, name: LimitName, subject: str, value: float, action: LimitAction, detail: str) -> None:
        key = name, subject
        self.values.setdefault(key, value)
        self.actions[key] = action
        self.details[key] = detail


def apply_limits(state: LimitState, limits: Mapping[str, Limit]) -> Limited:
    """Return weights that keep the limits, and an event for each limit that the proposed ones did not keep.

    The limits act in the order of `LimitName`, again and again until all hold. Turnover comes last: if moving less
    would break another limit, that one wins, and an event says so. A value that is not a number, such as that of an
    account whose equity is not known, keeps no bound: nothing is traded.

    Parameters
    ----------
    state
        Proposed and previous weights, and what the values are computed from.
    limits
        Bound and action by name of the limit; those that are missing are not checked.
    """
    ordered = [(name, limits[name.value]) for name in LimitName if name.value in limits]
    found = _Found({}, {}, {})
    weights = np.where((np.abs(state.weights) < DUST) & state.free, 0.0, state.weights)
    for name, limit in ordered:
        if name is not LimitName.TURNOVER:
            _note_unknown(state, weights, name, limit, found)
    stops = set(found.actions.values()) - {LimitAction.WARN}
    if not stops:
        weights = _kept(state, weights, ordered, found)
        weights = _with_turnover(state, weights, ordered, found)
        stops = {action for action in found.actions.values() if action in {LimitAction.BLOCK, LimitAction.HALT}}
    blocked = bool(stops) or not np.isfinite(weights).all()
    if blocked:
        weights = state.previous
    after = {
        (name, subject): value for name, _ in ordered for subject, value in limit_values(state, weights, name).items()
    }
    events = tuple(
        LimitEvent(
            name,
            subject,
            found.values[name, subject],
            limits[name.value].bound,
            action,
            after.get((name, subject), 0.0),
            found.details[name, subject],
        )
        for (name, subject), action in sorted(found.actions.items(), key=lambda item: list(LimitName).index(item[0][0]))
    )
    return Limited(np.asarray(weights), events, blocked=blocked, halted=LimitAction.HALT in stops)


def limit_warnings(state: LimitState, limits: Mapping[str, Limit]) -> tuple[LimitEvent, ...]:
    """Return an event for each limit that the weights of a portfolio do not keep, without acting on it.

    It is for a portfolio that is held: what its limits do is done to the proposed weights.
    """
    only_said = {name: limit.model_copy(update={"action": LimitAction.WARN}) for name, limit in limits.items()}
    return apply_limits(state, only_said).events


def limit_events_frame(portfolio: str, events: Sequence[LimitEvent]) -> pl.DataFrame:
    """Return events as table `limit_events` without its stamp; a value that is not known is null."""
    rows = [
        {
            "portfolio": portfolio,
            "limit_name": event.limit.value,
            "subject": event.subject,
            "value": event.value if math.isfinite(event.value) else None,
            "bound": event.bound,
            "action": event.action.value,
            "value_after": event.value_after if math.isfinite(event.value_after) else None,
            "detail": event.detail,
        }
        for event in events
    ]
    return pl.DataFrame(rows, schema=LIMIT_EVENTS.unstamped_schema)


def _note_unknown(state: LimitState, weights: FloatArray, name: LimitName, limit: Limit, found: _Found) -> None:
    """Note the values that are not numbers: they block, or halt if that is what their limit does."""
    for subject, value in limit_values(state, weights, name).items():
        if not math.isfinite(value):
            if subject in state.fixed:
                detail = (
                    f"The {name.value} of {subject} is not known: nothing is changed, since it is not traded tonight."
                )
                found.note(name, subject, value, LimitAction.WARN, detail)
                continue
            action = LimitAction.HALT if limit.action is LimitAction.HALT else LimitAction.BLOCK
            found.note(name, subject, value, action, f"The {name.value} of {subject} is not known: nothing is traded.")


def _exceeds(value: float, limit: Limit) -> bool:
    return not value <= limit.bound * (1.0 + _ROUNDING) + 1e-12  # also if it is not a number


def _kept(
    state: LimitState, weights: FloatArray, limits: Sequence[tuple[LimitName, Limit]], found: _Found
) -> FloatArray:
    """Return weights that keep all limits but turnover, or note that nothing is traded."""
    last: tuple[LimitName, str] | None = None
    acting = [(name, limit) for name, limit in limits if name is not LimitName.TURNOVER]
    for _ in range(_PASSES):
        last = None
        for name, limit in acting:
            for subject, value in limit_values(state, weights, name).items():
                if not _exceeds(value, limit):
                    continue
                if subject in state.fixed and limit.action in {LimitAction.SCALE, LimitAction.DROP}:
                    _note_fixed(name, subject, value, limit, found)
                    continue
                once_is_enough = limit.action is LimitAction.WARN or name is LimitName.DRAWDOWN
                if once_is_enough and (name, subject) in found.values:
                    continue
                _note_excess(state, name, subject, value, limit, found)
                if limit.action in {LimitAction.SCALE, LimitAction.DROP}:
                    weights = smaller_weights(state, weights, name, subject, limit)
                    if not once_is_enough:
                        last = name, subject
        if last is None:
            return weights
    assert last is not None  # noqa: S101 - there were passes
    found.actions[last] = LimitAction.BLOCK
    found.details[last] += " It does not hold after all limits have acted: nothing is traded."
    return weights


def _excess(name: LimitName, subject: str, value: float, limit: Limit) -> str:
    """Return the beginning of a sentence about a value above its bound, or one that is not known."""
    if math.isnan(value):
        return f"The {name.value} of {subject} is not known"
    return f"The {name.value} of {subject} is {value * 100:.4g}%, above {limit.bound * 100:.4g}%"


def _note_excess(state: LimitState, name: LimitName, subject: str, value: float, limit: Limit, found: _Found) -> None:
    """Note a value above its bound, and what follows. What comes down to it from a higher one is not blocked."""
    words = _excess(name, subject, value, limit)
    action, consequence = limit.action, _CONSEQUENCES[limit.action]
    if action is LimitAction.BLOCK:
        now = limit_values(state, state.previous, name).get(subject, math.nan)
        if now > value:
            action, consequence = LimitAction.WARN, f"nothing is changed, since it comes down from {now * 100:.4g}%"
    found.note(name, subject, value, action, f"{words}: {consequence}.")


def _note_fixed(name: LimitName, subject: str, value: float, limit: Limit, found: _Found) -> None:
    words = _excess(name, subject, value, limit)
    found.note(name, subject, value, LimitAction.WARN, f"{words}: nothing is changed, since it is not traded tonight.")


def _with_turnover(
    state: LimitState, weights: FloatArray, limits: Sequence[tuple[LimitName, Limit]], found: _Found
) -> FloatArray:
    """Return weights nearer to the previous ones if they move too much, unless that breaks another limit."""
    limit = dict(limits).get(LimitName.TURNOVER)
    if limit is None:
        return weights
    value = limit_values(state, weights, LimitName.TURNOVER)[_WHOLE]
    if not _exceeds(value, limit):
        return weights
    words = _excess(LimitName.TURNOVER, _WHOLE, value, limit)
    if limit.action not in {LimitAction.SCALE, LimitAction.DROP} or not math.isfinite(value):
        action = limit.action if math.isfinite(value) or limit.action is LimitAction.HALT else LimitAction.BLOCK
        found.note(LimitName.TURNOVER, _WHOLE, value, action, f"{words}: {_CONSEQUENCES[action]}.")
        return weights
    moved_less = smaller_weights(state, weights, LimitName.TURNOVER, _WHOLE, limit)
    for name, other in limits:
        if name in {LimitName.TURNOVER, LimitName.DRAWDOWN} or other.action is LimitAction.WARN:
            continue
        values = limit_values(state, moved_less, name)
        if any(_exceeds(value, other) for subject, value in values.items() if subject not in state.fixed):
            detail = f"{words}: nothing is changed, since moving less would break {name.value}."
            found.note(LimitName.TURNOVER, _WHOLE, value, LimitAction.WARN, detail)
            return weights
    found.note(LimitName.TURNOVER, _WHOLE, value, limit.action, f"{words}: {_CONSEQUENCES[limit.action]}.")
    return moved_less


_WHOLE = "portfolio"
_CONSEQUENCES = {
    LimitAction.SCALE: "the weights were made smaller",
    LimitAction.DROP: "positions were dropped",
    LimitAction.BLOCK: "nothing is traded",
    LimitAction.HALT: "nothing is traded until a person resumes",
    LimitAction.WARN: "nothing is changed, this only warns",
}
"""Consequence of each action, in words."""
