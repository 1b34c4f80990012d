"""Define what a source of bars is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl

from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from pm.tables.declaration import Table
    from pm.tables.vocabulary import FailureReason

__all__ = [
    "ACTIONS_REACH",
    "ACTIONS_SCHEMA",
    "BARS_SCHEMA",
    "Answer",
    "Ask",
    "Delivery",
    "Failure",
    "Source",
    "no_actions",
]

_STAMPED_ON_LANDING = {"fetched_at", "batch_id", "row"}


def _as_sent(table: Table) -> pl.Schema:
    columns = table.polars_schema.items()
    return pl.Schema({column: dtype for column, dtype in columns if column not in _STAMPED_ON_LANDING})


BARS_SCHEMA = _as_sent(RAW_BARS)
"""Columns of delivered bars: those of raw.bars without the ones that are added when they are stored."""

ACTIONS_SCHEMA = _as_sent(RAW_ACTIONS)
"""Columns of delivered dividends and splits: those of raw.actions without the ones that are added on storing."""


ACTIONS_REACH = timedelta(days=400)
"""Time before the start of an ask in which a dividend or split that is answered is compared with earlier ones."""


def no_actions() -> pl.DataFrame:
    """Return an empty frame of dividends and splits, for a source that sends none."""
    return ACTIONS_SCHEMA.to_frame()


@dataclass(frozen=True)
class Delivery:
    """Bars and actions of one batch.

    Attributes
    ----------
    bars
        Frames with the columns of `BARS_SCHEMA`. They can be iterated once, so that only one is in memory at a time.
    actions
        Dividends and splits, with the columns of `ACTIONS_SCHEMA`; can be empty.
    """

    bars: Iterator[pl.DataFrame]
    actions: pl.DataFrame


@dataclass(frozen=True)
class Ask:
    """What a source is asked for: the bars, dividends and splits of a ticker from one day to another.

    Attributes
    ----------
    ticker
        Ticker, as the lake spells it.
    symbol
        The same, as the source spells it.
    start
        First day; None for the whole history that the source has.
    end
        Last day whose session is over. Bars after it are not to be answered.
    """

    ticker: str
    symbol: str
    start: date | None
    end: date


@dataclass(frozen=True)
class Answer:
    """What a source answered for a ticker.

    Attributes
    ----------
    ask
        What was asked.
    bars
        Bars with the columns of `BARS_SCHEMA`, by date, with prices and volume as traded and a null `adj_close`. Rows
        that no rule allows are among them: the check refuses them by name. Can be empty, if there was no session.
    actions
        Dividends (per share as traded on the day before) and splits, with the columns of `ACTIONS_SCHEMA`. Those of
        days before the start of the ask can be among them, where the source tells them late.
    currency, exchange, name
        What the source says of the ticker: the code of the currency, or of its hundredth (such as GBp, with its
        prices in them), the exchange's name as the source writes it, and the company's; None where it says nothing.
    seconds
        Time that the request took.
    actions_from
        Ex-date from which on the actions are all that the source knows; None for the start of the ask.
    """

    ask: Ask
    bars: pl.DataFrame
    actions: pl.DataFrame
    currency: str | None = None
    exchange: str | None = None
    name: str | None = None
    seconds: float = 0.0
    actions_from: date | None = None


@dataclass(frozen=True)
class Failure:
    """Why a source gave nothing for a ticker.

    Attributes
    ----------
    ask
        What was asked.
    reason
        Kind of the failure.
    detail
        One sentence for the user, without keys and passwords, ending with what to do where that is known.
    retry_after
        Time in UTC before which the source must not be asked for this ticker again; None if it may be at any time.
    seconds
        Time that the request took.
    """

    ask: Ask
    reason: FailureReason
    detail: str
    retry_after: datetime | None = None
    seconds: float = 0.0


@runtime_checkable
class Source(Protocol):
    """A source that bars can be fetched from."""

    @property
    def name(self) -> str:
        """Name of the source, which is also the value of column `source` of its bars."""
        ...

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer | Failure]:
        """Ask for some tickers, and yield one answer or failure for each ask, in any order, as they come.

        Other data never takes the place of what could not be had. Closing the iterator ends the requests under way.

        Raises
        ------
        SourceError
            Nothing can be asked of the source at all: it needs a key that is missing, or a package that is not
            installed.
        """
        ...
