"""What the check of data files costs: `python benchmarks/integrity.py [--tickers 500] [--bars 2500] [--nights 20]`.

A lake is made of raw and checked bars, 26 features a bar, and as many nights of new bars. Printed are the bytes of the
files that a run reads, the seconds of processor time to compare all of them with their checksums (the median of five),
and those of a night's commit with and without the recording of checksums. The files are in the memory of the system,
as after a night's own reads; from a disk, its reading comes on top.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import nullcontext
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import polars as pl

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.features import FEATURES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.lake import Transaction
    from pm.tables.declaration import Table

FIRST = date(2015, 1, 1)


def made_up(table: Table, tickers: int, first: int, days: int) -> pl.DataFrame:
    """Return a row a ticker and day: random numbers in the columns of numbers, the same text in those of text."""
    random = np.random.default_rng(first)
    count = tickers * days
    columns = {}
    for name, dtype in table.polars_schema.items():
        if name == "ticker":
            values = pl.Series(name, np.repeat([f"T{n:04}" for n in range(tickers)], days))
        elif name == "date":
            values = pl.Series(name, [FIRST + timedelta(days=first + n) for n in range(days)] * tickers)
        elif dtype.is_float():
            values = pl.Series(name, random.normal(100, 10, count))
        elif dtype.is_integer():
            values = pl.Series(name, random.integers(1, 1_000_000, count))
        else:
            values = pl.Series(name, [None], dtype).new_from_index(0, count)
        columns[name] = values
    return pl.DataFrame(columns)


def _append(transaction: Transaction, rows: Sequence[tuple[Table, pl.DataFrame]]) -> None:
    for table, frame in rows:
        transaction.append(table, frame)


def main() -> None:
    """Make the lake, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--bars", type=int, default=2500)
    parser.add_argument("--nights", type=int, default=20)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Lake(Path(folder) / "lake", load_settings().lake, TABLES) as lake,
    ):
        for table in (RAW_BARS, BARS, FEATURES):
            rows = made_up(table, options.tickers, 0, options.bars)
            lake.commit("history", partial(_append, rows=[(table, rows)]))
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for night in range(2 * options.nights):
            night_rows = [
                (table, made_up(table, options.tickers, options.bars + night, 1))
                for table in (RAW_BARS, BARS, FEATURES)
            ]
            recorded = night % 2 == 0
            started = time.process_time()
            with nullcontext() if recorded else mock.patch("pm.lake.lake.record_checksums"):
                lake.commit("night", partial(_append, rows=night_rows))
            seconds[recorded].append(time.process_time() - started)
        files = lake.files(current=True)
        lake.record(fault.file for fault in lake.verify(files))
        times = []
        for _ in range(5):
            started = time.process_time()
            lake.verify(files)
            times.append(time.process_time() - started)
    print(f"{len(files):,} files, {sum(file.bytes for file in files) / 1e6:,.0f} MB")
    print(f"compared with their checksums in {statistics.median(times):.2f} s")
    for recorded, taken in seconds.items():
        print(f"a night's commit {'with' if recorded else 'without'} checksums: {statistics.median(taken):.3f} s")


if __name__ == "__main__":
    main()
