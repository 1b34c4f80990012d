"""What a user does first on Windows, through pm.exe and cmd.exe; `.ci/run` runs it by tests/windows/python."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

SCRIPTS = sysconfig.get_path("scripts")
NAMES = "Ünïcode, σ − Größe"
"""Text in letters that no single code page of Windows has."""


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a user who has set none of ours, with `pm` on the PATH."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("PM_", "PYTHON"))}
    return kept | {"PATH": f"{SCRIPTS}{os.pathsep}{kept['PATH']}", "COLUMNS": "100"}


def cmd(folder: Path, line: str, *, given: bytes = b"", code: int = 0) -> subprocess.CompletedProcess[bytes]:
    """Run a line of cmd.exe in a folder."""
    done = subprocess.run(  # noqa: S602 - the shell is what is tested
        line, shell=True, cwd=folder, env=clean(os.environ), input=given, capture_output=True, check=False
    )
    assert done.returncode == code, done.stderr.decode(errors="replace")
    return done


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the main job has run, with the settings that a new workspace has."""
    folder = tmp_path_factory.mktemp("main") / NAMES
    folder.mkdir()
    told = cmd(folder, "pm run").stderr.decode()
    assert "report     done" in told
    return folder


def test_the_main_job_runs_in_an_empty_folder_once(workspace: Path) -> None:
    report = (workspace / "reports" / "latest.html").read_text("utf-8")
    assert "MSFT" in report
    assert "Nothing is new" in cmd(workspace, "pm run").stdout.decode()
    assert "MSFT" in cmd(workspace, "pm signals").stdout.decode()


def test_cmd_imports_by_a_pattern_that_it_does_not_expand(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    for ticker in ("ÖMV", "ABC"):
        lines = ["ticker,date,close", *(f"{ticker},2020-01-{day:02},{day}.5" for day in (2, 3, 6, 7, 8))]
        (tmp_path / "bars" / f"{ticker}.csv").write_text("\r\n".join(lines), "utf-8", newline="")
    cmd(tmp_path, r"pm import bars\*.csv")
    found = cmd(tmp_path, 'pm sql "SELECT ticker, count(*) AS n FROM raw.bars GROUP BY ALL ORDER BY 1" --format csv')
    assert found.stdout.decode() == "ticker,n\nABC,5\nÖMV,5\n"
    refused = cmd(tmp_path, r"pm import none\*.csv", code=5)
    assert r"none\*.csv" in refused.stderr.decode()


def test_sql_is_utf8_in_pipes_and_files_with_or_without_a_byte_order_mark(workspace: Path) -> None:
    query = f"SELECT '{NAMES}' AS name".encode()
    csv = f'name\n"{NAMES}"\n'.encode()
    assert cmd(workspace, "pm sql - --format csv", given=query).stdout == csv
    (workspace / "query.sql").write_bytes(b"\xef\xbb\xbf" + query)
    cmd(workspace, "pm sql - --format csv < query.sql > by_shell.csv")
    cmd(workspace, "pm sql - -o by_us.csv < query.sql")
    cmd(workspace, "type query.sql | pm sql - > table.txt")
    assert (workspace / "by_shell.csv").read_bytes() == (workspace / "by_us.csv").read_bytes() == csv
    assert NAMES in (workspace / "table.txt").read_text("utf-8")


def test_a_run_that_is_killed_leaves_no_worker_and_is_resumed(tmp_path: Path, environment: dict[str, str]) -> None:
    quick = environment | {"PM_RUN__JOBS": "2", "PM_RUN__CHUNK_SIZE": "2"}
    program = Path(SCRIPTS) / "pm.exe"
    with subprocess.Popen([program, "run"], cwd=tmp_path, env=quick, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert any(line.startswith(b"volatility") and b"done" in line for line in process.stderr)
        started = psutil.Process(process.pid).children(recursive=True)  # pm.exe starts Python, and Python workers
        python = started[0]
        assert len(started) >= 3
        python.kill()
        _, left = psutil.wait_procs(started, timeout=60)
        assert not left
        process.wait()
    again = subprocess.run([str(program), "run"], cwd=tmp_path, env=quick, capture_output=True, check=False)
    assert again.returncode == 0, again.stderr
    assert b"resumed where it was cut off" in again.stderr
    assert b"done before the run was cut off" in again.stderr
    assert (tmp_path / "reports" / "latest.html").is_file()
