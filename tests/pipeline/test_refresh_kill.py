"""Refreshes killed at random moments. The long proof: `pytest -m slow tests/pipeline/test_refresh_kill.py`."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

MARKET = Path(__file__).parents[1] / "market"
sys.path.insert(0, str(MARKET))  # a script of the tests, which is no package
from market import ASKED, evening  # noqa: E402
from proof import prove_lake  # noqa: E402

BEGIN = date(2023, 11, 1)
TICKERS = [f"T{number:03d}" for number in range(200)]
QUICK = {"PM_REFRESH__TICKERS_PER_COMMIT": "10", "PM_LAKE__THREADS": "1", "POLARS_MAX_THREADS": "1"}


def start(folder: Path, day: date, *arguments: str, tells_at: str = "", holds: bool = False) -> subprocess.Popen[str]:
    """Start `pm` on the evening of a day, with a vendor of its own, which tells when it is asked for a ticker."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PM_")} | QUICK
    environment |= {"MARKET_TELLS_AT": tells_at, "MARKET_HOLDS": "yes" if holds else ""}
    words = [sys.executable, str(MARKET / "market.py"), evening(day).isoformat(), BEGIN.isoformat(), *arguments]
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path, day: date, *arguments: str) -> str:
    with start(folder, day, *arguments) as process:
        _, told = process.communicate()
    assert process.returncode == 0, told
    return told


@pytest.mark.parametrize("kills", [pytest.param(5, id="five"), pytest.param(100, id="many", marks=pytest.mark.slow)])
def test_refreshes_killed_at_any_moment_lose_and_double_nothing(tmp_path: Path, kills: int) -> None:
    chance = random.Random(12)  # noqa: S311 - seeded
    day = date(2024, 1, 8)
    run(tmp_path, day, "universe", "add", *TICKERS)
    run(tmp_path, day, "refresh")
    killed = 0
    while killed < kills:
        day += timedelta(days=1)
        assert day < date(2024, 1, 8) + timedelta(days=10 + 2 * kills), "the vendor is not asked"
        # Killed by what is asked, not by the time: the vendor tells when it is asked for a ticker, and then either
        # waits for the kill, or goes on, so that the kill comes amid what follows: mostly a commit.
        holds = chance.random() < 0.5
        with start(tmp_path, day, "refresh", tells_at=chance.choice(TICKERS), holds=holds) as process:
            assert process.stdout is not None
            is_asked = any(line.strip() == ASKED for line in process.stdout)
            if is_asked:
                process.kill()
            process.communicate()
        killed += is_asked
        # On a day without a session the ticker may not be due; then nothing is killed.
        assert (process.returncode != 0) == is_asked or not holds
    run(tmp_path, day, "refresh")
    assert "hit rate 100.0%" in run(tmp_path, day, "refresh")  # nothing is left to ask for
    prove_lake(tmp_path, TICKERS, BEGIN, day)
