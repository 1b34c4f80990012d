"""Check forecasts against what came: intervals, value at risk, and signals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.monitor.drift import differs, mean_differs
from pm.monitor.finding import Finding
from pm.plural import plural
from pm.tables.vocabulary import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from typing import Any

    import polars as pl

__all__ = ["check_intervals", "check_signals", "check_value_at_risk"]

_LEVEL = 0.01
"""Significance level of each test."""
_INTERVAL = 0.90
_MIN_DATES = 30
"""Number of dates below which Student's test of the shares of a few tickers is not to be relied on."""
_NEWEST_DATES = 60
"""Number of the newest dates that are compared with those before: a quarter of a year."""
_MIN_FORECASTS = 100
"""Number of forecasts below which the test of Kupiec hardly finds a wrong level."""


def check_intervals(shares: pl.DataFrame, next_outcome: date | None, today: date) -> Finding:
    """Check whether 90% intervals cover 90% of the outcomes, and as many of the newest as of those before.

    Parameters
    ----------
    shares
        origin_date, share: for each date in order, the share of tickers whose close one session later was inside.
    next_outcome
        Date of the next outcome to come; None if none is forecast.
    today
        Present day, in UTC.
    """
    rule = (
        "forecast_outcomes (basis runs, model ensemble, one session ahead): degraded if the mean share per date of "
        "closes "
        f"inside the {_INTERVAL:.0%} interval differs from {_INTERVAL:.0%} (Student's t over dates, {_LEVEL:.0%}), or "
        f"that of the newest {_NEWEST_DATES} dates from that of the dates before (Welch's t, {_LEVEL:.0%}); needs "
        f"{_MIN_DATES} dates."
    )
    if shares.height < _MIN_DATES:
        detail = (
            f"{plural(shares.height, 'date')} with outcomes of nightly forecasts, of {_MIN_DATES} needed: "
            f"{_more_nights(_MIN_DATES - shares.height, next_outcome, today)}"
        )
        return Finding("intervals", HealthStatus.NO_DATA, detail, rule, values={"dates": shares.height})
    values = shares["share"].to_numpy()
    p_level = mean_differs(values, _INTERVAL)
    newest, before = values[-_NEWEST_DATES:], values[:-_NEWEST_DATES]
    p_drift = differs(newest, before) if before.size >= _MIN_DATES else 1.0
    detail = (
        f"{values.mean():.1%} of closes inside the {_INTERVAL:.0%} interval over {plural(values.size, 'date')} "
        f"(p {p_level:.2g}); {newest.mean():.1%} over the newest {newest.size} (drift: p {p_drift:.2g})."
    )
    numbers = {"dates": float(values.size), "coverage": float(values.mean()), "p_level": p_level, "p_drift": p_drift}
    if min(p_level, p_drift) < _LEVEL:
        hint = "pm evaluate tells which models and regimes; docs/volatility.md"
        return Finding("intervals", HealthStatus.DEGRADED, detail, rule, hint, numbers)
    return Finding("intervals", HealthStatus.HEALTHY, detail, rule, "", numbers)


def check_value_at_risk(tests: Sequence[Mapping[str, Any]], next_outcome: date | None, today: date) -> Finding:
    """Check whether losses exceed the value at risk as often as they should.

    Parameters
    ----------
    tests
        Rows of view `risk_backtest` of the nights, one session ahead: portfolio, level, forecasts, exceptions, share,
        kupiec_p, zone.
    next_outcome
        Date of the next outcome to come; None if none is forecast.
    today
        Present day, in UTC.
    """
    rule = (
        "risk_backtest (basis runs, method joint, one session): failing in Basel's red zone; degraded in the yellow "
        "zone, "
        f"or if Kupiec's test rejects the share of exceptions ({_LEVEL:.0%}); needs {_MIN_FORECASTS} forecasts."
    )
    most = max((int(row["forecasts"]) for row in tests), default=0)
    if most < _MIN_FORECASTS:
        detail = (
            f"{plural(most, 'nightly forecast')} with an outcome, of {_MIN_FORECASTS} needed: "
            f"{_more_nights(_MIN_FORECASTS - most, next_outcome, today)} Past dates can be tested now: pm risk "
            "backtest."
        )
        return Finding("value at risk", HealthStatus.NO_DATA, detail, rule, values={"forecasts": most})
    enough = [row for row in tests if row["forecasts"] >= _MIN_FORECASTS]
    detail = " ".join(
        f"{row['portfolio']}, {row['level']:.1%}: exceeded {row['exceptions']:,} of {row['forecasts']:,} times "
        f"({row['share']:.1%}, p {row['kupiec_p']:.2g}, {row['zone']})."
        for row in enough
    )
    numbers = {"forecasts": float(most), "p_kupiec": min(float(row["kupiec_p"]) for row in enough)}
    hint = "pm risk backtest; docs/risk.md"
    if any(row["zone"] == "red" for row in enough):
        return Finding("value at risk", HealthStatus.FAILING, detail, rule, hint, numbers)
    if any(row["zone"] == "yellow" or row["kupiec_p"] < _LEVEL for row in enough):
        return Finding("value at risk", HealthStatus.DEGRADED, detail, rule, hint, numbers)
    return Finding("value at risk", HealthStatus.HEALTHY, detail, rule, "", numbers)


def check_signals(
    scores: Sequence[Mapping[str, Any]], next_target: date | None, today: date, edges: Mapping[str, int]
) -> Finding:
    """Return what became of the signals of nights, as a finding that is never worse than healthy.

    There is no threshold, since no share of them has to come true.

    Parameters
    ----------
    scores
        Rows of view `signal_scores` of the nights, slice 'all': action, signals, came_true, confidence, net_return.
    next_target
        Earliest date on which the horizon of a signal ends; None if there are no signals.
    today
        Present day, in UTC.
    edges
        Number of tickers of the newest run by verdict.
    """
    rule = (
        "signal_scores (basis runs), latest_weights: never worse than healthy; no data until the horizon of a signal "
        "is over."
    )
    verdicts = ", ".join(f"{plural(count, 'ticker')} {verdict}" for verdict, count in sorted(edges.items()))
    newest = f" Newest verdicts: {verdicts}." if verdicts else ""
    if not scores:
        if next_target is None:
            when = "The first signals come with the first night (pm run)."
        elif next_target < today:
            when = f"The first horizon, to {next_target}, is over once there are newer bars."
        else:
            when = f"The first horizon ends on {next_target}."
        detail = f"No signal of a night has had its whole horizon yet. {when}{newest}"
        return Finding("signals", HealthStatus.NO_DATA, detail, rule)
    parts = "; ".join(
        f"{row['action']} {row['signals']:,}, {row['came_true']:.0%} came true (forecast {row['confidence']:.0%})"
        + (f", {row['net_return']:+.2%} after costs" if row["net_return"] is not None else "")
        for row in scores
    )
    values = {f"signals_{str(row['action']).lower()}": float(row["signals"]) for row in scores}
    return Finding("signals", HealthStatus.HEALTHY, f"{parts}.{newest}", rule, "", values)


def _more_nights(missing: int, next_outcome: date | None, today: date) -> str:
    """Return in a sentence when there will be enough dates."""
    if next_outcome is None:
        return f"there will be enough {plural(missing, 'session')} after the first night (pm run)."
    is_past = next_outcome < today
    when = ", once there are newer bars" if is_past else f"; the next outcome is due on {next_outcome}"
    return f"there will be enough after {plural(missing, 'more session')} with a night each{when}."
