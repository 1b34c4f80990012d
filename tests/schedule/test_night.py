"""Nights with a program of a few lines in the place of `pm`; tests/cli/test_schedule.py has nights of `pm` itself."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from pm.errors import LakeBusyError, StorageError
from pm.schedule.child import Child
from pm.schedule.log import NightLog
from pm.schedule.night import Night, call_for_help, next_compaction
from pm.schedule.record import NightRecord, is_under_way, night_lock
from pm.schedule.serve import on_signals
from pm.workspace import Workspace, init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = """
import json, os, pathlib, signal, subprocess, sys, time
words = sys.argv[3:]
with open(pathlib.Path(sys.argv[2], "calls"), "a") as calls:
    calls.write(" ".join(words) + "\\n")
plan = json.loads(pathlib.Path(sys.argv[2], "plan.json").read_text())
step = plan.get(words[0], {})
print("says", *words, "ß", flush=True)
for line in step.get("lines", []):
    print(line, file=sys.stderr, flush=True)
if "sleep" in step:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    pathlib.Path(sys.argv[2], "worker").write_text(str(worker.pid))
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted once", flush=True)
        time.sleep(0.5)  # a second Ctrl-C would end this
        sys.exit(130)
if "signal" in step:
    os.kill(os.getpid(), step["signal"])
sys.exit(step.get("code", 0))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = init_workspace(tmp_path / "Börse #1")
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    plan(made)
    return made


def plan(workspace: Workspace, **steps: dict[str, object]) -> None:
    (workspace.root / "plan.json").write_text(json.dumps(steps), encoding="utf-8")


def night(workspace: Workspace, *, task: str = "run", on_failure: str | None = None) -> Night:
    program = (sys.executable, "-X", "utf8", str(workspace.root.parent / "program.py"))
    return Night(workspace, program, task=task, on_failure=on_failure)


def calls(workspace: Workspace) -> list[str]:
    return (workspace.root / "calls").read_text().splitlines()


def log(workspace: Workspace) -> str:
    return (workspace.logs / "night.log").read_text(encoding="utf-8")


def record(workspace: Workspace) -> NightRecord:
    found = NightRecord.read(workspace.logs)
    assert found is not None
    return found


def python(line: str) -> str:
    """Return a command for the system's shell that runs a line of Python."""
    return f'"{sys.executable}" -c "{line}"'


def until(condition: Callable[[], object]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in half a minute")


def test_a_good_night_is_logged_recorded_and_ends_with_0(workspace: Workspace) -> None:
    began = datetime.now(UTC)
    assert night(workspace, on_failure=python("open('help', 'w')")).hold() == 0
    assert calls(workspace) == ["run", "lake compact"]
    lines = log(workspace).splitlines()
    assert [line[22:] for line in lines] == [
        "The night begins: pm run", "says run ß", "The week's compaction: pm lake compact", "says lake compact ß",
        "The night ends with exit code 0.",
    ]  # fmt: skip
    assert all(abs(datetime.fromisoformat(line[:20]) - began) < timedelta(minutes=5) for line in lines)
    kept = record(workspace)
    assert (kept.task, kept.exit_code, kept.error, kept.on_failure_code) == ("run", 0, None, None)
    assert kept.finished_at is not None
    assert began <= kept.started_at <= kept.finished_at
    assert not (workspace.root / "help").exists()


def test_the_lake_is_compacted_once_a_week(workspace: Workspace) -> None:
    workspace.logs.mkdir()
    now = datetime.now(UTC)
    for days, expected in ((5, ["refresh"]), (6.6, ["refresh", "lake compact"]), (30, ["refresh", "lake compact"])):
        (workspace.root / "calls").unlink(missing_ok=True)
        NightRecord(now, "run", now, 0, compacted_at=now - timedelta(days=days)).write(workspace.logs)
        assert night(workspace, task="refresh").hold() == 0
        assert calls(workspace) == expected
        compacted = record(workspace).compacted_at
        assert compacted is not None
        assert (now - compacted > timedelta(days=1)) == (expected == ["refresh"])


def test_a_compaction_that_fails_is_tried_again_and_its_code_is_the_nights(workspace: Workspace) -> None:
    plan(workspace, lake={"code": 8})
    assert night(workspace).hold() == 8
    assert record(workspace).compacted_at is None
    assert night(workspace).hold() == 8
    assert calls(workspace) == ["run", "lake compact"] * 2


def test_a_failed_night_calls_for_help_with_the_code(workspace: Workspace) -> None:
    plan(workspace, run={"code": 9, "lines": ["a line", "error: Another run is writing.", "error: Second."]})
    names = "('EXIT_CODE', 'LOG', 'FOLDER')"
    told = f"import os, sys; print(*(os.environ['NIGHT_' + n] for n in {names}), os.getcwd()); sys.exit(5)"
    assert night(workspace, on_failure=python(told)).hold() == 9
    kept = record(workspace)
    assert (kept.exit_code, kept.error, kept.on_failure_code) == (9, "Another run is writing.", 5)
    assert f"9 {workspace.logs / 'night.log'} {workspace.root} {workspace.root}" in log(workspace)
    assert log(workspace).splitlines()[-1].endswith("The command ended with exit code 5.")


@pytest.mark.posix
def test_a_task_that_was_killed_fails_the_night(workspace: Workspace) -> None:
    plan(workspace, run={"signal": 9})
    assert night(workspace, on_failure="touch help").hold() == 137
    assert record(workspace).exit_code == 137
    assert (workspace.root / "help").exists()


@pytest.mark.posix
def test_an_interrupted_night_interrupts_its_task_once_with_all_its_processes(workspace: Workspace) -> None:
    plan(workspace, run={"sleep": True})
    held = night(workspace)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(held.hold()))
    with on_signals(lambda _: None):  # as in commands: a process that ignores Ctrl-C would hand that down
        thread.start()
        until(lambda: (workspace.root / "worker").exists() and (workspace.root / "worker").read_text())
        assert is_under_way(workspace.logs)
        assert record(workspace).finished_at is None
        held.interrupt()
        thread.join(30)
    assert codes == [130]
    assert "interrupted once" in log(workspace)
    assert calls(workspace) == ["run"]  # and no compaction
    worker = int((workspace.root / "worker").read_text())
    until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)
    assert not is_under_way(workspace.logs)


@pytest.mark.posix
def test_a_second_interrupt_kills(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    seen: list[str] = []
    child = Child([sys.executable, "-c", stubborn], tmp_path, seen.append)
    until(lambda: seen == ["up"])
    child.interrupt()
    with pytest.raises(TimeoutError):
        child.wait(0.5)
    child.kill()
    assert child.wait(30) == 137


def test_two_nights_at_a_time_are_refused(workspace: Workspace) -> None:
    workspace.logs.mkdir()
    with night_lock(workspace.logs):
        assert is_under_way(workspace.logs)
        with pytest.raises(LakeBusyError, match="Another night"):
            night(workspace).hold()
    assert not is_under_way(workspace.logs)
    assert NightRecord.read(workspace.logs) is None  # the other night's record is left alone


def test_logs_that_cannot_be_written_are_an_error_of_ours(workspace: Workspace) -> None:
    workspace.logs.write_text("a file")
    with pytest.raises(StorageError, match="cannot be recorded"):
        night(workspace).hold()


def test_help_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.schedule.night._HELP_SECONDS", 0.5)
    said: list[str] = []
    assert call_for_help(python("import time; time.sleep(60)"), tmp_path, 1, said.append) == 124


def test_help_is_called_for_a_workspace_that_is_gone(tmp_path: Path) -> None:
    said: list[str] = []
    command = python("import os; print(os.environ['NIGHT_FOLDER'], os.getcwd())")
    assert call_for_help(command, tmp_path / "gone", 4, said.append) == 0
    assert f"{tmp_path / 'gone'} {os.getcwd()}" in said  # noqa: PTH109 - as the command prints it


def test_the_log_stays_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.schedule.log._BYTES", 10_000)
    kept = NightLog(tmp_path)
    for number in range(3_000):
        kept.add(f"line {number} %s ß \udc80")
    kept.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["night.log", *(f"night.log.{number}" for number in range(1, 6))]
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert files[0].read_text(encoding="utf-8").splitlines()[-1].endswith("line 2999 %s ß ?")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"started_at": 1}', '{"started_at": "2026-11-27T01:00:00"}'])
def test_a_record_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "night.json").write_text(text)
    assert NightRecord.read(tmp_path) is None


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    now = datetime(2026, 11, 27, 1, 2, 3, 4, tzinfo=UTC)
    written = NightRecord(now, "refresh", now, 9, "x \U0001f319", now - timedelta(days=1), 1)
    written.write(tmp_path)
    assert NightRecord.read(tmp_path) == written
    assert next_compaction(written, now) == now + timedelta(days=5.5)
    assert next_compaction(None, now) == now


def test_a_night_with_messages_tells_how_it_went_after_its_record_is_written(workspace: Workspace) -> None:
    plan(workspace, run={"code": 12, "lines": ["error: it went wrong"]}, notify={"code": 7})
    program = (sys.executable, "-X", "utf8", str(workspace.root.parent / "program.py"))

    code = Night(workspace, program, task="run", on_failure=None, messages=True).hold()

    assert code == 12  # not that of the messages
    assert calls(workspace)[-1] == "notify night"
    assert record(workspace).error == "it went wrong"
