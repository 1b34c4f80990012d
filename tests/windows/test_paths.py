"""Files that another program has open, and paths, as only Windows treats them."""

from __future__ import annotations

import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pm.errors import InputError
from pm.lake.durability import DataFiles
from pm.open_files import is_held
from pm.sources import inspect_file

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Pm = Callable[..., subprocess.CompletedProcess[str]]

BARS = "ticker,date,close\nABC,2020-01-02,5\nABC,2020-01-03,5.5\n"


@contextmanager
def unshared(file: Path) -> Iterator[Callable[[], None]]:
    """Hold a file open so that nobody else can open it; yield what closes it."""
    if sys.platform != "win32":
        raise AssertionError
    import _winapi

    generic_read, open_existing = 0x80000000, 3
    handle = _winapi.CreateFile(str(file), generic_read, 0, 0, open_existing, 0, 0)
    left = [handle]

    def close() -> None:
        while left:
            _winapi.CloseHandle(left.pop())

    try:
        yield close
    finally:
        close()


def test_a_file_to_import_that_another_program_does_not_share_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ABC.csv"
    file.write_text(BARS)
    with unshared(file):
        assert is_held(file)
        with pytest.raises(InputError, match="Another program has the file open"):
            inspect_file(file)
    assert inspect_file(file)


def test_a_data_file_is_synced_once_the_program_that_reads_it_lets_go(tmp_path: Path) -> None:
    files = DataFiles(tmp_path)
    (file := tmp_path / "a.parquet").write_bytes(b"rows")
    with unshared(file) as close:
        threading.Timer(0.15, close).start()
        assert files.sync_new() == [file]
    (other := tmp_path / "b.parquet").write_bytes(b"rows")
    with unshared(other), pytest.raises(PermissionError):
        files.sync_new()
    assert files.sync_new() == [other]


@pytest.fixture(scope="module")
def two_imports(tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    """Return a workspace with the bars of two imports. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "ABC.csv").write_text(BARS)
    (folder / "DEF.csv").write_text(BARS.replace("ABC", "DEF"))
    for name in ("ABC.csv", "DEF.csv"):
        done = pm(folder, "import", name)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def imported(two_imports: Path, tmp_path: Path) -> Path:
    """Return a copy of `two_imports`."""
    return shutil.copytree(two_imports, tmp_path / "Workspace")


@pytest.mark.parametrize("name", ["NUL", "nul.csv"])
def test_a_result_can_go_to_a_device(imported: Path, pm: Pm, name: str) -> None:
    before = sorted(imported.iterdir())
    assert pm(imported, "sql", "SELECT 1 AS one", "-o", name).returncode == 0
    assert sorted(imported.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["a:b?.csv", "b?.csv", "x:y.csv", "out.csv:stream.csv", "a|b.csv", "ABC.csv.", "aux\\x.csv"]
)
def test_a_result_for_a_name_that_windows_does_not_allow_is_refused(imported: Path, pm: Pm, name: str) -> None:
    before = sorted(imported.iterdir())
    done = pm(imported, "sql", "SELECT 1 AS one", "--format", "csv", "-o", name)
    assert done.returncode == 10
    assert "cannot be written" in done.stderr
    assert sorted(imported.iterdir()) == before


@pytest.mark.parametrize("name", ["a?b", "x\\aux.d\\y", "x" * 180])
def test_a_workspace_where_no_lake_can_be_is_refused_before_anything_is_made(tmp_path: Path, pm: Pm, name: str) -> None:
    for words in (("init", name), ("--workspace", name, "run")):
        done = pm(tmp_path, *words)
        assert done.returncode == 4
        assert "The path of the workspace has " in done.stderr
    assert not list(tmp_path.iterdir())


def test_letters_of_either_case_and_slashes_of_either_kind_name_one_workspace(imported: Path, pm: Pm) -> None:
    for name in (str(imported).upper(), str(imported).lower(), imported.as_posix(), f"\\\\?\\{imported}"):
        done = pm(imported.parent, "--workspace", name, "sql", "SELECT count(*) AS n FROM raw.bars", "--format", "csv")
        assert done.stdout.split() == ["n", "4"], done.stderr
    again = pm(imported, "--workspace", str(imported).upper(), "import", "abc.csv", "ABC.CSV")
    assert again.returncode == 0, again.stderr


def test_a_workspace_can_be_on_another_drive(imported: Path, pm: Pm) -> None:
    here, there = Path.cwd().drive, imported.drive
    assert here != there, "run this from a folder of another drive than that of temporary files"
    (imported / "GHI.csv").write_text(BARS.replace("ABC", "GHI"))
    for words in (("import", str(imported / "GHI.csv")), ("lake", "compact")):
        done = pm(Path(f"{here}\\"), "--workspace", str(imported), *words)
        assert done.returncode == 0, done.stderr


def test_compaction_beside_a_reader_can_be_run_again_later(imported: Path, pm: Pm) -> None:
    older = sorted((imported / "lake" / "data" / "raw" / "bars").glob("*.parquet"))
    assert older
    keep = {"PM_LAKE__EXPIRE_AFTER_DAYS": "0"}
    with unshared(older[0]):
        beside = pm(imported, "lake", "compact", env=keep)
    assert beside.returncode in {0, 10}
    assert beside.returncode == 0 or ("open in another program" in beside.stderr and "again later" in beside.stderr)
    after = pm(imported, "lake", "compact", env=keep)
    assert after.returncode == 0, after.stderr
    assert pm(imported, "sql", "SELECT count(*) AS n FROM raw.bars", "--format", "csv").stdout.split() == ["n", "4"]


def test_settings_and_views_may_have_windows_line_endings_and_a_mark(imported: Path, pm: Pm) -> None:
    (imported / "config" / "run.yml").write_bytes(b"\xef\xbb\xbfjobs: 1\r\nchunk_size: 7\r\n")
    (imported / "sql" / "90_mine.sql").write_bytes(b"\xef\xbb\xbf-- Mine.\r\n-- one: A number.\r\nSELECT 1 AS one;\r\n")
    assert pm(imported, "import", "DEF.csv").returncode == 0
    told = pm(imported, "tables", "mine")
    assert ("Mine." in told.stdout, "A number." in told.stdout) == (True, True), told.stderr
    assert pm(imported, "sql", "FROM mine", "--format", "csv").stdout.split() == ["one", "1"]


def test_the_drive_of_the_tests_is_not_case_sensitive(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert (tmp_path / "a").samefile(tmp_path / "A")
