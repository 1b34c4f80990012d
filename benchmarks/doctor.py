"""Time of `pm doctor` on a lake of many files: `python benchmarks/doctor.py [--files 5000] [--rows 2000]`.

Makes a workspace in a temporary folder whose lake has that many Parquet files of simulated bars, and prints the
processor time and the wall time of `pm doctor`, which reads every file and compares its checksum, and of
`pm doctor --quick`, which compares sizes. Making the lake takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import polars as pl
from scale import simulated

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.sources import RAW_BARS

PM = str(Path(sysconfig.get_path("scripts")) / "pm")
FILES_OF_A_COMMIT = 250


def make(workspace: Path, files: int, rows: int) -> None:
    """Fill a workspace's lake with files of bars; each append writes one."""
    subprocess.run([PM, "init"], cwd=workspace, check=True, capture_output=True)
    bars = simulated(1, rows)
    missing = [name for name in RAW_BARS.polars_schema if name not in bars.columns]
    nothing = [pl.lit(None, RAW_BARS.polars_schema[name]).alias(name) for name in missing]
    frame = bars.with_columns(nothing).select(pl.col(name).cast(kind) for name, kind in RAW_BARS.polars_schema.items())
    settings = load_settings(workspace / "config").lake
    with Lake(workspace / "lake", settings, TABLES, views=[sql_dir()]) as lake:
        for start in range(0, files, FILES_OF_A_COMMIT):
            count = min(FILES_OF_A_COMMIT, files - start)
            lake.commit("bars", lambda to, count=count: [to.append(RAW_BARS, frame) for _ in range(count)])  # type: ignore[misc]


def measure(workspace: Path, *options: str) -> None:
    """Print what `pm doctor` takes, and the line that it prints of the data files."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run([PM, "doctor", *options], cwd=workspace, check=False, capture_output=True, text=True)
    took, after = time.perf_counter() - start, os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    told = next((line for line in done.stdout.splitlines() if " files " in f"{line} "), done.stderr)
    print(f"{' '.join(['pm doctor', *options])}: {spent:.1f} s of a processor, {took:.1f} s in all; {told.strip()}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--rows", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pm-doctor-") as folder:
        make(Path(folder), options.files, options.rows)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
        print(f"{options.files:,} files, {size / 1e6:,.0f} MB")
        for given in ((), ("--quick",)):
            measure(Path(folder), *given)


if __name__ == "__main__":
    main()
