"""Time the stages risk, portfolio and orders of a run: `python benchmarks/accounts.py [--tickers 431] [--bars 2500]`.

In a temporary folder simulated bars of all but the last two sessions are imported, an account with a million in cash is
opened, and a run follows, whose orders the next run fills. That one has the next session and what it bought: printed
are the seconds of its stages (table stage_events) and their processor time. A third run has nothing new. It is timed
with and without the three stages, in turns, the median of seven each. Forecasts are those of naive and drift: the
stages before are not what is measured. `--keep FOLDER` leaves the workspace there.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from scale import simulated

from pm.pipeline import Request, import_bars, open_lake, run_pipeline, trade
from pm.pipeline.events import Event, StageEnded, StageStarted
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stages.account import NewAccount, opening
from pm.settings import Settings, load_settings
from pm.sources import inspect_files
from pm.tables.vocabulary import BrokerName
from pm.workspace import Workspace, init_workspace

STAGES = ("risk", "portfolio", "orders")
REPEATS = 7
QUICK: dict[str, dict[str, Any]] = {
    "forecast": {"models": ["naive", "drift"]},
    "llm": {"enabled": False},
}
"""Settings of the stages that are not measured."""


class Clock:
    """Takes the processor time of each stage from the events of a run."""

    def __init__(self) -> None:
        self.processor: dict[str, float] = {}
        self.summaries: dict[str, str] = {}
        self._start = 0.0

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        match event:
            case StageStarted():
                self._start = time.process_time()
            case StageEnded(stage, _, _, summary):
                self.processor[stage] = time.process_time() - self._start
                self.summaries[stage] = summary


def settings_with() -> Settings:
    """Return the packaged settings with quick forecasts."""
    settings = load_settings()
    return settings.model_copy(
        update={name: settings.section(name).model_copy(update=values) for name, values in QUICK.items()}
    )


def land(workspace: Workspace, settings: Settings, bars: pl.DataFrame, file: Path) -> None:
    """Import bars."""
    bars.write_parquet(file)
    with open_lake(workspace, settings) as lake:
        import_bars(lake, workspace, settings, lambda _: None, files=inspect_files([file]))


def night(workspace: Workspace, settings: Settings) -> tuple[str, Clock]:
    """Run the pipeline, and return the run with what was heard of it."""
    clock = Clock()
    with open_lake(workspace, settings) as lake:
        return run_pipeline(lake, workspace, settings, clock, request=Request()).run_id, clock


def idle_seconds(workspace: Workspace, settings: Settings, *, whole: bool) -> float:
    """Return the seconds of a run that finds nothing to do."""
    names = [stage.name for stage in RUN_STAGES]
    before = RUN_STAGES[: names.index(STAGES[-1]) + 1]  # those after it read what the three make
    stages = [stage for stage in before if whole or stage.name not in STAGES]
    with open_lake(workspace, settings) as lake:
        start = time.perf_counter()
        worked = Runner(lake, settings, workspace, lambda _: None).run(stages, Request()).worked
        taken = time.perf_counter() - start
    if worked:
        raise SystemExit("a run was to find nothing to do, and worked")
    return taken


def measure(root: Path, tickers: int, bars: int) -> None:
    """Print the seconds of the stages."""
    frame, settings, workspace = simulated(tickers, bars), settings_with(), init_workspace(root / "workspace")
    days = frame["date"].unique().sort()
    land(workspace, settings, frame.filter(pl.col("date") < days[-2]), root / "first.parquet")
    new = NewAccount("main", BrokerName.PAPER, None, "USD", Decimal(1_000_000), "fifo", True, False, None)
    with open_lake(workspace, settings) as lake:
        trade(lake, workspace, settings, lambda _: None, stage=opening(new))
    night(workspace, settings)
    land(workspace, settings, frame.filter(pl.col("date") == days[-2]), root / "second.parquet")
    run, clock = night(workspace, settings)
    with open_lake(workspace, settings) as lake:
        seconds = {
            row["stage"]: row["seconds"]
            for row in lake.rows("SELECT stage, seconds FROM stage_events WHERE run_id = ?", [run])
        }
        held = lake.scalar("SELECT count(*) FROM positions")
    print(f"{tickers} tickers, {bars - 1:,} bars each, {held} positions held")
    print(f"{'stage':12}{'seconds':>10}{'processor s':>14}")
    for name in STAGES:
        print(f"{name:12}{seconds[name]:>10.2f}{clock.processor[name]:>14.2f}  {clock.summaries[name]}")
    print(f"{'together':12}{sum(seconds[n] for n in STAGES):>10.2f}{sum(clock.processor[n] for n in STAGES):>14.2f}")
    taken: dict[bool, list[float]] = {True: [], False: []}
    idle_seconds(workspace, settings, whole=True)
    for _ in range(REPEATS):
        for whole, own in taken.items():
            own.append(idle_seconds(workspace, settings, whole=whole))
    every, without = (statistics.median(taken[each]) for each in (True, False))
    print(f"nothing new: {every:.3f} s with the three stages, {without:.3f} s without, {every - without:+.3f} s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=431)
    parser.add_argument("--bars", type=int, default=2500)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        measure(options.keep, options.tickers, options.bars)
        return
    with tempfile.TemporaryDirectory(prefix="pm-accounts-") as folder:
        measure(Path(folder), options.tickers, options.bars)


if __name__ == "__main__":
    main()
