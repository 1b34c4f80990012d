"""A query of the console is ended past its limits, streams its result, and leaves nothing on the disk."""

from __future__ import annotations

import _thread
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from pm.errors import QueryError
from pm.lake.console import Console
from pm.lake.limits import QueryLimits, Watch

if TYPE_CHECKING:
    from pathlib import Path

CROSS_JOIN = "SELECT count(*) FROM range(10000000) a, range(10000000) b"
SORT = "SELECT repeat('x', 200) || a.range AS n FROM range(1500000) a ORDER BY hash(a.range)"
"""A query that needs more than 100 MB, and can use the disk."""

SPILLING = """
import sys
from pathlib import Path
from pm.lake.console import Console
from pm.lake.limits import QueryLimits
with Console(Path(sys.argv[1]), limits=QueryLimits(memory_mb=100), threads=1) as console:
    frames = console.stream(sys.argv[2])
    next(frames), next(frames)
    print("spilt", flush=True)
    sys.stdin.read()
"""


def spill(root: Path) -> list[str]:
    return [folder.name for folder in root.iterdir() if folder.name.startswith("spill")]


def test_a_query_past_its_time_is_ended_and_the_next_one_works(root: Path) -> None:
    with Console(root, limits=QueryLimits(seconds=0.5)) as console:
        for _ in range(2):
            with pytest.raises(QueryError, match=r"ended after 0\.5 s") as late:
                console.query(CROSS_JOIN)
            assert "lake.query_seconds" in late.value.hint
            assert console.query("SELECT 1").item() == 1


def test_ctrl_c_at_any_moment_leaves_work_behind_or_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work presses Ctrl-C as it begins: often, the thread that waits has not left the call that starts it."""
    monkeypatch.setattr("pm.lake.limits._GRACE", 0.0)
    for _ in range(50):
        watch, ended, is_over = Watch(duckdb.connect(), QueryLimits()), threading.Event(), threading.Event()

        def work(ended: threading.Event = ended, is_over: threading.Event = is_over) -> None:
            _thread.interrupt_main()
            ended.wait(60)
            is_over.set()

        with pytest.raises(KeyboardInterrupt):
            watch.run(work)
        assert watch.left_behind
        ended.set()
        assert is_over.wait(60)


def test_the_time_of_the_reader_does_not_count(root: Path) -> None:
    with Console(root, limits=QueryLimits(seconds=3)) as console:
        frames = console.stream("FROM range(100000)")
        next(frames)
        console._watch._spent -= 3600  # as if the clock had been an hour slower: only the work is added
        assert sum(frame.height for frame in frames) == 100_000
        assert -3600 < console._watch._spent < -3590


def test_a_query_that_cannot_use_the_disk_ends_at_its_memory(root: Path) -> None:
    with Console(root, limits=QueryLimits(memory_mb=100), threads=1) as console:
        with pytest.raises(QueryError, match=r"more memory than it can take \(100 MB\)"):
            console.query("SELECT list(range) FROM range(100000000)")
        assert console.query("SELECT 1").item() == 1


def test_a_result_may_have_as_many_rows_as_allowed_and_no_more(root: Path) -> None:
    with Console(root, limits=QueryLimits(rows=70_000)) as console:
        assert console.query("FROM range(70000)").height == 70_000
        with pytest.raises(QueryError, match="more than 70,000 rows"):
            console.query("FROM range(70001)")


@pytest.mark.parametrize(
    "columns",
    ["range AS n, 1 AS a, 2 AS a, 3 AS a_1", "range AS n, to_days(range::INT % 9) AS span, '101'::BIT AS bits"],
)
def test_a_result_comes_in_small_parts_of_one_schema(root: Path, columns: str) -> None:
    with Console(root) as console:
        parts = list(console.stream(f"SELECT {columns} FROM range(300000)"))
    assert max(part.height for part in parts) < 40_000
    assert len({tuple(part.schema.items()) for part in parts}) == 1
    assert len(parts[0].columns) == columns.count(" AS ")
    assert pl.concat(parts)["n"].to_list() == list(range(300_000))


def test_what_exceeds_the_memory_goes_to_the_lakes_folder_and_is_removed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = tmp_path / "current"
    current.mkdir()
    monkeypatch.chdir(current)
    with Console(root, limits=QueryLimits(memory_mb=100), threads=1) as console:
        frames = console.stream(SORT)
        next(frames)
        next(frames)
        assert len(spill(root)) == 1
        assert list(current.iterdir()) == []
    assert spill(root) == []


def test_what_a_killed_process_left_is_removed_and_what_another_uses_is_not(root: Path) -> None:
    line = [sys.executable, "-c", SPILLING, str(root), SORT]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spilt\n"
        (left,) = spill(root)
        Console(root).__exit__()
        assert spill(root) == [left]
        shutil.copytree(root / left, root / f"spill-1-{left.split('-', 2)[2]}")  # of another machine
        process.kill()
        process.wait()
    Console(root).__exit__()
    assert [name.split("-")[1] for name in spill(root)] == ["1"]
