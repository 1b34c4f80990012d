"""Find the tickers whose bars are to come from a vendor and are too old for the present day.

A vendor can answer night after night and have nothing new. Nothing fails then, so that only the age of the bars tells.
The bars of files and of the sample are as old as the user has chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pm.clock import utc_today
from pm.pipeline.request import Request
from pm.settings.refresh import VENDOR_NAMES
from pm.tables.vocabulary import RunScope

if TYPE_CHECKING:
    from datetime import date

    from pm.lake import Lake
    from pm.pipeline.watch_list import Rows

__all__ = ["StaleTicker", "stale_tickers", "stale_tickers_of"]

_OLD = """
SELECT ticker, source
FROM universe
WHERE list_contains(?, source) AND status IS DISTINCT FROM 'delisted'
    AND ticker NOT IN (SELECT ticker FROM bars WHERE date >= ?)
ORDER BY ticker
"""

_LAST = "SELECT ticker, max(date) AS last_date FROM bars WHERE list_contains(?, ticker) GROUP BY ticker"

_RUN = "SELECT scope, source, tickers FROM runs WHERE run_id = ?"


@dataclass(frozen=True)
class StaleTicker:
    """A ticker whose bars are too old.

    Attributes
    ----------
    ticker, vendor
        Ticker, and the vendor that its bars are to come from.
    last_date
        Date of its last bar.
    """

    ticker: str
    vendor: str
    last_date: date


def stale_tickers(rows: Rows, request: Request, *, max_age_days: int) -> list[StaleTicker]:
    """Return the tickers of a request whose bars a vendor is to send, and whose last bar is too old; by name.

    Those without any bar and those that are recorded as delisted are none of them.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What a run was asked to do. For a look at a past day there are none.
    max_age_days
        Age from which a bar is too old on the present day in UTC, in days: setting `forecast.max_age_days`.
    """
    today = utc_today()
    if request.as_of is not None and request.as_of < today:
        return []
    old = {
        row["ticker"]: row["source"]
        for row in rows(_OLD, [list(VENDOR_NAMES), today - timedelta(days=max_age_days)])
        if request.source in {None, row["source"]} and (request.tickers is None or row["ticker"] in request.tickers)
    }
    if not old:
        return []
    last = {row["ticker"]: row["last_date"] for row in rows(_LAST, [list(old)])}
    return [StaleTicker(ticker, vendor, last[ticker]) for ticker, vendor in old.items() if ticker in last]


def stale_tickers_of(lake: Lake, run_id: str, *, max_age_days: int) -> list[StaleTicker]:
    """Return the tickers that a run or a refresh was about and whose bars are too old: see `stale_tickers`."""
    (run,) = lake.rows(_RUN, [run_id])
    if run["scope"] == RunScope.PAST:
        return []
    tickers = tuple(run["tickers"].split(",")) if run["tickers"] else None
    return stale_tickers(lake.known_rows, Request(run["source"], tickers), max_age_days=max_age_days)
