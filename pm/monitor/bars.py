"""Check the bars: how fresh they are, how many rows were refused, and whether every row is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.monitor.drift import exceeds_rate
from pm.monitor.finding import Finding
from pm.plural import first_of, plural
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from datetime import date

__all__ = ["check_freshness", "check_refusals"]

_LATE_SESSIONS = 1
"""Number of sessions by which bars may lag: vendors correct or send a day's bar some hours after the close."""
_MIN_SHARE = 0.01
"""Share of refused rows below which a delivery is not conspicuous, however few there were before."""
_LEVEL = 0.01
"""Significance level of the test."""


def check_freshness(health: pl.DataFrame, today: date, *, max_age_days: int) -> Finding:
    """Check how old the newest bars of the tickers are.

    Parameters
    ----------
    health
        ticker, source, status, last_date, lag (in sessions): see `pm.pipeline.data_health`.
    today
        Present day, in UTC.
    max_age_days
        Setting `forecast.max_age_days`.
    """
    rule = (
        "data_health: failing if no ticker that still trades has a bar of the last forecast.max_age_days "
        f"({max_age_days}) days; degraded if some have none, or lag by more than {_LATE_SESSIONS} session of their "
        "exchange. The embedded sample, which ends in 2013, does not count."
    )
    active = health.filter((pl.col("status") != "delisted") & (pl.col("source") != "sample").fill_null(value=True))
    if active.is_empty():
        missing = "only the embedded sample has bars" if health.height else "there are no bars"
        return Finding(
            "bars",
            HealthStatus.NO_DATA,
            f"Nothing to check: {missing}. There will be something once you import or fetch bars of your own.",
            rule,
            hint="pm universe add TICKER, or pm import PATH",
        )
    newest: date | None = active["last_date"].max()  # type: ignore[assignment]  # the column has dates
    age = pl.lit(today) - pl.col("last_date")
    old = active.filter((age > pl.duration(days=max_age_days)).fill_null(value=True))["ticker"].sort().to_list()
    late = active.filter(pl.col("lag") > _LATE_SESSIONS)["ticker"].sort().to_list()
    values = {"tickers": active.height, "stale_tickers": len(old), "late_tickers": len(late)}
    count = plural(active.height, "ticker")
    hint = "pm data health --problems shows why; pm refresh asks again"
    if len(old) == active.height:
        what = f"The newest bar is of {newest}" if newest is not None else "There is no bar"
        detail = f"{what}: none of {count} has a bar of the last {plural(max_age_days, 'day')}."
        return Finding("bars", HealthStatus.FAILING, detail, rule, hint, values)
    if old or late:
        behind = sorted({*old, *late})
        detail = (
            f"{plural(len(behind), 'ticker')} of {active.height:,} behind: {first_of(behind)}. Newest bar: {newest}."
        )
        return Finding("bars", HealthStatus.DEGRADED, detail, rule, hint, values)
    return Finding(
        "bars", HealthStatus.HEALTHY, f"{count} up to date; the newest bar is of {newest}.", rule, "", values
    )


def check_refusals(landings: pl.DataFrame) -> Finding:
    """Check whether the newest landing had more refused rows than those before, and that no row is missing.

    Parameters
    ----------
    landings
        day, landed, refused, unbalanced: for each day on which bars landed, in order, the number of rows, of refused
        ones, and of batches whose rows do not add up.
    """
    rule = (
        "batch_accounts, quarantine: failing if the rows of a batch do not add up; degraded if more than "
        f"{_MIN_SHARE:.0%} of the rows of the newest day were refused, and significantly more than on the days before "
        f"(binomial test, {_LEVEL:.0%})."
    )
    if landings.is_empty():
        detail = "No bars have landed yet; there will be some after the first run."
        return Finding("quarantine", HealthStatus.NO_DATA, detail, rule, hint="pm run")
    landed, refused = int(landings["landed"][-1]), int(landings["refused"][-1])
    before = landings[:-1]
    unbalanced = int(landings["unbalanced"].sum())
    values = {"landed_rows": landed, "refused_rows": refused, "unbalanced_batches": unbalanced}
    if unbalanced:
        detail = f"The rows of {plural(unbalanced, 'batch', 'batches')} are neither in the bars nor in the quarantine."
        hint = "pm lake verify; restore a backup: docs/damage.md"
        return Finding("quarantine", HealthStatus.FAILING, detail, rule, hint, values)
    all_before, refused_before = int(before["landed"].sum()), int(before["refused"].sum())
    share = refused / landed if landed else 0.0
    usual = f"{refused_before:,} of {all_before:,} before" if all_before else "nothing landed before"
    detail = f"{refused:,} of {plural(landed, 'row')} refused on {landings['day'][-1]} ({share:.2%}); {usual}."
    more = not all_before or exceeds_rate(refused, landed, refused_before, all_before, level=_LEVEL)
    if share > _MIN_SHARE and more:
        return Finding(
            "quarantine", HealthStatus.DEGRADED, detail, rule, "pm quarantine shows the rows and why", values
        )
    return Finding("quarantine", HealthStatus.HEALTHY, detail, rule, "", values)
