"""`pm import`: several files of which some are bad, and rehearsals that write nothing."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import chdir
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from pm.cli import main

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

GOOD = "ticker,date,close\n{0},2020-01-02,5\n{0},2020-01-03,5.5\n"
BAD = {
    "word.csv": "ticker,date,close\nA,2020-01-02,five\n",
    "noclose.csv": "ticker,date,mood\nA,2020-01-02,5\n",
    "Data.csv": "date,close\n2020-01-02,5\n",
}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Return a folder with a folder `bars` of two good and three bad files."""
    (tmp_path / "bars").mkdir()
    texts = {f"{ticker}.csv": GOOD.format(ticker) for ticker in ("AAA", "BBB")} | BAD
    for name, text in texts.items():
        (tmp_path / "bars" / name).write_text(text)
    return tmp_path


def tickers(folder: Path, pm: Pm) -> list[str]:
    return pm(folder, "sql", "SELECT DISTINCT ticker FROM bars ORDER BY 1", "--format", "csv").stdout.split()[1:]


def content(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        for file in folder.rglob("*")
        if not file.name.endswith((".sqlite-shm", ".sqlite-wal"))
    }


def test_every_bad_file_is_listed_and_nothing_is_imported(mixed: Path, pm: Pm) -> None:
    before = content(mixed)
    done = pm(mixed, "import", "bars", "nothing.csv")
    assert done.returncode == 5
    assert "Of 6 files 4 cannot be imported; nothing was imported." in done.stderr
    named = [*BAD, "nothing.csv", "line 2: 'five' in column 'close' is not a number", "--ticker", "--keep-going"]
    assert [part in done.stderr for part in named] == [True] * len(named)
    assert content(mixed) == before  # no workspace was made


@pytest.mark.usefixtures("empty_lake")
def test_flags_come_with_the_query_that_shows_them(tmp_path: Path, pm: Pm) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(40)]
    for name, jump in (("CALM", 1.0), ("WILD", 3.0)):
        closes = [10 + n % 3 / 10 if n < 30 else (10 + n % 3 / 10) * jump for n in range(40)]
        rows = "".join(f"{day},{close}\n" for day, close in zip(days, closes, strict=True))
        (tmp_path / f"{name}.csv").write_text(f"date,close\n{rows}")
    query = "FROM bar_flags"
    calm = pm(tmp_path, "import", "CALM.csv")
    assert calm.returncode == 0, calm.stderr
    assert query not in calm.stdout
    wild = pm(tmp_path, "import", "WILD.csv")
    assert "2 flagged" in wild.stderr  # a jump, near the ratio of a split
    assert f'pm sql "{query}"' in wild.stdout
    assert "WILD" in pm(tmp_path, "sql", query).stdout
    assert query not in pm(tmp_path, "import", "WILD.csv").stdout  # nothing was checked
    told = pm(tmp_path, "actions", "add", "CALM", str(days[9]), "--split", "2")
    assert ("flagged" in told.stderr) is (query in told.stdout)


@pytest.mark.parametrize("ticker", ["", "  ", "A\nB", "A,B", "A\u200bB", "A\x1b[31m"])
def test_a_ticker_that_no_command_could_name_is_refused(
    mixed: Path, ticker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(mixed / "bars" / "AAA.csv")
    with chdir(mixed):
        assert main(["import", "--ticker", ticker, file]) == 2
    assert "--ticker" in capsys.readouterr().err
    assert not (mixed / "lake").exists()


@pytest.mark.usefixtures("empty_lake")
def test_with_keep_going_the_good_files_land_and_the_exit_code_tells_of_the_others(mixed: Path, pm: Pm) -> None:
    for repeated in (False, True):  # the second time, the good files are known
        done = pm(mixed, "import", "bars", "nothing.csv", "--keep-going")
        assert done.returncode == 5
        assert [name in done.stderr for name in (*BAD, "nothing.csv")] == [True] * 4
        assert "Of 6 files 4 cannot be imported; 2 other files were imported." in done.stderr
        assert ("Nothing new" in done.stdout) is repeated
        assert tickers(mixed, pm) == ["AAA", "BBB"]
    status = pm(mixed, "sql", "SELECT DISTINCT status FROM runs", "--format", "csv").stdout.split()
    assert status == ["status", "done"]


def test_with_keep_going_and_no_good_file_nothing_happens(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "noclose.csv").write_text(BAD["noclose.csv"])
    before = content(tmp_path)
    done = pm(tmp_path, "import", "noclose.csv", "--keep-going")
    assert (done.returncode, "No close column" in done.stderr) == (5, True)
    assert content(tmp_path) == before


@pytest.mark.usefixtures("empty_lake")
def test_a_bad_row_far_down_takes_back_the_rows_before_it(tmp_path: Path, pm: Pm) -> None:
    rows = "".join(f"X{n % 500},{2000 + n // 5000}-01-{n // 500 % 10 + 1:02},{n % 97 + 1}\n" for n in range(60_000))
    (tmp_path / "AAA.csv").write_text(GOOD.format("AAA"))
    (tmp_path / "X.csv").write_text(f"ticker,date,close\n{rows}X0,2020-13-45,1\n")
    (tmp_path / "ZZZ.csv").write_text(GOOD.format("ZZZ"))
    done = pm(tmp_path, "import", "AAA.csv", "X.csv", "ZZZ.csv", "--keep-going")
    assert (done.returncode, "X.csv, line 60002" in done.stderr) == (5, True)
    assert "2 other files were imported" in done.stderr
    assert tickers(tmp_path, pm) == ["AAA", "ZZZ"]


def test_a_dry_run_says_what_would_be_imported_and_writes_nothing(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "BAD.csv").write_text("date,close\n2013-01-02,7\n2013-01-08,6\n2013-01-09,-6\n")
    days = [f"2020-01-{day:02},{'5' if day < 9 else '50'}\n" for day in (2, 3, 6, 7, 8, 9, 10)]
    (folder / "NEW.csv").write_text("date,close\n" + "".join(days))
    before = content(finished_copy)
    done = pm(finished_copy, "import", folder, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert content(finished_copy) == before
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert lines["ticker"] == ["ticker", "bars", "first", "last", "restated", "refused", "flagged"]
    assert lines["BAD"][1:] == ["3", "2013-01-02", "2013-01-09", "1", "1", "1"]
    assert lines["NEW"][1:6] == ["7", "2020-01-02", "2020-01-10", "0", "0"]
    assert "Nothing was written" in done.stdout
    assert "Next: pm run" not in done.stdout
    shutil.rmtree(folder / "nowhere", ignore_errors=True)
    real = pm(finished_copy, "import", folder)
    account = [line for line in done.stdout.splitlines() if ".csv" in line]
    assert [line for line in real.stdout.splitlines() if ".csv" in line] == account


def test_a_dry_run_needs_no_workspace_and_makes_none(mixed: Path, pm: Pm) -> None:
    before = content(mixed)
    done = pm(mixed, "import", "bars", "--dry-run", "--keep-going")
    assert (done.returncode, "AAA" in done.stdout, "noclose.csv" in done.stderr) == (5, True, True)
    assert "were imported" not in done.stderr
    done = pm(mixed, "import", "bars", "--dry-run")
    assert (done.returncode, done.stdout) == (5, "")
    assert content(mixed) == before


@pytest.mark.usefixtures("empty_lake")
def test_files_that_contradict_each_other_are_refused_by_both_names(tmp_path: Path, pm: Pm) -> None:
    texts = {"2781.csv": ("X", 5, 6), "coin.csv": ("X", 50, 61), "C.csv": ("C", 7, 8)}
    for name, (ticker, *closes) in texts.items():
        rows = [f"{ticker},2020-01-0{day},{close}\n" for day, close in enumerate(closes, 2)]
        (tmp_path / name).write_text("ticker,date,close\n" + "".join(rows))
    done = pm(tmp_path, "import", *texts, "--keep-going")
    assert (done.returncode, tickers(tmp_path, pm)) == (5, ["C"])
    assert "contradicts" in done.stderr
    assert ("2781.csv" in done.stderr, "coin.csv" in done.stderr) == (True, True)


@pytest.mark.usefixtures("empty_lake")
def test_tickers_whose_bars_are_not_daily_are_left_out_of_a_file(tmp_path: Path, pm: Pm) -> None:
    rows = [f"W,{date(2020, 1, 6) + timedelta(7 * week)},{week + 5}\n" for week in range(12)]
    (tmp_path / "W.csv").write_text("ticker,date,close\n" + "".join(rows))
    refused = pm(tmp_path, "import", "W.csv")
    assert refused.returncode == 5
    assert "The bars are not daily. W: weekly bars, 7 days apart." in refused.stderr
    # a share that is traded so rarely that four bars happen to be a week apart is no weekly one
    rows += [f"D,2020-01-{day:02},{day}\n" for day in (6, 7, 8, 9, 10, 13, 14, 15, 16, 17)]
    rows += [f"THIN,2020-01-{day:02},{day}\n" for day in (6, 13, 20, 27)]
    rows += [",2020-01-06,5\n"]  # a row without a ticker is refused as ever
    (tmp_path / "x.csv").write_text("ticker,date,close\n" + "".join(rows))
    done = pm(tmp_path, "import", "x.csv")
    assert done.returncode == 0, done.stderr
    assert "14 new, 1 refused" in done.stderr
    assert "the bars of these tickers are not daily, and are left out: W: weekly bars, 7 days apart" in " ".join(
        done.stderr.split()
    )
    assert tickers(tmp_path, pm) == ["D", "THIN"]
    assert "1 imported before" in pm(tmp_path, "import", "x.csv").stderr


@pytest.mark.usefixtures("empty_lake")
def test_a_history_that_is_weekly_at_first_is_told(tmp_path: Path, pm: Pm) -> None:
    days = [date(2018, 1, 5) + timedelta(7 * week) for week in range(60)]
    days += [days[-1] + timedelta(day) for day in range(1, 200)]
    (tmp_path / "HALF.csv").write_text("date,close\n" + "".join(f"{day},5\n" for day in days))
    done = pm(tmp_path, "import", "HALF.csv")
    assert done.returncode == 0, done.stderr
    assert "HALF: weekly bars from 2018-01-05 to 2019-02-22" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("empty_lake")
def test_a_decimal_separator_that_the_file_does_not_show_can_be_told(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "DAX.csv").write_text("Date;Close\n2026-11-25;24.859\n2026-11-26;24.901\n")
    refused = pm(tmp_path, "import", "DAX.csv")
    assert refused.returncode == 5
    assert "--decimal point or --decimal comma" in " ".join(refused.stderr.split())
    # each reading is another import, so that a wrong one can be corrected
    for word, close in (("point", "24.859"), ("comma", "24859.0")):
        assert pm(tmp_path, "import", "DAX.csv", "--decimal", word).returncode == 0
        found = pm(tmp_path, "sql", "SELECT close FROM bars ORDER BY date LIMIT 1", "--format", "csv")
        assert found.stdout.split() == ["close", close]


@pytest.mark.usefixtures("empty_lake")
def test_the_same_file_under_two_names_lands_once(tmp_path: Path, pm: Pm) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(GOOD.format("AAA"))
    done = pm(tmp_path, "import", "a.csv", "b.csv", "a.csv")
    assert (done.returncode, "2 bars from 1 file; 1 copy of these" in done.stderr) == (0, True)
    done = pm(tmp_path, "import", "b.csv")
    assert (done.returncode, "1 imported before" in done.stderr) == (0, True)


@pytest.mark.usefixtures("empty_lake")
def test_a_copy_of_a_refused_file_is_refused_too(tmp_path: Path, pm: Pm) -> None:
    texts = {"a.csv": ("X", 5), "b.csv": ("X", 50), "copy of b.csv": ("X", 50), "C.csv": ("C", 7)}
    for name, (ticker, close) in texts.items():
        (tmp_path / name).write_text(f"ticker,date,close\n{ticker},2020-01-02,{close}\n")
    done = pm(tmp_path, "import", *texts, "--keep-going")
    assert (done.returncode, tickers(tmp_path, pm)) == (5, ["C"])
    assert "copy of b.csv: The file is a copy of" in done.stderr


@pytest.mark.usefixtures("empty_lake")
def test_what_is_not_read_of_a_folder_is_said(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "bars").mkdir()
    for name in ("AAA.csv", "BBB.txt", "CCC.txt"):
        (tmp_path / "bars" / name).write_text(GOOD.format(name[:3]))
    (tmp_path / "bars" / "tax.xlsx").write_bytes(b"nothing")
    done = pm(tmp_path, "import", "bars")
    assert (done.returncode, tickers(tmp_path, pm)) == (0, ["AAA"])
    assert re.search(r"BBB\.txt and 1 more: not read \(if it has bars, name it\)", done.stderr)
    assert re.search(r"tax\.xlsx: not read \(The ", done.stderr)
    assert pm(tmp_path, "import", "bars/tax.xlsx").returncode == 5


@pytest.mark.usefixtures("empty_lake")
def test_a_long_import_is_listed_on_one_screen(tmp_path: Path, pm: Pm) -> None:
    (tmp_path / "bars").mkdir()
    for number in range(60):
        (tmp_path / "bars" / f"T{number}.csv").write_text(GOOD.format(f"T{number}"))
    done = pm(tmp_path, "import", "bars")
    assert "… and 45 more files: 90 landed, 90 inserted, 0 updated, 0 unchanged, 0 quarantined" in done.stdout
    assert len(done.stdout.splitlines()) + len(done.stderr.splitlines()) < 24


@pytest.mark.usefixtures("empty_lake")
def test_another_spelling_of_a_ticker_is_offered_and_never_joined(tmp_path: Path, pm: Pm) -> None:
    days = [f"2020-01-{day:02}" for day in (2, 3, 6, 7)]
    closes = {"AAPL.csv": (5, 6, 7, 8), "aapl_us_d.csv": (5, 6.0000001, 7, 9), "BRK-B.csv": (1, 2, 3, 4)}
    for name, own in closes.items():
        rows = [f"{day},{close}\n" for day, close in zip(days, own, strict=True)]
        (tmp_path / name).write_text("date,close\n" + "".join(rows))
    (tmp_path / "several.csv").write_text("ticker,date,close\nBRK/B,2020-02-03,5\nIBM,2020-02-03,5\n")
    assert " may be " not in pm(tmp_path, "import", "AAPL.csv", "BRK-B.csv").stdout
    expected = {
        "aapl_us_d.csv": "AAPL.US may be AAPL: 3 of 4 common closes are equal. "
        "If it is: pm import aapl_us_d.csv --ticker AAPL",
        "several.csv": "BRK/B may be BRK-B: they have no date in common. "
        "If it is: spell it BRK-B in the file, and import that again",
    }
    for name, line in expected.items():
        for options in (["--dry-run"], []):
            done = pm(tmp_path, "import", name, *options)
            assert done.returncode == 0, done.stderr
            assert [shown for shown in done.stdout.splitlines() if " may be " in shown] == [line]
    assert tickers(tmp_path, pm) == ["AAPL", "AAPL.US", "BRK-B", "BRK/B", "IBM"]
    assert pm(tmp_path, "import", "aapl_us_d.csv", "--ticker", "AAPL").returncode == 0
    query = "SELECT close FROM bars WHERE ticker = 'AAPL' ORDER BY date"
    assert pm(tmp_path, "sql", query, "--format", "csv").stdout.split()[-1] == "9.0"


@pytest.mark.usefixtures("empty_lake")
def test_many_other_spellings_are_summed_up(tmp_path: Path, pm: Pm) -> None:
    names = [f"T{number}" for number in range(9)]
    for ending in ("", ".US"):
        rows = [f"{name}{ending},2020-01-02,5\n" for name in names]
        (tmp_path / f"all{ending}.csv").write_text("ticker,date,close\n" + "".join(rows))
    done = pm(tmp_path, "import", "all.csv", "all.US.csv")
    assert done.stdout.count(" may be T") == 3
    assert "… and 6 more tickers that may be another spelling of a known one" in done.stdout
