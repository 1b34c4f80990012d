"""Stage `policy`: train a policy of the mSSA-CP forecaster on the bars up to a date, and judge it on later ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, newest_bars, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.tables.forecast import POLICIES

if TYPE_CHECKING:
    from datetime import date

    from pm.forecast.base import Panel
    from pm.forecast.policy import Policy, PolicyAssessment
    from pm.settings import ForecastSettings
    from pm.typing import FloatArray

__all__ = ["training"]

TRAINING_SHARE = 0.7
"""Share of the dates that a policy is trained on, unless a cutoff is named."""

_ANY_AGE = 200 * 366
"""Maximum age of a ticker's last bar in days: one that stopped trading long ago is trained on, too."""


def training(*, cutoff: date | None, seed: int) -> Stage:
    """Return the stage that trains and judges a policy and stores it, whether it is accepted or not.

    Parameters
    ----------
    cutoff
        Last date of the training; None for the one that leaves the last 30% of the dates to judge by.
    seed
        Random seed.
    """
    return Stage(
        "policy",
        partial(_compute, cutoff=cutoff, seed=seed),
        reads=WATCH_LIST_TABLES,
        writes=(POLICIES,),
        sections=("forecast",),
        depends=lambda context: [*scope(context), cutoff, seed],
    )


def _compute(context: Context, *, cutoff: date | None, seed: int) -> Result:
    settings = context.settings.forecast
    panel = _panel(context, settings)
    dates = panel.bars["date"].unique().sort()
    if cutoff is None:
        cutoff = dates[max(int(TRAINING_SHARE * dates.len()) - 1, 0)]
    elif not dates[0] <= cutoff < dates[-1]:
        raise InputError(
            f"--cutoff {cutoff} is not between the first bar, {dates[0]}, and the last, {dates[-1]}.",
            where="table bars",
            hint="name a day between them, or leave the option out",
        )
    panel = _grouped(panel, settings, cutoff)
    train = partial(_train_and_assess, settings=settings, cutoff=cutoff, seed=seed)
    policy, assessment, gains = next(context.workers.map(train, [panel]))
    summary = f"{'accepted' if assessment.accepted else 'refused'}: {assessment.reason}"
    return Result([Append(POLICIES, _row(context, policy, assessment, gains))], summary)


def _train_and_assess(
    panel: Panel, *, settings: ForecastSettings, cutoff: date, seed: int
) -> tuple[Policy, PolicyAssessment, FloatArray]:
    """Return a policy, its assessment, and its gains out of fold; see `out_of_fold_gains`."""
    from pm.forecast.policy import (
        assess_policy,
        confirmed_out_of_fold,
        out_of_fold_gains,
        policy_of,
        training_visits,
    )

    visits = training_visits(panel, settings=settings, cutoff=cutoff, seed=seed)
    policy, gains = policy_of(visits, settings=settings, seed=seed), out_of_fold_gains(visits)
    return policy, confirmed_out_of_fold(assess_policy(panel, policy, settings=settings, seed=seed), gains), gains


def _panel(context: Context, settings: ForecastSettings) -> Panel:
    """Return the log prices of all bars of the run's tickers, but for tickers whose prices cannot be read."""
    from pm.forecast.panel import build_panel

    watched = watch_list(context)
    prices = newest_bars(context, watched.tickers, watched.as_of, _ANY_AGE)
    priced = build_panel(
        prices,
        as_of=watched.as_of,
        window=prices.height,
        horizon=settings.horizon,
        max_age_days=_ANY_AGE,
        min_bars=2,
    )
    if priced.panel.bars.is_empty():
        reasons = "; ".join(f"{ticker}: {refusal.detail}" for ticker, refusal in sorted(priced.refused.items())[:3])
        raise InputError(
            f"No ticker's bars can be used for training ({reasons}).", where="table bars", hint="choose other tickers"
        )
    return priced.panel


def _grouped(panel: Panel, settings: ForecastSettings, cutoff: date) -> Panel:
    """Return the panel with groups of the tickers that are related up to the cutoff, as the forecast has them."""
    from pm.forecast.groups import related_groups

    returns = panel.bars.filter(pl.col("date") <= cutoff).select(
        "ticker", "date", log_return=pl.col("log_price").diff().over("ticker")
    )
    groups = related_groups(returns.drop_nulls(), correlation=settings.group_correlation, size=settings.group_size)
    return replace(panel, groups=dict(groups.iter_rows()))


def _row(context: Context, policy: Policy, assessment: PolicyAssessment, gains: FloatArray) -> pl.DataFrame:
    row: dict[str, Any] = {
        "policy_id": context.run_id,
        "run_id": context.run_id,
        "trained_at": utc_now(),
        "accepted": assessment.accepted,
        "verdict": assessment.reason,
        "tickers": ",".join(policy.tickers),
        "seed": policy.seed,
        "horizon": policy.horizon,
        "policy": policy.to_json(),
        "first_origin": assessment.first_origin,
        "last_target": assessment.last_target,
        "dates": assessment.dates,
        "origins": assessment.origins,
        "differing": assessment.differing,
        "dm_statistic": assessment.statistic,
        "dm_p_value": assessment.p_value,
        "fold_gain": float(gains.mean()) if gains.size else None,
        "fold_gain_lowest": float(gains.min()) if gains.size else None,
        "snapshot_id": context.snapshot,
        "cutoff": policy.cutoff,
    }
    for contender, loss in assessment.losses.items():
        row |= {f"{contender}_loss": loss, f"{contender}_p_value": assessment.p_values[contender]}
    return pl.DataFrame([row], schema=POLICIES.polars_schema)
