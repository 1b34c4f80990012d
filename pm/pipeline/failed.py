"""Find the tickers that a run could not fetch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["FailedTicker", "failed_tickers"]

_FAILED = """
SELECT ticker, min_by(reason, fetched_at) AS reason, min_by(detail, fetched_at) AS detail
FROM fetches
WHERE run_id = ? AND ticker IN (SELECT ticker FROM universe WHERE status IS DISTINCT FROM 'delisted')
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
