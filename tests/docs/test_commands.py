"""Every command of the tutorial, of report.md and of operations.md does what the page says: it ends well."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pm as package

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[str]]

DOCS = Path(package.__file__).parents[1] / "docs"
WORSE_THAN_WELL = {24, 25}
"""Exit codes of checks that find something: the sample is old, and the machine of a test can be short of memory."""
CHECKS = {"monitor", "doctor"}


def commands(name: str) -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", (DOCS / name).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines
    assert all(line.startswith("$ ") for line in lines)
    return [shlex.split(line[2:]) for line in lines]


def run_all(folder: Path, name: str, pm: Pm) -> Path:
    for words in commands(name):
        if words[0] == "cd":
            folder /= words[1]
            continue
        assert words[0] == "pm"
        done = pm(folder, *words[1:])
        allowed = {0, *WORSE_THAN_WELL} if words[1] in CHECKS else {0}
        assert done.returncode in allowed, (words, done.stderr, done.stdout)
    return folder


def test_the_tutorial_and_the_commands_of_the_report_and_of_operations(tmp_path: Path, pm: Pm) -> None:
    desk = run_all(tmp_path, "tutorial.md", pm)
    assert desk == tmp_path / "desk"
    assert (desk / "lineage.csv").read_text("utf-8").count("\n") == 6

    run_all(desk, "report.md", pm)
    assert "IBM: " in (desk / "ibm.html").read_text("utf-8")

    run_all(desk, "operations.md", pm)
    assert (desk / "health.parquet").is_file()
    assert (desk / "monitor.json").is_file()
    assert (tmp_path / "backup" / "catalog.sqlite").is_file()
    assert "stage done" in (desk / "logs" / "events.jsonl").read_text("utf-8")
