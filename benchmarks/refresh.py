"""Measure a night: landing and checking new bars of many tickers into a long history.

    python benchmarks/refresh.py                             # 2,000 tickers of 5,000 bars: 10 million
    python benchmarks/refresh.py --tickers 500 --bars 1000
    python benchmarks/refresh.py --history FOLDER            # keeps the history there for the next time

The vendor is a made-up one in this process that answers at once with 6 bars a ticker, of which 5 overlap; so that what
is measured is the work of the refresh itself. The history lands the same way first. Each night's whole time is printed,
its stages, and the number of tickers that were checked without their history. The last line is a refresh that finds
nothing due, as a process of its own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm import clock
from pm.clock import utc_now
from pm.pipeline import Request, add_to_universe, open_lake, refresh_bars
from pm.pipeline.events import Event, StageEnded
from pm.settings import load_settings
from pm.sources import ACTIONS_SCHEMA, BARS_SCHEMA, OPENERS, Answer, no_actions
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.sources import Ask

FIRST = date(2005, 1, 3)
NO_ACTIONS = no_actions()
_DIVIDENDS = 60
"""Number of sessions from a dividend of a ticker to its next."""


class Vendor:
    """A vendor that answers at once, from frames made beforehand; a ticker pays a dividend every 60 sessions."""

    name = "yahoo"

    def __init__(self, tickers: Sequence[str], days: list[date]) -> None:
        self._days = days
        self._bars = {ticker: _series(seed, ticker, days) for seed, ticker in enumerate(tickers)}
        self._number = {ticker: number for number, ticker in enumerate(tickers)}

    def fetch(self, asks: Sequence[Ask]) -> Iterator[Answer]:
        """Yield the answers."""
        for ask in asks:
            first, last = bisect_left(self._days, ask.start or FIRST), bisect_right(self._days, ask.end)
            bars = self._bars[ask.ticker].slice(first, last - first)
            pays = [day for day in range(first, last) if (day + self._number[ask.ticker]) % _DIVIDENDS == 0]
            rows = [(ask.ticker, self._days[day], "dividend", 0.1, self.name) for day in pays]
            actions = pl.DataFrame(rows, schema=ACTIONS_SCHEMA, orient="row") if rows else NO_ACTIONS
            yield Answer(ask, bars, actions, "USD", "NYQ", ask.ticker)


def _series(seed: int, ticker: str, days: list[date]) -> pl.DataFrame:
    chance, traded = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])  # alike for any number of days
    close = np.round(100 * np.exp(np.cumsum(chance.standard_t(4, len(days)) * 0.01)), 4)
    frame = {
        "ticker": ticker, "date": days, "open": close * 0.999, "high": close * 1.01, "low": close * 0.99,
        "close": close, "adj_close": None, "volume": traded.integers(1_000, 9_000, len(days)), "source": "yahoo",
    }  # fmt: skip
    return pl.DataFrame(frame, schema_overrides=BARS_SCHEMA).select(
        pl.col(name).cast(dtype) for name, dtype in BARS_SCHEMA.items()
    )


class _Clock(datetime):
    """A clock that stands still."""

    moment = datetime(2005, 1, 3, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        """Return the moment."""
        del tz
        return cls.moment


def _sessions(count: int) -> list[date]:
    from pm.sessions import sessions_between

    return sessions_between("XNYS", FIRST, FIRST + timedelta(days=int(count * 1.47) + 30))[:count]


def main() -> None:
    """Print the seconds of the history's landing, and of some nights after it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=2_000)
    parser.add_argument("--bars", type=int, default=5_000)
    parser.add_argument("--nights", type=int, default=5)
    parser.add_argument("--history", type=Path, help="folder of the lake of the history; made if it is not there")
    chosen = parser.parse_args()
    tickers = [f"T{number:05d}" for number in range(chosen.tickers)]
    days = _sessions(chosen.bars + chosen.nights)
    vendor = Vendor(tickers, days)
    OPENERS["yahoo"] = lambda *_: vendor
    vars(clock)["datetime"] = _Clock
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "lake_of_night"
        history = chosen.history or place
        if not history.exists():
            _land_history(history, tickers, days[chosen.bars - 1])
        if history != place:
            shutil.copytree(history, place)
        for day in days[chosen.bars :]:
            _night(place, day)
        vars(clock)["datetime"] = datetime
        _nothing_due(place)


def _land_history(folder: Path, tickers: Sequence[str], day: date) -> None:
    """Make a workspace that watches the tickers, and land their bars up to a day."""
    folder.mkdir(parents=True)
    workspace, settings = init_workspace(folder), load_settings()
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=tickers)
    _night(folder, day)


def _night(folder: Path, day: date) -> None:
    """Refresh on the evening of a day, and print the time that it took."""
    workspace, settings = init_workspace(folder), load_settings()
    _Clock.moment = datetime.combine(day, clock_time(23, 30), UTC)
    heard: list[Event] = []
    began, used = time.perf_counter(), time.process_time()
    with open_lake(workspace, settings) as lake:
        refresh_bars(lake, workspace, settings, heard.append, request=Request())
    seconds, used = time.perf_counter() - began, time.process_time() - used
    stages = ", ".join(f"{e.stage} {e.seconds:.2f} s: {e.summary}" for e in heard if isinstance(e, StageEnded))
    print(f"{day}: {seconds:.2f} s, {used:.2f} s of processor ({stages})", flush=True)


def _nothing_due(folder: Path) -> None:
    """Print the time of a process that finds nothing due."""
    settings = load_settings()
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        lake.commit("later", lambda tx: tx.merge(lake.tables["fetches"], _later(lake.query("FROM fetches"))))
    cli = Path(__file__).parents[1] / "cli.py"
    for _ in range(3):
        began = time.perf_counter()
        words = [sys.executable, str(cli), "refresh"]
        done = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        print(f"nothing due: {seconds:.2f} s, exit code {done.returncode}; {done.stderr.splitlines()[0]}")


def _later(fetches: pl.DataFrame) -> pl.DataFrame:
    """Return the newest fetch of each ticker as if it had been now, due at a time in the future."""
    now, later = utc_now(), datetime(2200, 1, 1)  # noqa: DTZ001 - times of the lake have no zone
    newest = fetches.sort("fetched_at").unique("ticker", keep="last", maintain_order=True)
    moment = pl.Datetime("us")
    return newest.with_columns(fetched_at=pl.lit(now, moment), due_at=pl.lit(later, moment))


if __name__ == "__main__":
    main()
