"""Processes killed at random moments. The long proof: `pytest -m slow tests/pipeline/test_kill.py`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import polars as pl
import psutil
import pytest
from polars.testing import assert_frame_equal

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Contents = Callable[..., dict[str, pl.DataFrame]]
    Pm = Callable[..., subprocess.CompletedProcess[str]]

QUICK = {
    "PM_FORECAST__MODELS": '["naive", "drift"]',
    "PM_FORECAST__ORIGINS": "2",
    "PM_FORECAST__HORIZON": "5",
    "PM_VOLATILITY__SIMULATIONS": "500",
    "PM_RISK__PATHS": "1000",
    "PM_RUN__JOBS": "2",
    "PM_RUN__CHUNK_SIZE": "2",
}
PM = [sys.executable, "-c", "import sys; from pm.cli import main; sys.exit(main())"]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PM_")} | QUICK
    return subprocess.Popen(
        [*PM, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def timed(folder: Path, *arguments: str) -> float:
    """Run a command to its end, and return the seconds that its process took."""
    began = time.monotonic()
    with start(folder, *arguments) as process:
        _, told = process.communicate()
    assert process.returncode == 0, told
    return time.monotonic() - began


def complete(pm: Pm, folder: Path, *arguments: str) -> str:
    """Run a command again that was cut off, and return what it tells of its progress."""
    done = pm(folder, *arguments, env=QUICK | {"PM_RUN__JOBS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stderr


def kill(folder: Path, *arguments: str, after: float | str) -> int:
    """Kill a command and its workers some seconds after its start, or once it has printed something."""
    with start(folder, *arguments) as process:
        if isinstance(after, str):
            wait_for(process, after)
        else:
            time.sleep(after)
        kill_tree(process.pid)
        process.communicate()
    return process.returncode


def kill_tree(pid: int) -> None:
    """Kill a process and its workers, which would keep its pipes open until they notice."""
    with suppress(psutil.NoSuchProcess):  # it has ended already
        parent = psutil.Process(pid)
        workers = parent.children(recursive=True)
        parent.kill()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Return what a process has printed to the end of the line that contains the text."""
    assert process.stderr is not None
    printed = ""
    while text not in printed or not printed.endswith("\n"):
        character = process.stderr.read(1)
        assert character, printed
        printed += character
    return printed


def expect_no_row_twice(folder: Path) -> None:
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake, lake.reading():
        for name, table in TABLES.items():
            key = ", ".join(table.key)
            assert lake.query(f"SELECT {key} FROM {name} GROUP BY ALL HAVING count(*) > 1").is_empty(), name


@pytest.mark.parametrize(
    "moments",
    [pytest.param(["volatility done"], id="one"), pytest.param(range(24), id="many", marks=pytest.mark.slow)],
)
def test_a_run_killed_at_any_moment_is_completed_by_the_next(
    tmp_path: Path, pm: Pm, contents: Contents, first_run: Path, moments: list[str] | range
) -> None:
    expected = contents(first_run)  # by another number of processes, and of tickers in a chunk
    seconds = timed(tmp_path / "undisturbed", "run") if isinstance(moments, range) else 0
    chance = random.Random(20130301)  # noqa: S311 - seeded
    cut = 0
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number)
        code = kill(folder, "run", after=moment if isinstance(moment, str) else chance.uniform(0.05, 1) * seconds)
        complete(pm, folder, "run")
        found = contents(folder)
        for name, frame in expected.items():
            assert_frame_equal(found[name], frame, check_exact=True)
        expect_no_row_twice(folder)
        with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
            runs = lake.query("SELECT status, attempts FROM runs ORDER BY started_at").rows()
        if code:  # killed before it began; or gone on with under its name; or after its end, as it printed
            cut += runs == [("done", 2)]
            assert runs in ([("done", 1)], [("done", 2)], [("done", 1), ("done", 1)])
        assert len(list((folder / "reports").glob("2*.html"))) == 1
    assert cut >= len(moments) / 4


@pytest.mark.parametrize("kills", [pytest.param(1, id="one"), pytest.param(20, id="many", marks=pytest.mark.slow)])
def test_an_import_killed_at_any_moment_lands_whole_or_not_at_all(
    tmp_path: Path, pm: Pm, contents: Contents, stocks: pl.DataFrame, kills: int
) -> None:
    stocks.filter(pl.col("ticker") != "AAPL").write_csv(tmp_path / "many.csv")
    stocks.filter(pl.col("ticker") == "AAPL").write_csv(tmp_path / "more.csv")
    files = [str(tmp_path / "many.csv"), str(tmp_path / "more.csv")]
    seconds = timed(tmp_path / "undisturbed", "import", *files)
    expected = contents(tmp_path / "undisturbed")
    chance = random.Random(1)  # noqa: S311 - seeded
    for number in range(kills):
        folder = tmp_path / str(number)
        kill(folder, "import", *files, after=chance.uniform(0.3, 0.95) * seconds)
        if (folder / "lake" / "catalog.sqlite").exists():
            with Lake(folder / "lake", load_settings().lake, TABLES) as lake:
                assert lake.scalar("SELECT count(*) FROM raw.bars") in (0, stocks.height)
                assert lake.scalar("SELECT count(*) FROM raw.batches") in (0, 2)
        complete(pm, folder, "import", *files)
        found = contents(folder)
        for name, frame in expected.items():
            assert_frame_equal(found[name], frame, check_exact=True)
        expect_no_row_twice(folder)


@pytest.mark.posix  # Ctrl-C, sent to one process
def test_ctrl_c_ends_a_run_that_can_be_resumed(tmp_path: Path, pm: Pm) -> None:
    folder = tmp_path / "w"
    with start(folder, "run") as process:
        told = wait_for(process, "check")
        process.send_signal(signal.SIGINT)
        told += process.communicate()[1]
    assert process.returncode == 130
    assert told.splitlines()[-1] == "Interrupted. Finished stages are saved; the next `pm run` continues from there."
    assert "cut off" in pm(folder, "runs").stdout
    told = complete(pm, folder, "run")
    assert "resumed where it was cut off" in told
    assert "done before the run was cut off" in told
