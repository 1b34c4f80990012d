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
from pm.sources.base import ACTIONS_REACH, ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Failure
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

_LAST = """
SELECT ticker, max(date) AS last
FROM bars WHERE ticker IN (SELECT unnest(?::VARCHAR[])) AND date <= ? GROUP BY ticker
"""
_RECENT_LAST = "SELECT ticker, max(date) AS last FROM bars WHERE date BETWEEN ? AND ? GROUP BY ticker"
"""Queries for the last bar of tickers; one after the present day was let in by a clock that was wrong."""

_WHOLE = """
SELECT DISTINCT f.ticker, f.vendor
FROM fetches AS f JOIN universe AS u USING (ticker)
WHERE f.asked_from IS NULL AND f.bars > 0 AND (f.fetched_at >= u.added_at OR u.added_at > ?)
"""
"""Query for the tickers whose whole history a vendor has sent since they were added or moved; a time after now is that
of a clock that was wrong."""
_REWRITTEN = 0.02
"""Relative difference of all closes that a vendor sends again above which they are no corrections."""

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

_GONE = """
WITH answered AS (SELECT ticker, max(fetched_at) AS answered_at FROM fetches WHERE reason IS NULL GROUP BY ticker)
SELECT f.ticker, count(DISTINCT f.fetched_at::DATE) AS nights
FROM fetches AS f LEFT JOIN answered AS a USING (ticker)
JOIN universe AS u ON u.ticker = f.ticker AND u.source = f.vendor AND u.added_at <= f.fetched_at
WHERE f.reason = 'gone' AND f.fetched_at::DATE < ? AND (a.answered_at IS NULL OR f.fetched_at > a.answered_at)
GROUP BY f.ticker
"""
"""Query for the number of nights in a row before today on which a ticker's own vendor did not know it."""


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


def refreshing(context: Context, members: Sequence[Member], *, waiting: Sequence[Member]) -> Iterator[Result]:
    """Ask vendors for tickers, and yield what came in pieces, a commit each.

    A piece is at most `refresh.tickers_per_commit` tickers, and fewer of a vendor that is slow or sends long histories.

    Parameters
    ----------
    context
        Context of the stage.
    members
        Tickers that are due.
    waiting
        Tickers that are not.
    """
    return _Refresh(context, members, waiting).pieces()


class _Refresh:
    def __init__(self, context: Context, members: Sequence[Member], waiting: Sequence[Member]) -> None:
        self._context = context
        self._settings = context.settings.refresh
        self._members = members
        self._until = time.monotonic() + 60 * self._settings.total_minutes
        self._done = 0
        self._sessions: dict[tuple[str | None, datetime], date] = {}
        self._failed: dict[str, dict[str, FailureReason]] = {}
        self._totals = Totals(len(members), waiting)
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
        """Return whether a ticker's own vendor has not known it for as many nights as delist it, and no other helps."""
        reason = self._failed.get(member.ticker, {}).get(member.source)
        return reason is FailureReason.GONE and self._gone_nights(member.ticker) >= self._settings.gone_nights

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
            opened = source(vendor, self._settings, self._context.workspace.root, self._until)
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
        is_early = pl.col("date") <= pl.col("limit")
        # A bar of a day to come is an error of the vendor, which the check refuses by name.
        is_late = pl.col("date") > utc_today() + timedelta(days=1)
        sent_bars = [(asked, answer.exchange, answer.bars) for asked, answer in answers]
        bars = self._closed(BARS_SCHEMA, sent_bars, is_early | is_late)
        sent_actions = [(asked, answer.exchange, answer.actions) for asked, answer in answers]
        actions = self._closed(ACTIONS_SCHEMA, sent_actions, is_early)
        landed = dict(bars.group_by("ticker").len().iter_rows())
        from pm.quality.rules import row_rules

        rules = row_rules(today=utc_today(), tolerance=self._context.settings.quality.price_tolerance)
        kept = [rule.fill_null(value=True) for rule in rules.values()]
        sent = partitioned(bars.filter(pl.col("date").is_not_null(), *kept))
        refused: list[str] = []
        for asked, outcome in piece:
            ticker = asked.member.ticker
            usable, rows = sent.get(ticker, _NO_BARS), landed.get(ticker, 0)
            judged = self._judged(asked, outcome, usable, rows) if isinstance(outcome, Answer) else outcome
            if isinstance(judged, Failure):
                self._failed.setdefault(ticker, {})[vendor] = judged.reason
                refused.append(ticker)
                fetched.fail(asked, judged, is_delisted=self._is_gone(asked.member))
            elif isinstance(outcome, Answer):
                self._failed.pop(ticker, None)
                fetched.answer(asked, outcome, judged, usable["date"], rows)
        lands = ~pl.col("ticker").is_in(refused)
        known = pl.concat([_NO_ACTIONS, *(asked.actions for asked, _ in answers if asked.actions.height)])
        complete = {asked.ask.ticker: answer.actions_from or asked.ask.start for asked, answer in answers}
        fetched.land(bars.filter(lands), changed_actions(actions.filter(lands), known.filter(lands), complete))
        return fetched.result()

    def _closed(
        self, schema: pl.Schema, parts: Sequence[tuple[Asked, str | None, pl.DataFrame]], is_kept: pl.Expr
    ) -> pl.DataFrame:
        """Return rows of answers without those of sessions that have not closed.

        Parameters
        ----------
        schema
            Columns of the rows.
        parts
            What was asked, the exchange that the vendor names, and rows with a ticker and a date.
        is_kept
            Whether a row is kept, by its date and `limit`, the last session that has closed.
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
            .filter(is_kept.fill_null(value=True))
            .drop("limit")
        )

    def _newest(self, exchange: str | None) -> date:
        """Return the newest session of an exchange that has been closed for the delay."""
        minute = utc_now().replace(second=0, microsecond=0)
        if (exchange, minute) not in self._sessions:
            self._sessions[exchange, minute] = newest_closed(exchange, minute, self._settings.delay_minutes)
        return self._sessions[exchange, minute]

    def _judged(self, asked: Asked, answer: Answer, sent: pl.DataFrame, rows: int) -> Failure | Agreement | None:
        """Return why an answer cannot be used, or how it agrees with the bars that it continues, if that is asked.

        Parameters
        ----------
        sent
            Its bars that keep the rules about a single row.
        rows
            Number of all its bars.
        """
        from pm.quality.overlap import basis_change, unit_change

        member = asked.member
        if sent.is_empty() and rows:
            detail = f"{asked.vendor} sent {plural(rows, 'bar')} of {answer.ask.symbol}, and none can be used."
            return Failure(answer.ask, FailureReason.INVALID_REPLY, detail, seconds=answer.seconds)
        if sent.is_empty() and asked.ask.start is None:
            return Failure(answer.ask, FailureReason.GONE, f"{asked.vendor} has no bars of {answer.ask.symbol}.")
        move = f"To take all its bars from {asked.vendor}: pm universe move {member.ticker} --to {asked.vendor}"
        unit = unit_change(sent, asked.known)
        if unit is not None or (member.currency and answer.currency and member.currency != answer.currency):
            currencies = f"{member.currency or 'unknown'}, now {answer.currency or 'unknown'}"
            ratio = "" if unit is None else f"; the closes are {unit:g} times those of the lake"
            detail = f"The currency or its unit has changed: before {currencies}{ratio}. {move}"
            return Failure(answer.ask, FailureReason.OTHER_UNIT, detail, seconds=answer.seconds)
        if asked.ask.start is None:
            return None
        splits = answer.actions.filter(pl.col("kind") == "split").select("date", "value").rows()
        basis = None if asked.is_other else basis_change(sent, asked.known, splits)
        if basis is not None:
            detail = (
                f"{asked.vendor} sends closes that are {basis:g} times those of the same days before, though prices as "
                f"traded do not change: a split is probably half recorded, which passes. {move}"
            )
            return Failure(answer.ask, FailureReason.DISAGREES, detail, seconds=answer.seconds)
        return self._continued(asked, answer, sent, move)

    def _continued(self, asked: Asked, answer: Answer, sent: pl.DataFrame, move: str) -> Failure | Agreement | None:
        """Return why the closes of an answer cannot continue those of the lake, or how they agree, if that is asked."""
        from pm.quality.overlap import COMMON_DATES, agreement

        tolerance = self._context.settings.quality.price_tolerance
        found = agreement(sent, asked.known, tolerance=tolerance)
        if found.agrees:
            return found if asked.is_other else None
        if asked.is_other:
            detail = (
                f"{asked.vendor} cannot continue the bars: of {plural(found.dates, 'common date')} the closes differ "
                f"by up to {found.largest_difference:.3%}, and five dates that agree are needed. {move}"
            )
        elif found.dates >= COMMON_DATES and found.smallest_difference > max(_REWRITTEN, tolerance):
            detail = (
                f"{asked.vendor} has changed all of the last {found.dates} closes, by {found.smallest_difference:.1%} "
                f"to {found.largest_difference:.1%}, and told no split: a split may be half recorded, which passes, or "
                f"the symbol is another company's now. {move}"
            )
        else:
            return None
        return Failure(answer.ask, FailureReason.DISAGREES, detail, seconds=answer.seconds)

    def _asked(self, vendor: str, members: Sequence[Member]) -> list[Asked]:
        """Return what a vendor is asked, with what is known of each ticker."""
        now = utc_now()
        asks = {}
        for member in members:
            start = self._start(vendor, member)
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
                continued=self._chosen.get(member.ticker, vendor),
                last=self._last.get(member.ticker),
                since=self._spliced.get((member.ticker, vendor)),
            )
            for member in members
        ]

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
        known = self._context.query(_KNOWN, [begun["start"].min()], asked=begun) if begun.height else _NO_BARS
        return known, self._context.query(_ACTIONS, [vendor], asked=asked)


def partitioned(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return a frame's rows by ticker."""
    parts = frame.partition_by("ticker", as_dict=True, maintain_order=True)
    return {str(ticker): rows for (ticker,), rows in parts.items()}


_NO_ACTIONS = RAW_ACTIONS.polars_schema.to_frame()
_NO_BARS = pl.DataFrame(schema={"ticker": pl.String, "date": pl.Date, "close": pl.Float64})
