"""On Windows an open file can be neither replaced nor deleted; elsewhere it can, and nothing waits for it."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from pm.open_files import delete, is_held, replace, write_whole

if TYPE_CHECKING:
    from pathlib import Path

on_windows = pytest.mark.skipif(sys.platform != "win32", reason="only Windows refuses to replace an open file")


def test_a_file_is_written_whole_and_no_draft_is_left(tmp_path: Path) -> None:
    file = tmp_path / "latest.html"
    for text in ("first", "σ − second"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_replaced_is_unchanged_and_no_draft_is_left(tmp_path: Path) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", "text")
    with pytest.raises(OSError, match="missing"):
        write_whole(tmp_path / "missing" / "file", "text")
    assert [file.name for file in tmp_path.rglob("*")] == ["folder", "full"]
    with pytest.raises(OSError, match="folder"):
        delete(tmp_path / "folder")
    delete(tmp_path / "absent")


def test_nobody_holds_a_file_that_is_closed_or_absent(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "absent")
    write_whole(tmp_path / "file", "text")
    assert not is_held(tmp_path / "file")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "text"


class _HeldError(PermissionError):
    """The refusal of Windows for a file that another program has open."""

    winerror = 32


@pytest.mark.parametrize(("refusals", "text"), [(0, "second"), (2, "second"), (100, "first")])
def test_a_refusal_is_met_by_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, text: str
) -> None:
    file = tmp_path / "latest.html"
    file.write_text("first", encoding="utf-8")
    left = [None] * refusals
    move = os.replace

    def held(draft: Path, target: Path) -> None:
        if left:
            left.pop()
            raise _HeldError
        move(draft, target)

    monkeypatch.setattr("os.replace", held)
    with suppress(_HeldError):
        write_whole(file, "second")
    assert file.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [file]
    assert len(left) == (0 if text == "second" else refusals - 5)


@on_windows
def test_an_open_file_is_replaced_once_it_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "latest.html"
    write_whole(file, "first")
    reader = file.open(encoding="utf-8")
    assert is_held(file)
    threading.Timer(0.15, reader.close).start()
    write_whole(file, "second")
    assert file.read_text(encoding="utf-8") == "second"


@on_windows
def test_a_file_that_stays_open_is_left_and_so_is_no_draft(tmp_path: Path) -> None:
    file, draft = tmp_path / "latest.html", tmp_path / "draft"
    write_whole(file, "first")
    draft.write_text("second", encoding="utf-8")
    with file.open(encoding="utf-8") as reader:
        with pytest.raises(PermissionError):
            replace(draft, file)
        with pytest.raises(PermissionError):
            delete(file)
        assert reader.read() == "first"
    assert list(tmp_path.iterdir()) == [file]
