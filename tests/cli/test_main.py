"""`main(argv)`: a function that can be called many times, with any standard streams."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pm as package
from pm.cli import main
from pm.lake.connection import INTERRUPTED
from pm.lake.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

COUNT = ["sql", "SELECT count(*) AS n FROM signals", "--format", "csv"]
MODULES = sorted((Path(package.__file__).parent / "cli").glob("*.py"))


def test_main_returns_exit_codes_and_leaves_the_streams_as_they_were(
    finished: Path, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streams = sys.stdout, sys.stderr, sys.stdout.errors
    with chdir(finished):
        assert main(["--version"]) == 0
        assert main(COUNT) == 0
        assert main(["walk"]) == 2
        assert main(["tables", "bras"]) == 11
        assert main([*COUNT, "--workspace", str(workspace)]) == 8
        assert main(COUNT) == 0  # the option of the call before is forgotten
    assert (sys.stdout, sys.stderr, sys.stdout.errors) == streams
    assert capsys.readouterr().out == f"pm {package.__version__}\nn\n5\nn\n5\n"


def test_main_takes_the_arguments_of_the_process_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pm", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"pm {package.__version__}\n"


def test_python_runs_the_package() -> None:
    line = [sys.executable, "-m", "pm"]
    done = subprocess.run([*line, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"pm {package.__version__}\n")
    assert subprocess.run([*line, "walk"], capture_output=True, check=False).returncode == 2


def test_closed_streams_are_no_error(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = StringIO()
    closed.close()
    monkeypatch.chdir(finished)
    for stream in (None, closed):
        for arguments, code in ((["signals"], 0), (["runs"], 0), (["signals", "--run", "x"], 5), (["--help"], 0)):
            monkeypatch.setattr(sys, "stdout", stream)
            monkeypatch.setattr(sys, "stderr", stream)
            assert main(arguments) == code
            assert sys.stdout is stream


def test_a_stream_without_bytes_is_written_to(finished: Path) -> None:
    with chdir(finished), redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert main(["signals"]) == 0
        assert main(["signals", "--run", "x"]) == 5
    assert "IBM" in out.getvalue()
    assert "There is no run 'x'." in err.getvalue()


class _Terminal(TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_an_ascii_terminal_shows_question_marks(finished: Path) -> None:
    content = BytesIO()
    out = _Terminal(content, encoding="ascii")
    with chdir(finished), redirect_stdout(out):
        assert main(["forecast", "IBM"]) == 0
    assert b"?" in content.getvalue()
    assert out.errors == "strict"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError(INTERRUPTED)], ids=["in python", "in duckdb"])
def test_ctrl_c_ends_a_query_with_code_130(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    monkeypatch.setattr(Console, "stream", raising(error))
    monkeypatch.chdir(finished)
    assert main(COUNT) == 130
    assert "Traceback" not in capsys.readouterr().err


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def test_an_unforeseen_error_is_called_a_bug_and_shown_whole_by_debug(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Console, "stream", raising(ZeroDivisionError("oh")))
    monkeypatch.chdir(finished)
    assert main(COUNT) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ZeroDivisionError: oh\n  where: inside pm; this is a bug\n  try:   ")
    assert main(["--debug", *COUNT]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_panic_of_a_library_is_one_message(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    panic = type("PanicException", (BaseException,), {})  # as pyo3 makes one for each library in Rust
    monkeypatch.setattr(Console, "stream", raising(panic("out-of-range date")))
    monkeypatch.chdir(finished)
    assert main(COUNT) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: PanicException: out-of-range date\n  where: inside pm; this is a bug\n  try:   ")
    assert main(["--debug", *COUNT]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_what_follows_two_dashes_is_no_option(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chdir(finished):
        assert main(["forecast", "--", "--debug"]) == 6
    assert "Unknown ticker: --debug" in capsys.readouterr().err


def test_the_commands_hold_no_sql_and_no_mutable_global() -> None:
    offenders = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            line = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if re.search(r"\bSELECT\b|\bWHERE\b|\bORDER BY\b", node.value):
                    offenders.append(f"{line} SQL")
            elif isinstance(node, ast.Global):
                offenders.append(f"{line} global")
            elif isinstance(node, ast.Attribute) and node.attr in {"rows", "scalar", "execute"}:
                offenders.append(f"{line} {node.attr}")
    assert offenders == []
