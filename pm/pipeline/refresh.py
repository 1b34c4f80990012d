"""Ask vendors for the tickers that are due, judge what they answer, and land it in pieces, a commit each.

A ticker is asked of its own vendor first. Where that one fails, the next vendors by precedence are asked: they give a
new ticker its whole history, and continue one with a history if their closes agree with it; see docs/refreshing.md.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now, utc_today
from pm.errors import SourceError
from pm.pipeline.due import newest_closed
from pm.pipeline.fetched import Fetched, Totals, changed_actions
from pm.plural import plural
from pm.sessions import closes_between
from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Failure
from pm.sources.symbols import exchange_code, symbol_of
from pm.tables.sources import RAW_ACTIONS
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import date, datetime

    from pm.pipeline.due import Member
    from pm.pipeline.stage import Context
    from pm.pipeline.writes import Result
    from pm.quality.overlap import Agreement

__all__ = ["Asked", "refreshing"]

_BARS_PER_COMMIT = 500_000
"""Number of bars from which an answer is the last of its commit, whose bars are in memory together."""
_SECONDS_PER_COMMIT = 15.0
"""Time after which an answer is the last of its commit: about the longest work that a refresh loses if it is killed."""

_RECENT = timedelta(days=30)
"""Time within which most tickers have a bar: to look for the last ones there takes a fifth of the time."""

_LAST = "SELECT ticker, max(date) AS last FROM bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) GROUP BY ticker"
_RECENT_LAST = "SELECT ticker, max(date) AS last FROM bars WHERE date >= ? GROUP BY ticker"

_WHOLE = "SELECT DISTINCT ticker, vendor FROM fetches WHERE asked_from IS NULL AND bars > 0"
"""Query for the tickers whose whole history a vendor has sent."""

_KNOWN = """
SELECT b.ticker, b.date, b.close
FROM bars AS b JOIN asked ON asked.ticker = b.ticker
WHERE b.date >= ? AND b.date >= asked.start
"""

_ACTIONS = """
SELECT a.*
FROM raw.actions AS a JOIN raw.batches AS b USING (batch_id) JOIN asked ON asked.ticker = a.ticker
WHERE b.origin = ? AND a.date >= asked.start
"""

_GONE = """
WITH answered AS (SELECT ticker, max(fetched_at) AS answered_at FROM fetches WHERE reason IS NULL GROUP BY ticker)
SELECT f.ticker, count(DISTINCT f.fetched_at::DATE) AS nights
FROM fetches AS f LEFT JOIN answered AS a USING (ticker)
WHERE f.reason = 'gone' AND f.fetched_at::DATE < ? AND (a.answered_at IS NULL OR f.fetched_at > a.answered_at)
GROUP BY f.ticker
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
        Dividends and splits that the vendor has sent from that day on, with the columns of raw.actions.
    """

    member: Member
    vendor: str
    ask: Ask
    known: pl.DataFrame
    actions: pl.DataFrame

    @property
    def is_other(self) -> bool:
        """Whether the vendor is another one than the ticker's own."""
        return self.vendor != self.member.source


def refreshing(context: Context, members: Sequence[Member], *, up_to_date: int) -> Iterator[Result]:
    """Ask vendors for tickers, and yield what came in pieces, a commit each.

    A piece is at most `refresh.tickers_per_commit` tickers, and fewer of a vendor that is slow or sends long histories.

    Parameters
    ----------
    context
        Context of the stage.
    members
        Tickers that are due.
    up_to_date
        Number of tickers that are not.
    """
    return _Refresh(context, members, up_to_date).pieces()


class _Refresh:
    def __init__(self, context: Context, members: Sequence[Member], up_to_date: int) -> None:
        self._context = context
        self._settings = context.settings.refresh
        self._members = members
        self._until = time.monotonic() + 60 * self._settings.total_minutes
        self._done = 0
        self._sessions: dict[tuple[str | None, datetime], date] = {}
        self._failed: dict[str, dict[str, FailureReason]] = {}
        self._totals = Totals(len(members), up_to_date)
        recent = context.rows(_RECENT_LAST, [utc_today() - _RECENT])
        self._last: dict[str, date] = {row["ticker"]: row["last"] for row in recent}
        if others := [member.ticker for member in members if member.ticker not in self._last]:
            self._last |= {row["ticker"]: row["last"] for row in context.rows(_LAST, [others])}
        self._whole = {(row["ticker"], row["vendor"]) for row in context.rows(_WHOLE)}
        self._gone: dict[str, int] = {row["ticker"]: row["nights"] for row in context.rows(_GONE, [utc_today()])}

    def pieces(self) -> Iterator[Result]:
        """Yield what comes of each ticker's own vendor, and then of the others for what failed."""
        for vendor in sorted({member.source for member in self._members}):
            yield from self._ask(vendor, [member for member in self._members if member.source == vendor])
        for vendor in self._settings.vendors:
            again = [
                member
                for member in self._members
                if member.ticker in self._failed and vendor not in self._failed[member.ticker]
            ]
            if again and time.monotonic() < self._until:
                yield from self._ask(vendor, again)
        delisted = [member for member in self._members if self._is_gone(member) and not member.is_delisted]
        if delisted:
            yield self._fetched("").delist(delisted)

    def _is_gone(self, member: Member) -> bool:
        """Return whether no vendor has known a ticker for as many nights as delist it."""
        reasons = set(self._failed.get(member.ticker, {}).values())
        return reasons == {FailureReason.GONE} and self._gone_nights(member.ticker) >= self._settings.gone_nights

    def _gone_nights(self, ticker: str) -> int:
        """Return the number of nights in a row, tonight included, of a ticker that is not known tonight."""
        return self._gone.get(ticker, 0) + 1

    def _ask(self, vendor: str, members: Sequence[Member]) -> Iterator[Result]:
        """Ask a vendor for tickers, and yield what comes in pieces."""
        open_asks = {asked.ask.ticker: asked for asked in self._asked(vendor, members)}
        piece: list[tuple[Asked, Answer | Failure]] = []
        bars, since = 0, time.monotonic()
        with closing(self._outcomes(vendor, [asked.ask for asked in open_asks.values()])) as outcomes:
            for outcome in outcomes:
                asked = open_asks.pop(outcome.ask.ticker, None)
                if asked is None:  # the vendor answers twice
                    continue
                piece.append((asked, outcome))
                self._done += 1
                self._context.progress(min(self._done, len(self._members)), len(self._members))
                bars += outcome.bars.height if isinstance(outcome, Answer) else 0
                is_large = len(piece) >= self._settings.tickers_per_commit or bars >= _BARS_PER_COMMIT
                if is_large or time.monotonic() > since + _SECONDS_PER_COMMIT:
                    yield self._taken(vendor, piece)
                    piece, bars, since = [], 0, time.monotonic()
                if time.monotonic() > self._until:
                    break
        for asked in open_asks.values():
            detail = f"There was no time left: the refresh ends after {self._settings.total_minutes:g} minutes."
            piece.append((asked, Failure(asked.ask, FailureReason.NOT_ASKED, detail)))
        if piece:
            yield self._taken(vendor, piece)

    def _fetched(self, vendor: str) -> Fetched:
        return Fetched(self._context, vendor, self._totals)

    def _outcomes(self, vendor: str, asks: list[Ask]) -> Generator[Answer | Failure, None, None]:
        """Yield what a vendor answers; if it cannot be asked at all, a failure for each ticker that is left."""
        from pm.sources import source

        left = {ask.ticker: ask for ask in asks}
        try:
            opened = source(vendor, self._settings, self._context.workspace.root)
            for outcome in opened.fetch(asks):
                left.pop(outcome.ask.ticker, None)
                yield outcome
        except SourceError as error:
            detail = f"{error.what} {error.hint[:1].upper()}{error.hint[1:]}".strip()
            for ask in left.values():
                yield Failure(ask, FailureReason.NOT_PERMITTED, detail)

    def _taken(self, vendor: str, piece: Sequence[tuple[Asked, Answer | Failure]]) -> Result:
        """Return what lands of a vendor's answers for some tickers, and what is recorded of its failures."""
        fetched = self._fetched(vendor)
        answers = [(asked, outcome) for asked, outcome in piece if isinstance(outcome, Answer)]
        bars = self._closed(BARS_SCHEMA, [(asked, answer.exchange, answer.bars) for asked, answer in answers])
        actions = self._closed(ACTIONS_SCHEMA, [(asked, answer.exchange, answer.actions) for asked, answer in answers])
        sent = partitioned(bars)
        refused: list[str] = []
        for asked, outcome in piece:
            ticker = asked.member.ticker
            judged = (
                self._judged(asked, outcome, sent.get(ticker, _NO_BARS)) if isinstance(outcome, Answer) else outcome
            )
            if isinstance(judged, Failure):
                self._failed.setdefault(ticker, {})[vendor] = judged.reason
                refused.append(ticker)
                fetched.fail(asked, judged, is_delisted=self._is_gone(asked.member))
            elif isinstance(outcome, Answer):
                self._failed.pop(ticker, None)
                fetched.answer(asked, outcome, judged, sent.get(ticker, _NO_BARS)["date"])
        lands = ~pl.col("ticker").is_in(refused)
        known = pl.concat([_NO_ACTIONS, *(asked.actions for asked, _ in answers if asked.actions.height)])
        fetched.land(bars.filter(lands), changed_actions(actions.filter(lands), known.filter(lands)))
        return fetched.result()

    def _closed(self, schema: pl.Schema, parts: Sequence[tuple[Asked, str | None, pl.DataFrame]]) -> pl.DataFrame:
        """Return rows of answers without those of sessions that have not closed.

        Parameters
        ----------
        schema
            Columns of the rows.
        parts
            What was asked, the exchange that the vendor names, and rows with a ticker and a date.
        """
        limits, frames = [], []
        for asked, named, frame in parts:
            exchange = asked.member.exchange or exchange_code(named)
            limits.append((asked.member.ticker, min(asked.ask.end, self._newest(exchange))))
            if frame.height:
                frames.append(frame)
        limit = pl.DataFrame(limits, schema={"ticker": pl.String, "limit": pl.Date}, orient="row")
        names = schema.names()
        ordered = [frame if frame.columns == names else frame.select(names) for frame in frames]
        rows = pl.concat([schema.to_frame(), *ordered], how="vertical_relaxed")
        rows = rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
        # Rows without a date stay: the check refuses them by name.
        return (
            rows.join(limit, on="ticker", how="left", maintain_order="left")
            .filter((pl.col("date") <= pl.col("limit")).fill_null(value=True))
            .drop("limit")
        )

    def _newest(self, exchange: str | None) -> date:
        """Return the newest session of an exchange that has been closed for the delay."""
        minute = utc_now().replace(second=0, microsecond=0)
        if (exchange, minute) not in self._sessions:
            self._sessions[exchange, minute] = newest_closed(exchange, minute, self._settings.delay_minutes)
        return self._sessions[exchange, minute]

    def _judged(self, asked: Asked, answer: Answer, sent: pl.DataFrame) -> Failure | Agreement | None:
        """Return why an answer cannot be used, or how it agrees with the bars that it continues, if that is asked."""
        from pm.quality.overlap import agreement, unit_change

        member = asked.member
        if asked.ask.start is None:
            if sent.is_empty():
                return Failure(answer.ask, FailureReason.GONE, f"{asked.vendor} has no bars of {answer.ask.symbol}.")
            return None
        move = f"To take all its bars from {asked.vendor}: pm universe move {member.ticker} --to {asked.vendor}"
        unit = unit_change(sent, asked.known)
        if unit is not None or (member.currency and answer.currency and member.currency != answer.currency):
            currencies = f"{member.currency or 'unknown'}, now {answer.currency or 'unknown'}"
            ratio = "" if unit is None else f"; the closes are {unit:g} times those of the lake"
            detail = f"The currency or its unit has changed: before {currencies}{ratio}. {move}"
            return Failure(answer.ask, FailureReason.OTHER_UNIT, detail, seconds=answer.seconds)
        if not asked.is_other:
            return None
        found = agreement(sent, asked.known, tolerance=self._context.settings.quality.price_tolerance)
        if found.agrees:
            return found
        detail = (
            f"{asked.vendor} cannot continue the bars: of {plural(found.dates, 'common date')} the closes differ by up "
            f"to {found.largest_difference:.3%}, and five dates that agree are needed. {move}"
        )
        return Failure(answer.ask, FailureReason.DISAGREES, detail, seconds=answer.seconds)

    def _asked(self, vendor: str, members: Sequence[Member]) -> list[Asked]:
        """Return what a vendor is asked, with what is known of each ticker."""
        now = utc_now()
        asks = {}
        for member in members:
            last = self._last.get(member.ticker)
            is_begun = last is not None and (vendor != member.source or (member.ticker, vendor) in self._whole)
            start = self._overlap(member, last) if is_begun and last is not None else None
            # The answer can name the exchange, which then tells what has closed.
            is_open = member.exchange is None and start is None
            end = now.date() if is_open else self._newest(member.exchange)
            symbol = symbol_of(member.ticker, vendor, member.symbols)
            asks[member.ticker] = Ask(member.ticker, symbol, start, max(end, start or end))
        known, actions = (partitioned(frame) for frame in self._before(vendor, list(asks.values())))
        return [
            Asked(
                member=member,
                vendor=vendor,
                ask=asks[member.ticker],
                known=known.get(member.ticker, _NO_BARS),
                actions=actions.get(member.ticker, _NO_ACTIONS),
            )
            for member in members
        ]

    def _overlap(self, member: Member, last: date) -> date:
        """Return the day from which a ticker is asked for: some sessions before its last bar."""
        sessions = self._settings.overlap_sessions
        closes = closes_between(member.exchange, last - timedelta(days=2 * sessions + 15), last - timedelta(days=1))
        return closes[-sessions][0] if len(closes) >= sessions else last - timedelta(days=2 * sessions)

    def _before(self, vendor: str, asks: Sequence[Ask]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the bars of the lake, and the actions that a vendor has sent, from the first day of each ask on."""
        rows = [(ask.ticker, ask.start) for ask in asks if ask.start is not None]
        asked = pl.DataFrame(rows, schema={"ticker": pl.String, "start": pl.Date}, orient="row")
        if asked.is_empty():
            return _NO_BARS, _NO_ACTIONS
        known = self._context.query(_KNOWN, [asked["start"].min()], asked=asked)
        return known, self._context.query(_ACTIONS, [vendor], asked=asked)


def partitioned(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return a frame's rows by ticker."""
    parts = frame.partition_by("ticker", as_dict=True, maintain_order=True)
    return {str(ticker): rows for (ticker,), rows in parts.items()}


_NO_ACTIONS = RAW_ACTIONS.polars_schema.to_frame()
_NO_BARS = pl.DataFrame(schema={"ticker": pl.String, "date": pl.Date, "close": pl.Float64})
