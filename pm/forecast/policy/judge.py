"""Judge a policy on data after its training: it must beat the fixed action in the model confidence set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.forecast.policy.actions import FIXED
from pm.forecast.policy.cohort import places
from pm.forecast.policy.state import observe, volatility_shares
from pm.forecast.policy.train import SMALLEST, WARM_UP, losses
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import model_confidence_set
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import loss_differential

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy.actions import Action
    from pm.forecast.policy.bandit import Policy
    from pm.forecast.policy.cohort import Place
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = ["CONTENDERS", "SIZE", "Verdict", "judge_policy", "verdict"]

CONTENDERS = ("naive", "fixed", "policy")

SIZE = 0.1
"""Of the model confidence set: one with a p-value of no more than this is outside it."""

STEP = 5
"""Sessions between origins: a week."""

FEWEST_DATES = 30
"""Dates judged on, at least."""

REPS = 2000
"""Samples of the bootstrap."""

SCALE_BARS = 250
"""Returns by whose variance a ticker's losses are divided, so that no ticker outweighs the others."""

OLDEST = np.timedelta64(7, "D")
"""Age of a ticker's last bar on a date, beyond which it is not judged there."""


@dataclass(frozen=True)
class Verdict:
    """Whether a policy is used, and what that rests on.

    Attributes
    ----------
    accepted
        Whether the fixed action is outside the model confidence set and the policy inside.
    reason
        The same in words.
    losses
        Contender → mean loss, in units of the variance of a return; naive's is near 1.
    p_values
        Contender → p-value of belonging to the model confidence set.
    statistic, p_value
        Diebold-Mariano's of the policy against the fixed action, positive where the policy is better; two-sided.
    first_origin, last_target
        The data judged on; the first lies after the training's cutoff.
    dates
        Dates judged on.
    origins
        Forecasts judged, over all tickers.
    differing
        Share of them at which the policy did not choose the fixed action.
    """

    accepted: bool
    reason: str
    losses: dict[str, float]
    p_values: dict[str, float]
    statistic: float
    p_value: float
    first_origin: date
    last_target: date
    dates: int
    origins: int
    differing: float


def judge_policy(panel: Panel, policy: Policy, *, settings: ForecastSettings, seed: int) -> Verdict:
    """Judge a policy against the fixed action and against naive, on origins after its cutoff.

    Every fifth session after the cutoff each ticker is forecast from there, fitted anew, by both; the losses of a date
    are averaged over tickers. These are the forecasts as the recurrence gives them, before the trust that later draws
    both towards naive: it would hide the difference that is judged.

    Parameters
    ----------
    panel
        Log prices, those after the cutoff among them.
    policy
        To be judged.
    settings
        The horizon.
    seed
        Of the bootstrap.

    Raises
    ------
    InputError
        There are too few dates after the cutoff.
    """
    found = places(panel)
    sessions = np.unique(np.concatenate([place.dates for place in found.values()])) if found else np.array([])
    grid = sessions[sessions > np.datetime64(policy.cutoff, "D")][::STEP] if found else sessions
    rows: dict[np.datetime64, list[FloatArray]] = {}
    differing: list[bool] = []
    last: list[np.datetime64] = []
    for ticker in sorted(found):
        place = found.pop(ticker)
        shares = volatility_shares(place.log_prices)
        for day, bar in _origins(place, grid, settings.horizon):
            action = policy.choose(observe(place, shares, bar))
            rows.setdefault(day, []).append(_contend(place, bar, action, settings.horizon))
            differing.append(action != FIXED)
            last.append(place.dates[bar + settings.horizon])
    if len(rows) < FEWEST_DATES:
        raise InputError(
            f"After {policy.cutoff} there are {len(rows)} dates to judge a policy on, too few.",
            where="the bars after the cutoff",
            hint=f"choose an earlier cutoff: {FEWEST_DATES} dates are needed, {STEP} sessions apart, "
            f"with {settings.horizon} sessions after each",
        )
    days = sorted(rows)
    table = np.stack([np.mean(rows[day], axis=0) for day in days])
    return verdict(
        table,
        overlap=-(-settings.horizon // STEP),
        seed=seed,
        first_origin=days[0].astype(date),
        last_target=max(last).astype(date),
        origins=len(differing),
        differing=float(np.mean(differing)),
    )


def verdict(
    table: FloatArray,
    *,
    overlap: int,
    seed: int,
    first_origin: date,
    last_target: date,
    origins: int,
    differing: float,
) -> Verdict:
    """Judge by losses, shape (dates, contenders), the columns those of `CONTENDERS`.

    Parameters
    ----------
    overlap
        How many successive dates a horizon covers: the bootstrap's mean block, and the lags of Diebold and Mariano.
    seed
        Of the bootstrap.
    first_origin, last_target, origins, differing
        See `Verdict`.
    """
    resampled = stationary_bootstrap(len(table), block=overlap, reps=REPS, generator=np.random.default_rng(seed))
    p_values = dict(zip(CONTENDERS, model_confidence_set(table, resampled).tolist(), strict=True))
    test = diebold_mariano(loss_differential(table[:, 1], table[:, 2]), overlap=overlap)
    accepted, reason = _decide(p_values, differing)
    return Verdict(
        accepted,
        reason,
        dict(zip(CONTENDERS, table.mean(axis=0).tolist(), strict=True)),
        p_values,
        test.statistic,
        test.p_value,
        first_origin,
        last_target,
        len(table),
        origins,
        differing,
    )


def _decide(p_values: dict[str, float], differing: float) -> tuple[bool, str]:
    inside = {name for name in CONTENDERS if p_values[name] > SIZE}
    shown = ", ".join(f"{name} p = {p_values[name]:.3f}" for name in CONTENDERS)
    if differing <= 0:
        return False, "it chose the fixed rank and window at every origin judged"
    if "policy" not in inside:
        return False, f"the policy is outside the {1 - SIZE:.0%} model confidence set ({shown})"
    if "fixed" in inside:
        return (
            False,
            f"the fixed rank is not beaten: it is in the {1 - SIZE:.0%} model confidence set ({shown})",
        )
    return True, f"the policy is in the {1 - SIZE:.0%} model confidence set, the fixed rank is not ({shown})"


def _origins(place: Place, grid: NDArray[np.datetime64], horizon: int) -> list[tuple[np.datetime64, int]]:
    """Give the days of the grid on which a ticker is judged, with the bar it is judged at."""
    if not grid.size:
        return []
    bars = np.searchsorted(place.dates, grid, side="right") - 1
    return [
        (day, int(bar))
        for day, bar in zip(grid, bars, strict=True)
        if WARM_UP <= bar < place.dates.size - horizon
        # The first day of the grid is the first session after the cutoff, of any ticker: another may not have had one.
        and place.dates[bar] >= grid[0]
        and day - place.dates[bar] <= OLDEST
    ]


def _contend(place: Place, bar: int, chosen: Action, horizon: int) -> FloatArray:
    """Give the contenders' losses after a bar, in units of the variance of a return."""
    paths = [place.path(bar, action, horizon) for action in (FIXED, chosen)]
    naive = np.full(horizon, place.log_prices[bar])
    variance = float(np.var(np.diff(place.log_prices[bar - SCALE_BARS : bar + 1])))
    return losses(place, bar, np.stack([naive, *paths])) / max(variance, SMALLEST)
