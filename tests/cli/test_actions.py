from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[Any]]
    Build = Callable[[str, Callable[[Path], object]], Path]

CLEAN = Path(__file__).parents[1] / "quality" / "cases" / "splits-unadjusted" / "CLEAN.csv"


@pytest.fixture
def split(build_once: Build, pm: Pm, tmp_path: Path) -> Path:
    """Return a workspace with two tickers whose split is not adjusted for, one of them with adjusted closes."""

    def build(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        bars = pl.read_csv(CLEAN)
        prices = ["Open", "High", "Low", "Close"]
        scale = pl.when(pl.col("Date") < "2026-06-10").then(1.25).otherwise(1.0)
        bars.with_columns(pl.col(prices) * scale).write_csv(folder / "RAW.csv")
        bars.with_columns(pl.col(prices) * scale, (pl.col("Close") * scale * 0.5).alias("Adj Close")).write_csv(
            folder / "ADJ.csv"
        )
        pm(folder, "init")
        pm(folder, "import", "RAW.csv", "ADJ.csv")

    return shutil.copytree(build_once("split", build), tmp_path / "split")


def factors(pm: Pm, folder: Path, ticker: str) -> dict[str, float]:
    """Return the factors of a ticker's bars, each with the first date that has it."""
    query = (
        f"SELECT min(date) AS date, adj_factor FROM bars WHERE ticker = '{ticker}' GROUP BY adj_factor ORDER BY date"
    )
    lines = pm(folder, "sql", query, "--format", "csv").stdout.splitlines()[1:]
    return {day: float(factor) for day, factor in (line.split(",") for line in lines)}


def test_a_split_answers_the_flag_adjusts_the_bars_and_is_taken_back(split: Path, pm: Pm) -> None:
    flagged = "SELECT ticker FROM bar_flags WHERE rule = 'split' ORDER BY ALL"
    assert pm(split, "sql", flagged, "--format", "csv").stdout.split() == ["ticker", "ADJ", "RAW"]
    for ticker, factor in (("RAW", 1.0), ("ADJ", 0.5)):
        told = pm(split, "actions", "add", ticker, "2026-06-10", "--split", "5:4")
        assert told.returncode == 0, told.stderr
        assert factors(pm, split, ticker) == {"2025-04-16": factor * 0.8, "2026-06-10": factor}
    assert pm(split, "sql", flagged, "--format", "csv").stdout.split() == ["ticker"]
    listed = pm(split, "actions", "list", "RAW").stdout
    assert "2026-06-10" in listed
    assert "user" in listed
    assert "ADJ" not in listed
    assert pm(split, "actions", "remove", "RAW", "2026-06-10").returncode == 0
    assert factors(pm, split, "RAW") == {"2025-04-16": 1.0}
    assert pm(split, "sql", flagged, "--format", "csv").stdout.split() == ["ticker", "RAW"]
    kinds = "SELECT kind, count(*) FROM runs WHERE kind = 'actions' AND status = 'done' GROUP BY ALL"
    assert pm(split, "sql", kinds, "--format", "csv").stdout.splitlines()[1:] == ["actions,3"]
    # it can be told again, and what was taken back has left its trace
    assert pm(split, "actions", "add", "RAW", "2026-06-10", "--ratio", "1.25").returncode == 0
    assert factors(pm, split, "RAW") == {"2025-04-16": 0.8, "2026-06-10": 1.0}


def test_actions_of_a_file_are_added_all_or_none(split: Path, pm: Pm) -> None:
    file = split / "told.csv"
    file.write_text(
        "ticker;date;ratio;amount\nRAW;10.06.2026;5:4;\nRAW;16.06.2026;;0,5\nADJ;10.06.2026;5/4;\n", "utf-8"
    )
    told = pm(split, "actions", "import", "told.csv")
    assert told.returncode == 0, told.stderr
    close = "SELECT close FROM bars WHERE ticker = 'RAW' AND date = DATE '2026-06-15'"
    before = float(pm(split, "sql", close, "--format", "csv").stdout.split()[1])
    dividend = 1 - 0.5 / before
    found = factors(pm, split, "RAW")
    assert list(found) == ["2025-04-16", "2026-06-10", "2026-06-16"]
    assert list(found.values()) == pytest.approx([0.8 * dividend, dividend, 1.0])
    again = split / "again.csv"
    again.write_text("ticker,date,dividend\nADJ,2026-06-16,0.5\nRAW,2026-06-17,0.5\nRAW,2026-06-17,0.25\n")
    refused = pm(split, "actions", "import", "again.csv")
    assert refused.returncode == 5
    assert "The dividend of RAW on 2026-06-17 is there twice." in refused.stderr
    assert list(factors(pm, split, "ADJ")) == ["2025-04-16", "2026-06-10"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("add", "NOPE", "2026-06-10", "--split", "2"), 6, "NOPE"),
        (("add", "RAW", "2026-06-10", "--split", "0"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "1"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "-2"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "inf"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "nan"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "1e300"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "1:100001"), 5, "impossible ratio"),
        (("add", "RAW", "2026-06-10", "--split", "soon"), 2, "no ratio"),
        (("add", "RAW", "2026-06-10", "--split", "4:0"), 2, "no ratio"),
        (("add", "RAW", "2026-06-10", "--dividend", "0"), 5, "impossible amount"),
        (("add", "RAW", "2026-06-10", "--dividend", "nan"), 5, "impossible amount"),
        (("add", "RAW", "2026-06-10", "--dividend", "5000"), 5, "not below the close before"),
        (("add", "RAW", "2026-06-13", "--split", "2"), 5, "a day without a bar"),
        (("add", "RAW", "2025-04-16", "--split", "2"), 5, "the first bar"),
        (("add", "RAW", "2026-06-10"), 2, "--split 4:1"),
        (("remove", "RAW", "2026-06-10"), 5, "You told no dividend or split of RAW"),
        (("import", "nowhere.csv"), 5, "no such file"),
        (("import", "RAW.csv"), 5, "No ticker column"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(
    split: Path, pm: Pm, arguments: tuple[str, ...], code: int, message: str
) -> None:
    refused = pm(split, "actions", *arguments)
    assert refused.returncode == code, refused.stderr
    assert message in refused.stderr
    assert factors(pm, split, "RAW") == {"2025-04-16": 1.0}


def test_the_same_twice_is_refused_and_a_split_of_which_the_close_shows_nothing_is_doubted(split: Path, pm: Pm) -> None:
    assert pm(split, "actions", "add", "RAW", "2026-06-10", "--split", "5:4").returncode == 0
    for ratio in ("5:4", "2"):
        again = pm(split, "actions", "add", "RAW", "2026-06-10", "--split", ratio)
        assert again.returncode == 5
        assert "is known already: you told it, 1.25" in again.stderr
    doubted = pm(split, "actions", "add", "ADJ", "2026-03-02", "--split", "2:1")
    assert doubted.returncode == 0
    assert "not by -50.0%" in doubted.stdout + doubted.stderr
    assert "pm actions remove ADJ 2026-03-02" in doubted.stdout + doubted.stderr
    assert math.isclose(factors(pm, split, "ADJ")["2025-04-16"], 0.25)


def test_without_any_action_the_list_says_how_to_add_one(split: Path, pm: Pm) -> None:
    assert "pm actions add AAPL 2020-08-31 --split 4:1" in pm(split, "actions", "list").stdout
