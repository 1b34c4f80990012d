"""Every command of the tutorial and of the pages named here does what its page says: it ends well.

The others need a vendor, a broker, a cluster, a scheduler or hours: those are run by the tests of their rooms, and
test_command_lines.py checks that each exists, with its options.
"""

from __future__ import annotations

import re
import shlex
from datetime import date, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

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
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert lines
    return [shlex.split(line[2:], comments=True) for line in lines]


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

    for page in ("llm.md", "portfolio.md", "risk.md", "track.md"):
        run_all(desk, page, pm)


def test_the_commands_about_files_of_bars(tmp_path: Path, pm: Pm) -> None:
    days = [date(2020, 8, 3) + timedelta(days) for days in range(1300)]
    days = [day for day in days if day.weekday() < 5]
    closes = [(400.0 if day < date(2020, 8, 31) else 100.0) * (1 + day.day / 1000) for day in days]
    bars = pl.DataFrame({"date": days, "close": closes})
    bars.with_columns(ticker=pl.lit("AAPL")).write_csv(tmp_path / "prices.csv")
    (tmp_path / "quotes").mkdir()
    bars.write_csv(tmp_path / "quotes" / "IBM.csv")
    bars.with_columns(ticker=pl.lit("MSFT")).write_parquet(tmp_path / "more.parquet")
    (tmp_path / "actions.csv").write_text("ticker,date,dividend\nIBM,2021-02-09,1.63\n")
    run_all(tmp_path, "importing.md", pm)
    told = pm(tmp_path, "actions", "list", "--format", "csv").stdout.splitlines()[1:]
    assert [line.split(",")[:4] for line in told] == [
        ["AAPL", "2024-02-09", "dividend", "0.24"],
        ["IBM", "2021-02-09", "dividend", "1.63"],
    ]


def test_the_commands_about_texts(finished_copy: Path, pm: Pm) -> None:
    (finished_copy / "news.csv").write_text(
        "ticker,time,headline\nAAPL,2013-02-28T15:00:00Z,Profit doubles\nIBM,2013-02-27T15:00:00Z,A loss\n"
    )
    (finished_copy / "news.jsonl").write_text(
        '{"ticker": "AAPL", "time": "2013-02-28 18:00", "headline": "A new telephone is shown"}\n'
    )
    run_all(finished_copy, "texts.md", pm)
    assert pl.read_csv(StringIO(pm(finished_copy, "text", "list", "--format", "csv").stdout)).height == 3
