"""Decide from which day vendors are asked for tickers, and collect what is known of these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now, utc_today
from pm.pipeline.due import newest_closed
from pm.sessions import closes_between
from pm.sources.base import ACTIONS_REACH, Ask
from pm.sources.symbols import symbol_of
from pm.tables.sources import RAW_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from pm.pipeline.due import Member
    from pm.pipeline.stage import Context

__all__ = ["NO_ACTIONS", "NO_BARS", "Asked", "Questions", "partitioned"]

NO_ACTIONS = RAW_ACTIONS.polars_schema.to_frame()
"""No dividends or splits, with the columns of raw.actions."""
NO_BARS = pl.DataFrame(schema={"ticker": pl.String, "date": pl.Date, "close": pl.Float64})
"""No closes."""

_RECENT = timedelta(days=30)
"""Time within which most tickers have a bar: to look for the last ones there takes a fifth of the time."""

_LAST = """
SELECT ticker, max(date) AS last
FROM bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) AND date <= ? GROUP BY ticker
"""
_RECENT_LAST = "SELECT ticker, max(date) AS last FROM bars WHERE date BETWEEN ? AND ? GROUP BY ticker"
"""Queries for the last bar of tickers; one after the present day was let in by a clock that was wrong."""

_WHOLE = """
SELECT DISTINCT f.ticker, f.vendor
FROM fetches AS f LEFT JOIN universe AS u USING (ticker)
WHERE f.asked_from IS NULL AND f.bars > 0 AND (u.ticker IS NULL OR f.fetched_at >= u.added_at OR u.added_at > ?)
"""
"""Query for the tickers whose whole history a vendor has sent since they were added or moved; a time after now is that
of a clock that was wrong. A ticker that is not on the watch list any more keeps the history that it has."""

_REVIEWED = """
SELECT DISTINCT ticker, vendor FROM fetches
WHERE reason IS NULL AND fetched_at > ? AND (asked_from IS NULL OR asked_to - asked_from >= ?)
"""
"""Query for the tickers that a vendor was asked for from so many days back, since a time."""
_REVIEW_DAYS = 100
"""Number of days before a ticker's last bar from which it is asked now and then: vendors record some dividends, splits
and corrections weeks late."""
_REVIEW_EVERY = timedelta(days=30)
"""Time between two times that it is."""
_CHOSEN = "SELECT ticker, origin FROM ticker_sources WHERE is_chosen AND ticker IN (SELECT unnest(?::VARCHAR[]))"
"""Query for the source that the bars of tickers come from."""

_SPLICED = """
SELECT ticker, continued, min(date) AS since
FROM splices WHERE ended_by IS NULL AND ticker IN (SELECT unnest(?::VARCHAR[])) GROUP BY ticker, continued
"""
"""Query for the days after which other sources continue the bars of a source."""

_KNOWN = """
SELECT b.ticker, b.date, b.close
FROM bars AS b JOIN asked ON asked.ticker = b.ticker
WHERE b.date >= ? AND b.date >= asked.start
"""

_ACTIONS = """
SELECT a.*
FROM raw.actions AS a JOIN raw.batches AS b USING (batch_id) JOIN asked ON asked.ticker = a.ticker
WHERE b.origin = ? AND (asked.reach IS NULL OR a.date >= asked.reach)
"""


@dataclass(frozen=True)
class Asked:
    """A question to a vendor, and what is known of the ticker.

    Attributes
    ----------
    member
        The ticker.
    vendor
        The vendor asked.
    ask
        The question.
    known
        Bars of the lake from the first day asked for on: date, close.
    actions
        Dividends and splits that the vendor has sent, from `ACTIONS_REACH` before that day on, with the columns of
        raw.actions.
    continued
        Source that the bars of the lake come from; the vendor itself if there are none.
    last
        Date of the last bar of the lake; None if there is none.
    since
        Day after which other vendors continue the bars of this one; None if none does.
    """

    member: Member
    vendor: str
    ask: Ask
    known: pl.DataFrame
    actions: pl.DataFrame
    continued: str
    last: date | None
    since: date | None

    @property
    def is_other(self) -> bool:
        """Whether the vendor is another one than the ticker's own."""
        return self.vendor != self.member.source


class Questions:
    """What vendors are asked for tickers, from what is known of them.

    Parameters
    ----------
    context
        Context of the stage.
    members
        The tickers.
    """

    def __init__(self, context: Context, members: Sequence[Member]) -> None:
        self._context = context
        self._settings = context.settings.refresh
        self._sessions: dict[tuple[str | None, datetime], date] = {}
        recent = context.rows(_RECENT_LAST, [utc_today() - _RECENT, utc_today()])
        self._last: dict[str, date] = {row["ticker"]: row["last"] for row in recent}
        if others := [member.ticker for member in members if member.ticker not in self._last]:
            self._last |= {row["ticker"]: row["last"] for row in context.rows(_LAST, [others, utc_today()])}
        tickers = [member.ticker for member in members]
        self._whole = {(row["ticker"], row["vendor"]) for row in context.rows(_WHOLE, [utc_now()])}
        reviewed = context.rows(_REVIEWED, [utc_now() - _REVIEW_EVERY, _REVIEW_DAYS])
        self._reviewed = {(row["ticker"], row["vendor"]) for row in reviewed}
        self._chosen: dict[str, str] = {row["ticker"]: row["origin"] for row in context.rows(_CHOSEN, [tickers])}
        self._spliced: dict[tuple[str, str], date] = {
            (row["ticker"], row["continued"]): row["since"] for row in context.rows(_SPLICED, [tickers])
        }

    def asked(self, vendor: str, members: Sequence[Member]) -> list[Asked]:
        """Return what a vendor is asked, with what is known of each ticker."""
        now = utc_now()
        asks = {}
        for member in members:
            start = self._start(vendor, member)
            # The answer can name the exchange, which then tells what has closed.
            is_open = member.exchange is None and start is None
            end = now.date() if is_open else self.newest(member.exchange)
            symbol = symbol_of(member.ticker, vendor, member.symbols)
            asks[member.ticker] = Ask(member.ticker, symbol, start, max(end, start or end))
        known, actions = (partitioned(frame) for frame in self._before(vendor, list(asks.values())))
        return [
            Asked(
                member=member,
                vendor=vendor,
                ask=asks[member.ticker],
                known=known.get(member.ticker, NO_BARS),
                actions=actions.get(member.ticker, NO_ACTIONS),
                continued=self._chosen.get(member.ticker, vendor),
                last=self._last.get(member.ticker),
                since=self._spliced.get((member.ticker, vendor)),
            )
            for member in members
        ]

    def newest(self, exchange: str | None) -> date:
        """Return the newest session of an exchange that has been closed for the delay."""
        minute = utc_now().replace(second=0, microsecond=0)
        if (exchange, minute) not in self._sessions:
            self._sessions[exchange, minute] = newest_closed(exchange, minute, self._settings.delay_minutes)
        return self._sessions[exchange, minute]

    def _start(self, vendor: str, member: Member) -> date | None:
        """Return the day from which a vendor is asked for a ticker; None for its whole history.

        The ticker's own vendor is asked from its own last bar, so that it sends again what others have continued.
        """
        ticker, last = member.ticker, self._last.get(member.ticker)
        if last is None:
            return None
        if vendor != member.source:
            return self._overlap(member, last)
        if (ticker, vendor) not in self._whole or self._chosen.get(ticker, vendor) != vendor:
            return None
        last = min(last, self._spliced.get((ticker, vendor), last))
        start = self._overlap(member, last)
        return start if (ticker, vendor) in self._reviewed else min(start, last - timedelta(days=_REVIEW_DAYS))

    def _overlap(self, member: Member, last: date) -> date:
        """Return the day from which a ticker is asked for: some sessions before its last bar."""
        sessions = self._settings.overlap_sessions
        closes = closes_between(member.exchange, last - timedelta(days=2 * sessions + 15), last - timedelta(days=1))
        return closes[-sessions][0] if len(closes) >= sessions else last - timedelta(days=2 * sessions)

    def _before(self, vendor: str, asks: Sequence[Ask]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the bars of the lake, and the actions that a vendor has sent, from the first day of each ask on."""
        rows = [(ask.ticker, ask.start) for ask in asks]
        asked = pl.DataFrame(rows, schema={"ticker": pl.String, "start": pl.Date}, orient="row")
        asked = asked.with_columns(reach=pl.col("start") - ACTIONS_REACH)
        begun = asked.drop_nulls("start")
        known = self._context.query(_KNOWN, [begun["start"].min()], asked=begun) if begun.height else NO_BARS
        return known, self._context.query(_ACTIONS, [vendor], asked=asked)


def partitioned(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return a frame's rows by ticker."""
    parts = frame.partition_by("ticker", as_dict=True, maintain_order=True)
    return {str(ticker): rows for (ticker,), rows in parts.items()}
