"""Every change of a data file is noticed: by comparison with its checksum, and behind an error of a query."""

from __future__ import annotations

import shutil
import sqlite3
from errno import ENOSPC
from typing import TYPE_CHECKING

import pytest

from pm.errors import LakeError, QueryError, StorageError
from pm.lake import Lake, store
from pm.lake.console import Console
from pm.lake.integrity import Fault, refuse_faults
from pm.lake.maintenance import compact
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import polars as pl

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

PLACES = 40
"""Number of places of a file at which a bit is flipped, in turn."""


@pytest.fixture(scope="module")
def filled(pristine: Path, settings: LakeSettings, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with files of rows and of deletions in two tables, and past files. Copy it before you change it."""
    root = shutil.copytree(pristine, tmp_path_factory.mktemp("filled") / "lake")
    with Lake(root, settings, TABLES) as lake:
        for start in (0, 300, 600):
            numbered = [{"ticker": "A", "row": start + n, "close": (start + n) ** 0.5} for n in range(300)]
            lake.commit("raw", lambda tx, new=numbered: tx.append(RAW_BARS, rows("raw.bars", *new)))  # type: ignore[misc]
            lake.commit("bars", lambda tx, new=numbered: tx.append(BARS, rows("bars", *new)))  # type: ignore[misc]
        lake.commit("some", lambda tx: tx.delete(RAW_BARS, "row % 3 = 0"))
        lake.commit("all", lambda tx: tx.delete(BARS, "row < 300"))
    return root


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    return shutil.copytree(filled, tmp_path / "copy" / "lake")


@pytest.fixture
def lake(copy: Path, settings: LakeSettings) -> Iterator[Lake]:
    with Lake(copy, settings, TABLES) as opened:
        yield opened


def found(lake: Lake) -> dict[str, Fault]:
    return {fault.file.path: fault.fault for fault in lake.verify(lake.files())}


def flipped(content: bytes, place: int) -> bytes:
    """Return the bytes with one bit changed, the place-th of `PLACES` that lie evenly over them."""
    bit = place * (8 * len(content) - 1) // (PLACES - 1)
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_an_undamaged_lake_has_no_faults_and_names_every_file(lake: Lake) -> None:
    assert found(lake) == {}
    data = lake.root / "data"
    assert {file.path for file in lake.files()} == {f.relative_to(data).as_posix() for f in data.rglob("*.parquet")}
    assert {file.table for file in lake.files()} == {"raw.bars", "bars", "dictionary"}
    assert any(file.end is not None for file in lake.files())


def test_every_flipped_bit_of_every_file_is_noticed(lake: Lake) -> None:
    missed = []
    for file in lake.files():
        place = lake.root / "data" / file.path
        content = place.read_bytes()
        for number in range(PLACES):
            place.write_bytes(flipped(content, number))
            faults = lake.verify([file])
            if [fault.fault for fault in faults] != [Fault.CHANGED]:
                missed.append((file.path, number))
        place.write_bytes(content)
    assert missed == []
    assert found(lake) == {}


def test_other_damage_is_noticed(lake: Lake) -> None:
    places = [lake.root / "data" / file.path for file in lake.files(["raw.bars"])]
    first, second, third, *_ = places
    contents = [place.read_bytes() for place in places]

    def damage(*changes: tuple[Path, bytes | None]) -> dict[Path, Fault]:
        for place, content in changes:
            place.unlink() if content is None else place.write_bytes(content)
        faults = {lake.root / "data" / path: fault for path, fault in found(lake).items()}
        for place, content in zip(places, contents, strict=True):
            place.write_bytes(content)
        return faults

    assert damage((first, None)) == {first: Fault.MISSING}
    assert damage((first, b"")) == {first: Fault.CHANGED}
    for length in (1, len(contents[0]) // 2, len(contents[0]) - 1):
        assert damage((first, contents[0][:length])) == {first: Fault.CHANGED}
    assert damage((first, contents[0] + b"\0")) == {first: Fault.CHANGED}
    swapped = damage((first, contents[1]), (second, contents[0]))
    assert swapped == {first: Fault.CHANGED, second: Fault.CHANGED}
    assert damage((third, bytes(len(contents[2])))) == {third: Fault.CHANGED}


def test_damage_behind_an_error_of_a_query_is_named(copy: Path, settings: LakeSettings) -> None:
    with Lake(copy, settings, TABLES, read_only=True) as lake:
        file = max(lake.files(["raw.bars"], current=True), key=lambda file: file.bytes)
    place = copy / "data" / file.path
    content = place.read_bytes()
    told: list[LakeError] = []
    for number in range(PLACES):
        place.write_bytes(flipped(content, number))
        for read in (_by_console, _by_lake):
            try:
                read(copy, settings)
            except LakeError as error:
                told.append(error)
    assert len(told) >= 8  # damage of the head, of the footer, and of pages
    assert [error for error in told if "damaged" not in error.what or "pm lake verify" not in error.hint] == []
    assert {error.exit_code for error in told} == {8}


def _by_console(root: Path, _: LakeSettings) -> None:
    with Console(root) as console:
        console.query("FROM raw.bars")


def _by_lake(root: Path, settings: LakeSettings) -> None:
    with Lake(root, settings, TABLES, read_only=True) as lake:
        lake.select("raw.bars")


def test_an_error_of_the_statement_is_not_blamed_on_the_lake(copy: Path) -> None:
    with Console(copy) as console:
        for sql in ("SELECT strptime('x', '%Y')", "SELECT sqrt(-1)", "SELECT 'x'::INT", "SELECT error('no such file')"):
            with pytest.raises(QueryError):
                console.query(sql)


def test_files_without_a_checksum_are_told_and_recorded(lake: Lake) -> None:
    paths = [file.path for file in lake.files()]
    lake.commit("as an older version", lambda tx: tx.delete(TABLES["file_checksums"], "true"))
    assert found(lake) == dict.fromkeys(paths, Fault.UNRECORDED)
    refuse_faults(lake.verify(lake.files()), lake.location)
    place = lake.root / "data" / paths[0]
    content = place.read_bytes()
    place.write_bytes(content[:-8] + b"12345678")  # of the same size, and not readable
    assert found(lake)[paths[0]] == Fault.CHANGED
    place.write_bytes(content)
    lake.record(fault.file for fault in lake.verify(lake.files()))
    assert found(lake) == {}


def test_checksums_stay_in_the_catalog_and_follow_a_compaction(lake: Lake) -> None:
    compact(lake, keep=())
    assert found(lake) == {}
    recorded = lake.rows("SELECT path FROM file_checksums")
    assert {row["path"] for row in recorded} == {file.path for file in lake.files()}
    assert not list((lake.root / "data").rglob("file_checksums/*.parquet"))


def test_a_compaction_refuses_a_damaged_file_and_changes_nothing(lake: Lake) -> None:
    place = lake.root / "data" / lake.files(["raw.bars"])[0].path
    place.write_bytes(flipped(place.read_bytes(), 20))
    before = lake.snapshot, sorted((lake.root / "data").rglob("*.parquet"))
    with pytest.raises(LakeError, match=r"raw\.bars has changed since it was written"):
        compact(lake, keep=())
    assert before == (lake.snapshot, sorted((lake.root / "data").rglob("*.parquet")))


def test_a_backup_of_any_time_since_restores_the_files(lake: Lake, copy: Path, tmp_path: Path, rows: Rows) -> None:
    backup = shutil.copytree(copy / "data", tmp_path / "backup" / "of" / "data")
    lake.commit("later", lambda tx: tx.append(RAW_BARS, rows("raw.bars", *({"row": n} for n in range(50)))))
    wanted = lake.query("SELECT * FROM raw.bars ORDER BY ALL")
    first, second, *_ = (file for file in lake.files(["raw.bars"]) if (backup / file.path).exists())
    (copy / "data" / first.path).unlink()
    second_place = copy / "data" / second.path
    second_place.write_bytes(flipped(second_place.read_bytes(), 7))
    late = next(file for file in lake.files(["raw.bars"]) if not (backup / file.path).exists())
    late_content = (copy / "data" / late.path).read_bytes()
    (copy / "data" / late.path).write_bytes(b"")
    remaining = lake.restore(lake.verify(lake.files()), tmp_path / "backup")
    assert [fault.file for fault in remaining] == [late]
    (copy / "data" / late.path).write_bytes(late_content)
    assert found(lake) == {}
    assert lake.query("SELECT * FROM raw.bars ORDER BY ALL").equals(wanted)


def test_a_damaged_copy_in_the_backup_is_not_taken(lake: Lake, copy: Path, tmp_path: Path) -> None:
    backup = shutil.copytree(copy / "data", tmp_path / "backup")
    file = lake.files(["raw.bars"])[0]
    (backup / file.path).write_bytes(flipped((backup / file.path).read_bytes(), 9))
    (copy / "data" / file.path).unlink()
    (remaining,) = lake.restore(lake.verify(lake.files()), backup)
    assert (remaining.file, (copy / "data" / file.path).exists()) == (file, False)


def test_a_restoration_that_fails_leaves_no_half_copy(lake: Lake, copy: Path, tmp_path: Path) -> None:
    backup = shutil.copytree(copy / "data", tmp_path / "backup")
    place = copy / "data" / lake.files(["raw.bars"])[0].path
    place.unlink()
    place.mkdir()
    with pytest.raises(StorageError, match="A folder is in the place of a data file") as refused:
        lake.restore(lake.verify(lake.files()), backup)
    assert refused.value.where == str(place)
    assert not list((copy / "data").rglob("*.part"))


def test_a_disk_that_is_full_leaves_no_half_copy(
    lake: Lake, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = shutil.copytree(copy / "data", tmp_path / "backup")
    (copy / "data" / lake.files(["raw.bars"])[0].path).unlink()

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "sync", full)
    with pytest.raises(StorageError, match="No space left"):
        lake.restore(lake.verify(lake.files()), backup)
    assert not list((copy / "data").rglob("*.part"))


def test_paths_of_another_system_are_understood(copy: Path, settings: LakeSettings) -> None:
    connection = sqlite3.connect(copy / "catalog.sqlite")
    with connection:
        connection.execute("UPDATE ducklake_schema SET path = replace(path, '/', '\\')")
        connection.execute("UPDATE ducklake_table SET path = replace(path, '/', '\\')")
    connection.close()
    with Lake(copy, settings, TABLES, read_only=True) as lake:
        assert found(lake) == {}
        assert len(lake.files()) > 5
