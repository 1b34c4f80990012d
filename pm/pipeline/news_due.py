"""Decide which tickers of the watch list news are to be asked for now, and when each is to be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from pm.clock import utc_now
from pm.pipeline.due import CLOCKS_DIFFER, LONGEST_WAIT
from pm.sources.names import SAMPLE
from pm.sources.registry import TEXT_VENDOR
from pm.tables.vocabulary import FailureReason, TickerStatus

if TYPE_CHECKING:
    from pm.pipeline.request import Request
    from pm.pipeline.watch_list import Rows
    from pm.sources.base import Failure

__all__ = ["NewsMember", "news_due_after_failure", "news_members", "tomorrow"]

_AGAIN = frozenset({FailureReason.UNREACHABLE, FailureReason.LIMITED, FailureReason.NOT_ASKED})
"""Failures after which the next refresh asks again; others would be the same on the same day."""

_MEMBERS = f"""
WITH waiting AS (
    SELECT ticker, max(due_at) AS due_at
    FROM text_fetches WHERE vendor = ? AND due_at > ? AND fetched_at <= ? GROUP BY ticker
)
SELECT u.ticker, u.source, u.symbols, w.due_at
FROM universe AS u
LEFT JOIN waiting AS w USING (ticker)
WHERE u.source <> '{SAMPLE}' AND u.status IS DISTINCT FROM '{TickerStatus.DELISTED}'
ORDER BY u.ticker
"""  # noqa: S608 - constants
"""Query for the tickers of the watch list, and the time before which one is not to be asked for. Files of rows whose
time has passed are left out by the bounds that the lake keeps of each, so that it stays as fast over the years."""


@dataclass(frozen=True)
class NewsMember:
    """A ticker of the watch list that can be asked for.

    Attributes
    ----------
    ticker, symbols
        Columns of table universe.
    due_at
        Time from which it is to be asked for, in UTC; None for at once.
    """

    ticker: str
    symbols: str | None
    due_at: datetime | None

    def is_due(self, now: datetime) -> bool:
        """Return whether it is to be asked for at a time in UTC."""
        return self.due_at is None or self.due_at <= now


def news_members(rows: Rows, request: Request) -> list[NewsMember]:
    """Return the tickers of the watch list that news are asked for, by name, whatever source their bars come from.

    Tickers of the sample and those recorded as delisted are not among them.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do; it can be restricted to a source of bars, or to tickers.
    """
    now = utc_now()
    return [
        NewsMember(row["ticker"], row["symbols"], row["due_at"])
        for row in rows(_MEMBERS, [TEXT_VENDOR, now, now + CLOCKS_DIFFER])
        if request.source in {None, row["source"]} and (request.tickers is None or row["ticker"] in request.tickers)
    ]


def tomorrow(day: date) -> datetime:
    """Return the beginning of the next day in UTC, from which a ticker is asked for again."""
    return datetime.combine(day + timedelta(days=1), time())


def news_due_after_failure(failure: Failure, moment: datetime) -> datetime:
    """Return the time in UTC from which a ticker is asked for again after a failure.

    The next refresh may, unless the vendor asks to wait, or asking again on the same day would change nothing.
    """
    again = moment if failure.reason in _AGAIN else tomorrow(moment.date())
    if failure.retry_after is None:
        return again
    return max(again, min(failure.retry_after, moment + LONGEST_WAIT))
