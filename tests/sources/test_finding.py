from __future__ import annotations

import os
from pathlib import Path

import pytest

from pm.errors import InputError
from pm.sources import find_files, inspect_file
from pm.sources.finding import require_readable_name


def test_a_folder_is_searched_at_every_depth_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    wanted = ["a.csv", "b.CSV.GZ", "deep/c.parquet", "deep/er/d.csv", "e.xlsx", "f.zip", "g.tsv"]
    for name in [*wanted, "readme.txt", ".hidden.csv", "~$e.xlsx", "deep/notes.md", "deep/aapl.us.txt", "e.csv.bak"]:
        (tmp_path / name).touch()
    found = find_files([tmp_path, tmp_path / "deep", tmp_path / "readme.txt"])
    assert found.files == [*sorted(tmp_path / name for name in wanted), tmp_path / "readme.txt"]
    assert found.left_out == [tmp_path / "deep" / "aapl.us.txt"]


def test_files_keep_the_order_they_were_named_in_and_come_once(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).touch()
    assert find_files([tmp_path / "b.csv", tmp_path]).files == [tmp_path / "b.csv", tmp_path / "a.csv"]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert [error.what for error in find_files([tmp_path]).refused] == ["The folder holds no files of bars."]
    (tmp_path / "aapl.us.txt").touch()
    (refusal,) = find_files([tmp_path]).refused
    assert "'aapl.us.txt'" in refusal.hint


def test_a_missing_path_is_refused_and_is_not_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    for name in ("b.csv", "*.csv", "[a].csv"):
        assert [error.what for error in find_files([tmp_path / name]).refused] == ["There is no such file or folder."]


def test_all_that_cannot_be_imported_is_refused_and_the_rest_is_found(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    if os.name == "posix":  # Windows lets few users make links
        (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    paths = [tmp_path / name for name in ("nothing.csv", "a.csv", "empty", "x" * 300, "nul\0.csv", "gone.csv", "b.csv")]
    found = find_files([*paths, os.devnull])
    assert found.files == [tmp_path / "a.csv", tmp_path / "b.csv"]
    reasons = [error.what for error in found.refused]
    expected = [
        "no such file",
        "no files of bars",
        "cannot be used" if os.name == "posix" else "",  # that no name is so long, or that there is no file of it
        "cannot be used",
        "no such file",
        "neither a file",
    ]
    assert [part in reason for part, reason in zip(expected, reasons, strict=True)] == [True] * len(expected)
    assert all(error.where and error.hint for error in found.refused)


@pytest.mark.posix
def test_pipes_and_names_that_are_no_text_are_refused_without_opening_them(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.csv", "deep/b.csv"):
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "deep" / "pipe.csv")  # opening it would wait forever
    try:
        (tmp_path / os.fsdecode(b"n\xff.csv")).touch()
    except OSError:
        pytest.skip("this file system holds only names that are text")
    found = find_files([tmp_path])
    assert found.files == [tmp_path / "a.csv", tmp_path / "deep" / "b.csv"]
    assert {error.what for error in found.refused} == {
        "This is neither a file nor a folder.",
        "The name of the file is not UTF-8.",
    }
    with pytest.raises(InputError, match="neither a file nor a folder"):
        inspect_file(tmp_path / "deep" / "pipe.csv")


@pytest.mark.parametrize("name", ["NUL", "con.csv", "COM1.parquet", "aux:x.csv", "\\\\.\\pipe\\prices.csv"])
def test_devices_of_windows_are_refused_by_their_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = Path(name)
    with monkeypatch.context() as patch:
        patch.setattr("pm.sources.finding.os.name", "nt")
        with pytest.raises(InputError, match="neither a file nor a folder"):
            require_readable_name(path)


@pytest.mark.posix
def test_a_folder_that_cannot_be_read_is_refused_and_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.csv").touch()
    (tmp_path / "closed").chmod(0)
    if os.access(tmp_path / "closed", os.R_OK):
        pytest.skip("root may read every folder")
    try:
        found = find_files([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert found.files == [tmp_path / "a.csv"]
    assert [error.what for error in found.refused] == ["There is no permission to read this."]
