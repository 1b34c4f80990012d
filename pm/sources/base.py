"""What a source of bars is: a name, a version, and a delivery that streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import polars as pl

from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

__all__ = ["ACTIONS_SCHEMA", "BARS_SCHEMA", "Delivery", "Source", "no_actions"]

_STAMPED_ON_LANDING = {"fetched_at", "batch_id", "row"}


def _as_sent(name: str) -> pl.Schema:
    columns = TABLES[name].polars_schema.items()
    return pl.Schema({column: dtype for column, dtype in columns if column not in _STAMPED_ON_LANDING})


BARS_SCHEMA = _as_sent("raw.bars")
"""A piece of a delivery's bars: raw.bars before it is stamped on landing."""

ACTIONS_SCHEMA = _as_sent("raw.actions")
"""A delivery's dividends and splits: raw.actions before they are stamped on landing."""


def no_actions() -> pl.DataFrame:
    """Give an empty frame of actions, for a source that sends none."""
    return ACTIONS_SCHEMA.to_frame()


@dataclass(frozen=True)
class Delivery:
    """What a fetch gives.

    Attributes
    ----------
    bars
        Pieces of `BARS_SCHEMA`, to be read once, in order; so that millions of rows are never held at once.
    actions
        Dividends and splits, of `ACTIONS_SCHEMA`; often empty.
    """

    bars: Iterator[pl.DataFrame]
    actions: pl.DataFrame


@runtime_checkable
class Source(Protocol):
    """Where bars come from."""

    @property
    def name(self) -> str:
        """Name it is asked for by, and written into the bars' `source` column."""
        ...

    def version(self) -> str | None:
        """Give a fingerprint of what it would deliver now, or None where only fetching can tell."""
        ...

    def fetch(self, tickers: Sequence[str] | None, start: date | None, end: date | None) -> Delivery:
        """Give the bars of these tickers (None for all it has) from `start` to `end`, both included.

        Raises
        ------
        UnknownTickerError
            A ticker it has no bars for.
        SourceError
            The vendor failed, or gave nothing. Never a silent substitute.
        """
        ...
