"""`--format` and `-o` on commands that list, tickers in other letters, completion, `pm status`, `pm open`, `pm "
"doctor`."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


def test_what_a_command_lists_is_written_in_each_format(finished: Path, tmp_path: Path, pm: Pm) -> None:
    csv = pm(finished, "runs", "--format", "csv").stdout
    rows = pl.read_csv(StringIO(csv))
    assert rows["run_id"].to_list() == [
        row["run_id"] for row in json.loads(pm(finished, "--format=json", "runs").stdout)
    ]
    file = tmp_path / "runs.parquet"
    written = pm(finished, "runs", "-o", file)
    assert (written.returncode, written.stdout) == (0, "")
    assert pl.read_parquet(file)["run_id"].to_list() == rows["run_id"].to_list()
    tables = pl.read_csv(StringIO(pm(finished, "tables", "--format", "csv").stdout))
    assert {"bars", "health_checks"} <= set(tables["name"])


def test_sentences_do_not_get_into_what_a_program_reads(finished: Path, pm: Pm) -> None:
    done = pm(finished, "signals", "--format", "json")
    assert done.returncode == 0
    assert [row["ticker"] for row in json.loads(done.stdout)].count("IBM") == 1
    assert "The newest bar is of" in done.stderr
    nothing = pm(finished, "actions", "list", "--format", "json")
    assert (nothing.returncode, nothing.stdout) == (0, "[]\n")
    assert pm(finished, "actions", "list", "--format", "csv").stdout == ""


def test_a_file_is_not_written_where_nothing_is_listed_and_that_is_said(finished: Path, tmp_path: Path, pm: Pm) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("yesterday's\n")
    done = pm(finished, "trade", "orders", "-o", file)
    assert (done.returncode, file.read_text()) == (16, "yesterday's\n")
    assert "No order is open." in done.stdout
    assert "nothing was written" in done.stderr
    assert pm(finished, "trade", "orders", "--format", "parquet").returncode == 16


def test_what_is_listed_is_written_also_where_the_command_ends_with_a_code(finished: Path, pm: Pm) -> None:
    done = pm(finished, "monitor", "--format", "json")
    checks = {row["subject"]: row["status"] for row in json.loads(done.stdout)}
    assert (done.returncode, checks["bars"]) == (25, "failing")
    doctor = pm(finished, "doctor", "--quick", "--format", "csv")
    assert "python" in pl.read_csv(StringIO(doctor.stdout))["subject"].to_list()
    status = {row["subject"]: row["text"] for row in json.loads(pm(finished, "status", "--format", "json").stdout)}
    assert status["Workspace"] == str(finished)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("runs", "-o", "out.xlsx"), 5, "names no format"),
        (("runs", "--format", "csv", "-o", "out.xlsx"), 5, "another format"),
        (("sql", "FROM runs", "--format", "csv", "-o", "out.xlsx"), 5, "another format"),
        (("sql", "FROM runs", "-o", "out.parquet", "--format", "csv"), 5, "another format"),
        (("runs", "--format", "excel"), 2, "excel"),
        (("runs", "-o", "."), 5, "is a folder"),
        (("risk", "--format", "csv"), 5, "tables"),
        (("runs", "-o", "no/such/folder.csv"), 10, "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused(
    finished_copy: Path, pm: Pm, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = {path.name for path in finished_copy.iterdir()}
    done = pm(finished_copy, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert {path.name for path in finished_copy.iterdir()} == before


def test_a_ticker_in_other_letters_is_taken_with_a_word(finished: Path, pm: Pm) -> None:
    done = pm(finished, "forecast", "ibm")
    assert (done.returncode, done.stderr) == (0, "ibm is taken as IBM.\n")
    assert pm(finished, "data", "health", "--tickers", "aapl,IBM").stdout.count("sample") == 2
    assert pm(finished, "forecast", "ibmx").returncode == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("quarantine", "--ticker", "bad"), "BAD"),
        (("lots", "bad"), "No lot of BAD is open."),
        (("actions", "list", "ibm"), "No dividends and splits of IBM are known."),
        (("text", "list", "ibm"), "There are no texts."),
        (("data", "health", "--tickers", "ibm"), "IBM"),
    ],
)
def test_every_command_that_shows_a_ticker_takes_it_in_other_letters_and_refuses_an_unknown_one(
    finished: Path, pm: Pm, arguments: tuple[str, ...], words: str
) -> None:
    done = pm(finished, *arguments)
    assert (done.returncode, words in done.stdout) == (0, True), done.stderr
    assert f"{arguments[-1]} is taken as {arguments[-1].upper()}.\n" in done.stderr
    unknown = pm(finished, *arguments[:-1], "nope")
    assert (unknown.returncode, "Unknown ticker: nope" in unknown.stderr) == (6, True), unknown.stdout


def test_commands_that_write_take_it_too(finished_copy: Path, pm: Pm) -> None:
    assert "IBM     sample" in pm(finished_copy, "universe", "add", "ibm", "--source", "sample").stdout
    added = pm(finished_copy, "actions", "add", "ibm", "2010-01-04", "--dividend", "0.5")
    assert (added.returncode, added.stderr.startswith("ibm is taken as IBM.")) == (0, True), added.stderr
    assert "IBM" not in pm(finished_copy, "actions", "remove", "ibm", "2010-01-04").stdout.partition("known")[2]
    assert "The watch list is empty" in pm(finished_copy, "universe", "remove", "ibm").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--as-of", "yesterday"), "'yesterday' is no date; write it as 2013-03-01."),
        (("runs", "--format", "xml"), "'xml' is not one of 'table', 'csv', 'json', 'parquet'."),
        (("signals", "-o"), "Option '-o' requires an argument."),
        (("run", "--workspace"), "Option '--workspace' requires an argument."),
    ],
)
def test_a_wrong_command_line_is_explained_in_plain_words(
    tmp_path: Path, pm: Pm, arguments: tuple[str, ...], words: str
) -> None:
    done = pm(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Value error" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        ("refresh",),
        ("evaluate", "--origins", "1", "--horizon", "1"),
        ("risk", "backtest", "--sessions", "20"),
        ("backtest", "--from", "2012-11-15", "--step", "20"),
    ],
    ids=lambda command: command[0],
)
def test_commands_that_compute_take_it_too(finished_copy: Path, pm: Pm, command: tuple[str, ...]) -> None:
    done = pm(finished_copy, *command, "--tickers", "ibm,MSFT")
    assert done.returncode == 0, done.stderr
    assert "ibm is taken as IBM.\n" in done.stderr


def test_the_status_is_one_screen(finished: Path, pm: Pm) -> None:
    done = pm(finished, "status")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert any(line.startswith("HOLD") and "IBM" in line for line in lines)
    assert "Account     none: pm account open" in lines
    assert any(line.startswith("Risk        equal weights") for line in lines)
    assert any(line.startswith("Freshness   The newest bar is of 2013-03-01") for line in lines)
    assert any("failing: bars" in line for line in lines)


def test_a_report_is_opened_by_the_browser(finished: Path, tmp_path: Path, pm: Pm) -> None:
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    script.chmod(0o755)
    done = pm(finished, "open", env={"BROWSER": str(script)})
    assert done.returncode == 0
    assert (tmp_path / "opened").read_text().strip() == (finished / "reports" / "latest.html").as_uri()
    assert pm(finished, "open", "../../etc/passwd").returncode == 5
    assert pm(finished, "open", "20200101T000000-0000").returncode == 16


def test_the_doctor_finds_what_is_wrong_and_shows_no_key(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    keys = finished_copy / "keys.yml"
    keys.write_text("tiingo: a-secret-key\n")
    keys.chmod(0o600)
    well = pm(finished_copy, "doctor")
    assert well.returncode in {0, 24}, well.stdout  # 24: a machine with little memory left
    assert "There are keys of: tiingo." in well.stdout
    assert "a-secret-key" not in well.stdout
    file = max((finished_copy / "lake" / "data").rglob("*.parquet"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert pm(finished_copy, "doctor", "--quick").returncode in {0, 24}  # its size is right
    damaged = pm(finished_copy, "doctor")
    assert (damaged.returncode, file.name in damaged.stdout) == (25, True)
    assert "Try: pm lake verify; pm lake restore DIR" in damaged.stdout
    file.unlink()
    assert pm(finished_copy, "doctor", "--quick").returncode == 25
    (finished_copy / "config" / "run.yml").write_text("chunk_size: many\n")
    assert "run.chunk_size" in pm(finished_copy, "doctor").stdout
    assert "There is no workspace here" in pm(tmp_path, "doctor").stdout


def test_a_mistyped_path_makes_no_workspace(tmp_path: Path, pm: Pm) -> None:
    for arguments in (
        ("import", "tpyo.csv"),
        ("text", "import", "tpyo.csv"),
        ("--workspace", "tpyo", "run"),
        ("--workspace", "tpyo", "signals"),
    ):
        done = pm(tmp_path, *arguments)
        assert (done.returncode in {4, 5}, "There is no such" in done.stderr or "cannot be read" in done.stderr) == (
            True,
            True,
        ), done.stderr
        assert list(tmp_path.iterdir()) == []
