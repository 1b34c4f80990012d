"""Ask for news of the tickers that are due, those first that were asked for least recently, and land what is new.

Bars decide whether a refresh has failed; what fails here is recorded and told, and asked for again.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now, utc_today
from pm.errors import PmError
from pm.pipeline.due import CLOCKS_DIFFER
from pm.pipeline.news_due import NewsMember, news_due_after_failure, tomorrow
from pm.pipeline.pieces import Piece
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.sources.base import Ask, Failure
from pm.sources.registry import TEXT_VENDOR
from pm.sources.symbols import symbol_of
from pm.sources.texts import TEXTS_SCHEMA, TextAnswer
from pm.tables.sources import RAW_TEXTS, TEXT_FETCHES
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pm.pipeline.stage import Context
    from pm.sources.texts import TextSource

__all__ = ["asking"]

_FIRST_DAYS = 30
"""Number of days before today from which a ticker is asked for that no text is known of."""
_LONGEST_DAYS = 365
"""Largest number of days before today from which a ticker is asked for: free keys get the news of a year."""
_OVERLAP = timedelta(days=1)
"""Time before the last text from which a ticker is asked for, since articles are told late."""
_LONGEST_LIMIT = timedelta(hours=1)
"""Longest time of a limit that earlier requests count for."""
_TEXTS_PER_COMMIT = 50_000
"""Number of texts from which an answer is the last of its commit, whose texts are in memory together."""

_ASKED = f"""
SELECT
    ticker,
    max(fetched_at) FILTER (
        WHERE reason IS NULL OR reason NOT IN ('{FailureReason.LIMITED}', '{FailureReason.NOT_ASKED}')
    ) AS asked_at,
    max(last_published_at) AS last_published_at
FROM text_fetches WHERE vendor = ? AND fetched_at <= ? GROUP BY ticker
"""  # noqa: S608 - constants
"""Query for when tickers were asked for last, and their last texts."""

_EARLIER = f"""
SELECT count(*) FILTER (WHERE kind = 'bars') AS bars, count(*) FILTER (WHERE kind = 'texts') AS texts, moment
FROM (
    SELECT 'bars' AS kind, vendor, reason, date_trunc('second', fetched_at) AS moment FROM fetches
    WHERE fetched_at BETWEEN ? AND ?
    UNION ALL
    SELECT 'texts', vendor, reason, date_trunc('second', fetched_at) FROM text_fetches
    WHERE fetched_at BETWEEN ? AND ?
)
WHERE vendor = ? AND reason IS DISTINCT FROM '{FailureReason.NOT_ASKED}'
GROUP BY moment ORDER BY moment
"""  # noqa: S608 - constants
"""Query for what a vendor was asked between two times, by the second."""

_KNOWN = """
SELECT t.ticker, t.source_id
FROM raw.texts AS t JOIN sent ON sent.ticker = t.ticker AND sent.source_id = t.source_id
WHERE t.source = ?
"""


def asking(context: Context, members: Sequence[NewsMember]) -> Iterator[Result]:
    """Ask for the news of tickers, and yield what came in pieces, a commit each; `refresh.news_minutes` at most.

    Parameters
    ----------
    context
        Context of the stage.
    members
        Tickers that are due.
    """
    return _News(context, members).pieces()


@dataclass
class _Totals:
    """Counts of the stage so far: tickers that were due, answered and failed; texts that landed and were refused."""

    due: int
    answered: int = 0
    texts: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    problem: str | None = None
    """Why nothing could be asked at all."""

    def __str__(self) -> str:
        failed = self.failures.total()
        left = self.due - self.answered - failed
        parts = [f"{plural(self.texts, 'text')} of {plural(self.answered, 'ticker')}"]
        parts += [f"{self.refused:,} refused"] if self.refused else []
        parts += [f"{plural(left, 'ticker')} left for the next refresh"] if left else []
        for detail, count in self.failures.most_common(1):
            parts.append(f"{failed:,} failed{'' if count == failed else f', {count:,} of them'}: {detail}")
        parts += [self.problem] if self.problem else []
        return "; ".join(parts)


class _News:
    def __init__(self, context: Context, members: Sequence[NewsMember]) -> None:
        self._context = context
        self._settings = context.settings.refresh
        self._until = time.monotonic() + 60 * self._settings.news_minutes
        self._totals = _Totals(len(members))
        now = utc_now()
        asked = context.rows(_ASKED, [TEXT_VENDOR, now + CLOCKS_DIFFER])
        self._last: dict[str, datetime | None] = {row["ticker"]: row["last_published_at"] for row in asked}
        asked_at = {row["ticker"]: row["asked_at"] for row in asked if row["asked_at"] is not None}
        # A ticker that was never asked for comes before all others.
        self._members = sorted(
            members, key=lambda each: (each.ticker in asked_at, asked_at.get(each.ticker, now), each.ticker)
        )

    def pieces(self) -> Iterator[Result]:
        """Yield what comes, in pieces."""
        asks = [self._ask(member) for member in self._members]
        piece: Piece[tuple[TextAnswer | Failure, datetime]] = Piece(
            self._settings.tickers_per_commit, _TEXTS_PER_COMMIT
        )
        has_yielded = False
        with closing(self._outcomes(asks)) as outcomes:
            for done, outcome in enumerate(outcomes, start=1):
                self._context.progress(done, len(asks))
                if not _is_left(outcome):
                    piece.add((outcome, utc_now()), outcome.texts.height if isinstance(outcome, TextAnswer) else 0)
                if piece.is_full:
                    yield self._taken(piece.taken())
                    has_yielded = True
        if piece or self._totals.problem or not has_yielded:
            yield self._taken(piece.taken())

    def _ask(self, member: NewsMember) -> Ask:
        """Return what is asked for a ticker: from the day before its last text, or of the last days."""
        today, last = utc_today(), self._last.get(member.ticker)
        start = today - timedelta(days=_FIRST_DAYS)
        if last is not None:
            start = max(min(last.date(), today) - _OVERLAP, today - timedelta(days=_LONGEST_DAYS))
        return Ask(member.ticker, symbol_of(member.ticker, TEXT_VENDOR, member.symbols), start, today)

    def _outcomes(self, asks: Sequence[Ask]) -> Generator[TextAnswer | Failure, None, None]:
        """Yield what the vendor answers; nothing more if it cannot be asked at all."""
        from pm.sources import text_source

        try:
            source = text_source(self._settings, self._context.workspace.root, self._until)
            self._count_earlier(source)
            yield from source.texts(asks)
        except PmError as error:
            self._totals.problem = error.what

    def _count_earlier(self, source: TextSource) -> None:
        """Count what the stages and commands before have asked of the vendor against its limits."""
        now = utc_now()
        span = [now - _LONGEST_LIMIT, now]
        for row in self._context.rows(_EARLIER, [*span, *span, TEXT_VENDOR]):
            source.count_earlier(bars=row["bars"], texts=row["texts"], seconds=(now - row["moment"]).total_seconds())

    def _taken(self, piece: Sequence[tuple[TextAnswer | Failure, datetime]]) -> Result:
        """Return the texts of some answers that are new, and what is recorded of each answer and failure."""
        answers = [outcome for outcome, _ in piece if isinstance(outcome, TextAnswer)]
        sent = pl.concat([TEXTS_SCHEMA.to_frame(), *(answer.texts for answer in answers if answer.texts.height)])
        new = sent
        if sent.height:
            keys = sent.select("ticker", "source_id")
            known = self._context.query(_KNOWN, [TEXT_VENDOR], sent=keys)
            new = sent.join(known, on=["ticker", "source_id"], how="anti", maintain_order="left")
        counts = dict(new.group_by("ticker").len().iter_rows())
        rows = [self._row(outcome, moment, counts.get(outcome.ask.ticker, 0)) for outcome, moment in piece]
        self._totals.texts += new.height
        times = pl.DataFrame(
            [(outcome.ask.ticker, moment) for outcome, moment in piece],
            schema={"ticker": pl.String, "fetched_at": RAW_TEXTS.polars_schema["fetched_at"]},
            orient="row",
        )
        landed = new.join(times, on="ticker", maintain_order="left").with_columns(run_id=pl.lit(self._context.run_id))
        tables = {RAW_TEXTS: landed, TEXT_FETCHES: pl.DataFrame(rows, schema=TEXT_FETCHES.polars_schema)}
        return Result([Append(table, frame) for table, frame in tables.items() if frame.height], str(self._totals))

    def _row(self, outcome: TextAnswer | Failure, moment: datetime, texts: int) -> dict[str, Any]:
        """Return the row of an answer or a failure in table text_fetches, and count it."""
        ask = outcome.ask
        row: dict[str, Any] = {
            "ticker": ask.ticker,
            "vendor": TEXT_VENDOR,
            "asked_from": ask.start,
            "asked_to": ask.end,
            "sent": 0,
            "texts": texts,
            "refused": 0,
            "last_published_at": self._last.get(ask.ticker),
            "reason": None,
            "detail": None,
            "seconds": outcome.seconds,
            "retry_after": None,
            "due_at": tomorrow(moment.date()),
            "run_id": self._context.run_id,
            "fetched_at": moment,
        }
        if isinstance(outcome, TextAnswer):
            published: datetime | None = outcome.texts["published_at"].max()  # type: ignore[assignment] # of times
            times = [at for at in (row["last_published_at"], published) if at is not None]
            refused = sum(outcome.refused.values())
            row |= {"sent": outcome.sent, "refused": refused, "detail": outcome.refusals}
            row["last_published_at"] = max(times, default=None)
            self._totals.refused += refused
            if not refused or refused < outcome.sent:
                self._totals.answered += 1
                return row
            outcome = Failure(ask, FailureReason.INVALID_REPLY, outcome.refusals or "", seconds=outcome.seconds)
        self._totals.failures[outcome.detail] += 1
        due_at = news_due_after_failure(outcome, moment)
        return row | {
            "reason": outcome.reason.value,
            "detail": outcome.detail,
            "retry_after": outcome.retry_after,
            "due_at": due_at,
        }


def _is_left(outcome: TextAnswer | Failure) -> bool:
    """Return whether a ticker was not asked for, and can be at any time: it stays due, and nothing is recorded."""
    if isinstance(outcome, TextAnswer) or outcome.reason is not FailureReason.NOT_ASKED:
        return False
    return outcome.retry_after is None or outcome.retry_after <= utc_now()
