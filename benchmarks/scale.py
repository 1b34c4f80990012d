"""What a ticker costs as tickers become many: `python benchmarks/scale.py [--tickers 50 200] [--bars 2500] [--jobs 0]`.

For each number of tickers a workspace is made in a temporary folder, simulated bars are imported (`pm import`) and the
pipeline is run once (`pm run`) with the packaged settings. Prints what table stage_events says of the stages volatility
and forecast (seconds, their sum a ticker, highest memory of all processes together), and the processor time of the
whole run. The start (imports, compiled code, workers) costs the same however many tickers there are, so it is measured
by a run over two tickers, printed first and taken off the processor time: what is left is the cost a ticker, which is
to stay within 15% of the first row's. On a shared machine only the processor time tells; wall time also has idle
workers in it, while the last chunk (run.chunk_size tickers) is worked on.

On two cores 200 tickers take two minutes or so, 431 (as many as in the full list) five, 2,000 twenty.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

PM = str(Path(sysconfig.get_path("scripts")) / "pm")
STAGES = ("volatility", "forecast")
SECTORS = 11


def simulated(tickers: int, bars: int) -> pl.DataFrame:
    """Return closes of GARCH(1,1) walks with fat-tailed shocks, correlated within a sector, on the same weekdays."""
    rng = np.random.default_rng(11)
    days = pl.date_range(date(2000, 1, 3), date(2000, 1, 3) + pl.duration(days=bars * 7 // 5 + 7), eager=True)
    days = days.filter(days.dt.weekday() <= 5).head(bars)
    shocks = rng.standard_t(6, (bars, 1 + SECTORS + tickers)) / np.sqrt(1.5)
    sector = 1 + np.arange(tickers) % SECTORS
    mixed = np.sqrt(0.25) * shocks[:, :1] + np.sqrt(0.4) * shocks[:, sector] + np.sqrt(0.35) * shocks[:, 1 + SECTORS :]
    level = rng.uniform(0.01, 0.025, tickers) ** 2
    alpha, beta = rng.uniform(0.04, 0.1, tickers), rng.uniform(0.85, 0.89, tickers)
    variance = level.copy()
    returns = np.empty((bars, tickers))
    for bar in range(bars):
        returns[bar] = np.sqrt(variance) * mixed[bar]
        variance = level * (1 - alpha - beta) + alpha * returns[bar] ** 2 + beta * variance
    close = 50 * np.exp(np.cumsum(returns, axis=0)).T.ravel()
    names = pl.Series([f"T{number:05d}" for number in range(tickers)])
    return pl.DataFrame(
        {
            "ticker": names.gather(np.repeat(np.arange(tickers), bars)),
            "date": pl.Series(np.tile(days.to_numpy(), tickers)).cast(pl.Date),
            "close": close,
        }
    )


@dataclass(frozen=True)
class RunCost:
    """What a run over some tickers took."""

    tickers: int
    seconds: dict[str, float]
    """Wall time of each stage."""
    cpu_seconds: float
    """Processor time of all processes of the run."""
    peak_gib: float
    """Peak memory of all processes together in the stages measured."""
    whole_seconds: float
    """Wall time of all stages."""


def measure_run(tickers: int, bars: int, jobs: int, chunk_size: int | None = None) -> RunCost:
    """Import simulated bars into an empty workspace, run once, and return what the run took."""
    with tempfile.TemporaryDirectory(prefix="pm-scale-") as folder:
        workspace, file = Path(folder) / "workspace", Path(folder) / "bars.parquet"
        simulated(tickers, bars).write_parquet(file)
        command("init", str(workspace))
        command("--workspace", str(workspace), "import", str(file))
        variables = {"PM_RUN__CHUNK_SIZE": str(chunk_size)} if chunk_size else {}
        cpu = command("--workspace", str(workspace), "run", "--jobs", str(jobs), **variables)
        with Lake(workspace / "lake", load_settings().lake, TABLES) as lake:
            events = lake.rows(
                "SELECT stage, seconds, peak_memory_mb FROM stage_events JOIN runs USING (run_id) "
                "WHERE runs.kind = 'run' AND stage_events.status = 'done'"
            )
            forecast = lake.scalar("SELECT count(DISTINCT ticker) FROM forecasts WHERE model = 'ensemble'")
    if forecast != tickers:
        raise SystemExit(f"{forecast} of {tickers} tickers were forecast")
    return RunCost(
        tickers,
        {event["stage"]: event["seconds"] for event in events},
        cpu,
        max(event["peak_memory_mb"] for event in events if event["stage"] in STAGES) / 1024,
        sum(event["seconds"] for event in events),
    )


def command(*arguments: str, **variables: str) -> float:
    """Run `pm` in a process of its own and return its processor time and that of its workers, in seconds."""
    with tempfile.TemporaryFile("w+") as output:
        with subprocess.Popen([PM, *arguments], stdout=output, stderr=output, env=os.environ | variables) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{output.read()}\npm {' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, nargs="+", default=[50, 200], help="numbers of tickers; default: 50 200")
    parser.add_argument("--bars", type=int, default=2500, help="bars of each ticker; default: 2500")
    parser.add_argument("--jobs", type=int, default=0, help="number of processes; default: one a core")
    arguments = parser.parse_args()
    measure_run(2, arguments.bars, arguments.jobs, chunk_size=1)  # compiles the kernels
    start = measure_run(2, arguments.bars, arguments.jobs, chunk_size=1)
    print(f"{'tickers':>8}{'volatility s':>14}{'forecast s':>12}{'all s':>8}{'ms a ticker':>13}", end="")
    print(f"{'CPU ms a ticker, start off':>28}{'ratio':>7}{'peak GiB':>10}")
    first = None
    for count in [None, *arguments.tickers]:
        done = start if count is None else measure_run(count, arguments.bars, arguments.jobs)
        seconds = [done.seconds[stage] for stage in STAGES]
        print(f"{done.tickers:>8}{seconds[0]:>14.1f}{seconds[1]:>12.1f}{done.whole_seconds:>8.1f}", end="")
        print(f"{1000 * sum(seconds) / done.tickers:>13.0f}", end="")
        if count is None:
            print(f"{'(the start: ' + format(done.cpu_seconds, '.1f') + ' s)':>28}{'':>7}{done.peak_gib:>10.2f}")
            continue
        cost = 1000 * (done.cpu_seconds - start.cpu_seconds) / (count - start.tickers)
        first = first or cost
        print(f"{cost:>28.0f}{cost / first:>7.2f}{done.peak_gib:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
