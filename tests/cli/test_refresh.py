"""`pm refresh`, `pm universe` and `pm data health` at the command line."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.sources import OPENERS
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, evening


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
