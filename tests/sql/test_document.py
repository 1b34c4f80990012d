from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import duckdb_extensions
import pytest

from pm.lake.console import Console
from pm.resources import sql_dir

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = sql_dir().parent / "docs" / "sql.md"
TEXT = DOCUMENT.read_text("utf-8") if DOCUMENT.is_file() else ""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_there_are_ten_queries_before_the_rest() -> None:
    assert TEXT.split("## Time travel")[0].count("```sql") == 10
    assert len(_blocks("sql")) > 10


@pytest.mark.parametrize("sql", _blocks("sql"))
def test_a_query_runs_in_the_console(workspace: Path, sql: str) -> None:
    with Console(workspace / "lake") as console:
        assert console.query(sql).height > 0


@pytest.mark.parametrize("program", _blocks("python"))
def test_the_program_runs_in_a_workspace(workspace: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{program}\nprint(sorted(signals['ticker']))"],
        cwd=workspace, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "['AAPL', 'FB']", done.stderr


@pytest.mark.parametrize("script", _blocks("text"))
def test_the_script_for_the_command_line_runs(workspace: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the downloads, in whose place the same extensions come from packages."""
    monkeypatch.chdir(workspace)
    with duckdb.connect() as connection:
        for name in ("sqlite_scanner", "ducklake"):
            duckdb_extensions.import_extension(name, con=connection)
            connection.load_extension(name)
        statements = [line for line in script.splitlines() if not line.startswith("INSTALL")]
        assert len(statements) == 3
        found = connection.execute("\n".join(statements)).fetchall()
    assert len(found) == 2
