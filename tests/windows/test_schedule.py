"""Nights on Windows: the words that a program gets, a night with its log and its help, and a registered task."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from ctypes import wintypes
from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.schedule.job import Job
from pm.schedule.record import NightRecord
from pm.schedule.task_xml import parse_task, render_task, split_words

CHECKOUT = Path(__file__).parents[2]
NAME = "Größe 100% #1 σ"
WORDS = st.lists(
    st.text(st.sampled_from("\\\" %'#aß&|^<>") | st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=10),
    min_size=1,
    max_size=6,
)


def words_of_windows(line: str) -> list[str]:
    if sys.platform != "win32":
        raise NotImplementedError
    split = ctypes.windll.shell32.CommandLineToArgvW
    split.restype = ctypes.POINTER(wintypes.LPWSTR)
    split.argtypes = [wintypes.LPCWSTR, ctypes.POINTER(ctypes.c_int)]
    count = ctypes.c_int()
    words = split(f"program {line}", ctypes.byref(count))
    return [str(words[place]) for place in range(1, count.value)]


def pm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("PM_")}
    return subprocess.run(
        [sys.executable, str(CHECKOUT / "cli.py"), *words],
        cwd=folder, env=known, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schedule") / NAME
    folder.mkdir()
    assert pm(folder, "init", ".").returncode == 0
    (folder / "config" / "run.yml").write_text("jobz: 1\n", encoding="utf-8")  # all but `pm schedule` fails at once
    return folder


@given(words=WORDS)
def test_windows_gives_a_program_the_words_of_a_task(words: list[str]) -> None:
    line = subprocess.list2cmdline(words)
    assert words_of_windows(line) == words
    assert split_words(line) == tuple(words)


def test_a_task_gives_the_job() -> None:
    since = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
    job = Job(Path("C:/Users/Jörg/portfolio"), (r"C:\Program Files\Python\python.exe", "-m", "pm"), time(22, 30))
    assert parse_task(render_task(job, since)) == (job, since)


def test_a_night_is_logged_and_its_failure_calls_cmd_for_help(workspace: Path) -> None:
    done = pm(workspace, "schedule", "night", "--on-failure", "echo %NIGHT_EXIT_CODE% > help.txt")
    assert done.returncode == 3, done.stderr
    assert (workspace / "help.txt").read_text().strip() == "3"
    assert "Unknown key 'run.jobz'" in (workspace / "logs" / "night.log").read_text(encoding="utf-8")
    record = NightRecord.read(workspace / "logs")
    assert record is not None
    assert (record.exit_code, record.on_failure_code) == (3, 0)
    status = pm(workspace, "schedule", "status")
    assert status.returncode == 18
    assert "failed with exit code 3: Unknown key 'run.jobz'." in status.stdout.splitlines()[0]


def test_a_task_is_registered_replaced_and_removed(workspace: Path) -> None:
    """Task Scheduler keeps a task as a file; Wine's has no other way to ask for one, and starts none."""
    tasks = Path(os.environ["SYSTEMROOT"]) / "System32" / "Tasks" / "Portfolio Maximizer"
    tasks.parent.mkdir(exist_ok=True)  # Windows always has it; a new Wine has not, and then refuses each task
    before = set(tasks.iterdir()) if tasks.is_dir() else set()
    for at in ("22:30", "21:00"):
        done = pm(workspace, "schedule", "install", "--at", at)
        assert done.returncode == 0, done.stderr
        assert f"Installed: `pm run` every day at {at} " in done.stdout
        assert "by schtasks." in done.stdout
        assert len(set(tasks.iterdir()) - before) == 1
    done = pm(workspace, "schedule", "remove")
    assert (done.returncode, done.stdout) == (0, f"Removed from schtasks: {workspace} has no more nights.\n")
    assert set(tasks.iterdir()) == before
