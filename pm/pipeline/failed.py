"""Find the tickers that a run could not fetch, and the files of watched folders that could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.pipeline.request import Request

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["FailedTicker", "failed_tickers", "unread_files"]

_FAILED = """
SELECT ticker, min_by(reason, fetched_at) AS reason, min_by(detail, fetched_at) AS detail
FROM fetches
WHERE run_id = ? AND ticker NOT IN (SELECT ticker FROM universe WHERE status = 'delisted')
GROUP BY ticker
HAVING count(*) = count(reason)
ORDER BY ticker
"""


@dataclass(frozen=True)
class FailedTicker:
    """A ticker that a run could not fetch.

    Attributes
    ----------
    ticker
        Ticker.
    reason, detail
        Reason for which the ticker's own vendor gave nothing: the word, and a sentence.
    """

    ticker: str
    reason: str
    detail: str


def failed_tickers(lake: Lake, run_id: str) -> list[FailedTicker]:
    """Return the tickers for which no vendor gave a run anything, by name; those recorded as delisted do not count."""
    return [FailedTicker(**row) for row in lake.rows(_FAILED, [run_id])]


def unread_files(lake: Lake, request: Request) -> list[str]:
    """Return a line for each file of a watched folder that could not be read, and for each folder that is not there.

    There are none in a run about a past day, or about a part of the watch list.
    """
    if request.scope != Request():
        return []
    problems = lake.rows("SELECT problem FROM folders WHERE problem IS NOT NULL ORDER BY path")
    return [line for row in problems for line in row["problem"].split("\n")]
