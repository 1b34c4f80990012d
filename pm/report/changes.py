"""Compare a run with the whole run before it: signals, edges, positions, limits, data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.number_format import day, price, shares
from pm.plural import plural
from pm.report.words import joined, names

if TYPE_CHECKING:
    from pm.report.data import Before, ReportData

__all__ = ["changed_signals", "changed_verdicts", "changes"]

Change = dict[str, str]

_SHOWN = 4
"""Number of single changes of a kind that are named; the others are counted."""


def changes(data: ReportData) -> list[Change]:
    """Return what has changed since the whole run before, as rows with `subject` and `text`; none without one."""
    if data.before is None:
        return []
    found = [
        ("Signals", _signals(data, data.before)),
        ("Edges", _edges(data, data.before)),
        ("Trades", _trades(data.before)),
        ("Limits", _limits(data, data.before)),
        ("Data", _bars(data, data.before)),
        ("Left out", _left_out(data, data.before)),
    ]
    return [{"subject": subject, "text": text} for subject, text in found if text]


def changed_signals(data: ReportData) -> pl.DataFrame:
    """Return the tickers whose action differs from that of the run before: ticker, before, action (null for none)."""
    if data.before is None:
        return pl.DataFrame(schema={"ticker": pl.String, "before": pl.String, "action": pl.String})
    now = data.signals.select("ticker", "action")
    both = now.join(
        data.before.signals.select("ticker", before="action"), on="ticker", how="full", coalesce=True
    ).select("ticker", "before", "action")
    return both.filter(pl.col("before").ne_missing(pl.col("action"))).sort("ticker")


def changed_verdicts(data: ReportData) -> pl.DataFrame:
    """Return the tickers whose verdict differs from that of the run before: ticker, before, verdict."""
    if data.before is None:
        return pl.DataFrame(schema={"ticker": pl.String, "before": pl.String, "verdict": pl.String})
    now = data.weights.select("ticker", "verdict").unique("ticker")
    before = data.before.verdicts.select("ticker", before="verdict").unique("ticker")
    both = now.join(before, on="ticker", how="inner").select("ticker", "before", "verdict")
    return both.filter(pl.col("before") != pl.col("verdict")).sort("ticker")


def _signals(data: ReportData, before: Before) -> str:
    del before
    changed = changed_signals(data)
    if changed.is_empty():
        return "all as before" if data.signals.height else ""
    told = []
    for row in changed.head(_SHOWN).to_dicts():
        if row["before"] is None:
            told.append(f"{row['ticker']} new: {row['action']}")
        elif row["action"] is None:
            told.append(f"{row['ticker']} has none any more, after {row['before']}")
        else:
            told.append(f"{row['ticker']} {row['action']} after {row['before']}")
    return _with_rest(told, changed.height)


def _edges(data: ReportData, before: Before) -> str:
    del before
    changed = changed_verdicts(data)
    gained, lost = (changed.filter(verdict=word)["ticker"].to_list() for word in ("edge", "no edge"))
    told = [*([f"gained by {names(gained)}"] if gained else []), *([f"lost by {names(lost)}"] if lost else [])]
    return "; ".join(told) or ("none gained or lost" if data.weights.height else "")


def _trades(before: Before) -> str:
    told = [
        f"{'bought' if row['side'] == 'buy' else 'sold'} {shares(float(row['quantity']))} {row['ticker']} "
        f"at {price(float(row['price']))} ({row['account']})"
        for row in before.trades.sort("account", "ticker").head(_SHOWN).to_dicts()
    ]
    return _with_rest(told, before.trades.height)


def _limits(data: ReportData, before: Before) -> str:
    keys = ["portfolio", "limit_name", "subject"]
    now = data.limit_events.select(keys).unique()
    new = now.join(before.limits, on=keys, how="anti").sort(keys)
    over = before.limits.join(now, on=keys, how="anti").unique().sort(keys)
    told = [f"{_limit(row)} beyond its bound" for row in new.head(_SHOWN).to_dicts()]
    told += [f"{_limit(row)} within its bound again" for row in over.head(_SHOWN).to_dicts()]
    return _with_rest(told, new.height + over.height)


def _limit(row: dict[str, str]) -> str:
    what = row["limit_name"].replace("_", " ")
    return f"{what} of {row['subject']} ({row['portfolio']})"


def _bars(data: ReportData, before: Before) -> str:
    if data.as_of == before.as_of and not before.new_bars:
        moved = f"no bar newer than {day(before.as_of)}"
    else:
        moved = f"{plural(before.new_bars, 'new bar')}, up to {day(data.as_of)}"
    told = [
        moved,
        *([f"{plural(before.restated, 'bar')} restated"] if before.restated else []),
        *([f"{plural(before.refused, 'row')} refused"] if before.refused else []),
    ]
    return ", ".join(told)


def _left_out(data: ReportData, before: Before) -> str:
    now, then = set(data.exclusions["ticker"]), set(before.left_out["ticker"])
    told = [
        *([f"new: {names(sorted(now - then))}"] if now - then else []),
        *([f"no more: {names(sorted(then - now))}"] if then - now else []),
    ]
    return "; ".join(told)


def _with_rest(told: list[str], total: int) -> str:
    rest = total - len(told)
    return joined([*told, f"{rest:,} more"]) if rest > 0 else joined(told) if told else ""
