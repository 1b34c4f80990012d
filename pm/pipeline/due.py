"""Decide which tickers of the watch list vendors are to be asked for now, and when each is to be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pm.clock import utc_now, utc_today
from pm.pipeline.rates import rates_between
from pm.sessions import last_closed, next_close
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.symbols import exchange_code
from pm.tables.vocabulary import FailureReason, TickerStatus

if TYPE_CHECKING:
    from datetime import date, datetime

    from pm.pipeline.request import Request
    from pm.pipeline.watch_list import Rows
    from pm.settings import Settings

__all__ = [
    "CLOCKS_DIFFER",
    "LONGEST_WAIT",
    "Member",
    "due_after",
    "due_after_failure",
    "newest_closed",
    "vendor_members",
]

_LATE = timedelta(hours=12)
"""Time after a close within which a vendor can still be about to have the bar."""
_SOON = timedelta(hours=1)
"""Time after which a vendor that does not have the bar yet is asked again."""
LONGEST_WAIT = timedelta(days=7)
"""Time after which a delisted ticker is asked for again; longest wait that a vendor can ask for."""
_TONIGHT = frozenset(
    {
        FailureReason.GONE,
        FailureReason.NOT_PERMITTED,
        FailureReason.OTHER_SYMBOL,
        FailureReason.OTHER_UNIT,
        FailureReason.DISAGREES,
    }
)
"""Failures that asking again on the same night would not change."""

CLOCKS_DIFFER = timedelta(hours=1)
"""Time by which clocks may differ: what was fetched later than that was fetched while the clock was wrong."""

_MEMBERS = """
WITH kept AS (SELECT unnest(?::VARCHAR[]) AS ticker),
sources AS (
    SELECT ticker, arg_max(a.origin, b.date) AS source
    FROM bars AS b JOIN raw.batches AS a USING (batch_id)
    WHERE ticker IN (SELECT ticker FROM kept) AND ticker NOT IN (SELECT ticker FROM universe)
    GROUP BY ticker
),
asked_for AS (
    SELECT ticker, source, name, exchange, currency, symbols, status, added_at, false AS is_kept FROM universe
    UNION ALL
    SELECT ticker, source, NULL, NULL, NULL, NULL, NULL, NULL, true FROM sources
),
newest AS (
    SELECT ticker, max_by(run_id, fetched_at) AS run_id
    FROM fetches WHERE fetched_at BETWEEN ? AND ? GROUP BY ticker
),
asked AS (
    SELECT
        ticker,
        max(fetched_at) AS asked_at,
        max(retry_after) AS retry_after,
        coalesce(max(due_at) FILTER (WHERE reason IS NULL), min(due_at)) AS due_at,
        bool_and(reason IS NOT NULL) AS has_failed
    FROM fetches
    JOIN newest USING (ticker, run_id)
    WHERE fetched_at >= ?
    GROUP BY ticker
)
SELECT
    u.ticker, u.source, u.name, u.exchange, u.currency, u.symbols, u.status, u.added_at,
    a.asked_at, a.due_at, a.retry_after, coalesce(a.has_failed, false) AS has_failed, u.is_kept
FROM asked_for AS u
LEFT JOIN asked AS a USING (ticker)
WHERE list_contains(?, u.source)
ORDER BY u.ticker
"""
"""Query for the tickers of vendors and what came of the newest run that asked for each: if no vendor answered, each of
them can be asked as soon as the first of them can. Tickers that an account holds or has ordered, and the rates that
value them, are among them, on the watch list or not: what is to be closed needs the bars of the day on which it is."""
_KEPT = """
SELECT k.ticker, k.currency, a.currency AS base
FROM (
    SELECT account, ticker, currency FROM lots
    UNION
    SELECT o.account, o.ticker, o.currency FROM orders AS o SEMI JOIN open_orders AS n ON n.order_id = o.order_id
) AS k
JOIN accounts AS a ON a.account = k.account
ORDER BY ALL
"""
"""Query for what accounts hold or have ordered, with its currency and that of the account."""
_FORGOTTEN = timedelta(days=40)
"""Time after which a ticker is due whatever came of asking for it, so that earlier rows need not be read."""


@dataclass(frozen=True)
class Member:
    """A ticker of the watch list, or one that an account holds, has ordered or is valued by; its bars are a vendor's.

    Attributes
    ----------
    ticker, source, name, currency, symbols, status
        Columns of table universe.
    exchange
        ISO 10383 code of its exchange; None if it is not known.
    due_at
        Time from which it is to be asked for, in UTC; None for at once.
    has_failed
        Whether no vendor gave anything when it was asked for last.
    is_kept
        Whether it is not on the watch list, and asked for since an account holds it or has ordered it, or since it is a
        rate that values what an account holds or has ordered.
    """

    ticker: str
    source: str
    name: str | None
    exchange: str | None
    currency: str | None
    symbols: str | None
    status: str | None
    due_at: datetime | None
    has_failed: bool = False
    is_kept: bool = False

    @property
    def is_delisted(self) -> bool:
        """Whether it is recorded as delisted."""
        return self.status == TickerStatus.DELISTED

    def is_due(self, now: datetime) -> bool:
        """Return whether it is to be asked for at a time in UTC."""
        return self.due_at is None or self.due_at <= now


def vendor_members(rows: Rows, request: Request, settings: Settings) -> list[Member]:
    """Return the tickers of a run whose bars come from vendors, by name; none for a look at a past day.

    Tickers that accounts hold or have ordered are among them until they are closed, on the watch list or not, and the
    rates of exchange that they are valued by.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do.
    settings
        Settings, of which the exchanges are used.
    """
    if request.as_of is not None and request.as_of < utc_today():
        return []
    found, now = [], utc_now()
    since = now - _FORGOTTEN
    for row in rows(_MEMBERS, [_kept(rows), since, now + CLOCKS_DIFFER, since, list(VENDOR_NAMES)]):
        ticker, source = row["ticker"], row["source"]
        if request.source not in {None, source} or (request.tickers is not None and ticker not in request.tickers):
            continue
        added_at, asked_at = row["added_at"], row["asked_at"]
        is_new = asked_at is None or (added_at is not None and asked_at < added_at <= now)
        found.append(
            Member(
                ticker=ticker,
                source=source,
                name=row["name"],
                exchange=settings.sources.exchanges.exchange_of(ticker, source) or exchange_code(row["exchange"]),
                currency=row["currency"],
                symbols=row["symbols"],
                status=row["status"],
                due_at=None if is_new else row["retry_after" if request.at_once else "due_at"],
                has_failed=row["has_failed"] and not is_new,
                is_kept=row["is_kept"],
            )
        )
    return found


def _kept(rows: Rows) -> list[str]:
    """Return the tickers that accounts hold or have ordered, and the rates by which these are valued."""
    found = rows(_KEPT, ())
    rates = rates_between(rows, ((row["currency"], row["base"]) for row in found))
    return sorted({row["ticker"] for row in found} | rates)


def newest_closed(exchange: str | None, now: datetime, delay_minutes: int) -> date:
    """Return the last session whose bar can be asked for: that has been closed for the delay."""
    return last_closed(exchange, now - timedelta(minutes=delay_minutes))


def due_after(exchange: str | None, last: date | None, asked_to: date, now: datetime, delay_minutes: int) -> datetime:
    """Return the time in UTC from which a ticker is asked for again after an answer.

    It is the exchange's next close and the delay. If the vendor lacks the last bar asked for, and its session has just
    ended, it is in an hour.

    Parameters
    ----------
    exchange
        ISO 10383 code, or None.
    last
        Date of the ticker's last bar; None without bars.
    asked_to
        Last day asked for.
    now
        Time of the answer.
    delay_minutes
        Minutes after a close before a bar is asked for.
    """
    delay = timedelta(minutes=delay_minutes)
    if last is None or last < asked_to:
        closed_at = next_close(exchange, asked_to - timedelta(days=1))
        if now < closed_at + delay + _LATE:
            return now + _SOON
    return next_close(exchange, max(asked_to, last or asked_to)) + delay


def due_after_failure(
    exchange: str | None,
    reason: FailureReason,
    now: datetime,
    *,
    asked_to: date,
    retry_after: datetime | None,
    delay_minutes: int,
    is_delisted: bool,
) -> datetime:
    """Return the time in UTC from which a ticker is asked for again after a failure.

    What would fail in the same way on the same night waits for the exchange's next close, a delisted ticker for a week;
    anything else is asked for by the next refresh, but not before the vendor allows. A vendor that would have it wait
    longer than a week is asked again after one.
    """
    if retry_after is not None:
        retry_after = min(retry_after, now + LONGEST_WAIT)
    if is_delisted:
        return now + LONGEST_WAIT
    if reason in _TONIGHT:
        again = next_close(exchange, asked_to) + timedelta(minutes=delay_minutes)
        return max(again, retry_after or again)
    return max(now, retry_after or now)
