"""`pm schedule serve` as a process, with the embedded sample, and its clock in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from pm.schedule.record import NightRecord
from pm.schedule.serve import serve
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.posix  # processes are told to end by signals


@pytest.fixture
def serving(command: list[str], environment: dict[str, str]) -> Iterator[Serve]:
    """Start `pm schedule serve` in a workspace: `serving(workspace, *options)`; what runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(workspace: Path, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, "schedule", "serve", *options],
            cwd=workspace, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8",
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], words: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    raise AssertionError(f"{words!r} did not come: {lines}")


def missed(workspace: Path) -> None:
    """Make a workspace whose last night was two days ago, so that `serve` holds one at once."""
    made = init_workspace(workspace)
    made.logs.mkdir()
    before = datetime.now(UTC) - timedelta(days=2)
    NightRecord(before, "run", before, 0, compacted_at=before).write(made.logs)


def record_of(workspace: Path) -> NightRecord:
    record = NightRecord.read(workspace / "logs")
    assert record is not None
    return record


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_waits_and_ends_at_a_signal(tmp_path: Path, serving: Serve, number: signal.Signals, code: int) -> None:
    init_workspace(tmp_path)
    process = serving(tmp_path, "--at", "22:30", "--tz", "America/New_York")
    lines = lines_until(process, "Next night")
    assert lines[0] == f"Serving: `pm run` every day at 22:30 America/New_York in {tmp_path}"
    assert "22:30 America/New_York (" in lines[-1]
    process.send_signal(number)
    assert process.wait(30) == code
    assert not (tmp_path / "logs" / "night.json").exists()


def test_a_missed_night_is_held_at_once_and_shown(tmp_path: Path, serving: Serve) -> None:
    missed(tmp_path)
    (tmp_path / "config" / "run.yml").write_text("jobz: 1\n")  # so that the night fails at once
    process = serving(tmp_path, "--at", "22:30", "--only", "refresh", "--on-failure", "echo code $NIGHT_EXIT_CODE")
    lines = lines_until(process, "The command ended")
    assert lines[-3:] == [
        "On failure: echo code $NIGHT_EXIT_CODE",
        f"code {record_of(tmp_path).exit_code}",
        "The command ended with exit code 0.",
    ]
    lines_until(process, "Next night")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert record_of(tmp_path).task == "refresh"
    assert record_of(tmp_path).exit_code
    assert record_of(tmp_path).on_failure_code == 0


def test_sigterm_interrupts_the_night_as_ctrl_c_would(tmp_path: Path, serving: Serve) -> None:
    missed(tmp_path)
    process = serving(tmp_path, "--at", "22:30", "--on-failure", "echo code $NIGHT_EXIT_CODE > help")
    lines_until(process, "land ")
    process.send_signal(signal.SIGTERM)
    lines = lines_until(process, "The night ends")
    assert any(line.startswith("Interrupted. Finished stages are saved") for line in lines)
    assert lines[-1] == "The night ends with exit code 130."
    assert process.wait(60) == 0
    assert (tmp_path / "help").read_text() == "code 130\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_night_that_is_told_to_end_interrupts_its_run(
    tmp_path: Path, command: list[str], environment: dict[str, str], number: signal.Signals
) -> None:
    made = init_workspace(tmp_path)
    log = made.logs / "night.log"
    with subprocess.Popen([*command, "schedule", "night"], cwd=tmp_path, env=environment) as process:
        while not (log.exists() and "land " in log.read_text(encoding="utf-8")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) == 130
    assert "Interrupted. Finished stages are saved" in log.read_text(encoding="utf-8")
    assert record_of(tmp_path).exit_code == 130


@pytest.mark.slow
def test_nights_are_held_at_their_times() -> None:
    """The time of day is that of the next full minute: serve waits for it for real."""
    now = datetime.now(UTC)
    at = (now + timedelta(minutes=1)).replace(second=0, microsecond=0)
    held: list[datetime] = []
    told: list[datetime] = []

    def hold() -> None:
        held.append(datetime.now(UTC))
        os.kill(os.getpid(), signal.SIGTERM)

    ended = serve(at.time(), ZoneInfo("UTC"), hold, lambda: None, at_once=False, on_next=told.append)
    assert ended is signal.SIGTERM
    assert told == [at, at + timedelta(days=1)]
    assert len(held) == 1
    assert at <= held[0] < at + timedelta(seconds=30)
