"""Commands that write wait in line while another process writes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

_HOLD = """
import sys
from pathlib import Path
from pm.pipeline.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

WRITERS = (
    ("run",),
    ("import", "AA.csv"),
    ("actions", "add", "AAPL", "2010-01-05", "--split", "2"),
    ("actions", "remove", "AAPL", "2010-01-05"),
    ("universe", "add", "AAPL"),
    ("universe", "remove", "AAPL"),
    ("policy", "train"),
    ("evaluate",),
    ("lake", "compact"),
)


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the writer's lock of a workspace in a process of its own, until its input is closed."""
    line = [sys.executable, "-c", _HOLD, str(folder / "lake")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        assert holder.stdin is not None
        holder.stdin.close()


def start(command: list[str], environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start `pm`, and return once it has said that it waits."""
    process = subprocess.Popen(
        [*command, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("Waiting up to 600 s for another process"), line
    assert "pid " in line
    return process


def test_imports_beside_a_writer_all_get_in_once_it_ends(
    workspace: Path, pm: Pm, command: list[str], environment: dict[str, str]
) -> None:
    names = ("AA", "BB", "CC")
    for name in names:
        (workspace / f"{name}.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,6\n", encoding="utf-8")
    with held(workspace):
        waiting = [start(command, environment, workspace, "import", f"{name}.csv") for name in names]
    for process in waiting:
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    query = "SELECT ticker FROM raw.bars WHERE ticker IN ('AA', 'BB', 'CC') GROUP BY ALL ORDER BY ALL"
    assert pm(workspace, "sql", query, "--format", "csv").stdout.split()[1:] == list(names)


@pytest.mark.posix  # Ctrl-C, sent to one process
def test_ctrl_c_ends_the_wait(workspace: Path, command: list[str], environment: dict[str, str]) -> None:
    with held(workspace) as holder:
        process = start(command, environment, workspace, "run")
        process.send_signal(signal.SIGINT)
        printed, told = process.communicate(timeout=30)
        assert process.returncode == 130
        assert (printed, told) == ("", "")
        assert holder.poll() is None


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
def test_no_wait_refuses_each_command_that_writes(workspace: Path, pm: Pm, arguments: tuple[str, ...]) -> None:
    (workspace / "AA.csv").write_text("date,close\n2013-01-02,5\n", encoding="utf-8")
    with held(workspace) as holder:
        done = pm(workspace, *arguments, "--no-wait")
    assert done.returncode == 9
    assert f"pid {holder.pid}" in done.stderr
    assert "Waiting" not in done.stderr
    assert "leave out --no-wait" in done.stderr
    assert "wait_seconds" not in done.stderr  # no setting changes what the option says


def test_the_setting_ends_the_wait(workspace: Path, pm: Pm) -> None:
    (workspace / "AA.csv").write_text("date,close\n2013-01-02,5\n", encoding="utf-8")
    with held(workspace):
        done = pm(workspace, "import", "AA.csv", env={"PM_LAKE__WAIT_SECONDS": "0.2"})
    assert done.returncode == 9
    assert done.stderr.startswith("Waiting up to 0.2 s ")
    assert "wait_seconds" in done.stderr


@pytest.mark.slow
def test_no_writer_starves_beside_a_run(finished_copy: Path, command: list[str], environment: dict[str, str]) -> None:
    """Eight users import over and over while runs follow each other: every command gets in. Prints its seconds."""
    users, times = 8, 4
    seconds: dict[str, list[float]] = {f"U{number}": [] for number in range(users)}
    failures: list[str] = []
    imports_are_done = threading.Event()

    def write(name: str, *arguments: str) -> float:
        started = time.monotonic()
        done = subprocess.run(
            [*command, *arguments], cwd=finished_copy, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            failures.append(f"{name}: {done.stderr}")
        return time.monotonic() - started

    def import_often(name: str) -> None:
        for day in range(1, times + 1):
            file = finished_copy / f"{name}.csv"
            file.write_text(f"date,close\n2013-01-0{day},{day + 4}\n", encoding="utf-8")
            seconds[name].append(write(name, "import", file.name))

    def run_often() -> None:
        day = 0
        while not imports_are_done.is_set():
            day += 1
            write("run", "run", "--source", "sample", "--as-of", f"2012-06-{day:02}")

    runs = threading.Thread(target=run_often)
    imports = [threading.Thread(target=import_often, args=(name,)) for name in seconds]
    for thread in (runs, *imports):
        thread.start()
    for thread in imports:
        thread.join()
    imports_are_done.set()
    runs.join()
    print({name: [round(taken, 1) for taken in took] for name, took in seconds.items()})  # noqa: T201 - figures for docs/evidence.md
    assert failures == []
    assert [len(took) for took in seconds.values()] == [times] * users
