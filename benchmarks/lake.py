"""The lake beside SQLite and plain Parquet: load, one ticker's read, an upsert of one day's bars.

`python benchmarks/lake.py [--tickers 2000] [--bars 5000] [--csv]` makes simulated bars in a temporary folder, imports
them with the command line (`pm import`, which stores and checks them), and does the same work with an indexed SQLite
table and with a folder of Parquet files, one per ticker. Times are medians; a ratio above 1 is that much slower than
the lake.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sysconfig
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.clock import utc_now
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COLUMNS = ["ticker", "date", "open", "high", "low", "close", "volume"]
PM = str(Path(sysconfig.get_path("scripts")) / "pm")
READS = 15
"""Number of tickers that are read."""
DELIVERIES = 5
"""Number of daily deliveries that are merged."""
RESTATED = 0.05
"""Share of the tickers whose newest bar a delivery changes."""


def simulated(tickers: int, bars: int) -> pl.DataFrame:
    """Return bars of random walks on the same weekdays, with consistent highs and lows; all are in the past."""
    rng = np.random.default_rng(1)
    days = pl.date_range(date(2000, 1, 3), date(2000, 1, 3) + timedelta(days=bars * 7 // 5 + 7), eager=True)
    days = days.filter(days.dt.weekday() <= 5).head(bars)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, (tickers, bars)), axis=1)).ravel()
    opened = close * np.exp(rng.normal(0, 0.005, close.size))
    names = pl.Series([f"T{number:05d}" for number in range(tickers)])
    return pl.DataFrame(
        {
            "ticker": names.gather(np.repeat(np.arange(tickers), bars)),
            "date": pl.Series(np.tile(days.to_numpy(), tickers)).cast(pl.Date),
            "open": opened,
            "high": np.maximum(opened, close) * 1.003,
            "low": np.minimum(opened, close) * 0.997,
            "close": close,
            "volume": rng.integers(10_000, 5_000_000, close.size).astype(float),
        }
    )


def daily_deliveries(bars: pl.DataFrame) -> list[pl.DataFrame]:
    """Return each day's delivery of one bar per ticker: a new session for most, a changed newest bar for the rest."""
    last = bars.group_by("ticker", maintain_order=True).tail(1)
    restated = last.head(int(last.height * RESTATED))
    out = []
    for number in range(1, DELIVERIES + 1):
        day = pl.col("date") + pl.duration(days=number)
        new = last.tail(last.height - restated.height).with_columns(day.cast(pl.Date))
        out.append(pl.concat([new, restated.with_columns(pl.col("close") * (1 + 1e-4 * number))]))
    return out


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Callable[[object], object], over: Sequence[object]) -> float:
    """Return the median seconds of a call over its arguments, after one call that is not counted."""
    work(over[0])
    return statistics.median(timed(lambda item=item: work(item)) for item in over)  # type: ignore[misc]


def command(*arguments: str) -> tuple[float, float]:
    """Run `pm` in a process of its own; return its seconds and its largest resident memory in GiB."""
    start = time.perf_counter()
    with subprocess.Popen([PM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"pm {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024**2


def of_lake(workspace: Path, file: Path, bars: pl.DataFrame, asked: Sequence[str]) -> tuple[float, float, float, float]:
    """Return the seconds of an import, a read and a merge, and the peak memory of the import in GiB."""
    workspace.mkdir()
    seconds, memory = command("--workspace", str(workspace), "import", str(file))
    stamps = {"fetched_at": utc_now(), "cutoff": utc_now().date()}
    deliveries = [
        BARS.conform(
            delivery.with_columns(
                adj_factor=pl.lit(1.0), source=pl.lit("files"), batch_id=pl.lit("b"), row=pl.int_range(pl.len()),
                run_id=pl.lit("r"), snapshot_id=pl.lit(1), **{name: pl.lit(value) for name, value in stamps.items()},
            )
        )
        for delivery in daily_deliveries(bars)
    ]  # fmt: skip
    with Lake(workspace / "lake", load_settings().lake, TABLES) as lake:
        held = lake.scalar("SELECT count(*) FROM bars")
        if held != bars.height:
            raise SystemExit(f"{held:,} of {bars.height:,} bars are in the lake")
        read = median_of(lambda ticker: lake.read(BARS, among={"ticker": [str(ticker)]}), asked)
        upsert = statistics.median(
            timed(lambda delivery=delivery: lake.commit("delivery", lambda tx: tx.merge(BARS, delivery)))  # type: ignore[misc]
            for delivery in deliveries
        )
    return seconds, read, upsert, memory


def of_sqlite(path: Path, bars: pl.DataFrame, asked: Sequence[str]) -> tuple[float, float, float]:
    """Return the seconds of the same work with an SQLite table clustered by ticker and date."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    fields = ", ".join(COLUMNS)
    connection.execute(f"CREATE TABLE bars ({fields}, PRIMARY KEY (ticker, date)) WITHOUT ROWID")
    put = f"INSERT OR REPLACE INTO bars VALUES ({', '.join('?' * len(COLUMNS))})"

    def write(frame: pl.DataFrame) -> None:
        with connection:
            connection.executemany(put, frame.with_columns(pl.col("date").cast(pl.String)).iter_rows())

    def read(ticker: object) -> pl.DataFrame:
        rows = connection.execute("SELECT * FROM bars WHERE ticker = ? ORDER BY date", [ticker]).fetchall()
        return pl.DataFrame(rows, schema=COLUMNS, orient="row").with_columns(pl.col("date").str.to_date())

    loaded = timed(lambda: write(bars))
    found = median_of(read, asked), statistics.median(timed(lambda n=n: write(n)) for n in daily_deliveries(bars))  # type: ignore[misc]
    connection.close()
    return loaded, *found


def of_parquet(folder: Path, bars: pl.DataFrame, asked: Sequence[str]) -> tuple[float, float, float]:
    """Return the seconds of the same work with a file per ticker; a delivery rewrites every file."""
    folder.mkdir()

    def load() -> None:
        for (ticker,), frame in bars.group_by("ticker", maintain_order=True):
            frame.write_parquet(folder / f"{ticker}.parquet")

    def read(ticker: object) -> pl.DataFrame:
        return pl.scan_parquet(folder / "*.parquet").filter(pl.col("ticker") == ticker).sort("date").collect()

    def write(frame: pl.DataFrame) -> None:
        for (ticker,), new in frame.group_by("ticker", maintain_order=True):
            file = folder / f"{ticker}.parquet"
            old = pl.read_parquet(file)
            pl.concat([old.join(new, on="date", how="anti"), new]).sort("date").write_parquet(file)

    loaded = timed(load)
    merged = [timed(lambda delivery=delivery: write(delivery)) for delivery in daily_deliveries(bars)]  # type: ignore[misc]
    return loaded, median_of(read, asked), statistics.median(merged)


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--tickers", type=int, default=2000)
    options.add_argument("--bars", type=int, default=5000, help="bars per ticker")
    options.add_argument("--csv", action="store_true", help="import the same bars from CSV too")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        bars = simulated(wanted.tickers, wanted.bars)
        asked = bars["ticker"].unique().sample(min(READS, wanted.tickers), seed=1).to_list()
        bars.write_parquet(root / "bars.parquet")
        print(f"{bars.height:,} bars: {wanted.tickers:,} tickers x {wanted.bars:,}\n", flush=True)
        *ours, memory = of_lake(root / "lake", root / "bars.parquet", bars, asked)
        print(f"pm import, Parquet: {ours[0]:.1f} s, peak {memory:.2f} GiB", flush=True)
        if wanted.csv:
            bars.write_csv(root / "bars.csv")
            (root / "csv").mkdir()
            seconds, memory = command("--workspace", str(root / "csv"), "import", str(root / "bars.csv"))
            print(f"pm import, CSV: {seconds:.1f} s, peak {memory:.2f} GiB", flush=True)
        others = {
            "SQLite": of_sqlite(root / "bars.sqlite", bars, asked),
            "Parquet files": of_parquet(root / "files", bars, asked),
        }
    work = ("load (lake: and check)", "read of one ticker", f"merge of {wanted.tickers:,} bars")
    print(f"\n{'':<28}{'lake':>10}" + "".join(f"{name:>24}" for name in others))
    for place, name in enumerate(work):
        cells = [f"{taken[place]:>12.3f} s {taken[place] / ours[place]:>7.1f} x" for taken in others.values()]
        print(f"{name:<28}{ours[place]:>8.3f} s" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
