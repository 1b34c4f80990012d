"""Prove that a lake holds just what a market has sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from market import Share
from polars.testing import assert_frame_equal

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path


def prove_lake(folder: Path, tickers: Sequence[str], begin: date, end: date) -> None:
    """Prove that a workspace's lake has the bars of shares up to a day, no key twice, and no batch without its rows."""
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake, lake.reading():
        for name, table in TABLES.items():
            key = ", ".join(table.key)
            assert lake.query(f"SELECT {key} FROM {name} GROUP BY ALL HAVING count(*) > 1").is_empty(), name
        bars = lake.query("SELECT ticker, date, close, volume FROM bars ORDER BY ticker, date")
        wrong = lake.query("FROM batch_accounts WHERE NOT coalesce(balanced, false)")
        there = "SELECT batch_id, count(*) AS there FROM raw.bars GROUP BY batch_id"
        lost = lake.query(f"FROM raw.batches LEFT JOIN ({there}) USING (batch_id) WHERE bars <> coalesce(there, 0)")
    sent = [Share(ticker, begin=begin).bars(end).with_columns(ticker=pl.lit(ticker)) for ticker in tickers]
    assert_frame_equal(bars, pl.concat(sent).select(bars.columns))
    assert wrong.is_empty()
    assert lost.is_empty()
