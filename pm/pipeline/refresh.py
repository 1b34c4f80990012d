"""Ask vendors for the tickers that are due, judge what they answer, and land it in pieces, a commit each.

A ticker is asked of its own vendor first. Where that one fails, the next vendors by precedence are asked: they give a
new ticker its whole history, and continue one with a history if their closes agree with it; see docs/refreshing.md.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.errors import SourceError
from pm.pipeline.asked import NO_ACTIONS, NO_BARS, Questions, partitioned
from pm.pipeline.fetched import Fetched, Totals, changed_actions
from pm.pipeline.judging import judged
from pm.pipeline.pieces import Piece
from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Failure
from pm.sources.symbols import exchange_code
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pm.pipeline.asked import Asked
    from pm.pipeline.due import Member
    from pm.pipeline.stage import Context
    from pm.pipeline.writes import Result
    from pm.quality.overlap import Agreement

__all__ = ["refreshing"]

_BARS_PER_COMMIT = 500_000
"""Number of bars from which an answer is the last of its commit, whose bars are in memory together."""

_GONE = """
WITH answered AS (SELECT ticker, max(fetched_at) AS answered_at FROM fetches WHERE reason IS NULL GROUP BY ticker)
SELECT f.ticker, count(DISTINCT f.fetched_at::DATE) AS nights
FROM fetches AS f LEFT JOIN answered AS a USING (ticker)
JOIN universe AS u ON u.ticker = f.ticker AND u.source = f.vendor AND u.added_at <= f.fetched_at
WHERE f.reason = 'gone' AND f.fetched_at::DATE < ? AND (a.answered_at IS NULL OR f.fetched_at > a.answered_at)
GROUP BY f.ticker
"""
"""Query for the number of nights in a row before today on which a ticker's own vendor did not know it."""


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
        self._failed: dict[str, dict[str, FailureReason]] = {}
        self._totals = Totals(len(members), waiting)
        self._questions = Questions(context, members)
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
        open_asks = {asked.ask.ticker: asked for asked in self._questions.asked(vendor, members)}
        piece: Piece[tuple[Asked, Answer | Failure]] = Piece(self._settings.tickers_per_commit, _BARS_PER_COMMIT)
        with closing(self._outcomes(vendor, [asked.ask for asked in open_asks.values()])) as outcomes:
            for outcome in outcomes:
                asked = open_asks.pop(outcome.ask.ticker, None)
                if asked is None:  # the vendor answers twice
                    continue
                piece.add((asked, outcome), outcome.bars.height if isinstance(outcome, Answer) else 0)
                self._done += 1
                self._context.progress(min(self._done, len(self._members)), len(self._members))
                if piece.is_full:
                    yield self._taken(vendor, piece.taken())
                if time.monotonic() > self._until:
                    break
        for asked in open_asks.values():
            detail = f"There was no time left: the refresh ends after {self._settings.total_minutes:g} minutes."
            piece.add((asked, Failure(asked.ask, FailureReason.NOT_ASKED, detail)), 0)
        if piece:
            yield self._taken(vendor, piece.taken())

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

        tolerance = self._context.settings.quality.price_tolerance
        rules = row_rules(today=utc_today(), tolerance=tolerance)
        kept = [rule.fill_null(value=True) for rule in rules.values()]
        sent = partitioned(bars.filter(pl.col("date").is_not_null(), *kept))
        refused: list[str] = []
        for asked, outcome in piece:
            ticker = asked.member.ticker
            usable, rows = sent.get(ticker, NO_BARS), landed.get(ticker, 0)
            verdict: Failure | Agreement | None
            if isinstance(outcome, Answer):
                verdict = judged(asked, outcome, usable, rows, tolerance=tolerance)
                if not isinstance(verdict, Failure):
                    self._failed.pop(ticker, None)
                    fetched.answer(asked, outcome, verdict, usable["date"], rows)
                    continue
            else:
                verdict = outcome
            self._failed.setdefault(ticker, {})[vendor] = verdict.reason
            refused.append(ticker)
            fetched.fail(asked, verdict, is_delisted=self._is_gone(asked.member))
        lands = ~pl.col("ticker").is_in(refused)
        known = pl.concat([NO_ACTIONS, *(asked.actions for asked, _ in answers if asked.actions.height)])
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
            limits.append((asked.member.ticker, min(asked.ask.end, self._questions.newest(exchange))))
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
