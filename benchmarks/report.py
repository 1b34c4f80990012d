"""Size and cost of the report of many tickers: `python benchmarks/report.py [--tickers 500] [--workspace DIR]`.

Makes a workspace in a temporary folder, imports simulated bars, opens a paper account, and runs two nights, so that the
report has something to say of what is owned, what changed, and how it went. Prints the size of the report in bytes, and
the processor time of stage `report`, DuckDB's threads included: that of a run in which this stage alone is new (a
setting of it has changed), less that of a run in which nothing is. On a shared machine wall time tells little.

With --workspace, an existing workspace is measured instead: its newest run must be whole, and nothing may be new in it.
Making one of 500 tickers takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import polars as pl
from scale import simulated

import pm as package

PM = str(Path(sysconfig.get_path("scripts")) / "pm")
BARS = 600
QUICK = {"PM_LLM__ENABLED": "false", "PM_FORECAST__MODELS": '["naive", "drift"]', "PM_FORECAST__ORIGINS": "8"}
"""Settings that make nights short and change nothing in what the report shows of each ticker."""


def run(workspace: Path, *arguments: str, **changed: str) -> float:
    """Run `pm` and return the processor time of its process and those that it started, in seconds."""
    before = os.times()
    done = subprocess.run(
        [PM, *arguments], cwd=workspace, check=False, capture_output=True, text=True, env=os.environ | QUICK | changed
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system


def make(workspace: Path, tickers: int) -> None:
    """Fill a workspace with two nights of simulated tickers and a paper account."""
    bars = simulated(tickers, BARS)
    last = bars["date"].max()
    file = workspace / "bars.csv"
    bars.filter(pl.col("date") < last).write_csv(file)
    run(workspace, "import", "bars.csv")
    run(workspace, "account", "open", "--cash", "1000000")
    run(workspace, "run")
    bars.write_csv(file)
    run(workspace, "import", "bars.csv")
    run(workspace, "run")


def measure(workspace: Path) -> None:
    """Print what the report of the newest run takes."""
    run(workspace, "run")
    idle = min(run(workspace, "run") for _ in range(2))
    spent = [run(workspace, "run", PM_REPORT__KEEP=str(keep)) - idle for keep in (41, 42)]
    with package.open(workspace) as lake:
        tickers = lake.signals().height
    size = (workspace / "reports" / "latest.html").stat().st_size
    print(f"{tickers:,} tickers: {size:,} bytes, {min(spent):.1f} s of a processor (a run without news: {idle:.1f} s)")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=500)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    if options.workspace is not None:
        measure(options.workspace)
        return
    with tempfile.TemporaryDirectory(prefix="pm-report-") as folder:
        make(Path(folder), options.tickers)
        measure(Path(folder))


if __name__ == "__main__":
    main()
