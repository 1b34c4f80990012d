"""Measure an import of dirty bars, and of a night's bars into the lake that it made.

`python benchmarks/imports.py [--times 5] [--against CHECKOUT]` writes 540,000 bars of 200 tickers and 1,200 bars of a
night. Of the former one in fifty has no close, a negative one, a high below its low, a date 30 years ahead, or is there
twice; the latter are the last five sessions again and a new one. Each import is a process of its own. With `--against`,
each process of this checkout is followed by one of the other, so that both meet the same load of the machine. Processor
time varies less than wall time where others use the machine too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pm.sessions import sessions_between

HERE = Path(__file__).resolve().parents[1]
PM = [sys.executable, "-c", "import sys; from pm.cli import main; sys.exit(main())"]
TICKERS, BARS, AGAIN = 200, 2_700, 5
"""Number of tickers, of bars of each, and of sessions that the night delivers again."""
DIRTY = 0.02
"""Share of bars with a fault."""


def bars() -> pl.DataFrame:
    """Return clean bars: each ticker a random walk with a range around it."""
    chance = np.random.default_rng(1)
    sessions = sessions_between("XNYS", date(2014, 1, 1), date(2025, 12, 31))[: BARS + 1]
    close = 50 * np.exp(np.cumsum(chance.normal(0, 0.01, (TICKERS, BARS + 1)), axis=1))
    wide = close * chance.uniform(0.001, 0.02, close.shape)
    return pl.DataFrame(
        {
            "ticker": np.repeat([f"T{number:03}" for number in range(TICKERS)], BARS + 1),
            "date": sessions * TICKERS,
            "open": (close - wide / 2).ravel(),
            "high": (close + wide).ravel(),
            "low": (close - wide).ravel(),
            "close": close.ravel(),
            "volume": chance.integers(1_000, 1_000_000, close.size),
        }
    ).with_columns(pl.col("open", "high", "low", "close").round(2))


def dirty(clean: pl.DataFrame) -> pl.DataFrame:
    """Return bars of which some have a fault, and some are there twice."""
    fault = pl.Series(np.random.default_rng(2).choice(6, clean.height, p=[1 - DIRTY, *[DIRTY / 5] * 5]))
    faulty = clean.with_columns(fault=fault).with_columns(
        close=pl.when(pl.col("fault") == 1)
        .then(None)
        .when(pl.col("fault") == 2)
        .then(-pl.col("close"))
        .otherwise("close"),
        high=pl.when(pl.col("fault") == 3).then(pl.col("low") * 0.9).otherwise("high"),
        date=pl.when(pl.col("fault") == 4).then(pl.col("date").dt.offset_by("30y")).otherwise("date"),
    )
    return pl.concat([faulty, faulty.filter(fault=5)]).drop("fault").sort("ticker", "date", maintain_order=True)


def imported(file: Path, folder: Path, checkout: Path) -> tuple[float, float]:
    """Import a file into a workspace, with the package of a checkout, and return its wall and its processor seconds."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    before = os.times()
    start = time.perf_counter()
    subprocess.run([*PM, "import", str(file)], cwd=folder, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, spent


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--times", type=int, default=5, help="number of processes of each kind")
    options.add_argument("--against", type=Path, help="another checkout to compare with")
    chosen = options.parse_args()
    checkouts = [HERE] + ([chosen.against.resolve()] if chosen.against else [])
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        whole = bars()
        last = whole["date"].unique().sort()[-AGAIN - 1 :].implode()
        files = {"dirty bars": place / "dirty.csv", "a night": place / "night.csv"}
        delivered = dirty(whole.filter(pl.col("date") < whole["date"].max()))
        delivered.write_csv(files["dirty bars"])
        whole.filter(pl.col("date").is_in(last)).write_csv(files["a night"])
        print(f"{delivered.height:,} dirty bars; {os.cpu_count()} cores; medians of {chosen.times}")
        taken: dict[str, list[list[tuple[float, float]]]] = {name: [[] for _ in checkouts] for name in files}
        for _ in range(chosen.times):
            for number, checkout in enumerate(checkouts):
                folder = place / str(number)
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                for name, file in files.items():
                    taken[name][number].append(imported(file, folder, checkout))
        for name, of_checkouts in taken.items():
            for kind, number in (("wall", 0), ("processor", 1)):
                seconds = [[pair[number] for pair in pairs] for pairs in of_checkouts]
                line = f"{name:<12}{kind:<11}{statistics.median(seconds[0]):>7.2f} s"
                if chosen.against:
                    ratios = [mine / theirs for mine, theirs in zip(*seconds, strict=True)]
                    line += f"   other {statistics.median(seconds[1]):>6.2f} s   ratio {statistics.median(ratios):.2f}"
                print(line)


if __name__ == "__main__":
    main()
