"""Train the mSSA-CP forecaster's policy on the lake's bars, judge it, and keep the row; find the one to use."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.errors import InputError, SourceError, UnknownTickerError
from pm.lake import utc_now
from pm.parallel import map_chunks
from pm.pipeline.record import new_run_id
from pm.tables.forecast import POLICIES
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.forecast.base import Panel
    from pm.forecast.policy import Policy
    from pm.forecast.policy import PolicyAssessment as Verdict
    from pm.lake import Lake
    from pm.settings import ForecastSettings

__all__ = ["accepted_policy", "train_and_judge"]

TRAINING_SHARE = 0.7
"""Share of the dates that a policy is trained on, unless a cutoff is named."""

ANY_AGE = 200 * 366
"""Days: a ticker that stopped trading teaches, too."""


def train_and_judge(
    lake: Lake, settings: ForecastSettings, *, tickers: Sequence[str] | None, cutoff: date | None, seed: int
) -> str:
    """Train a policy on the adjusted closes up to a date, judge it on those after it, and write it down either way.

    Parameters
    ----------
    lake
        Open for writing.
    settings
        Horizon, and distance of origins.
    tickers
        To train and judge on; None for all there are.
    cutoff
        Last date of the training; None for the one that leaves the last 30% of the dates to judge by.
    seed
        Of the draws.

    Returns
    -------
    The policy's name in table `policies`.

    Raises
    ------
    SourceError
        There are no bars.
    UnknownTickerError
        A ticker has none.
    InputError
        The cutoff leaves too few bars before or after it.
    """
    snapshot = lake.snapshot
    panel = _panel(lake, settings, tickers, snapshot)
    dates = panel.bars["date"].unique().sort()
    if cutoff is None:
        cutoff = dates[max(int(TRAINING_SHARE * dates.len()) - 1, 0)]
    elif not dates[0] <= cutoff < dates[-1]:
        raise InputError(
            f"--cutoff {cutoff} does not lie within the bars, from {dates[0]} to {dates[-1]}.",
            where="table bars",
            hint="name a day between, or leave it out",
        )
    panel = _grouped(panel, settings, cutoff)
    work = partial(_train_and_judge, settings=settings, cutoff=cutoff, seed=seed)
    # With the one numeric thread that forecasts are made with: of matrices so small, several only get in each other's
    # way.
    policy, verdict = next(map_chunks(work, [panel], jobs=1))
    policy_id = new_run_id()
    row = _row(policy_id, policy, verdict, snapshot)
    lake.commit(f"policy {policy_id}", lambda transaction: transaction.append(POLICIES, row))
    return policy_id


def accepted_policy(lake: Lake, *, snapshot: int, as_of: date, horizon: int) -> Policy | None:
    """Give the newest accepted policy that knows nothing after a day, or None.

    Its cutoff is the last day it was judged by, not the last it was trained on: that it was accepted is something
    learnt from all days up to that one, so that a forecast from any of them would be judged by what chose it.

    Parameters
    ----------
    lake
        The lake.
    snapshot
        Snapshot to read it at.
    as_of
        The day.
    horizon
        Steps ahead to forecast; a policy rewarded for another horizon is passed over.
    """
    from pm.forecast.policy import Policy

    rows = lake.rows(
        f"SELECT policy, last_target FROM policies AT (VERSION => {snapshot:d}) "  # noqa: S608 - numbers and a date
        f"WHERE accepted AND last_target <= DATE '{as_of.isoformat()}' AND horizon = {horizon:d} "
        "ORDER BY trained_at DESC, policy_id DESC LIMIT 1"
    )
    return replace(Policy.from_json(rows[0]["policy"]), cutoff=rows[0]["last_target"]) if rows else None


def _grouped(panel: Panel, settings: ForecastSettings, cutoff: date) -> Panel:
    """Stack the tickers that moved together up to the cutoff, as the forecast does."""
    from pm.forecast.groups import related_groups

    returns = panel.bars.filter(pl.col("date") <= cutoff).select(
        "ticker", "date", log_return=pl.col("log_price").diff().over("ticker")
    )
    groups = related_groups(returns.drop_nulls(), correlation=settings.group_correlation, size=settings.group_size)
    return replace(panel, groups=dict(groups.iter_rows()))


def _train_and_judge(panel: Panel, *, settings: ForecastSettings, cutoff: date, seed: int) -> tuple[Policy, Verdict]:
    from pm.forecast.policy import assess_policy as judge_policy
    from pm.forecast.policy import train_policy

    policy = train_policy(panel, settings=settings, cutoff=cutoff, seed=seed)
    return policy, judge_policy(panel, policy, settings=settings, seed=seed)


def _panel(lake: Lake, settings: ForecastSettings, tickers: Sequence[str] | None, snapshot: int) -> Panel:
    """Give the log prices of all bars of these tickers, but for those whose prices cannot be read."""
    from pm.forecast.panel import build_panel

    known = [row["ticker"] for row in lake.rows("SELECT DISTINCT ticker FROM bars ORDER BY ticker")]
    if not known:
        raise SourceError(
            "There are no usable bars to train a policy on.",
            where="table bars",
            hint="import some: pm import PATH; or run on the sample: pm run",
        )
    missing = set(tickers or ()) - set(known)
    if missing:
        raise UnknownTickerError.from_missing(missing, known, where="table bars")
    prices = lake.read(
        BARS,
        among={"ticker": tickers if tickers is not None else known},
        columns=("ticker", "date", "close", "adj_factor"),
        at=snapshot,
    )
    priced = build_panel(
        prices,
        as_of=prices["date"].max(),  # type: ignore[arg-type]
        window=prices.height,
        horizon=settings.horizon,
        max_age_days=ANY_AGE,
        min_bars=2,
    )
    if priced.panel.bars.is_empty():
        reasons = "; ".join(f"{ticker}: {refusal.detail}" for ticker, refusal in sorted(priced.refused.items())[:3])
        raise InputError(
            f"No ticker's bars can be learnt from ({reasons}).", where="table bars", hint="choose other tickers"
        )
    return priced.panel


def _row(policy_id: str, policy: Policy, verdict: Verdict, snapshot: int) -> pl.DataFrame:
    row: dict[str, Any] = {
        "policy_id": policy_id,
        "trained_at": utc_now(),
        "accepted": verdict.accepted,
        "verdict": verdict.reason,
        "tickers": ",".join(policy.tickers),
        "seed": policy.seed,
        "horizon": policy.horizon,
        "policy": policy.to_json(),
        "first_origin": verdict.first_origin,
        "last_target": verdict.last_target,
        "dates": verdict.dates,
        "origins": verdict.origins,
        "differing": verdict.differing,
        "dm_statistic": verdict.statistic,
        "dm_p_value": verdict.p_value,
        "snapshot_id": snapshot,
        "cutoff": policy.cutoff,
    }
    for contender, loss in verdict.losses.items():
        row |= {f"{contender}_loss": loss, f"{contender}_p_value": verdict.p_values[contender]}
    return pl.DataFrame([row], schema=POLICIES.polars_schema)
