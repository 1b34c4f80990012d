"""A made-up market, and vendors that send its bars: the sources of the tests of a refresh.

As a script it is `pm` with such a vendor in the place of Yahoo: `python market.py CLOCK BEGIN ARGUMENTS`; CLOCK is
the time in UTC that it takes for now, and BEGIN the first day of all shares.
"""

from __future__ import annotations

import math
import os
import random
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from pm import clock
from pm.sources import ACTIONS_SCHEMA, BARS_SCHEMA, OPENERS, Answer, Failure
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pm.sources import Ask

BEGIN = date(2020, 1, 1)


@dataclass(frozen=True)
class Share:
    """A share's bars, as traded, on every weekday, with its actions.

    The close is a random walk, seeded with the name, that falls by each split and dividend.
    """

    name: str
    begin: date = BEGIN
    splits: Mapping[date, float] = field(default_factory=dict)
    dividends: Mapping[date, float] = field(default_factory=dict)
    unit: float = 1.0

    def bars(self, end: date) -> pl.DataFrame:
        """Return the bars up to a day, with the columns of `BARS_SCHEMA` but source and ticker."""
        chance = random.Random(self.name)  # noqa: S311 - seeded, so that each fetch sends the same
        rows = []
        close, day = 50.0 + chance.random() * 100, self.begin
        while day <= end:
            if day.weekday() < 5:
                close = (close - self.dividends.get(day, 0.0)) / self.splits.get(day, 1.0)
                close *= math.exp(chance.gauss(0, 0.01))
                shown = round(close * self.unit, 6)
                volume = float(chance.randint(1_000, 2_000))
                rows.append((day, shown * 0.999, shown * 1.01, shown * 0.99, shown, None, volume))
            day += timedelta(days=1)
        names = [name for name in BARS_SCHEMA if name not in {"ticker", "source"}]
        return pl.DataFrame(rows, schema={name: BARS_SCHEMA[name] for name in names}, orient="row")

    def actions(self, end: date) -> pl.DataFrame:
        rows = [("dividend", day, value * self.unit) for day, value in self.dividends.items()]
        rows += [("split", day, value) for day, value in self.splits.items()]
        frame = pl.DataFrame(rows, schema={"kind": pl.String, "date": pl.Date, "value": pl.Float64}, orient="row")
        return frame.filter(pl.col("date") <= end)


@dataclass
class Market:
    """A vendor that sends shares, and fails for some.

    Attributes
    ----------
    shares
        Shares by symbol; any other symbol is one that is like the others, if `knows_all`, else it fails.
    failures
        Reasons of failures, by symbol.
    asked
        Every ask, in order.
    """

    name: str
    shares: dict[str, Share] = field(default_factory=dict)
    failures: dict[str, FailureReason] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    knows_all: bool = True
    exchange: str | None = None
    currency: str | None = "USD"
    opened: int = 0
    begin: date = BEGIN
    before_answer: Callable[[Ask], object] = field(default=lambda _: None)

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        self.opened += 1
        for ask in asks:
            self.asked.append(ask)
            self.before_answer(ask)
            share = self.shares.get(ask.symbol) or (Share(ask.symbol, begin=self.begin) if self.knows_all else None)
            reason = self.failures.get(ask.symbol) or (None if share else FailureReason.GONE)
            if reason is not None or share is None:
                yield Failure(ask, reason or FailureReason.GONE, f"{self.name} has no {ask.symbol} ({reason}).")
                continue
            stamp = {"ticker": pl.lit(ask.ticker), "source": pl.lit(self.name)}
            start = ask.start or date.min
            bars = share.bars(ask.end).filter(pl.col("date") >= start).with_columns(**stamp)
            actions = share.actions(ask.end).filter(pl.col("date") >= start).with_columns(**stamp)
            yield Answer(
                ask,
                bars.select(BARS_SCHEMA.names()),
                actions.select(ACTIONS_SCHEMA.names()),
                currency=self.currency,
                exchange=self.exchange,
                name=f"{ask.symbol} Inc.",
                seconds=0.01,
            )


def install(*markets: Market) -> None:
    """Make the vendors' names stand for markets."""
    for market in markets:
        OPENERS[market.name] = lambda *_, market=market: market


class Clock(datetime):
    """A clock that stands still."""

    moment = datetime(2024, 1, 1, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        """Return the moment."""
        del tz
        return cls.moment


def running_clock() -> object:
    """Return the clock of the project, to be put back by `start_clock`."""
    return vars(clock)["datetime"]


def start_clock(running: object) -> None:
    """Put a clock back."""
    vars(clock)["datetime"] = running


def stop_clock(moment: datetime) -> None:
    """Stop the clock at a moment in UTC."""
    Clock.moment = moment.replace(tzinfo=UTC)
    clock.datetime = Clock  # type: ignore[attr-defined]


def evening(day: date) -> datetime:
    """Return a time in UTC at which the bar of a weekday can be asked for: the morning after, two hours into it."""
    return datetime.combine(day + timedelta(days=1), time(2))


ASKED = "asked for the ticker"
"""What a process says when its vendor is asked for the ticker of MARKET_TELLS_AT."""


def tell(ask: Ask) -> None:
    """Say that a ticker is asked for, and wait to be killed if the environment says so."""
    if ask.ticker == os.environ.get("MARKET_TELLS_AT"):
        print(ASKED, flush=True)  # noqa: T201 - to the test
        if os.environ.get("MARKET_HOLDS"):
            threading.Event().wait()


if __name__ == "__main__":
    from pm.cli import main

    stop_clock(datetime.fromisoformat(sys.argv[1]))
    install(Market("yahoo", begin=date.fromisoformat(sys.argv[2]), before_answer=tell))
    sys.exit(main(sys.argv[3:]))
