"""Text is UTF-8 on pipes and files, whatever the system's encoding; a reader may stop reading."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.cli import main
from pm.cli.render import print_frame

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import ReadableBuffer as Buffer

    Pm = Callable[..., subprocess.CompletedProcess[bytes]]

SYSTEM_ENCODING = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
def test_piped_sql_and_redirected_output_are_utf_8(finished: Path, pm_process: Pm, mark: bytes) -> None:
    statement = mark + "SELECT 'σ − Ωmega' AS word".encode()
    done = pm_process(finished, "sql", "-", input=statement, text=False, env=SYSTEM_ENCODING)
    assert done.returncode == 0, done.stderr
    assert "σ − Ωmega" in done.stdout.decode("utf-8")


def test_the_user_chooses_another_encoding_of_the_output(finished: Path, pm_process: Pm) -> None:
    variables = SYSTEM_ENCODING | {"PYTHONIOENCODING": "cp1252"}
    done = pm_process(finished, "sql", "SELECT chr(233) AS word", text=False, env=variables)
    assert "é".encode("cp1252") in done.stdout
    assert "é".encode() not in done.stdout


def test_piped_sql_that_is_not_utf_8_is_refused(finished: Path, pm_process: Pm) -> None:
    done = pm_process(finished, "sql", "-", input=b"SELECT '\xe9'", text=False)
    assert (done.returncode, b"not UTF-8" in done.stderr) == (5, True)


class _Quit(io.RawIOBase):
    """A pipe whose reader is gone, as Windows reports it."""

    def __init__(self) -> None:
        reader, self._descriptor = os.pipe()
        os.close(reader)

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        try:
            return os.write(self._descriptor, data)
        except BrokenPipeError:
            raise OSError(errno.EINVAL, "Invalid argument") from None


@pytest.mark.parametrize(
    "line",
    [
        ("sql", "select 1"),
        ("sql", "from features", "--format", "csv"),
        ("tables", "--format", "csv"),
        ("runs", "--format", "json"),
    ],
    ids=["little", "much", "listing", "JSON"],
)
def test_a_pager_that_quits_is_no_error(finished: Path, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]) -> None:
    monkeypatch.chdir(finished)
    errors = io.StringIO()
    out = io.TextIOWrapper(io.BufferedWriter(_Quit()), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setattr(sys, "stdout", out)
    assert main(line) == 0
    assert errors.getvalue() == ""


def test_a_device_takes_a_result_and_a_name_that_cannot_be_is_refused(finished: Path, pm: Pm) -> None:
    assert pm(finished, "sql", "select 1 AS one", "-o", os.devnull).returncode == 0
    with open(os.devnull, "rb") as device:  # noqa: PTH123
        assert device.read() == b""
    refused = pm(finished, "sql", "select 1 AS one", "-o", "no/such:folder?/b.csv")
    assert (refused.returncode, "cannot be written" in str(refused.stderr)) == (10, True)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_table_has_escape_codes_only_on_a_console_that_knows_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], legacy: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("pm.cli.render.detect_legacy_windows", lambda: legacy)
    print_frame(pl.DataFrame({"action": ["BUY"]}))
    printed = capsys.readouterr().out
    assert "BUY" in printed
    assert ("\x1b[" in printed) == (not legacy)
