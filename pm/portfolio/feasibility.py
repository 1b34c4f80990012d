"""Check whether any weights keep all limits, and relax limits in a declared order where none do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pm.settings.portfolio import RELAXABLE_LIMITS as RELAXABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.portfolio.problem import Constraints
    from pm.typing import FloatArray

__all__ = ["InfeasibleError", "Relaxed", "relaxed"]

_MARGIN = 1e-9
"""What a relaxed limit is widened by beyond what is needed, for the rounding of solvers."""


class InfeasibleError(Exception):
    """No weights keep all limits, and none of those that may be relaxed helps. The message names the limits."""


@dataclass(frozen=True)
class Relaxed:
    """Limits that some weights keep.

    Attributes
    ----------
    constraints
        The limits, relaxed where needed.
    notes
        For each limit that was relaxed, a sentence with its value before and after.
    """

    constraints: Constraints
    notes: tuple[str, ...] = ()


def relaxed(constraints: Constraints, order: Sequence[str]) -> Relaxed:
    """Return limits that some weights keep: those given, or the least relaxed ones that do.

    First each limit of `order` is tried alone, the first that helps is relaxed by as little as possible. If none helps
    alone, the first two are relaxed together, then the first three, and so on.

    Parameters
    ----------
    constraints
        The limits.
    order
        Names of limits that may be relaxed, the one to give up first at the start. `turnover` raises the largest
        turnover, `invested` leaves more in cash, `groups` raises the limits of all groups alike, `max_weight` that of
        every ticker alike.

    Raises
    ------
    InfeasibleError
        No weights keep the limits that remain.
    """
    if _is_plainly_feasible(constraints) or _slacks(constraints, ()) is not None:
        return Relaxed(constraints)
    trials = [(name,) for name in order] + [tuple(order[: count + 1]) for count in range(1, len(order))]
    for names in trials:
        slacks = _slacks(constraints, names)
        if slacks is not None:
            return _with_slacks(constraints, slacks)
    culprits = [name for name in RELAXABLE if _slacks(constraints, (name,)) is not None]
    named = " or ".join(culprits) if culprits else "several limits together"
    raise InfeasibleError(f"no weights keep all limits: {_described(constraints)}; what stands in the way is {named}")


def _is_plainly_feasible(constraints: Constraints) -> bool:
    """Return whether some weights keep all limits, where that can be told without a linear programme."""
    has_turnover = constraints.previous is not None and constraints.max_turnover is not None
    return not constraints.groups and not has_turnover and 0 <= constraints.invested <= float(constraints.upper.sum())


def _described(constraints: Constraints) -> str:
    total = float(constraints.upper.sum())
    parts = [f"{constraints.invested:.2%} to invest", f"largest weights that sum to {total:.2%}"]
    parts += [f"group {group.name} of at most {group.upper:.2%}" for group in constraints.groups]
    if constraints.max_turnover is not None and constraints.previous is not None:
        parts.append(f"a turnover of at most {constraints.max_turnover:.2%}")
    return ", ".join(parts)


def _slacks(constraints: Constraints, free: Sequence[str]) -> dict[str, float] | None:
    """Return by how much each free limit must be relaxed at least, in sum; None if that does not suffice.

    The variables of the linear programme are the long part and the short part of each weight, the absolute change of
    each, and one slack for each limit.
    """
    from scipy.optimize import linprog

    n = len(constraints.upper)
    zeros, eye = np.zeros((n, n)), np.eye(n)
    columns = 3 * n + len(RELAXABLE)
    place = {name: 3 * n + position for position, name in enumerate(RELAXABLE)}
    rows: list[FloatArray] = []
    bounds: list[float] = []

    def add(long: FloatArray, short: FloatArray, change: FloatArray, bound: FloatArray | float, slack: str) -> None:
        block = np.hstack([np.atleast_2d(long), np.atleast_2d(short), np.atleast_2d(change)])
        slacks = np.zeros((len(block), len(RELAXABLE)))
        if slack:
            slacks[:, RELAXABLE.index(slack)] = -1.0
        rows.append(np.hstack([block, slacks]))
        bounds.extend(np.broadcast_to(bound, len(block)).tolist())

    ones, none = np.ones(n), np.zeros(n)
    add(eye, zeros, zeros, constraints.upper, "max_weight")
    add(zeros, eye, zeros, -constraints.lower, "max_weight" if constraints.max_short > 0 else "")
    add(none, ones, none, constraints.max_short, "")
    for group in constraints.groups:
        member = group.members.astype(np.float64)
        add(member, member, none, group.upper, "groups")
    if constraints.previous is not None and constraints.max_turnover is not None:
        add(eye, -eye, -eye, constraints.previous, "")
        add(-eye, eye, -eye, -constraints.previous, "")
        add(none, none, ones, constraints.max_turnover, "turnover")
    equality = np.zeros((1, columns))
    equality[0, :n], equality[0, n : 2 * n] = 1.0, -1.0
    equality[0, place["invested"]] = 1.0  # what is missing from the amount to invest stays in cash
    cost = np.zeros(columns)
    cost[3 * n :] = 1.0
    limits = [(0.0, None)] * (3 * n) + [(0.0, None if name in free else 0.0) for name in RELAXABLE]
    found = linprog(
        cost, np.vstack(rows), np.array(bounds), equality, [constraints.invested], bounds=limits, method="highs"
    )
    return None if found.x is None else {name: float(found.x[place[name]]) for name in RELAXABLE}


def _with_slacks(constraints: Constraints, slacks: dict[str, float]) -> Relaxed:
    """Return the limits, each relaxed by its slack, and what was relaxed."""
    notes = []
    widened = {name: slack + _MARGIN for name, slack in slacks.items() if slack > _MARGIN}
    changed = constraints
    if "turnover" in widened and changed.max_turnover is not None:
        after = changed.max_turnover + widened["turnover"]
        notes.append(f"turnover raised from {changed.max_turnover:.2%} to {after:.2%}")
        changed = replace(changed, max_turnover=after)
    if "invested" in widened:
        after = changed.invested - widened["invested"]
        notes.append(f"invested lowered from {changed.invested:.2%} to {after:.2%}")
        changed = replace(changed, invested=after)
    if "groups" in widened:
        wider = tuple(replace(group, upper=group.upper + widened["groups"]) for group in changed.groups)
        notes += [
            f"group {before.name} raised from {before.upper:.2%} to {after.upper:.2%}"
            for before, after in zip(changed.groups, wider, strict=True)
        ]
        changed = replace(changed, groups=wider)
    if "max_weight" in widened:
        upper = changed.upper + widened["max_weight"]
        notes.append(f"max_weight raised from {changed.upper.max():.2%} to {upper.max():.2%}")
        changed = replace(changed, upper=upper)
    return Relaxed(changed, tuple(notes))
