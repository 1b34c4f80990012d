"""Eight processes that refresh, run, compact and read at once; `pytest -m slow -s` on this file prints the figures."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

MARKET = Path(__file__).parents[1] / "market"
sys.path.insert(0, str(MARKET))  # a script of the tests, which is no package
from market import evening  # noqa: E402
from proof import prove_lake  # noqa: E402

BEGIN = date(2023, 1, 2)
TICKERS = [f"T{number:03d}" for number in range(60)]
SECONDS = 300
REFRESHERS = 3
READS = (
    ("sql", "SELECT ticker, count(*) FROM bars GROUP BY ALL"),
    ("sql", "FROM batch_accounts WHERE NOT balanced"),
    ("data", "health"),
    ("universe", "list"),
    ("lake", "info"),
)
CARE = (("lake", "compact"), ("lake", "verify"))


class House:
    """A workspace in which several processes work at once, and what came of their commands."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.day = date(2024, 1, 8)
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._folder = folder
        self._environment = environment | {"PM_REFRESH__TICKERS_PER_COMMIT": "10"}
        self._until = time.monotonic() + SECONDS

    def pm(self, *arguments: str) -> None:
        """Run a command as a process, on the evening of the present day."""
        words = [sys.executable, str(MARKET / "market.py"), evening(self.day).isoformat(), BEGIN.isoformat()]
        ended = subprocess.run(
            [*words, *arguments], cwd=self._folder, env=self._environment, capture_output=True, text=True, check=False
        )
        self.done[arguments[0]] += 1
        if ended.returncode:
            self.failures.append(f"{arguments}: {ended.returncode}: {ended.stderr}")

    def repeat(self, *lines: tuple[str, ...]) -> None:
        """Run commands in turn until the time is over."""
        for line in cycle(lines):
            if time.monotonic() > self._until:
                return
            self.pm(*line)

    def refresh_nights(self) -> None:
        """Let some processes refresh the same night at once, then the next, until the time is over."""
        while time.monotonic() < self._until:
            self.day += timedelta(days=1)
            at_once(*[partial(self.pm, "refresh")] * REFRESHERS)


def at_once(*works: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
def test_eight_processes_refresh_and_read_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    house = House(tmp_path, environment)
    house.pm("universe", "add", *TICKERS)
    house.pm("run")
    first = house.day
    readers = [partial(house.repeat, *READS)] * 3
    at_once(house.refresh_nights, partial(house.repeat, ("run",)), partial(house.repeat, *CARE), *readers)
    house.pm("refresh")
    print(f"{(house.day - first).days} days; commands: {dict(sorted(house.done.items()))}")  # noqa: T201 - for docs/evidence.md
    assert house.failures == []
    prove_lake(tmp_path, TICKERS, BEGIN, house.day)
