"""Turn a delivery into rows of the raw tables: bars and actions as they were sent, and the batch that names them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError
from pm.pipeline.writes import Append
from pm.tables.sources import RAW_ACTIONS, RAW_BARS, RAW_BATCHES

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime

    from pm.pipeline.stage import Context
    from pm.pipeline.writes import Write
    from pm.sources import Delivery

__all__ = ["Batch", "Landing"]


@dataclass(frozen=True)
class Batch:
    """One delivery, counted.

    Attributes
    ----------
    bars, actions
        Numbers of rows.
    first_date, last_date
        Of the bars; None where there are none.
    """

    batch_id: str
    bars: int
    actions: int
    first_date: date | None
    last_date: date | None


@dataclass
class Landing:
    """Rows of the raw tables on their way to the lake.

    Parameters
    ----------
    context
        The stage's context.
    """

    context: Context
    batches: list[Batch] = field(default_factory=list)
    _rows: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bars = self.context.spool(RAW_BARS)
        self._actions = self.context.spool(RAW_ACTIONS)

    def add(self, delivery: Delivery, *, origin: str, fingerprint: str | None, path: str | None = None) -> Batch:
        """Take over a delivery, piece by piece, as one batch.

        Parameters
        ----------
        delivery
            Read once, in order; its rows are numbered from 1.
        origin, fingerprint, path
            Source, hash of the content if there is one, and the file it came from, for raw.batches.

        Raises
        ------
        InputError
            The delivery cannot be read to its end; nothing of it is taken over.
        """
        from pm.quality.precision import Precision

        fetched_at = utc_now()
        batch_id = f"{fetched_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        bars = 0
        tickers: set[str | None] = set()
        dates: list[date] = []
        precision = {name: Precision() for name in ("close", "adj_close")}
        try:
            for piece in delivery.bars:
                bars += self._bars.add(_stamped(piece, batch_id, fetched_at, bars))
                tickers.update(piece["ticker"].unique())
                for name, values in precision.items():
                    values.add(piece[name])
                span = piece.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
                dates += [day for day in span if day is not None]
        except InputError:
            self._bars.remove(pl.col("batch_id") == batch_id)
            raise
        actions = self._actions.add(_stamped(delivery.actions, batch_id, fetched_at, 0))
        batch = Batch(batch_id, bars, actions, min(dates, default=None), max(dates, default=None))
        self.batches.append(batch)
        self._rows.append(
            {
                "batch_id": batch_id,
                "run_id": self.context.run_id,
                "origin": origin,
                "path": path,
                "fingerprint": fingerprint,
                "bars": bars,
                "actions": actions,
                "tickers": len(tickers),
                "first_date": batch.first_date,
                "last_date": batch.last_date,
                "decimals": precision["close"].decimals,
                "adj_decimals": precision["adj_close"].decimals,
                "landed_at": fetched_at,
            }
        )
        return batch

    def remove(self, batch_ids: Collection[str]) -> None:
        """Take back batches, with their bars and actions."""
        of_batches = pl.col("batch_id").is_in(list(batch_ids))
        self._bars.remove(of_batches)
        self._actions.remove(of_batches)
        self.batches = [batch for batch in self.batches if batch.batch_id not in batch_ids]
        self._rows = [row for row in self._rows if row["batch_id"] not in batch_ids]

    def writes(self) -> list[Write]:
        """Return the changes that land everything taken over."""
        batches = pl.DataFrame(self._rows, schema=RAW_BATCHES.polars_schema)
        return [self._bars.append(), self._actions.append(), Append(RAW_BATCHES, batches)]


def _stamped(piece: pl.DataFrame, batch_id: str, fetched_at: datetime, before: int) -> pl.DataFrame:
    return piece.with_columns(
        fetched_at=pl.lit(fetched_at, pl.Datetime("us")),
        batch_id=pl.lit(batch_id),
        row=pl.int_range(before + 1, before + pl.len() + 1, dtype=pl.Int64),
    )
