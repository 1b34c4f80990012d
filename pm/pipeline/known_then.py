"""Which tickers were on the watch list on a past day, as far as the lake has recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.tables.sources import UNIVERSE_CHANGES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    from pm.pipeline.stage import Context
    from pm.pipeline.watch_list import Rows

__all__ = ["WatchedThen", "former_tickers", "watched_then"]

_FORMER = """
SELECT DISTINCT ticker FROM universe_changes
WHERE EXISTS (FROM universe) AND ticker NOT IN (SELECT ticker FROM universe) ORDER BY ticker
"""


@dataclass(frozen=True)
class WatchedThen:
    """What a lake has recorded of its watch list.

    Attributes
    ----------
    since
        Day of the first change that was recorded; None if there is none.
    changes
        For each ticker with changes, their days, oldest first, and whether it was on the list from then on.
    """

    since: date | None
    changes: Mapping[str, tuple[tuple[date, bool], ...]]

    def of(self, day: date, tickers: Collection[str]) -> frozenset[str]:
        """Return those of some tickers that were on the watch list at the end of a day.

        Before the first recorded change it is not known: then all are returned. A ticker without changes was on the
        list before it, and stayed.
        """
        if self.since is None or day < self.since:
            return frozenset(tickers)
        return frozenset(ticker for ticker in tickers if self._had(ticker, day))

    def _had(self, ticker: str, day: date) -> bool:
        changes = self.changes.get(ticker, ())
        until = [watched for at, watched in changes if at <= day]
        # Before its first change it was what the change made an end of.
        return until[-1] if until else not (changes and changes[0][1])


def watched_then(context: Context) -> WatchedThen:
    """Return what the lake has recorded of its watch list; nothing where the request names the tickers.

    The stage declares that it reads table `universe_changes`.
    """
    if context.request.tickers is not None:
        return WatchedThen(None, {})
    found: dict[str, list[tuple[date, bool]]] = {}
    rows = context.read(UNIVERSE_CHANGES).sort("recorded_at", "run_id")
    for ticker, at, watched in rows.select("ticker", "recorded_at", "watched").iter_rows():
        found.setdefault(ticker, []).append((at.date(), watched))
    days = [changes[0][0] for changes in found.values()]
    return WatchedThen(min(days, default=None), {ticker: tuple(changes) for ticker, changes in found.items()})


def former_tickers(rows: Rows) -> tuple[str, ...]:
    """Return the tickers that were on the watch list once and are not now; none while it is empty.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    """
    return tuple(row["ticker"] for row in rows(_FORMER, ()))
