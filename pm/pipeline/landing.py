"""Land a delivery: its bars and actions as they were sent, and the batch that names them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.lake import utc_now
from pm.tables.sources import RAW_ACTIONS, RAW_BARS, RAW_BATCHES

if TYPE_CHECKING:
    from datetime import date, datetime

    from pm.lake import Transaction
    from pm.sources import Delivery

__all__ = ["Batch", "land"]


@dataclass
class Batch:
    """A batch, counted while it lands."""

    batch_id: str
    bars: int = 0
    actions: int = 0
    first_date: date | None = None
    last_date: date | None = None


def land(
    transaction: Transaction,
    delivery: Delivery,
    *,
    run_id: str,
    origin: str,
    fingerprint: str | None,
    path: str | None = None,
) -> Batch:
    """Write a delivery to raw.bars, raw.actions and raw.batches, piece by piece.

    Parameters
    ----------
    delivery
        Read once, in order; rows are numbered from 1 as they come.
    origin, fingerprint, path
        Source, hash of the content if there is one, and the file it came from, for raw.batches.
    """
    fetched_at = utc_now()
    batch = Batch(f"{fetched_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}")
    tickers: set[str | None] = set()
    for piece in delivery.bars:
        landed = _stamped(piece, batch.batch_id, fetched_at, batch.bars)
        batch.bars += transaction.append(RAW_BARS, landed)
        tickers.update(landed["ticker"].unique())
        days = landed.select(first=pl.col("date").min(), last=pl.col("date").max()).row(0)
        batch.first_date, batch.last_date = _earliest(batch.first_date, days[0]), _latest(batch.last_date, days[1])
    batch.actions = transaction.append(RAW_ACTIONS, _stamped(delivery.actions, batch.batch_id, fetched_at, 0))
    row = {
        "batch_id": batch.batch_id,
        "run_id": run_id,
        "origin": origin,
        "path": path,
        "fingerprint": fingerprint,
        "bars": batch.bars,
        "actions": batch.actions,
        "tickers": len(tickers),
        "first_date": batch.first_date,
        "last_date": batch.last_date,
        "landed_at": fetched_at,
    }
    transaction.append(RAW_BATCHES, pl.DataFrame([row], schema=RAW_BATCHES.polars_schema))
    return batch


def _stamped(piece: pl.DataFrame, batch_id: str, fetched_at: datetime, before: int) -> pl.DataFrame:
    return piece.with_columns(
        fetched_at=pl.lit(fetched_at, pl.Datetime("us")),
        batch_id=pl.lit(batch_id),
        row=pl.int_range(before + 1, before + pl.len() + 1, dtype=pl.Int64),
    )


def _earliest(known: date | None, new: date | None) -> date | None:
    return min(known, new) if known and new else known or new


def _latest(known: date | None, new: date | None) -> date | None:
    return max(known, new) if known and new else known or new
