"""A lake that machines share beside one in a workspace: import, nightly commits, reads, and two writers at once.

`python benchmarks/shared.py --catalog URL --data URL [--endpoint URL] [--tickers 1000] [--bars 1000]` makes simulated
bars in a temporary folder and imports them with the command line (`pm import`, which stores and checks them): into a
lake in a workspace, into one with its catalog at the first address and its data in a folder, and into one with its data
at the second address. It then merges a day's bars of all tickers five times, reads ten tickers, and lets one process
and two at once make twenty such merges. Schemas `bench_…` of the database, and folders `bench_…` of the data, are left
behind. docs/scaling.md says how to start servers to try it with.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import polars as pl

from lake import command, daily_deliveries, simulated, timed
from pm.clock import utc_now
from pm.lake import Lake
from pm.pipeline import open_lake
from pm.settings import Settings, load_settings, with_values
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS
from pm.workspace import Workspace, init_workspace

ROUNDS = 10
"""Number of merges of each of two writers."""


def settings_of(folder: Path) -> Settings:
    """Return the settings of a workspace."""
    return load_settings(folder / "config")


def conformed(bars: pl.DataFrame) -> pl.DataFrame:
    """Return simulated bars as rows of table `bars`."""
    return BARS.conform(
        bars.with_columns(
            adj_factor=pl.lit(1.0),
            source=pl.lit("files"),
            batch_id=pl.lit("b"),
            row=pl.int_range(pl.len()),
            run_id=pl.lit("r"),
            snapshot_id=pl.lit(1),
            fetched_at=pl.lit(utc_now()),
            cutoff=pl.lit(utc_now().date()),
        )
    )


def write_in_rounds(folder: Path, deliveries: Path) -> None:
    """Merge the frames of a folder one by one, each as a command of its own does: it opens the lake, and closes it."""
    frames = [pl.read_parquet(file) for file in sorted(deliveries.glob("*.parquet"))]
    print("ready", flush=True)
    sys.stdin.readline()
    for frame in frames:
        with open_lake(Workspace(folder), settings_of(folder), wait_seconds=600) as lake:
            lake.commit("round", lambda transaction, frame=frame: transaction.merge(BARS, frame))  # type: ignore[misc]


def writers(folders: list[Path], deliveries: list[Path]) -> float:
    """Return the seconds that some processes take, one a workspace, to merge all of their frames at once."""
    processes = []
    for folder, own in zip(folders, deliveries, strict=True):
        line = [sys.executable, __file__, "--writer", str(folder), str(own)]
        processes.append(subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        if process.stdout.readline() != "ready\n":
            raise SystemExit("a writer did not start")
    started = time.perf_counter()
    for process in processes:
        process.communicate("go\n")
        if process.returncode:
            raise SystemExit("a writer failed")
    return time.perf_counter() - started


def rounds_of(bars: pl.DataFrame, folder: Path) -> list[Path]:
    """Write the merges of two writers, whose halves of the tickers overlap, and return the folder of each."""
    last = bars.group_by("ticker", maintain_order=True).tail(1)
    halves = [last.head(int(last.height * 0.6)), last.tail(int(last.height * 0.6))]
    made = []
    for number, half in enumerate(halves):
        own = folder / f"writer{number}"
        own.mkdir()
        made.append(own)
        for count in range(ROUNDS):
            day = (pl.col("date") + timedelta(days=10 + count)).cast(pl.Date)
            conformed(half.with_columns(day)).write_parquet(own / f"{count:02d}.parquet")
    return made


def measured(name: str, place: dict[str, str], bars: pl.DataFrame, root: Path) -> dict[str, float]:
    """Return the seconds of each kind of work on a new lake, and its number of doubled keys."""
    folders = [root / name / "a", root / name / "b"]
    for folder in folders:
        init_workspace(folder, {"lake": place} if place else None)
    seconds, _ = command("--workspace", str(folders[0]), "import", str(root / "bars.parquet"))
    found = {"import, s": seconds}
    settings = settings_of(folders[0]).lake
    with open_lake(Workspace(folders[0]), settings_of(folders[0])) as lake:
        merges = [
            timed(lambda frame=frame: lake.commit("night", lambda to: to.merge(BARS, frame)))  # type: ignore[misc]
            for frame in map(conformed, daily_deliveries(bars))
        ]
    found["nightly commit, s"] = statistics.median(merges)
    with Lake(folders[0] / "lake", settings, TABLES, read_only=True) as lake:
        tickers = bars["ticker"].unique().sample(10, seed=1).to_list()
        lake.read(BARS, among={"ticker": [tickers[0]]})
        reads = [timed(lambda name=name: lake.read(BARS, among={"ticker": [name]})) for name in tickers]  # type: ignore[misc]
    found["read of one ticker, s"] = statistics.median(reads)
    found["pm sql, s"], _ = command("--workspace", str(folders[0]), "sql", "SELECT count(*) FROM bars")
    if not place:
        return found
    deliveries = rounds_of(bars, root / name)
    found["20 merges by two writers, s"] = writers(folders, deliveries)
    one = root / name / "one"
    one.mkdir()
    for number, own in enumerate(deliveries):
        for file in own.glob("*.parquet"):
            shifted = pl.read_parquet(file).with_columns((pl.col("date") + timedelta(days=30)).cast(pl.Date))
            shifted.write_parquet(one / f"{file.stem}-{number}.parquet")
    found["20 merges by one, s"] = writers(folders[:1], [one])
    with Lake(folders[0] / "lake", settings, TABLES, read_only=True) as lake:
        found["doubled keys"] = lake.scalar(
            "SELECT count(*) FROM (SELECT ticker, date FROM bars GROUP BY ALL HAVING count(*) > 1)"
        )
    return found


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--catalog", help="postgres://USER@HOST:PORT/DATABASE")
    options.add_argument("--data", default="", help="s3://BUCKET/FOLDER; empty to leave the object store out")
    options.add_argument("--endpoint", default="")
    options.add_argument("--region", default="us-east-1")
    options.add_argument("--tickers", type=int, default=1000)
    options.add_argument("--bars", type=int, default=1000, help="bars per ticker")
    options.add_argument("--writer", nargs=2, type=Path, help=argparse.SUPPRESS)
    wanted = options.parse_args()
    if wanted.writer:
        write_in_rounds(*wanted.writer)
        return
    run = f"bench_{os.getpid()}"
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        bars = simulated(wanted.tickers, wanted.bars)
        bars.write_parquet(root / "bars.parquet")
        (root / "data").mkdir()
        places = {"workspace": {}, "PostgreSQL, folder": {"catalog": f"{wanted.catalog}?schema={run}_folder"}}
        places["PostgreSQL, folder"]["data"] = str(root / "data")
        if wanted.data:
            places["PostgreSQL, object store"] = {
                "catalog": f"{wanted.catalog}?schema={run}_store",
                "data": f"{wanted.data}/{run}",
                "s3_endpoint": wanted.endpoint,
                "s3_region": wanted.region,
            }
        for place in places.values():
            if place:
                with_values(load_settings(), "lake", place, where="options")
        results = {name: measured(name.replace(", ", "-"), place, bars, root) for name, place in places.items()}
    print(f"{bars.height:,} bars: {wanted.tickers:,} tickers x {wanted.bars:,}\n")
    print(f"{'':<30}" + "".join(f"{name:>26}" for name in results))
    for work in max(results.values(), key=len):
        cells = [f"{found[work]:,.2f}" if work in found else "" for found in results.values()]
        print(f"{work:<30}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
