"""Define the interface of a source of bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl

from pm.tables.sources import RAW_ACTIONS, RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from pm.tables.declaration import Table

__all__ = ["ACTIONS_SCHEMA", "BARS_SCHEMA", "Delivery", "Source", "no_actions"]

_STAMPED_ON_LANDING = {"fetched_at", "batch_id", "row"}


def _as_sent(table: Table) -> pl.Schema:
    columns = table.polars_schema.items()
    return pl.Schema({column: dtype for column, dtype in columns if column not in _STAMPED_ON_LANDING})


BARS_SCHEMA = _as_sent(RAW_BARS)
"""Columns of delivered bars: those of raw.bars without the ones that are added when they are stored."""

ACTIONS_SCHEMA = _as_sent(RAW_ACTIONS)
"""Columns of delivered dividends and splits: those of raw.actions without the ones that are added on storing."""


def no_actions() -> pl.DataFrame:
    """Return an empty frame of dividends and splits, for a source that sends none."""
    return ACTIONS_SCHEMA.to_frame()


@dataclass(frozen=True)
class Delivery:
    """The result of a fetch.

    Attributes
    ----------
    bars
        Frames with the columns of `BARS_SCHEMA`. They can be iterated once, so that only one is in memory at a time.
    actions
        Dividends and splits, with the columns of `ACTIONS_SCHEMA`; can be empty.
    """

    bars: Iterator[pl.DataFrame]
    actions: pl.DataFrame


@runtime_checkable
class Source(Protocol):
    """A source that bars can be fetched from."""

    @property
    def name(self) -> str:
        """Name of the source, which is also the value of column `source` of its bars."""
        ...

    def version(self) -> str | None:
        """Return a fingerprint of the data it would deliver now, or None if only a fetch can tell."""
        ...

    def fetch(self, tickers: Sequence[str] | None, start: date | None, end: date | None) -> Delivery:
        """Return the bars of some tickers from `start` to `end`, both included.

        Parameters
        ----------
        tickers
            Tickers; None for all that the source has.
        start, end
            First and last date; None for no limit.

        Raises
        ------
        UnknownTickerError
            The source has no bars of a ticker.
        SourceError
            The vendor failed or returned nothing. Other data never takes its place.
        """
        ...
