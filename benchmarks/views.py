"""What each view costs on a large lake: `python benchmarks/views.py [--nights 500] [--tickers 500] [--bars 2500]`.

The rows of a lake are made up and appended to its tables, as runs on consecutive sessions would have left them
after `pm lake compact`: bars, forecasts of three models over five sessions, volatility, fits, weights, and signals.
There are more forecasts than bars, and every night but the newest has outcomes. Then each view is read in a process of
its own, all columns of all rows, which are reduced to one hash inside DuckDB. Printed are the rows, the seconds and the
processor time of the query, and the largest resident memory of the process, of which Python with DuckDB and its
extensions takes 0.13 GiB. A view that misses the targets is marked.

`--lake FOLDER` keeps the lake in a folder, and uses the one that is there. To make it takes half a minute. The memory
is read from /proc, so that it is known on Linux only.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.lake import Lake
from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS, MODEL_WEIGHTS
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.quality import BARS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from pm.lake import Transaction
    from pm.tables.declaration import Table
    from pm.typing import FloatArray, IntArray

MODELS = ("naive", "ensemble", "martingale")
FITTED = ("garch", "gjr", "garch_t", "gjr_t")
HORIZON = 5
NIGHTS_A_FILE = 50
"""Number of runs whose rows share a file, as after a compaction."""
MAX_SECONDS, MAX_GIB = 2.0, 1.0
"""Targets of every view."""
FIRST_RUN = datetime(2024, 1, 1)  # noqa: DTZ001 - times of the lake are UTC without a zone


def completed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a table: of the frame's columns those that the table has, and null for the others."""
    return table.conform(
        frame.select(
            pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in table.polars_schema
        )
    )


def build(root: Path, *, nights: int, tickers: int, bars: int) -> None:
    """Make a lake in a folder; its newest run is from the newest bar."""
    rng = np.random.default_rng(3)
    weekdays = pl.date_range(date(2010, 1, 4), date(2010, 1, 4) + timedelta(days=bars * 7 // 5 + 14), eager=True)
    sessions = weekdays.filter(weekdays.dt.weekday() <= 5).head(bars + HORIZON)
    names = pl.Series([f"T{number:04d}" for number in range(tickers)])
    closes = 50 * np.exp(np.cumsum(rng.normal(0, 0.015, (tickers, bars)), axis=1))
    history = pl.DataFrame(
        {
            "ticker": names.gather(np.repeat(np.arange(tickers), bars)),
            "date": sessions.gather(np.tile(np.arange(bars), tickers)),
            **dict.fromkeys(("open", "high", "low", "close"), closes.ravel()),
        }
    ).with_columns(volume=1e6, adj_factor=1.0, batch_id=pl.lit("batch"), run_id=pl.lit("run"), snapshot_id=1)
    with Lake(root, load_settings().lake, TABLES, views=[sql_dir()]) as lake:
        lake.commit("bars", lambda transaction: transaction.append(BARS, completed(BARS, history)))
        for start in range(0, nights, NIGHTS_A_FILE):
            batch = np.arange(start, min(start + NIGHTS_A_FILE, nights))
            rows = of_nights(rng, batch, bars - nights + batch, sessions, names, closes)

            def write(transaction: Transaction, rows: dict[Table, pl.DataFrame] = rows) -> None:
                for table, frame in rows.items():
                    transaction.append(table, completed(table, frame))

            lake.commit("nights", write)


def of_nights(
    rng: np.random.Generator,
    nights: IntArray,
    origins: IntArray,
    sessions: pl.Series,
    names: pl.Series,
    closes: FloatArray,
) -> dict[Table, pl.DataFrame]:
    """Return the rows that some runs write.

    Parameters
    ----------
    nights
        Numbers of the runs.
    origins
        Position of each run's newest bar.
    sessions
        Dates of the bars, and HORIZON later ones.
    names
        Tickers.
    closes
        Shape (tickers, bars).
    """
    tickers = len(names)
    night, place = np.repeat(nights, tickers), np.repeat(origins, tickers)
    which = np.tile(np.arange(tickers), len(nights))
    each = pl.DataFrame(
        {
            "run_id": [f"run-{number:05d}" for number in night],
            "ticker": names.gather(which),
            "origin_date": sessions.gather(place),
            "cutoff": sessions.gather(place),
            "origin_close": closes[which, place],
            "snapshot_id": night + 2,
            "regime": pl.Series(["low", "middle", "high"]).gather((which + night // 60) % 3),
        }
    ).with_columns(place=place, naive_scale=0.012)
    steps = each.join(pl.DataFrame({"step": np.arange(1, HORIZON + 1)}), how="cross").with_columns(
        sigma=0.015 * pl.col("step").sqrt()
    )
    steps = steps.with_columns(target_date=sessions.gather(steps["place"] + steps["step"]))
    noise = pl.Series(rng.normal(0, 0.002, steps.height))
    forecasts = pl.concat(
        steps.with_columns(model=pl.lit(model), mean_log_return=noise if model == "ensemble" else 0.0)
        for model in MODELS
    ).with_columns(
        (pl.col("origin_close") * (pl.col("mean_log_return") + pl.col("sigma") * NormalDist().inv_cdf(level)).exp())
        .alias(quantile_column("q", level))
        for level in QUANTILES
    )  # fmt: skip
    fitted = pl.DataFrame({"model": FITTED}).with_columns(window_size=1000, next_sigma=0.015, persistence=0.97)
    weighted = pl.DataFrame({"model": ["naive", "ensemble"], "weight": [1.0, None]})
    started = [FIRST_RUN + timedelta(days=int(number)) for number in nights]
    runs = pl.DataFrame(
        {"run_id": [f"run-{number:05d}" for number in nights], "started_at": started, "finished_at": started}
    ).with_columns(kind=pl.lit("run"), status=pl.lit("done"), attempts=1)
    stages = pl.DataFrame({"stage": ["forecast", "volatility", "signals"]})
    return {
        FORECASTS: forecasts.with_columns(mean="origin_close", spread=1.0),
        VOLATILITY: steps.with_columns(model=pl.lit("garch_pool"), cumulative_sigma="sigma", fits=4),
        VOLATILITY_FITS: each.join(fitted, how="cross"),
        MODEL_WEIGHTS: each.join(weighted, how="cross").with_columns(verdict=pl.lit("no edge"), rmse=0.03),
        SIGNALS: steps.filter(step=HORIZON).with_columns(
            action=pl.lit("HOLD"), horizon="step", round_trip_cost=0.002,
            expected_return=0.0, lower=-0.06, upper=0.06, confidence=0.5, size=0.0,
            forecast_run_id="run_id", volatility_run_id="run_id", last_bar_batch_id=pl.lit("batch"),
        ),
        RUNS: runs,
        STAGE_EVENTS: runs.join(stages, how="cross").with_columns(attempt=1, output_run_id="run_id"),
    }  # fmt: skip


def read(root: Path, view: str) -> dict[str, float]:
    """Return the rows of a view, and the seconds and memory in GiB that reading all of it took."""
    with Lake(root, load_settings().lake, TABLES, read_only=True) as lake:
        before, at_work = time.perf_counter(), time.process_time()
        rows = lake.rows(f"SELECT count(*) AS rows, bit_xor(hash(v)) AS hash FROM {view} AS v")[0]["rows"]
        seconds, cpu = time.perf_counter() - before, time.process_time() - at_work
    # Of this program alone: ru_maxrss of getrusage counts the memory of the process that started it.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    return {"rows": rows, "seconds": seconds, "cpu": cpu, "gib": int(peak[1]) / 1024**2 if peak else float("nan")}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=500, help="number of runs; default: 500")
    parser.add_argument("--tickers", type=int, default=500, help="number of tickers; default: 500")
    parser.add_argument("--bars", type=int, default=2500, help="bars of each ticker; default: 2500")
    parser.add_argument("--lake", type=Path, help="folder of the lake; default: a temporary one")
    parser.add_argument("--view", nargs="+", help="views to read; default: all")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a view is given up; default: 120")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(read(arguments.lake, arguments.one)))
        return
    with tempfile.TemporaryDirectory(prefix="pm-views-") as folder:
        root = arguments.lake or Path(folder) / "lake"
        if not root.exists():
            start = time.perf_counter()
            root.mkdir(parents=True)
            build(root, nights=arguments.nights, tickers=arguments.tickers, bars=arguments.bars)
            print(f"The lake was made in {time.perf_counter() - start:.0f} s.")
        with Lake(root, load_settings().lake, TABLES, views=[sql_dir()]) as lake:
            for name in ("bars", "forecasts", "volatility", "volatility_fits", "signals"):
                print(f"{name}: {lake.scalar(f'SELECT count(*) FROM {name}'):,} rows")
        print(f"{'view':<22}{'rows':>12}{'seconds':>9}{'CPU s':>8}{'GiB':>7}")
        for view in arguments.view or [view.name for view in read_views([sql_dir()])]:
            print(f"{view:<22}{_line(root, view, arguments.limit)}", flush=True)


def _line(root: Path, view: str, limit: float) -> str:
    command = [sys.executable, __file__, "--lake", str(root), "--one", view]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"  not done after {limit:.0f} s"
    if done.returncode:
        return f"  {done.stderr.strip().splitlines()[-1]}"
    found = json.loads(done.stdout)
    missed = "  missed" if found["seconds"] > MAX_SECONDS or found["gib"] > MAX_GIB else ""
    return f"{found['rows']:>12,}{found['seconds']:>9.2f}{found['cpu']:>8.2f}{found['gib']:>7.2f}{missed}"


if __name__ == "__main__":
    main()
