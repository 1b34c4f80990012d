from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import pm as package
from pm.pipeline.run_stages import RUN_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


def output_of(done: subprocess.CompletedProcess[Any]) -> str:
    """Return what a command printed that ended without an error."""
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return str(done.stdout)


def test_run_in_an_empty_folder_makes_a_workspace_and_ends_with_signals_and_a_report(tmp_path: Path, pm: Pm) -> None:
    done = pm(tmp_path, "run")
    assert done.returncode == 0, done.stderr
    stages = [line.split()[:2] for line in done.stderr.splitlines()[1:]]
    # The tests' settings switch the language model off; there are no texts.
    skipped = {"texts", "validate", "sentiment", "opinions"}
    assert stages == [[stage.name, "skipped" if stage.name in skipped else "done"] for stage in RUN_STAGES]
    assert all(f"\n{ticker} " in done.stdout for ticker in ("AAPL", "FB", "GOOG", "IBM", "MSFT"))
    report = re.search(r"Report: (\S+\.html)", done.stdout)
    assert report is not None
    assert Path(report[1]).is_file()
    assert (tmp_path / "config" / "lake.yml").is_file()

    again = pm(tmp_path, "run")
    assert "Nothing is new since run" in again.stdout
    assert {line.split()[1] for line in again.stderr.splitlines()} == {"skipped"}


def test_the_script_beside_the_package_is_the_same_command(tmp_path: Path, command: list[str]) -> None:
    done = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "quarantine" in done.stdout


def test_version_is_that_of_the_package(tmp_path: Path, pm: Pm) -> None:
    assert output_of(pm(tmp_path, "--version")) == f"pm {package.__version__}\n"


def test_init_says_what_to_do_next_and_leaves_existing_files_alone(tmp_path: Path, pm: Pm) -> None:
    assert "pm run" in output_of(pm(tmp_path, "init", "here"))
    (tmp_path / "here" / "config" / "report.yml").write_text("keep: 3\n")
    output_of(pm(tmp_path, "init", "here"))
    assert (tmp_path / "here" / "config" / "report.yml").read_text() == "keep: 3\n"


def test_init_makes_the_workspace_that_the_global_option_or_the_variable_names(tmp_path: Path, pm: Pm) -> None:
    assert "Workspace: " in output_of(pm(tmp_path, "--workspace", "named", "init"))
    assert "Workspace: " in output_of(pm(tmp_path, "init", env={"PM_WORKSPACE": "of_variable"}))
    output_of(pm(tmp_path, "init", str(tmp_path / "named"), "--workspace", "named"))  # the same, named twice
    for refused in (
        pm(tmp_path, "init", "other", "--workspace", "named"),
        pm(tmp_path, "init", ".", env={"PM_WORKSPACE": "named"}),
    ):
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "another folder, named" in " ".join(refused.stderr.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named", "of_variable"]


@pytest.mark.usefixtures("empty_lake")
def test_import_says_how_it_read_the_files_and_counts_their_rows(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ABC.csv").write_text("timestamp,Close,mood\n2020-01-02,5,good\n2020-01-03,-5,bad\n")
    done = pm(tmp_path, "import", "data")
    assert done.returncode == 0, done.stderr
    assert "ticker ABC from the file's name" in done.stderr
    assert "timestamp as date" in done.stderr
    assert "ignoring mood" in done.stderr
    row = next(line for line in done.stdout.splitlines() if "ABC.csv" in line)
    assert row.split()[-5:] == ["2", "1", "0", "0", "1"]
    assert "pm quarantine" in done.stdout
    assert "Nothing new" in pm(tmp_path, "import", "data").stdout


@pytest.mark.usefixtures("empty_lake")
def test_import_of_some_tickers_lands_only_their_bars(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "bars.csv").write_text("ticker,date,close\nABC,2020-01-02,5\nXYZ,2020-01-02,6\n")
    assert pm(tmp_path, "import", "bars.csv", "--tickers", "XYZ").returncode == 0
    assert pm(tmp_path, "sql", "SELECT ticker FROM bars", "--format", "csv").stdout.split() == ["ticker", "XYZ"]


def test_run_uses_imported_files_by_default(finished_copy: Path, pm: Pm) -> None:
    assert pm(finished_copy, "run", "--tickers", "BAD").returncode == 16
    query = "SELECT DISTINCT ticker FROM latest_exclusions"  # one bar is too few to forecast from
    assert output_of(pm(finished_copy, "sql", query, "--format", "csv")) == "ticker\nBAD\n"


def test_run_follows_its_options(finished_copy: Path, pm: Pm) -> None:
    arguments = ("run", "--source", "sample", "--tickers", "MSFT, IBM", "--as-of", "2012-03-01", "--jobs", "2")
    done = pm(finished_copy, *arguments)
    assert done.returncode == 0, done.stderr
    tickers = "SELECT string_agg(ticker, '+' ORDER BY ticker) FROM signals WHERE signals.run_id = runs.run_id"
    query = f"SELECT source, tickers, as_of, scope, ({tickers}) AS s FROM runs ORDER BY started_at DESC LIMIT 1"
    shown = output_of(pm(finished_copy, "sql", query, "--format", "csv"))
    assert shown.splitlines()[1] == 'sample,"IBM,MSFT",2012-03-01,past,IBM+MSFT'


def test_sql_prints_a_table(finished: Path, pm: Pm) -> None:
    shown = output_of(pm(finished, "sql", "SELECT ticker, count(*) AS n FROM bars WHERE ticker = 'FB' GROUP BY ALL"))
    assert shown == "ticker    n\nFB      196\n"


@pytest.mark.parametrize("output_format", ["csv", "json", "parquet"])
@pytest.mark.parametrize("to_file", [True, False], ids=["file", "pipe"])
def test_sql_writes_each_format(finished: Path, tmp_path: Path, pm: Pm, output_format: str, *, to_file: bool) -> None:
    query = "SELECT 'a,b' AS x, [1, 2] AS l, {'k': 'v'} AS s, NULL::INTEGER AS n, 1.5 AS f, DATE '2020-01-02' AS d"
    file = tmp_path / "out"
    done = pm(finished, "sql", query, "--format", output_format, *(["-o", file] if to_file else []), text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    content = file.read_bytes() if to_file else done.stdout
    assert not (to_file and done.stdout)
    if output_format == "csv":
        assert content.decode().splitlines() == ["x,l,s,n,f,d", "\"a,b\",\"[1, 2]\",{'k': 'v'},,1.5,2020-01-02"]
    elif output_format == "json":
        assert content.endswith(b"]\n")
        expected = {"x": "a,b", "l": [1, 2], "s": {"k": "v"}, "n": None, "f": 1.5, "d": "2020-01-02"}
        assert json.loads(content) == [expected]
    else:
        frame = pl.read_parquet(BytesIO(content))
        assert frame.select("x", "n", "f").rows() == [("a,b", None, 1.5)]
        assert frame["l"].to_list() == [[1, 2]]


def test_sql_takes_the_format_from_the_name_of_the_file(finished: Path, tmp_path: Path, pm: Pm) -> None:
    output_of(pm(finished, "sql", "from runs", "-o", tmp_path / "runs.json"))
    assert json.loads((tmp_path / "runs.json").read_text())[0]["kind"] == "import"


@pytest.mark.parametrize("words", [(), ("--format", "csv"), ("--format", "table")], ids=" ".join)
@pytest.mark.parametrize("output", [".", "..", "folder", "folder.csv", "folder/"])
def test_sql_refuses_a_folder_as_its_output(
    finished: Path, tmp_path: Path, pm: Pm, output: str, words: tuple[str, ...]
) -> None:
    for name in ("folder", "folder.csv"):
        (tmp_path / name).mkdir()
    done = pm(tmp_path, "sql", "from runs", "--workspace", finished, "-o", output, *words)
    assert (done.returncode, done.stdout) == (5, "")
    assert "The output is a folder." in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "folder.csv"]


def test_sql_reads_its_query_from_standard_input(finished: Path, pm: Pm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"SELECT 42 AS answer")))
    assert output_of(pm(finished, "sql", "-", "--format", "csv")) == "answer\n42\n"


def test_sql_ends_quietly_when_its_reader_stops_reading(finished: Path, command: list[str]) -> None:
    line = [*command, "sql", "from features", "--format", "csv"]
    with subprocess.Popen(line, cwd=finished, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stderr
        assert running.stdout.read(12) == b"ticker,date,"
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


def test_sql_reads_a_past_state_of_the_lake(finished: Path, pm: Pm) -> None:
    before = output_of(
        pm(finished, "sql", "SELECT min(snapshot_id) FROM stage_events WHERE stage = 'signals'", "--format", "csv")
    )
    count = ("sql", "SELECT count(*) AS n FROM signals", "--format", "csv")
    assert output_of(pm(finished, *count, "--as-of", before.split()[1])) == "n\n0\n"
    assert output_of(pm(finished, *count, "--as-of", "2100-01-01")) == "n\n5\n"


def test_tables_lists_tables_and_views_and_describes_one(finished: Path, pm: Pm) -> None:
    listed = output_of(pm(finished, "tables"))
    assert re.search(r"^raw\.bars +table +Bars exactly", listed, re.MULTILINE)
    assert re.search(r"^latest_signals +view +", listed, re.MULTILINE)
    described = output_of(pm(finished, "tables", "adjusted_bars"))
    assert re.search(r"^traded_close +DOUBLE +Closing price as traded", described, re.MULTILINE)


def test_runs_lists_and_shows(finished: Path, pm: Pm) -> None:
    listed = output_of(pm(finished, "runs")).splitlines()
    assert [line.split()[1:3] for line in listed[1:]] == [["run", "done"], ["import", "done"]]
    assert len(output_of(pm(finished, "runs", "--limit", "1")).splitlines()) == 2
    shown = output_of(pm(finished, "runs", "show", listed[1].split()[0]))
    assert re.search(r"^source +sample$", shown, re.MULTILINE)
    assert re.search(r"^volatility +1 +done ", shown, re.MULTILINE)


def test_quarantine_can_be_limited_to_a_ticker_or_a_rule(finished: Path, pm: Pm) -> None:
    everything = output_of(pm(finished, "quarantine"))
    assert everything.count("\nBAD ") == 2
    assert output_of(pm(finished, "quarantine", "--ticker", "BAD", "--limit", "1")).count("\nBAD ") == 1
    rule = everything.splitlines()[1].split()[0]
    assert rule in output_of(pm(finished, "quarantine", "--rule", rule.split(",")[0]))
    assert output_of(pm(finished, "quarantine", "--rule", "no_such_rule")) == "No refused row matches.\n"
    assert output_of(pm(finished, "quarantine", "--ticker", "IBM")) == "No refused row matches.\n"


def test_signals_of_the_newest_run_are_the_default(finished: Path, pm: Pm) -> None:
    newest = output_of(pm(finished, "signals"))
    run = output_of(pm(finished, "sql", "SELECT run_id FROM latest_run", "--format", "csv")).split()[1]
    assert output_of(pm(finished, "signals", "--run", run)) == newest
    assert "GARCH needs 250 returns, has 195" in newest


def test_forecast_shows_the_path_and_the_weights_of_a_ticker(finished: Path, pm: Pm) -> None:
    shown = output_of(pm(finished, "forecast", "IBM"))
    assert "IBM by ensemble, from 202.91 on 2013-03-01" in shown
    assert len(re.findall(r"^2013-\d\d-\d\d ", shown, re.MULTILINE)) == 20
    assert re.search(r"^naive +\d+\.\d%", shown, re.MULTILINE)
    assert "IBM by drift" in output_of(pm(finished, "forecast", "IBM", "--model", "drift"))


def test_the_lake_is_described_and_compacted_without_a_change_of_its_rows(finished_copy: Path, pm: Pm) -> None:
    assert re.search(r"^raw\.bars +12,157 +2 ", output_of(pm(finished_copy, "lake", "info")), re.MULTILINE)
    assert len(output_of(pm(finished_copy, "lake", "snapshots", "--limit", "3")).splitlines()) == 4
    before = output_of(pm(finished_copy, "sql", "from bars ORDER BY ALL", "--format", "csv"))
    assert output_of(pm(finished_copy, "lake", "compact")).startswith("Files in use: ")
    assert output_of(pm(finished_copy, "sql", "from bars ORDER BY ALL", "--format", "csv")) == before


def test_a_workspace_is_found_upwards_by_option_and_by_variable(finished: Path, tmp_path: Path, pm: Pm) -> None:
    query = ("sql", "SELECT count(*) AS n FROM signals", "--format", "csv")
    (finished / "reports" / "deep").mkdir(exist_ok=True)
    for done in (
        pm(finished / "reports" / "deep", *query),
        pm(tmp_path, "--workspace", finished, *query),
        pm(tmp_path, *query, "--workspace", finished),
        pm(tmp_path, *query, f"--workspace={finished}"),
        pm(tmp_path, *query, env={"PM_WORKSPACE": str(finished)}),
        pm(tmp_path, *query, "--workspace", finished, env={"PM_WORKSPACE": "/nowhere"}),
    ):
        assert output_of(done) == "n\n5\n"


def test_a_workspace_that_was_moved_still_works(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    moved = shutil.move(finished_copy, tmp_path / "moved")
    assert "IBM" in output_of(pm(Path(moved), "signals"))


WRONG_COMMAND_LINES: list[tuple[tuple[str, ...], str]] = [
    (("run", "--as-of", "yesterday"), "yesterday"),
    (("run", "--tickers", " , "), "at least one ticker"),
    (("run", "--resume", "x", "--tickers", "IBM"), "its own source, tickers and date"),
    (("sql", "from bars", "--format", "xml"), "xml"),
    (("walk",), "walk"),
    (("run", "--fast"), "--fast"),
    (("import",), "PATH"),
    (("policy", "train", "--tickers", ","), "at least one ticker"),
    (("policy", "train", "--cutoff", "tomorrow"), "tomorrow"),
    (("evaluate", "--origins", "0"), "--origins"),
    (("evaluate", "--origins", "many"), "--origins"),
    *[(("evaluate", f"--horizon={steps}"), "whole numbers from 1 to 250") for steps in ("0", "1.5", "300", "", "1,x")],
]


def test_a_wrong_command_line_ends_with_code_2_before_any_work(tmp_path: Path, pm: Pm) -> None:
    offenders = [
        (arguments, done.returncode, done.stderr)
        for arguments, fault in WRONG_COMMAND_LINES
        if (done := pm(tmp_path, *arguments)).returncode != 2
        or fault not in done.stderr
        or "Traceback" in done.stderr
        or list(tmp_path.iterdir())
    ]
    assert not offenders


def test_a_file_whose_ending_names_no_format_is_refused(finished: Path, tmp_path: Path, pm: Pm) -> None:
    for name in ("bars.foo", "bars", "bars.xlsx"):
        refused = pm(finished, "sql", "from bars limit 1", "-o", tmp_path / name)
        assert refused.returncode == 5, refused.stderr
        assert "names no format" in refused.stderr
        assert not (tmp_path / name).exists()
    output_of(pm(finished, "sql", "from bars limit 1", "-o", tmp_path / "bars", "--format", "csv"))
    output_of(pm(finished, "sql", "from bars limit 1", "-o", tmp_path / "bars.CSV"))
    assert (tmp_path / "bars").read_bytes() == (tmp_path / "bars.CSV").read_bytes()


@pytest.mark.posix
def test_output_that_cannot_be_written_is_not_reported_as_a_bug(
    finished_copy: Path, command: list[str], pm: Pm
) -> None:
    line = " ".join(f"'{word}'" for word in command)
    for query in ("sql 'from bars' --format csv", "signals"):  # larger and smaller than the buffer of the stream
        full = subprocess.run(
            ["bash", "-c", f"{line} {query} > /dev/full"], cwd=finished_copy, capture_output=True, check=False
        )
        assert (full.returncode, full.stderr.count(b"error"), b"no space" in full.stderr) == (10, 1, True)
    closed = subprocess.run(["bash", "-c", f"{line} signals >&-"], cwd=finished_copy, capture_output=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, b"")
    spans = pm(finished_copy, "sql", "SELECT interval 1 day AS span, 'x'::BLOB AS bytes", "--format", "csv")
    assert spans.stdout.splitlines()[0] == "span,bytes"


def test_a_future_date_is_refused(finished_copy: Path, pm: Pm) -> None:
    for command in ("run", "evaluate"):
        done = pm(finished_copy, command, "--as-of", "2999-01-01")
        assert done.returncode == 5
        assert "2999-01-01" in done.stderr
