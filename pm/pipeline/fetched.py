"""Collect what vendors answered for some tickers, as the changes to the lake of one commit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_now
from pm.pipeline.due import due_after, due_after_failure, newest_closed
from pm.pipeline.landing import Landing
from pm.pipeline.writes import Append, Merge, Result
from pm.plural import plural
from pm.sources.base import ACTIONS_SCHEMA, BARS_SCHEMA, Delivery, no_actions
from pm.sources.symbols import exchange_code
from pm.tables.sources import FETCHES, SPLICES, UNIVERSE
from pm.tables.vocabulary import TickerStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pm.pipeline.asked import Asked
    from pm.pipeline.due import Member
    from pm.pipeline.stage import Context
    from pm.pipeline.writes import Write
    from pm.quality.overlap import Agreement
    from pm.sources.base import Answer, Failure

__all__ = ["Fetched", "Totals", "changed_actions", "hit_rate"]


def hit_rate(waiting: Sequence[Member], tickers: int) -> str:
    """Return in words how many tickers needed no request, since they are up to date.

    Parameters
    ----------
    waiting
        Tickers that are not due. Those that failed are not up to date.
    tickers
        Number of tickers, those that are due included.
    """
    failed = sum(member.has_failed for member in waiting)
    fresh = len(waiting) - failed
    line = f"{fresh:,} of {plural(tickers, 'ticker')} up to date (hit rate {fresh / max(tickers, 1):.1%})"
    return line if not failed else f"{line}, {failed:,} failed before and not due yet"


@dataclass
class Totals:
    """Counts of a refresh so far.

    Attributes
    ----------
    due
        Number of tickers that are due.
    waiting
        Tickers that are not.
    bars
        Number of bars that landed.
    answered, failed
        Tickers whose bars came, and those whose vendors all failed up to now.
    """

    due: int
    waiting: Sequence[Member]
    bars: int = 0
    answered: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        parts = [f"{plural(self.bars, 'bar')} of {plural(len(self.answered), 'ticker')}"]
        parts += [f"{len(self.failed):,} failed"] if self.failed else []
        parts.append(hit_rate(self.waiting, self.due + len(self.waiting)))
        return "; ".join(parts)


class Fetched:
    """What a vendor answered for some tickers, on its way to a commit.

    Parameters
    ----------
    context
        Context of the stage.
    vendor
        The vendor.
    totals
        Counts of the whole refresh, which this adds to.
    """

    def __init__(self, context: Context, vendor: str, totals: Totals) -> None:
        self._context = context
        self._vendor = vendor
        self._totals = totals
        self._settings = context.settings.refresh
        self._bars = BARS_SCHEMA.to_frame()
        self._actions = no_actions()
        self._fetches: list[dict[str, Any]] = []
        self._splices: list[dict[str, Any]] = []
        self._taken_over: list[str] = []
        self._described: dict[str, dict[str, Any]] = {}

    def land(self, bars: pl.DataFrame, actions: pl.DataFrame) -> None:
        """Take the bars, and the dividends and splits that are news, of all answers that land."""
        self._bars, self._actions = bars, actions
        self._totals.bars += bars.height

    def answer(self, asked: Asked, answer: Answer, agreement: Agreement | None, dates: pl.Series, rows: int) -> None:
        """Note that an answer lands.

        Parameters
        ----------
        dates
            Dates of its bars that can be used.
        agreement
            How the closes agree with those of the vendor whose bars it continues; None if it continues none.
        rows
            Number of all its bars.
        """
        member, ask, now = asked.member, asked.ask, utc_now()
        last: date | None = dates.max()  # type: ignore[assignment] # of a column of dates
        exchange = member.exchange or exchange_code(answer.exchange)
        delay = self._settings.delay_minutes
        closed = min(ask.end, newest_closed(exchange, now, delay))
        due_at = due_after(exchange, last, closed, now, delay)
        self._note(asked, bars=rows, last_date=last, seconds=answer.seconds, due_at=due_at)
        if agreement is not None and last is not None and asked.continued != self._vendor:
            self._splices.append(self._splice(asked, agreement))
        is_newest = ask.start is None or asked.last is None or (last is not None and last >= asked.last)
        if agreement is None and asked.since is not None and rows and is_newest:
            self._taken_over.append(member.ticker)
        own = member.source if agreement is not None else self._vendor
        self._describe(
            member,
            source=own,
            name=member.name or answer.name,
            exchange=exchange_code(answer.exchange) or answer.exchange,
            currency=answer.currency or member.currency if own == self._vendor else member.currency,
            status=TickerStatus.ACTIVE.value if member.is_delisted else member.status,
        )
        self._totals.answered.add(member.ticker)
        self._totals.failed.discard(member.ticker)

    def fail(self, asked: Asked, failure: Failure, *, is_delisted: bool) -> None:
        """Take a failure; of a ticker that counts as delisted, it was expected."""
        member, now = asked.member, utc_now()
        due_at = due_after_failure(
            member.exchange,
            failure.reason,
            now,
            asked_to=newest_closed(member.exchange, now, self._settings.delay_minutes),
            retry_after=failure.retry_after,
            delay_minutes=self._settings.delay_minutes,
            is_delisted=is_delisted,
        )
        self._note(
            asked,
            reason=failure.reason.value,
            detail=failure.detail,
            seconds=failure.seconds,
            retry_after=failure.retry_after,
            due_at=due_at,
        )
        self._totals.failed.add(member.ticker)

    def delist(self, members: Sequence[Member]) -> Result:
        """Return the result that records tickers as delisted."""
        for member in members:
            self._describe(member, status=TickerStatus.DELISTED.value)
            self._context.notify(
                f"{member.ticker}: recorded as delisted, since {member.source} did not know it on "
                f"{plural(self._settings.gone_nights, 'night')}; it is asked for once a week. If it was renamed, add "
                f"the new ticker, and remove this one: pm universe remove {member.ticker}"
            )
        return self.result()

    def result(self) -> Result:
        """Return the changes of the commit."""
        writes: list[Write] = []
        if self._bars.height or self._actions.height:
            landing = Landing(self._context)
            batch = landing.add(Delivery(iter([self._bars]), self._actions), origin=self._vendor, fingerprint=None)
            writes += landing.writes()
            if self._taken_over:
                open_ones = self._context.read(
                    SPLICES, "ended_by IS NULL AND continued = ?", [self._vendor], among={"ticker": self._taken_over}
                )
                writes.append(Merge(SPLICES, open_ones.with_columns(ended_by=pl.lit(batch.batch_id))))
        writes.append(Append(FETCHES, pl.DataFrame(self._fetches, schema=FETCHES.polars_schema)))
        if self._splices:
            writes.append(Merge(SPLICES, pl.DataFrame(self._splices, schema=SPLICES.polars_schema)))
        if self._described:
            listed = self._context.read(UNIVERSE, among={"ticker": list(self._described)})
            described = pl.DataFrame(
                [_described(row, self._described[row["ticker"]]) for row in listed.iter_rows(named=True)],
                schema=UNIVERSE.polars_schema,
            )
            changed = described.join(listed, on=listed.columns, how="anti", nulls_equal=True)
            writes += [Merge(UNIVERSE, changed)] if not changed.is_empty() else []
        return Result(writes, str(self._totals))

    def _note(self, asked: Asked, **values: object) -> None:
        """Add a row to table fetches."""
        self._fetches.append(
            {
                "ticker": asked.member.ticker,
                "vendor": self._vendor,
                "asked_from": asked.ask.start,
                "asked_to": asked.ask.end,
                "bars": 0,
                "last_date": None,
                "reason": None,
                "detail": None,
                "retry_after": None,
                "run_id": self._context.run_id,
                "fetched_at": utc_now(),
                **values,
            }
        )

    def _splice(self, asked: Asked, agreement: Agreement) -> dict[str, Any]:
        return {
            "ticker": asked.member.ticker,
            "vendor": self._vendor,
            "date": asked.known["date"].max(),
            "continued": asked.continued,
            "dates": agreement.dates,
            "largest_difference": agreement.largest_difference,
            "run_id": self._context.run_id,
            "spliced_at": utc_now(),
            "ended_by": None,
        }

    def _describe(self, member: Member, **values: object) -> None:
        """Note columns of a ticker on the watch list."""
        self._described[member.ticker] = values


def _described(row: dict[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    """Return a row of the watch list with what a vendor says of the ticker; what the user told of it stays."""
    told = {name: row[name] for name in ("name", "exchange", "currency") if row[name] is not None}
    return {**row, **values, **told}


def changed_actions(
    sent: pl.DataFrame, known: pl.DataFrame, complete: Mapping[str, date | None] | None = None
) -> pl.DataFrame:
    """Return the dividends and splits of an answer that are news, and those that it no longer has, with a null value.

    Of a ticker, day and kind, all values count as one: they are news if any of them is.

    Parameters
    ----------
    sent
        Columns of `ACTIONS_SCHEMA`.
    known
        Actions that the vendor sent before, with the columns of raw.actions.
    complete
        For each ticker, the day from which on all that the vendor knows is among `sent`; None for all days, as for a
        ticker that is left out. Of the days before, what is not sent again still stands.
    """
    from pm.quality import effective_actions

    day = ["ticker", "date", "kind"]
    sent = sent.unique(maintain_order=True)
    if known.is_empty():
        return sent
    standing = effective_actions(known).select(ACTIONS_SCHEMA.names())
    values = pl.col("value").sort()
    before, after = (frame.group_by(day).agg(values=values) for frame in (standing, sent))
    same = after.join(before, on=day).filter(pl.col("values") == pl.col("values_right"))
    since = pl.DataFrame(list((complete or {}).items()), schema={"ticker": pl.String, "since": pl.Date}, orient="row")
    told = standing.join(since, on="ticker", how="left", maintain_order="left")
    told = told.filter((pl.col("date") >= pl.col("since")).fill_null(value=True)).drop("since")
    taken_back = told.join(sent, on=day, how="anti").unique(day, maintain_order=True)
    return pl.concat(
        [
            sent.join(same, on=day, how="anti"),
            taken_back.with_columns(value=pl.lit(None, pl.Float64)) if taken_back.height else no_actions(),
        ]
    )
