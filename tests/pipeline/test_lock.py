from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pm.errors import LakeBusyError
from pm.pipeline.lock import is_locked, writer_lock

if TYPE_CHECKING:
    from pathlib import Path

_HOLD = """
import sys
from pathlib import Path
from pm.pipeline.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(lake: Path) -> subprocess.Popen[str]:
    """Start a process that holds the lock until its input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        assert is_locked(tmp_path)
        with pytest.raises(LakeBusyError) as caught, writer_lock(tmp_path):
            pass
        holder.communicate()
    assert f"pid {holder.pid}" in str(caught.value)
    assert f"`pm {tmp_path}`" in str(caught.value)
    assert not is_locked(tmp_path)


def test_credentials_on_the_command_line_are_not_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pm", "run", "--address", "tcp://user:hunter2@10.0.0.1:8786"])
    with writer_lock(tmp_path):
        assert (
            json.loads((tmp_path / "writer.json").read_text("utf-8"))["command"]
            == "pm run --address tcp://***@10.0.0.1:8786"
        )


def test_the_lock_of_a_dead_process_is_no_lock(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:
        holder.kill()
    assert json.loads((tmp_path / "writer.json").read_text("utf-8"))["pid"] == holder.pid
    assert not is_locked(tmp_path)
    with writer_lock(tmp_path):
        assert json.loads((tmp_path / "writer.json").read_text("utf-8"))["pid"] == os.getpid()
    assert not (tmp_path / "writer.json").exists()


def test_a_lock_that_was_never_taken_is_not_held(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)


def test_the_lock_is_released_though_the_owners_file_cannot_be_removed(tmp_path: Path) -> None:
    owner = tmp_path / "writer.json"
    with writer_lock(tmp_path):
        owner.unlink()
        (owner / "held").mkdir(parents=True)  # a folder can no more be removed so than a file that is open on Windows
    assert not is_locked(tmp_path)


def test_a_writer_waits_in_line_and_says_for_whom(tmp_path: Path) -> None:
    with hold(tmp_path) as holder:

        def told(sentence: str) -> None:
            heard.append(sentence)
            assert holder.stdin is not None
            holder.stdin.close()

        heard: list[str] = []
        with writer_lock(tmp_path, wait_seconds=60, on_wait=told):
            assert json.loads((tmp_path / "writer.json").read_text("utf-8"))["pid"] == os.getpid()
    assert len(heard) == 1
    assert f"pid {holder.pid}" in heard[0]


def test_a_wait_that_is_too_short_is_refused(tmp_path: Path) -> None:
    heard: list[str] = []
    with hold(tmp_path) as holder:
        with (
            pytest.raises(LakeBusyError, match=f"pid {holder.pid}"),
            writer_lock(tmp_path, wait_seconds=0.2, on_wait=heard.append),
        ):
            pass
        holder.communicate()
    assert len(heard) == 1


_WAIT = """
import sys
from pathlib import Path
from pm.pipeline.lock import writer_lock
with writer_lock(Path(sys.argv[1]), wait_seconds=600, on_wait=lambda _: print("waits", flush=True)):
    with open(sys.argv[2], "a") as file:
        file.write(sys.argv[3] + "\\n")
"""


def wait(lake: Path, order: Path, name: str) -> subprocess.Popen[str]:
    """Start a process that waits for the lock, and writes its name once it has it."""
    line = [sys.executable, "-c", _WAIT, str(lake), str(order), name]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    while not any((lake / "waiting").glob(f"*-{process.pid}-*")):
        time.sleep(0.01)
    return process


def test_writers_get_in_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    order = tmp_path / "order.txt"
    names = [f"writer {number}" for number in range(5)]
    with hold(tmp_path) as holder:
        waiting = [wait(tmp_path, order, name) for name in names]
        waiting[1].kill()  # who waits no more holds nobody up, though nobody has asked for its exit code
        # who does not wait is refused, and does not get in between
        with pytest.raises(LakeBusyError), writer_lock(tmp_path):
            pass
        holder.communicate()
    for place, process in enumerate(waiting):
        process.communicate(timeout=600)
        assert (process.returncode == 0) == (place != 1)
    assert order.read_text().splitlines() == [name for place, name in enumerate(names) if place != 1]
    assert len(list((tmp_path / "waiting").iterdir())) == 1  # that of the killed one, for some minutes


@pytest.mark.posix  # stopping a process
def test_a_stopped_writer_holds_nobody_up_and_keeps_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.pipeline.queue._STALE", 1.0)
    order = tmp_path / "order.txt"
    with hold(tmp_path) as holder:
        waiting = wait(tmp_path, order, "stopped")
        waiting.send_signal(signal.SIGSTOP)
        holder.communicate()
    with writer_lock(tmp_path, wait_seconds=60):
        waiting.send_signal(signal.SIGCONT)
    waiting.communicate(timeout=60)
    assert order.read_text() == "stopped\n"


def test_files_that_were_left_behind_are_deleted_in_time(tmp_path: Path) -> None:
    (tmp_path / "waiting").mkdir()
    for name, age in ((f"{1:020}-1-ab", 3600), (f"{2:020}-1-ab", 60), ("notes.txt", 3600)):
        (tmp_path / "waiting" / name).touch()
        os.utime(tmp_path / "waiting" / name, (time.time() - age,) * 2)
    with writer_lock(tmp_path):
        pass
    assert {file.name for file in (tmp_path / "waiting").iterdir()} == {f"{2:020}-1-ab", "notes.txt"}
