from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import pm as package

if TYPE_CHECKING:
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[str]]
    PmBytes = Callable[..., subprocess.CompletedProcess[bytes]]

RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Give what a command that went well printed."""
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def test_run_in_an_empty_folder_makes_a_workspace_and_ends_with_signals_and_a_report(tmp_path: Path, pm: Pm) -> None:
    done = pm(tmp_path, "run")
    assert done.returncode == 0, done.stderr
    stages = [line.split()[:2] for line in done.stderr.splitlines()[1:]]
    names = ["land", "check", "features", "volatility", "forecast", "signals", "report"]
    assert stages == [[name, "done"] for name in names]
    assert all(f"\n{ticker} " in done.stdout for ticker in ("AAPL", "FB", "GOOG", "IBM", "MSFT"))
    report = re.search(r"Report: (\S+\.html)", done.stdout)
    assert report is not None
    assert Path(report[1]).is_file()
    assert (tmp_path / "config" / "lake.yml").is_file()

    again = pm(tmp_path, "run")
    assert "Nothing is new since run" in again.stdout
    assert {line.split()[1] for line in again.stderr.splitlines()} == {"skipped"}


def test_the_script_beside_the_package_is_the_same_command(tmp_path: Path) -> None:
    script = Path(package.__file__).parents[1] / "cli.py"
    done = subprocess.run([sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "quarantine" in done.stdout


def test_version(tmp_path: Path, pm: Pm) -> None:
    assert told(pm(tmp_path, "--version")) == f"pm {package.__version__}\n"


def test_init_says_where_and_what_next_and_leaves_changes_alone(tmp_path: Path, pm: Pm) -> None:
    assert "pm run" in told(pm(tmp_path, "init", "here"))
    (tmp_path / "here" / "config" / "report.yml").write_text("keep: 3\n")
    told(pm(tmp_path, "init", "here"))
    assert (tmp_path / "here" / "config" / "report.yml").read_text() == "keep: 3\n"


def test_import_says_how_it_read_the_files_and_what_became_of_them(tmp_path: Path, pm: Pm) -> None:
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


def test_import_of_some_tickers_lands_theirs_only(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "bars.csv").write_text("ticker,date,close\nABC,2020-01-02,5\nXYZ,2020-01-02,6\n")
    assert pm(tmp_path, "import", "bars.csv", "--tickers", "XYZ").returncode == 0
    assert pm(tmp_path, "sql", "SELECT ticker FROM bars", "--format", "csv").stdout.split() == ["ticker", "XYZ"]


def test_run_takes_imported_files_unless_told_otherwise(house: Path, pm: Pm) -> None:
    assert pm(house, "run", "--tickers", "BAD").returncode == 0
    assert pm(house, "sql", "SELECT source FROM latest_run", "--format", "csv").stdout == "source\nfiles\n"


def test_run_options(house: Path, pm: Pm) -> None:
    asked = ("run", "--source", "sample", "--tickers", "MSFT, IBM", "--as-of", "2012-03-01", "--jobs", "2")
    done = pm(house, *asked)
    assert done.returncode == 0, done.stderr
    query = "SELECT source, tickers, as_of, (SELECT string_agg(ticker, '+' ORDER BY ticker) FROM latest_signals) AS s"
    shown = told(pm(house, "sql", f"{query} FROM latest_run", "--format", "csv"))
    assert shown.splitlines()[1] == 'sample,"IBM,MSFT",2012-03-01,IBM+MSFT'


def test_sql_prints_a_table(ran: Path, pm: Pm) -> None:
    shown = told(pm(ran, "sql", "SELECT ticker, count(*) AS n FROM bars WHERE ticker = 'FB' GROUP BY ALL"))
    assert shown == "ticker    n\nFB      196\n"


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
@pytest.mark.parametrize("to_file", [True, False], ids=["file", "pipe"])
def test_sql_gives_each_format(ran: Path, tmp_path: Path, pm: PmBytes, form: str, *, to_file: bool) -> None:
    query = "SELECT 'a,b' AS x, [1, 2] AS l, {'k': 'v'} AS s, NULL::INTEGER AS n, 1.5 AS f, DATE '2020-01-02' AS d"
    file = tmp_path / "out"
    done = pm(ran, "sql", query, "--format", form, *(["-o", file] if to_file else []), text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    content = file.read_bytes() if to_file else done.stdout
    assert not (to_file and done.stdout)
    if form == "csv":
        assert content.decode().splitlines() == ["x,l,s,n,f,d", "\"a,b\",\"[1, 2]\",{'k': 'v'},,1.5,2020-01-02"]
    elif form == "json":
        assert content.endswith(b"]\n")
        expected = {"x": "a,b", "l": [1, 2], "s": {"k": "v"}, "n": None, "f": 1.5, "d": "2020-01-02"}
        assert json.loads(content) == [expected]
    else:
        frame = pl.read_parquet(BytesIO(content))
        assert frame.select("x", "n", "f").rows() == [("a,b", None, 1.5)]
        assert frame["l"].to_list() == [[1, 2]]


def test_sql_takes_the_format_from_the_files_name(ran: Path, tmp_path: Path, pm: Pm) -> None:
    told(pm(ran, "sql", "from runs", "-o", tmp_path / "runs.json"))
    assert json.loads((tmp_path / "runs.json").read_text())[0]["kind"] == "import"


def test_sql_reads_its_query_from_standard_input(ran: Path, pm: Pm) -> None:
    assert told(pm(ran, "sql", "-", "--format", "csv", input="SELECT 42 AS answer")) == "answer\n42\n"


def test_sql_ends_quietly_when_its_reader_has_read_enough(ran: Path, command: list[str]) -> None:
    line = " ".join(f"'{word}'" for word in [*command, "sql", "from features", "--format", "csv"])
    done = subprocess.run(["bash", "-c", f"{line} | head -1"], cwd=ran, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ticker,date,")
    assert not done.stderr


def test_sql_sees_the_lake_as_it_was(ran: Path, pm: Pm) -> None:
    before = told(
        pm(ran, "sql", "SELECT min(snapshot_id) FROM stage_events WHERE stage = 'signals'", "--format", "csv")
    )
    count = ("sql", "SELECT count(*) AS n FROM signals", "--format", "csv")
    assert told(pm(ran, *count, "--as-of", before.split()[1])) == "n\n0\n"
    assert told(pm(ran, *count, "--as-of", "2100-01-01")) == "n\n5\n"


def test_tables_lists_tables_and_views_and_describes_one(ran: Path, pm: Pm) -> None:
    listed = told(pm(ran, "tables"))
    assert re.search(r"^raw\.bars +table +Bars exactly", listed, re.MULTILINE)
    assert re.search(r"^latest_signals +view +", listed, re.MULTILINE)
    described = told(pm(ran, "tables", "adjusted_bars"))
    assert re.search(r"^traded_close +DOUBLE +Closing price as traded", described, re.MULTILINE)


def test_runs_lists_and_shows(ran: Path, pm: Pm) -> None:
    listed = told(pm(ran, "runs")).splitlines()
    assert [line.split()[1:3] for line in listed[1:]] == [["run", "done"], ["import", "done"]]
    assert len(told(pm(ran, "runs", "--limit", "1")).splitlines()) == 2
    shown = told(pm(ran, "runs", "show", listed[1].split()[0]))
    assert re.search(r"^source +sample$", shown, re.MULTILINE)
    assert re.search(r"^volatility +1 +done ", shown, re.MULTILINE)


def test_quarantine_filters(ran: Path, pm: Pm) -> None:
    everything = told(pm(ran, "quarantine"))
    assert everything.count("\nBAD ") == 2
    assert told(pm(ran, "quarantine", "--ticker", "BAD", "--limit", "1")).count("\nBAD ") == 1
    rule = everything.splitlines()[1].split()[0]
    assert rule in told(pm(ran, "quarantine", "--rule", rule.split(",")[0]))
    assert told(pm(ran, "quarantine", "--rule", "no_such_rule")) == "No such row was refused.\n"
    assert told(pm(ran, "quarantine", "--ticker", "IBM")) == "No such row was refused.\n"


def test_signals_of_a_run(ran: Path, pm: Pm) -> None:
    newest = told(pm(ran, "signals"))
    run = told(pm(ran, "sql", "SELECT run_id FROM latest_run", "--format", "csv")).split()[1]
    assert told(pm(ran, "signals", "--run", run)) == newest
    assert "GARCH needs 250 returns, has 195" in newest


def test_forecast_of_a_ticker(ran: Path, pm: Pm) -> None:
    shown = told(pm(ran, "forecast", "IBM"))
    assert "IBM by ensemble, from 202.91 on 2013-03-01" in shown
    assert len(re.findall(r"^2013-\d\d-\d\d ", shown, re.MULTILINE)) == 20
    assert re.search(r"^naive +\d+\.\d%", shown, re.MULTILINE)
    assert "IBM by drift" in told(pm(ran, "forecast", "IBM", "--model", "drift"))


def test_lake_info_snapshots_compact(house: Path, pm: Pm) -> None:
    assert re.search(r"^raw\.bars +12,157 +2 ", told(pm(house, "lake", "info")), re.MULTILINE)
    assert len(told(pm(house, "lake", "snapshots", "--limit", "3")).splitlines()) == 4
    before = told(pm(house, "sql", "from bars ORDER BY ALL", "--format", "csv"))
    assert told(pm(house, "lake", "compact")).startswith("Files: ")
    assert told(pm(house, "sql", "from bars ORDER BY ALL", "--format", "csv")) == before


def test_a_workspace_is_found_upwards_by_option_and_by_variable(ran: Path, tmp_path: Path, pm: Pm) -> None:
    query = ("sql", "SELECT count(*) AS n FROM signals", "--format", "csv")
    (ran / "reports" / "deep").mkdir(exist_ok=True)
    for done in (
        pm(ran / "reports" / "deep", *query),
        pm(tmp_path, "--workspace", ran, *query),
        pm(tmp_path, *query, "--workspace", ran),
        pm(tmp_path, *query, f"--workspace={ran}"),
        pm(tmp_path, *query, env={"PM_WORKSPACE": str(ran)}),
        pm(tmp_path, *query, "--workspace", ran, env={"PM_WORKSPACE": "/nowhere"}),
    ):
        assert told(done) == "n\n5\n"


def test_a_workspace_that_was_moved_still_works(house: Path, tmp_path: Path, pm: Pm) -> None:
    moved = shutil.move(house, tmp_path / "moved")
    assert "IBM" in told(pm(Path(moved), "signals"))


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("run", "--as-of", "yesterday"), "yesterday"),
        (("run", "--tickers", " , "), "at least one ticker"),
        (("run", "--resume", "x", "--tickers", "IBM"), "resumed as it was asked"),
        (("sql", "from bars", "--format", "xml"), "xml"),
        (("walk",), "walk"),
        (("run", "--fast"), "--fast"),
        (("import",), "PATH"),
    ],
)
def test_a_wrong_command_line_leaves_with_2(tmp_path: Path, pm: Pm, arguments: tuple[str, ...], fault: str) -> None:
    done = pm(tmp_path, *arguments)
    assert done.returncode == 2
    assert fault in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_output_that_cannot_be_written_is_no_bug(house: Path, pm: Pm) -> None:
    command = f"{sys.executable} -c 'from pm.cli import main; main()'"
    full = subprocess.run(
        ["bash", "-c", f"{command} sql 'from bars' --format csv > /dev/full"],
        cwd=house,
        capture_output=True,
        check=False,
    )
    assert (full.returncode, b"no space" in full.stderr) == (10, True)
    closed = subprocess.run(["bash", "-c", f"{command} signals >&-"], cwd=house, capture_output=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, b"")
    spans = pm(house, "sql", "SELECT interval 1 day AS span, 'x'::BLOB AS bytes", "--format", "csv")
    assert spans.stdout.splitlines()[0] == "span,bytes"


def test_a_day_ahead_of_today_is_refused(house: Path, pm: Pm) -> None:
    for command in ("run", "evaluate"):
        done = pm(house, command, "--as-of", "2999-01-01")
        assert done.returncode == 5
        assert "ahead of today" in done.stderr
