from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from pm.errors import LakeError, PmError, StorageError
from pm.lake import Lake, connection
from pm.lake.binding import quote
from pm.lake.console import Console
from pm.lake.recognition import recognised
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

PRELUDE = """
import resource, signal, sys
from pathlib import Path
import polars as pl
from pm.errors import PmError
from pm.lake import Lake
from pm.lake.console import Console
from pm.settings import load_settings
from pm.tables import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS
root = Path(sys.argv[1])
settings = load_settings().lake.model_copy(update=dict(retry_attempts=2, retry_base_seconds=0.01, expire_after_days=30))
nulls = [pl.lit(None, kind).alias(name) for name, kind in RAW_BARS.polars_schema.items() if name != "close"]
def bars(count):
    return pl.select(close=pl.int_range(count).cast(pl.Float64).sqrt()).with_columns(nulls)
def tell(label, work):
    try:
        print(label, "done", work(), sep="|")
    except PmError as error:
        print(label, type(error).__name__, error.what.replace(chr(10), " "), error.hint, sep="|")
def append(lake, count):
    return lake.commit("append", lambda tx: tx.append(RAW_BARS, bars(count)))
def held(lake):
    return lake.scalar("SELECT count(*) FROM raw.bars")
"""


def test_only_the_packaged_extensions_are_loaded_without_their_signature(tmp_path: Path) -> None:
    packaged = connection._packaged("ducklake").read_bytes()
    file = tmp_path / "other.duckdb_extension"
    file.write_bytes(packaged[:-256] + bytes(256))  # the signature is at the end
    with connection.connect() as opened, pytest.raises(duckdb.Error, match="signature"):
        opened.execute(f"LOAD {quote(str(file))}")


def test_threads_limit_a_query(root: Path, settings: LakeSettings) -> None:
    for threads, expected in ((3, 3), (1, 1), (0, os.cpu_count())):
        with Lake(root, settings.model_copy(update={"threads": threads}), TABLES) as lake:
            assert lake.scalar("SELECT current_setting('threads')") == expected
        with Console(root, threads=threads) as console:
            assert console.query("SELECT current_setting('threads') AS threads").item() == expected


@pytest.fixture
def stocked(root: Path, settings: LakeSettings, rows: Rows) -> Path:
    """A lake with 40 rows in one Parquet file, which no process has open."""
    with Lake(root, settings, TABLES) as lake:
        lake.commit("rows", lambda tx: tx.append(RAW_BARS, rows("raw.bars", *({"row": n} for n in range(40)))))
    return root


def _run(program: str, root: Path, *, prefix: tuple[str, ...] = ()) -> dict[str, list[str]]:
    done = subprocess.run(
        [*prefix, sys.executable, "-c", PRELUDE + program, str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}


def _garbage(content: bytes) -> bytes:
    return b"not a database" * (len(content) // 14)


def _flipped(content: bytes) -> bytes:
    return content[:8192] + bytes(255 - byte for byte in content[8192:])


@pytest.mark.parametrize(
    "damage",
    [_garbage, _flipped, lambda c: c[: len(c) // 2], lambda c: c[:4096], lambda c: c[:100], lambda _: b""],
    ids=["garbage", "flipped", "half", "first page", "100 bytes", "empty"],
)
def test_a_damaged_catalog_is_an_error_and_stays_as_it_is(
    stocked: Path, settings: LakeSettings, damage: Callable[[bytes], bytes]
) -> None:
    catalog = stocked / "catalog.sqlite"
    catalog.write_bytes(damage(catalog.read_bytes()))
    before = catalog.read_bytes()
    attempts: list[Callable[[], object]] = [
        lambda: Lake(stocked, settings, TABLES),
        lambda: Lake(stocked, settings, TABLES, read_only=True),
        lambda: Console(stocked),
    ]
    for attempt in attempts:
        with pytest.raises(LakeError, match=r"damaged|empty") as refused:
            attempt()
        assert str(stocked) in refused.value.where
        assert refused.value.hint
    assert catalog.read_bytes() == before
    assert len(list((stocked / "data").rglob("*.parquet"))) >= 1


def test_a_lost_catalog_is_not_replaced_by_an_empty_one(stocked: Path, settings: LakeSettings) -> None:
    (stocked / "catalog.sqlite").unlink()
    with pytest.raises(LakeError, match="catalog is missing, but its data is there"):
        Lake(stocked, settings, TABLES)
    assert not (stocked / "catalog.sqlite").exists()


def _opened(root: Path, settings: LakeSettings) -> list[LakeError]:
    """Return the errors of opening a lake for writing, for reading, and for a query."""
    attempts: list[Callable[[], object]] = [
        lambda: Lake(root, settings, TABLES),
        lambda: Lake(root, settings, TABLES, read_only=True),
        lambda: Console(root),
    ]
    errors = []
    for attempt in attempts:
        with pytest.raises(LakeError) as refused:
            attempt()
        errors.append(refused.value)
    return errors


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        ("UPDATE ducklake_metadata SET value = '9.7' WHERE key = 'version'", "Another version of pm", "upgrade pm"),
        ("DELETE FROM ducklake_snapshot", "snapshots are lost", "backup"),
        (
            "DELETE FROM ducklake_snapshot WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot)",
            "is lost",
            "backup",
        ),
    ],
    ids=["newer version", "no snapshots", "lost newest snapshot"],
)
def test_readers_and_writers_of_a_catalog_that_cannot_be_used_have_one_remedy(
    stocked: Path, settings: LakeSettings, change: str, what: str, hint: str
) -> None:
    catalog = sqlite3.connect(stocked / "catalog.sqlite")
    catalog.execute(change)
    catalog.commit()
    catalog.close()
    for error in _opened(stocked, settings):
        assert what in error.what
        assert hint in error.hint
        assert error.exit_code == 8


@pytest.mark.parametrize("lost", ["missing", "empty"])
def test_readers_and_writers_of_a_lost_catalog_have_one_remedy(
    stocked: Path, settings: LakeSettings, lost: str
) -> None:
    (stocked / "catalog.sqlite").unlink()
    if lost == "empty":
        (stocked / "catalog.sqlite").touch()
    for error in _opened(stocked, settings):
        assert error.what == f"The lake's catalog is {lost}, but its data is there."
        assert "backup" in error.hint
        assert "verify" not in error.hint


@pytest.mark.posix
def test_what_cannot_be_read_or_written_is_not_called_a_full_disk(stocked: Path) -> None:
    prefix = _without_override()
    for path, mode in (
        (stocked / "catalog.sqlite", 0o000),
        (stocked / "catalog.sqlite", 0o444),
        (stocked / "data", 0o000),
    ):
        before = path.stat().st_mode
        path.chmod(mode)
        told = _run(OPEN_AND_WRITE, stocked, prefix=prefix)
        path.chmod(before)
        failed = [answer for answer in told.values() if answer[0] != "done"]
        assert failed, path
        for answer in failed:
            assert answer[0] == "StorageError", (path, answer)
            assert "permissions" in answer[2], (path, answer)
            assert "free some space" not in answer[2], (path, answer)


def test_a_reader_does_not_create_a_lake(tmp_path: Path, settings: LakeSettings) -> None:
    with pytest.raises(LakeError, match="no lake here yet"):
        Lake(tmp_path / "lake", settings, TABLES, read_only=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [None, _garbage, lambda c: c[: len(c) // 2], lambda c: c[:20] + b"y" * 60 + c[80:]],
    ids=["missing", "garbage", "half", "overwritten"],
)
def test_damaged_data_are_an_error(
    stocked: Path, settings: LakeSettings, rows: Rows, damage: Callable[[bytes], bytes] | None
) -> None:
    for file in (stocked / "data" / "raw").rglob("*.parquet"):
        if damage is None:
            file.unlink()
        else:
            file.write_bytes(damage(file.read_bytes()))
    with Lake(stocked, settings, TABLES) as lake:
        with pytest.raises(LakeError, match="damaged") as refused:
            lake.read(RAW_BARS)
        assert "backup" in refused.value.hint
        assert refused.value.exit_code == 8
        lake.commit("go on", lambda tx: tx.append(RUNS, rows("runs", {"run_id": "a"})))  # the rest still works
        assert lake.read(RUNS).height == 1


def test_a_file_in_place_of_the_lakes_folder_is_an_error(tmp_path: Path, settings: LakeSettings) -> None:
    (tmp_path / "lake").write_text("a file")
    for read_only in (False, True):
        with pytest.raises(StorageError, match="must be a folder"):
            Lake(tmp_path / "lake", settings, TABLES, read_only=read_only)
    with pytest.raises(StorageError, match="must be a folder"):
        Console(tmp_path / "lake")


def _without_override() -> tuple[str, ...]:
    """Return the start of a command line under which permissions restrict root too."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("permissions do not bind root, and setpriv is missing: run as a user, or install util-linux")
    powers = "-dac_override,-dac_read_search"
    return ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")


OPEN_AND_WRITE = """
tell("write", lambda: append(Lake(root, settings, TABLES), 30))
tell("read", lambda: held(Lake(root, settings, TABLES, read_only=True)))
tell("console", lambda: Console(root).query("SELECT count(*) FROM raw.bars").item())
"""


@pytest.mark.posix
def test_a_read_only_folder_is_an_error(stocked: Path) -> None:
    prefix = _without_override()
    everything = [stocked, *stocked.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    told = _run(OPEN_AND_WRITE, stocked, prefix=prefix)
    for path in everything:
        path.chmod(0o755 if path.is_dir() else 0o644)
    assert {label: answer[0] for label, answer in told.items()} == dict.fromkeys(told, "StorageError")
    assert "permissions" in told["write"][2]
    assert _run(OPEN_AND_WRITE, stocked)["console"] == ["done", "70"]


@pytest.mark.posix
def test_data_in_a_read_only_folder_can_be_read(stocked: Path) -> None:
    prefix = _without_override()
    folders = [path for path in [stocked / "data", *(stocked / "data").rglob("*")] if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    told = _run(OPEN_AND_WRITE, stocked, prefix=prefix)
    for path in folders:
        path.chmod(0o755)
    assert told["write"][0] == "StorageError"
    assert told["read"] == told["console"] == ["done", "40"]


FILL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lake = Lake(root, settings, TABLES)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
files = lambda: sorted(str(f) for f in root.rglob("*.parquet"))
before = files()
tell("full", lambda: append(lake, 500_000))
print("left", len(set(files()) - set(before)), sep="|")
tell("held", lambda: held(lake))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
tell("again", lambda: append(lake, 500_000))
tell("then", lambda: held(lake))
"""


@pytest.mark.posix
def test_a_file_that_cannot_grow_is_an_error_and_is_removed(stocked: Path) -> None:
    told = _run(FILL, stocked)
    assert told["full"][0] == "StorageError"
    assert "free some space" in told["full"][2]
    assert told["left"] == ["0"]
    assert told["held"] == ["done", "40"]
    assert told["again"] == ["done", "500000"]
    assert told["then"] == ["done", "500040"]


FULL_DISK = """
lake = Lake(root, settings, TABLES)
tell("big", lambda: append(lake, 3_000_000))
tell("small", lambda: append(lake, 30))
def fill():
    for _ in range(10_000):
        append(lake, 5_000)
tell("filled", fill)
tell("whole", lambda: (held(lake) - 70) % 5_000)
tell("reader", lambda: held(Lake(root, settings, TABLES, read_only=True)) == held(lake))
"""


@pytest.mark.posix
def test_a_full_disk_is_an_error_and_keeps_whole_commits(stocked: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root; the test of files that cannot grow stands in")
    try:
        told = _run(FULL_DISK, shutil.copytree(stocked, disk / "lake"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert told["big"][0] == told["filled"][0] == "StorageError"
    assert told["small"] == ["done", "30"]
    assert told["whole"] == ["done", "0"]
    assert told["reader"] == ["done", "True"]


def test_an_error_of_the_function_that_writes_is_raised_unchanged(lake: Lake) -> None:
    def write(_: object) -> None:
        raise FileNotFoundError(2, "No such file", "prices.csv")

    with pytest.raises(FileNotFoundError):
        lake.commit("fails", write)
    assert not issubclass(FileNotFoundError, PmError)


def test_text_is_quoted_for_sql(lake: Lake) -> None:
    for text in ["", "'", "''", "a'b\\", "☃"]:
        assert lake.scalar(f"SELECT {quote(text)}") == text


def test_a_missing_data_file_is_recognised_in_any_language(tmp_path: Path) -> None:
    there, gone = tmp_path / "there.parquet", tmp_path / "gone.parquet"
    there.touch()
    said = 'IO Error: Cannot open file "{}": Das System kann die angegebene Datei nicht finden.'
    missing = recognised(duckdb.IOException(said.format(gone)), tmp_path)
    assert isinstance(missing, LakeError)
    assert (missing.where, "missing" in missing.what) == (str(gone), True)
    assert isinstance(recognised(duckdb.IOException(said.format(there)), tmp_path), StorageError)


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows keeps an open file from being removed")
def test_a_data_file_that_is_open_elsewhere_is_named(tmp_path: Path) -> None:
    file = tmp_path / "open.parquet"
    file.touch()
    with file.open("rb"):
        held = recognised(duckdb.IOException(f'IO Error: Kann nicht entfernen: "{file}"'), tmp_path)
    assert isinstance(held, StorageError)
    assert "open in another program" in held.what
    assert "run it again later" in held.hint
