from __future__ import annotations

import os
import pty
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(folder: Path, line: list[str], environment: dict[str, str]) -> str:
    """Run a command with its outputs on a terminal of 80 columns; return what it printed, without colours."""
    ours, theirs = pty.openpty()
    shown = environment | {"COLUMNS": "80", "TERM": "xterm-256color"}
    with subprocess.Popen(line, cwd=folder, env=shown, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = b""
        try:
            while piece := os.read(ours, 65536):
                printed += piece
        except OSError:  # that is how a terminal ends
            pass
    os.close(ours)
    assert process.returncode == 0, printed.decode()
    return _CONTROL.sub("", printed.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    "arguments",
    [("signals",), ("forecast", "FB"), ("runs",), ("tables",), ("tables", "signals"), ("run", "--help")],
    ids=" ".join,
)
def test_tables_fit_a_narrow_terminal(
    finished: Path, command: list[str], environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    lines = on_a_terminal(finished, [*command, *arguments], environment).splitlines()
    assert len(lines) >= 3
    assert max(len(line) for line in lines) <= 80


def test_progress_draws_each_stage_in_a_line(
    finished_copy: Path, command: list[str], environment: dict[str, str]
) -> None:
    drawn = on_a_terminal(finished_copy, [*command, "run", "--source", "sample", "--as-of", "2012-01-03"], environment)
    end = drawn.rindex("land ")
    lines = drawn[end - 2 :].splitlines()[:7]
    assert [line.split()[:2] for line in lines] == [
        ["·", "land"], ["·", "check"], ["·", "features"],
        ["✓", "volatility"], ["✓", "forecast"], ["✓", "signals"], ["✓", "report"],
    ]  # fmt: skip
    assert max(len(line) for line in lines) <= 80
