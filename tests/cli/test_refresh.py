"""`pm refresh`, `pm universe` and `pm data health` at the command line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.sources import OPENERS
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    import polars as pl

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, Share, evening

pytestmark = pytest.mark.usefixtures("empty_lake")


@dataclass(frozen=True)
class Quiet(Share):
    """A share that is not traded after a day."""

    until: date = date.max

    def bars(self, end: date) -> pl.DataFrame:
        return super().bars(min(end, self.until))


@pytest.fixture
def vendor() -> Iterator[Market]:
    openers, clock = dict(OPENERS), market.running_clock()
    made = Market("yahoo", begin=date(2023, 11, 1))
    market.install(made)
    market.stop_clock(evening(date(2024, 1, 8)))
    yield made
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)


def test_a_ticker_that_fails_is_told_with_its_own_exit_code_and_the_others_are_in(
    tmp_path: Path, pm: Pm, vendor: Market
) -> None:
    added = pm(tmp_path, "universe", "add", "AAPL", "BRK.B", "IBM")
    assert added.returncode == 0, added.stderr
    assert "BRK.B has no bars yet: the next refresh asks 'yahoo' for them." in added.stdout
    vendor.failures["IBM"] = FailureReason.UNREACHABLE
    first = pm(tmp_path, "refresh")
    assert first.returncode == 17
    assert "1 ticker could not be fetched; all others are in." in first.stderr
    assert "IBM: yahoo has no IBM (unreachable)" in first.stderr
    health = pm(tmp_path, "data", "health", "--problems")
    assert health.returncode == 0
    assert "IBM" in health.stdout
    assert "AAPL" not in health.stdout
    market.stop_clock(evening(date(2024, 1, 8)) + timedelta(minutes=1))
    run = pm(tmp_path, "run")  # IBM is asked again, and fails again; the others are forecast
    assert run.returncode == 17
    assert "AAPL" in run.stdout
    vendor.failures.clear()
    market.stop_clock(evening(date(2024, 1, 8)) + timedelta(minutes=2))
    assert pm(tmp_path, "refresh").returncode == 0
    assert "0 of them late or not fetched" in pm(tmp_path, "data", "health").stdout
    again = pm(tmp_path, "refresh")
    assert again.returncode == 0
    assert "hit rate 100.0%" in again.stderr
    assert "Nothing is new." in again.stdout


def test_today_is_today_for_a_vendors_bars(tmp_path: Path, pm: Pm, vendor: Market) -> None:
    """Signals from bars that have grown old say so, though the newest bar is the day of the run."""
    pm(tmp_path, "universe", "add", "AAPL", "IBM")
    assert pm(tmp_path, "run").returncode == 0
    vendor.failures = dict.fromkeys(("AAPL", "IBM"), FailureReason.UNREACHABLE)
    market.stop_clock(evening(date(2024, 2, 12)))
    late = pm(tmp_path, "run")
    assert late.returncode == 17
    assert "35 days" in late.stdout or "36 days" in late.stdout, late.stdout


def test_a_vendor_without_new_bars_is_told_everywhere(tmp_path: Path, pm: Pm, vendor: Market) -> None:
    """Nothing fails: the vendor answers. What is old is the bars, which only the present day shows."""
    vendor.shares["HALTED"] = Quiet("HALTED", begin=vendor.begin, until=date(2024, 1, 8))
    pm(tmp_path, "universe", "add", "HALTED", "IBM")
    fresh = pm(tmp_path, "run")
    assert fresh.returncode == 0, fresh.stderr
    assert "days old" not in (tmp_path / "reports" / "latest.html").read_text(encoding="utf-8")

    market.stop_clock(evening(date(2024, 1, 18)))  # the morning of the 19th
    assert pm(tmp_path, "refresh").returncode == 19
    late = pm(tmp_path, "run")
    assert late.returncode == 19
    assert "1 ticker has no bar of the last 10 days" in late.stderr
    assert "HALTED: the last bar from 'yahoo' is of 2024-01-08, 11 days ago" in late.stderr
    assert "pm data health" in late.stderr
    assert "pm refresh" in late.stderr
    shown = pm(tmp_path, "signals")
    assert shown.returncode == 0
    assert "WARNING: HALTED has no bar of the last 10 days" in shown.stdout
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line.startswith(("HALTED ", "IBM "))}
    assert "11 days" in rows["HALTED"]
    assert "days" not in rows["IBM"]
    report = (tmp_path / "reports" / "latest.html").read_text(encoding="utf-8")
    assert "The last bar of HALTED is more than 10 days old" in report
    assert report.count("bar 11 days old") == 1

    vendor.shares["IBM"] = Quiet("IBM", begin=vendor.begin, until=date(2024, 1, 18))  # the newest bar is old too
    market.stop_clock(evening(date(2024, 3, 1)))
    late = pm(tmp_path, "run")
    assert late.returncode == 19
    assert "WARNING: the newest bar is of 44 days ago" in late.stdout
    assert "pm import" not in late.stdout
    assert "pm data health. Newer bars: pm refresh" in late.stdout
    assert "2 tickers have no bars of the last 10 days" in late.stderr
    assert pm(tmp_path, "run").returncode == 19  # nothing is new, and that is the problem
    assert pm(tmp_path, "run", "--as-of", "2024-01-10").returncode == 0  # a look at a past day is not about today


def test_options_that_cannot_be_are_refused(tmp_path: Path, pm: Pm) -> None:
    assert pm(tmp_path, "universe", "add").returncode == 2
    assert pm(tmp_path, "universe", "add", "A", "B", "--symbol", "yahoo=X").returncode == 2
    assert pm(tmp_path, "universe", "add", "A", "--symbol", "yahoo").returncode == 2
    assert pm(tmp_path, "universe", "add", "A", "--exchange", "XLOM").returncode == 2
    assert pm(tmp_path, "universe", "add", "A", "--source", "yahooo").returncode == 3
    assert pm(tmp_path, "universe", "add", "--files", "nowhere").returncode == 5
    assert pm(tmp_path, "universe", "move", "A", "--to", "tiingo").returncode == 6
    told = pm(tmp_path, "universe", "add", "VOD", "--symbol", "yahoo=VOD.L", "--exchange", "XLON", "--source", "yahoo")
    assert told.returncode == 0, told.stderr
    assert "XLON" in pm(tmp_path, "universe", "list").stdout


def test_files_of_a_watched_folder_that_cannot_be_read_are_told_until_they_can(tmp_path: Path, pm: Pm) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    header = "date,open,high,low,close,volume\n"
    (folder / "IBM.csv").write_text(header + "2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n")
    assert pm(tmp_path, "universe", "add", "--files", "bars").returncode == 0
    assert pm(tmp_path, "refresh").returncode == 0
    (folder / "MSFT.csv").write_text(header + "2024-01-02,1,1,1,one,1\n")
    (folder / "A.csv").write_text(header + "2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n")
    for _ in range(2):  # and not only on the night on which it was found
        told = pm(tmp_path, "refresh")
        assert told.returncode == 17
        assert str(folder / "MSFT.csv") in told.stderr
        assert "1 file or folder that is watched could not be read; all others are in" in told.stderr
    assert pm(tmp_path, "refresh", "--tickers", "IBM").returncode == 0  # that is not about the folder
    assert str(folder / "MSFT.csv") in pm(tmp_path, "universe", "list").stdout
    (folder / "MSFT.csv").write_text(header + "2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n")
    assert pm(tmp_path, "refresh").returncode == 0
    tickers = "SELECT string_agg(DISTINCT ticker, ' ' ORDER BY ticker) FROM bars"
    assert "A IBM MSFT" in pm(tmp_path, "sql", tickers, "--format", "csv").stdout
    folder.rename(tmp_path / "elsewhere")
    for _ in range(2):
        gone = pm(tmp_path, "refresh")
        assert gone.returncode == 17
        assert "is not there" in gone.stderr
    (tmp_path / "elsewhere").rename(folder)
    assert pm(tmp_path, "refresh").returncode == 0
    for file in folder.iterdir():
        file.unlink()
    empty = pm(tmp_path, "refresh")  # there is nothing that could not be read
    assert empty.returncode == 0
    assert "holds no files of bars" in empty.stdout + empty.stderr, empty
