"""Assessment of a policy on data after its training: it must be better than the fixed action to be accepted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pm.errors import InputError
from pm.forecast.policy.actions import FIXED
from pm.forecast.policy.aligned import align_panel
from pm.forecast.policy.state import state_at, volatility_percentiles
from pm.forecast.policy.train import FIRST_BAR, LOSS_FLOOR, path_losses
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE, model_confidence_set
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import loss_differential

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pm.forecast.base import Panel
    from pm.forecast.policy.actions import Action
    from pm.forecast.policy.aligned import TickerView
    from pm.forecast.policy.bandit import Policy
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = ["CONTENDERS", "PolicyAssessment", "assess_losses", "assess_policy", "confirmed_out_of_fold"]

CONTENDERS = ("naive", "fixed", "policy")
"""Forecasts that are compared: no change, the fixed action, and the policy's choice."""

ORIGIN_STEP = 5
"""Sessions from one origin to the next (one week)."""

MIN_DATES = 30
"""Minimum number of dates to assess a policy on."""

BOOTSTRAP_SAMPLES = 2000
"""Number of bootstrap samples for the model confidence set."""

VARIANCE_BARS = 250
"""Number of returns whose variance a ticker's losses are divided by, so that all tickers have the same weight."""

MAX_AGE = np.timedelta64(7, "D")
"""Maximum age of a ticker's last bar on a date at which it is forecast."""


@dataclass(frozen=True)
class PolicyAssessment:
    """Whether a policy is accepted, and the losses and tests behind the decision.

    Attributes
    ----------
    accepted
        Whether the policy is in the model confidence set and the fixed action is not.
    reason
        Reason of the decision, in words.
    losses
        Contender → mean loss, in units of the variance of a return; naive's is near 1.
    p_values
        Contender → p-value of membership in the model confidence set.
    statistic, p_value
        Two-sided Diebold-Mariano test of the policy against the fixed action; the statistic is positive if the policy
        has the smaller loss.
    first_origin, last_target
        First origin, which is after the policy's cutoff, and last date forecast.
    dates
        Number of dates.
    origins
        Number of forecasts, over all tickers.
    differing
        Share of the forecasts for which the policy did not choose the fixed action.
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


def assess_policy(panel: Panel, policy: Policy, *, settings: ForecastSettings, seed: int) -> PolicyAssessment:
    """Compare a policy with the fixed action and with naive, at origins after its cutoff.

    At every fifth session after the cutoff, each ticker is forecast by the policy's and by the fixed action, both
    fitted to the bars up to that session. The losses of a date are averaged over tickers. The forecasts are those of
    the recurrence, before the forecaster shrinks them towards naive, which would hide the difference between the two.

    Parameters
    ----------
    panel
        Log prices, including those after the cutoff.
    policy
        The policy.
    settings
        Horizon.
    seed
        Random seed of the bootstrap.

    Raises
    ------
    InputError
        There are too few dates after the cutoff.
    """
    views = align_panel(panel)
    sessions = np.unique(np.concatenate([view.dates for view in views.values()])) if views else np.array([])
    dates = sessions[sessions > np.datetime64(policy.cutoff, "D")][::ORIGIN_STEP] if views else sessions
    rows: dict[np.datetime64, list[FloatArray]] = {}
    differing: list[bool] = []
    last: list[np.datetime64] = []
    for ticker in sorted(views):
        view = views.pop(ticker)  # frees the recurrences that its aligned series caches
        percentiles = volatility_percentiles(view.log_prices)
        for day, bar in _origins(view, dates, settings.horizon):
            action = policy.choose(state_at(view, percentiles, bar))
            rows.setdefault(day, []).append(_contender_losses(view, bar, action, settings.horizon))
            differing.append(action != FIXED)
            last.append(view.dates[bar + settings.horizon])
    if len(rows) < MIN_DATES:
        raise InputError(
            f"After {policy.cutoff} there are {len(rows)} dates to assess a policy on, too few.",
            where="the bars after the cutoff",
            hint=f"choose an earlier cutoff: {MIN_DATES} dates are needed, {ORIGIN_STEP} sessions apart, "
            f"with {settings.horizon} sessions after each",
        )
    days = sorted(rows)
    losses = np.stack([np.mean(rows[day], axis=0) for day in days])
    return assess_losses(
        losses,
        overlap=-(-settings.horizon // ORIGIN_STEP),
        seed=seed,
        first_origin=days[0].astype(date),
        last_target=max(last).astype(date),
        origins=len(differing),
        differing=float(np.mean(differing)),
    )


def assess_losses(
    losses: FloatArray,
    *,
    overlap: int,
    seed: int,
    first_origin: date,
    last_target: date,
    origins: int,
    differing: float,
) -> PolicyAssessment:
    """Accept or refuse a policy by the losses of the contenders.

    Parameters
    ----------
    losses
        Shape (dates, contenders), in the order of CONTENDERS.
    overlap
        Number of consecutive dates that a horizon covers: the mean block of the bootstrap, and the overlap of the
        Diebold-Mariano test.
    seed
        Random seed of the bootstrap.
    first_origin, last_target, origins, differing
        See `PolicyAssessment`.
    """
    resampled = stationary_bootstrap(
        len(losses), block=overlap, reps=BOOTSTRAP_SAMPLES, generator=np.random.default_rng(seed)
    )
    p_values = dict(zip(CONTENDERS, model_confidence_set(losses, resampled).tolist(), strict=True))
    test = diebold_mariano(loss_differential(losses[:, 1], losses[:, 2]), overlap=overlap)
    accepted, reason = _decide(p_values, differing)
    return PolicyAssessment(
        accepted,
        reason,
        dict(zip(CONTENDERS, losses.mean(axis=0).tolist(), strict=True)),
        p_values,
        test.statistic,
        test.p_value,
        first_origin,
        last_target,
        len(losses),
        origins,
        differing,
    )


def confirmed_out_of_fold(assessment: PolicyAssessment, gains: FloatArray) -> PolicyAssessment:
    """Return the assessment, refused if policies learnt in the same way gained nothing out of fold in the training.

    Parameters
    ----------
    gains
        Gain over the fixed action of each path of the cross-validation, from `out_of_fold_gains`.
    """
    if not assessment.accepted or (gains.size and gains.mean() > 0):
        return assessment
    shown = f"gains of {', '.join(f'{gain:+.4f}' for gain in gains)}" if gains.size else "too few dates"
    reason = f"{assessment.reason}, but in the training policies gained nothing on dates that they had not learnt from"
    return replace(assessment, accepted=False, reason=f"{reason} ({shown})")


def _decide(p_values: dict[str, float], differing: float) -> tuple[bool, str]:
    """Return whether a policy is accepted, and why."""
    inside = {name for name in CONTENDERS if p_values[name] > CONFIDENCE_SET_SIZE}
    confidence_set = f"the {1 - CONFIDENCE_SET_SIZE:.0%} model confidence set"
    shown = ", ".join(f"{name} p = {p_values[name]:.3f}" for name in CONTENDERS)
    if differing <= 0:
        return False, "the policy chose the fixed rank and window for every forecast"
    if "policy" not in inside:
        return False, f"the policy is not in {confidence_set} ({shown})"
    if "fixed" in inside:
        return False, f"the policy is not significantly better: the fixed rank is in {confidence_set} too ({shown})"
    return True, f"the policy is in {confidence_set}, the fixed rank is not ({shown})"


def _origins(view: TickerView, dates: NDArray[np.datetime64], horizon: int) -> list[tuple[np.datetime64, int]]:
    """Return the dates on which a ticker is forecast, with the position of its last bar up to each."""
    if not dates.size:
        return []
    bars = np.searchsorted(view.dates, dates, side="right") - 1
    return [
        (day, int(bar))
        for day, bar in zip(dates, bars, strict=True)
        if FIRST_BAR <= bar < view.dates.size - horizon
        # The first date is the first session after the cutoff of any ticker; another ticker's last bar may be older.
        and view.dates[bar] >= dates[0]
        and day - view.dates[bar] <= MAX_AGE
    ]


def _contender_losses(view: TickerView, bar: int, chosen: Action, horizon: int) -> FloatArray:
    """Return the contenders' losses of forecasts from a bar, in units of the variance of a return."""
    paths = [view.path(bar, action, horizon) for action in (FIXED, chosen)]
    naive = np.full(horizon, view.log_prices[bar])
    variance = float(np.var(np.diff(view.log_prices[bar - VARIANCE_BARS : bar + 1])))
    return path_losses(view, bar, np.stack([naive, *paths])) / max(variance, LOSS_FLOOR)
