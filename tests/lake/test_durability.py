"""A commit is durable: the disk has every data file, and its name in its folder, before the catalog names the file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pm.errors import StorageError
from pm.lake import Lake
from pm.lake.maintenance import compact
from pm.tables.catalogue import TABLES
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import polars as pl

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

EVERY_KIND_OF_WRITE = """
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
from pm.lake import Lake
from pm.lake.maintenance import compact
from pm.settings import LakeSettings
from pm.tables.catalogue import TABLES
from pm.tables.quality import QUARANTINE
from pm.tables.sources import RAW_BARS

settings = LakeSettings(**{settings!r})
def frame(table, start, count):
    schema = table.polars_schema
    rows = [{{**dict.fromkeys(schema), "batch_id": "b", "row": start + i}} for i in range(count)]
    return pl.DataFrame(rows, schema=schema)
def refuse(tx):
    tx.append(RAW_BARS, frame(RAW_BARS, 900, 50))
    raise InterruptedError
with Lake(Path(sys.argv[1]), settings, TABLES) as lake:
    frame(RAW_BARS, 0, 500).write_parquet(Path(sys.argv[2]))
    lake.commit("frame", lambda tx: tx.append(RAW_BARS, frame(RAW_BARS, 500, 100)))
    lake.commit("file", lambda tx: tx.append(RAW_BARS, [Path(sys.argv[2])]))
    lake.commit("few rows", lambda tx: tx.append(RAW_BARS, frame(RAW_BARS, 600, 3)))
    lake.commit("another table", lambda tx: tx.append(QUARANTINE, frame(QUARANTINE, 0, 50)))
    lake.commit("small", lambda tx: [tx.append(QUARANTINE, frame(QUARANTINE, 100 + 5 * k, 5)) for k in range(9)])
    lake.commit("merge", lambda tx: tx.merge(QUARANTINE, frame(QUARANTINE, 20, 60)))
    lake.commit("delete", lambda tx: tx.delete(RAW_BARS, "row % 2 = 0"))
    try:
        lake.commit("fails", refuse)
    except InterruptedError:
        pass
    compact(lake, keep=(), grace=timedelta(0))
    print(lake.scalar("SELECT count(*) FROM raw.bars"), lake.scalar("SELECT count(*) FROM quarantine"))
"""
CALLS = (
    "openat,open,creat,mkdir,mkdirat,write,writev,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat"
)
_RESULT = re.compile(r"= (-?\d+)")


@pytest.fixture
def strace() -> str:
    """The program that traces system calls, where it is installed and allowed."""
    program = shutil.which("strace")
    if program is None or subprocess.run([program, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is missing or not allowed here; the test of the files named by the catalog stands in")
    return program


def unsynced(trace: Iterator[str], root: Path) -> Iterator[set[str]]:
    """Yield, at each sync of the catalog's log, the data files and folders whose bytes or names can still be lost."""
    data = f"{root}/data"
    contents: set[str] = set()
    names: set[str] = set()
    for line in trace:
        call, _, rest = line.partition(" ")[2].strip().partition("(")
        result = _RESULT.search(rest.rpartition(")")[2])
        if result is None or int(result[1]) < 0:
            continue
        descriptor = re.match(r"\d+<([^>]*)>", rest)
        path = descriptor[1] if descriptor is not None else (re.findall(r'"([^"]*)"', rest) or [""])[-1].rstrip("/")
        if call.startswith("open"):
            path = re.findall(r'"([^"]*)"', rest)[0]
        if call in {"fsync", "fdatasync"}:
            if path.endswith("catalog.sqlite-wal"):
                yield {f"contents of {file}" for file in contents} | {f"name {file}" for file in names}
            contents.discard(path)
            names -= {file for file in names if file.rpartition("/")[0] == path}
        elif not path.startswith(data) or path.endswith("/file_checksums"):  # an empty folder: its rows are no files
            continue
        elif call.startswith("unlink"):
            contents.discard(path)
            names.discard(path)
        elif "write" in call:
            contents.add(path)
        elif call.startswith(("mkdir", "creat", "rename")) or "O_CREAT" in rest:
            names.add(path)


def test_a_trace_shows_every_data_file_synced_before_the_commit(
    strace: str, tmp_path: Path, settings: LakeSettings
) -> None:
    root, log = tmp_path / "lake", tmp_path / "trace"
    program = EVERY_KIND_OF_WRITE.format(settings={**settings.model_dump(), "expire_after_days": 0})
    line = [strace, "-f", "-y", "-s", "300", "-e", f"trace={CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*line, sys.executable, "-c", program, str(root), str(tmp_path / "rows.parquet")],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["301", "125"]
    text = log.read_text(encoding="utf-8", errors="replace")
    # The trace must show what the test is about: files of new rows, of deleted rows, and those of a compaction.
    assert len(set(re.findall(r'"[^"]*/(ducklake-[^/"]*\.parquet)", O_WRONLY', text))) >= 8
    states = list(unsynced(iter(text.splitlines()), root))
    assert len(states) >= 8
    assert [state for state in states if state] == []


def test_every_file_that_the_catalog_names_was_synced(
    root: Path, settings: LakeSettings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[tuple[int, int]] = set()
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        sync(descriptor)
        state = os.fstat(descriptor)
        synced.add((state.st_ino, state.st_size))

    before = set((root / "data").rglob("*.parquet"))
    monkeypatch.setattr(os, "fsync", recorded)
    with Lake(root, settings, TABLES) as lake:
        for start in (0, 40):
            new = rows("raw.bars", *({"ticker": "A", "row": start + i} for i in range(40)))
            lake.commit("rows", lambda tx, new=new: tx.append(RAW_BARS, new))  # type: ignore[misc]
        lake.commit("fewer", lambda tx: tx.delete(RAW_BARS, "row = 3"))
        compact(lake, keep=())
        named = {
            (root / "data" / "raw" / "bars" / name)
            for (name,) in lake.query(
                "SELECT path FROM __ducklake_metadata_lake.ducklake_data_file UNION ALL "
                "SELECT path FROM __ducklake_metadata_lake.ducklake_delete_file"
            ).iter_rows()
        }
    made = {file for file in named if file.exists()} - before
    assert len(made) >= 3
    assert {(file.stat().st_ino, file.stat().st_size) for file in made} <= synced


def test_a_disk_that_does_not_take_a_file_refuses_the_commit(
    root: Path, settings: LakeSettings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = rows("raw.bars", *({"ticker": "A", "row": i} for i in range(40)))

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Lake(root, settings, TABLES) as lake:
        snapshot = lake.snapshot
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(StorageError, match="Input/output error"):
                lake.commit("rows", lambda tx: tx.append(RAW_BARS, new))
        assert lake.snapshot == snapshot
        assert lake.read(RAW_BARS).is_empty()
        lake.commit("rows", lambda tx: tx.append(RAW_BARS, new))
        assert lake.read(RAW_BARS).height == 40
