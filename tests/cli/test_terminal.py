from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.posix
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(folder: Path, line: list[str], environment: dict[str, str]) -> str:
    """Run a command with its outputs on a terminal of 80 columns; return what it printed, without colours."""
    import pty  # Windows has none

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


_EACH = """
import sys
from pm.cli import main
for line in sys.argv[1:]:
    print(">>>", line)
    assert main(line.split()) == 0
"""


def test_tables_fit_a_narrow_terminal(finished: Path, environment: dict[str, str], tmp_path: Path) -> None:
    commands = ["signals", "forecast FB", "quarantine", "runs", "tables", "tables signals", "run --help"]
    (tmp_path / "each.py").write_text(_EACH)
    printed = on_a_terminal(finished, [sys.executable, str(tmp_path / "each.py"), *commands], environment)
    tables = dict(part.split("\n", 1) for part in printed.split(">>> ")[1:])
    assert list(tables) == commands
    for command, table in tables.items():
        lines = table.splitlines()
        assert len(lines) >= 3, command
        assert max(len(line) for line in lines) <= 80, command


def _scale(folder: Path, factors: dict[str, float]) -> None:
    """Multiply the prices of the stored forecasts of some tickers, and give their signals a stop and a target."""
    prices = ("origin_close", "mean", *(quantile_column("q", level) for level in QUANTILES))
    with Lake(folder / "lake", load_settings().lake, TABLES) as lake:
        found = lake.read(FORECASTS)
        factor = pl.col("ticker").replace_strict(factors, default=1.0, return_dtype=pl.Float64)
        scaled = found.with_columns(pl.col(name) * factor for name in prices)
        close = pl.col("close") * factor
        signals = lake.read(SIGNALS).with_columns(close, stop=close * 0.9, target=close * 1.1, action=pl.lit("BUY"))
        lake.commit("scaled", lambda transaction: transaction.merge(FORECASTS, scaled))
        lake.commit("scaled", lambda transaction: transaction.merge(SIGNALS, signals))


def _one_space(text: str) -> str:
    return " ".join(text.split())


def test_high_prices_fit_a_narrow_terminal(finished_copy: Path, environment: dict[str, str], tmp_path: Path) -> None:
    _scale(finished_copy, {"IBM": 10.0, "AAPL": 100.0, "MSFT": 1e6, "GOOG": 1e7})
    left_out = {
        "FB": "", "IBM": "q25, q75", "AAPL": "q25, q75", "MSFT": "q25, q75, q10, q90",
        "GOOG": "q25, q75, q10, q90, geo mean",
    }  # fmt: skip
    commands = ["signals", *(f"forecast {ticker}" for ticker in left_out)]
    (tmp_path / "each.py").write_text(_EACH)
    printed = on_a_terminal(finished_copy, [sys.executable, str(tmp_path / "each.py"), *commands], environment)
    tables = dict(part.split("\n", 1) for part in printed.split(">>> ")[1:])
    assert max(len(line) for table in tables.values() for line in table.splitlines()) <= 80
    for ticker, names in left_out.items():
        table = tables[f"forecast {ticker}"]
        found = re.findall(r"^Left out, for the terminal is too narrow: (.*)$", table, re.MULTILINE)
        assert found == ([names] if names else []), ticker
        assert re.search(r"^date .* q05 .*q50 .*q95 ", table, re.MULTILINE)


def test_refused_rows_fit_a_narrow_terminal(
    tmp_path: Path, pm: Pm, command: list[str], environment: dict[str, str]
) -> None:
    header = "date,open,high,low,close,adj_close,volume"
    rows = "2013-02-01,123456.789,-1,99999.5,-5,1e30,-3\n2013-02-04,,,,,,\n2013-02-05,,inf,12,7,7,12345678\n"
    (tmp_path / "A-LONG-TICKER.csv").write_text(f"{header}\n{rows}")
    assert pm(tmp_path, "import", "A-LONG-TICKER.csv").returncode == 0
    lines = on_a_terminal(tmp_path, [*command, "quarantine"], environment).splitlines()
    assert max(map(len, lines)) <= 80
    assert "A-LONG-TICKER 2013-02-01 non_positive_price A-LONG-TICKER.csv, row 1: open" in map(_one_space, lines)
    place = next(line.index("row as delivered") for line in lines if "row as delivered" in line)
    described = _one_space(" ".join(line[place:] for line in lines))
    for part in (
        "A-LONG-TICKER.csv, row 1: open 123,456.8, high -1, low 99,999.5, close -5, adj_close 1e+30, volume -3",
        "A-LONG-TICKER.csv, row 2: no numbers",
        "A-LONG-TICKER.csv, row 3: high inf, low 12, close 7, adj_close 7, volume 12,345,678",
    ):
        assert part in described


def test_progress_draws_each_stage_in_a_line(
    finished_copy: Path, command: list[str], environment: dict[str, str]
) -> None:
    drawn = on_a_terminal(finished_copy, [*command, "run", "--source", "sample", "--as-of", "2012-01-03"], environment)
    end = drawn.rindex("land ")
    lines = drawn[end - 2 :].splitlines()[:16]
    assert [line.split()[:2] for line in lines] == [
        ["·", "land"], ["·", "check"], ["·", "texts"], ["·", "features"], ["✓", "volatility"], ["✓", "forecast"],
        ["✓", "signals"], ["✓", "ledger"], ["✓", "risk"], ["✓", "portfolio"], ["✓", "orders"], ["·", "validate"],
        ["·", "sentiment"],
        ["·", "opinions"], ["✓", "llm"], ["✓", "report"],
    ]  # fmt: skip
    assert max(len(line) for line in lines) <= 80
