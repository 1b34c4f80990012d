"""A workspace with vendors of a made-up market, and a clock that stands still: what tests of a refresh share."""

from __future__ import annotations

import shutil
import sys
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.pipeline import (
    Request,
    add_to_universe,
    failed_tickers,
    move_in_universe,
    open_lake,
    refresh_bars,
    remove_from_universe,
    watch_folder,
)
from pm.pipeline.events import Event, Notice, StageEnded
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.pipeline.runner import RunResult
    from pm.sources.listings import Listing
    from pm.workspace import Workspace

    Build = Callable[[str, Callable[[Path], object]], Path]
    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, Share, evening

__all__ = ["FRIDAY", "MONDAY", "House", "at", "last_dates", "market", "with_dividends", "with_rows"]

MONDAY = date(2024, 1, 8)
FRIDAY = date(2024, 1, 12)


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a time in UTC, without a zone as the lake has them."""
    return datetime.combine(date(year, month, day), time(hour, minute, second))


class House:
    """A workspace with vendors, and a clock that stands still."""

    def __init__(
        self, folder: Path, workspace: Workspace, settings_with: Callable[..., Any], build_once: Build
    ) -> None:
        self.folder = folder
        self._build_once = build_once
        self.yahoo = Market("yahoo")
        self.tiingo = Market("tiingo")
        self._workspace = workspace
        self._settings_with = settings_with
        self.refresh_settings: dict[str, Any] = {"vendors": ["yahoo", "tiingo"]}
        self.heard: list[Event] = []
        market.install(self.yahoo, self.tiingo)
        market.stop_clock(at(2024, 1, 1))

    def _settings(self) -> Any:  # noqa: ANN401 - Settings
        return self._settings_with(refresh=self.refresh_settings)

    def add(self, *tickers: str | Listing, source: str | None = None) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            add_to_universe(lake, self._workspace, settings, self.heard.append, tickers=tickers, source=source)

    def begin(self, *tickers: str) -> None:
        """Add tickers, and refresh them on Monday's evening from Yahoo as it is at first: made once, and copied."""

        def make(folder: Path) -> None:
            first = House(folder, init_workspace(folder), self._settings_with, self._build_once)
            shutil.copytree(self.folder, folder, dirs_exist_ok=True)
            first.add(*tickers)
            first.refresh(evening(MONDAY))
            assert first.failed == []

        made = self._build_once(f"house of {' '.join(tickers)}", make)
        market.install(self.yahoo, self.tiingo)
        market.stop_clock(evening(MONDAY))
        shutil.rmtree(self.folder / "lake")
        shutil.copytree(made, self.folder, dirs_exist_ok=True)

    def move(self, ticker: str, source: str) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            move_in_universe(lake, self._workspace, settings, self.heard.append, tickers=[ticker], source=source)

    def remove(self, ticker: str) -> int:
        """Remove a ticker, and return how many are left."""
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            remove_from_universe(lake, self._workspace, settings, self.heard.append, tickers=[ticker])
            return len(lake.rows("FROM universe"))

    def watch(self, folder: Path, *, watch: bool = True) -> None:
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            watch_folder(lake, self._workspace, settings, self.heard.append, folder=folder, watch=watch)

    def refresh(self, moment: datetime, **asked: Any) -> RunResult:  # noqa: ANN401 - parts of a request
        market.stop_clock(moment)
        self.yahoo.asked.clear()
        self.tiingo.asked.clear()
        self.heard.clear()
        settings = self._settings()
        with open_lake(self._workspace, settings) as lake:
            result = refresh_bars(lake, self._workspace, settings, self.heard.append, request=Request(**asked))
            self.failed = [each.ticker for each in failed_tickers(lake, result.run_id)]
        return result

    @property
    def summary(self) -> str:
        return next(e.summary for e in reversed(self.heard) if isinstance(e, StageEnded) and e.stage == "land")

    @property
    def notices(self) -> str:
        return "\n".join(event.line for event in self.heard if isinstance(event, Notice))


def last_dates(house: House, ask: Read) -> dict[str, date]:
    return dict(ask(house.folder, "SELECT ticker, max(date) FROM bars GROUP BY ticker ORDER BY ticker").rows())


def with_rows(share: Share, *rows: tuple[date, float]) -> Share:
    """Return a share whose vendor also sends other bars: the day and the close of each."""
    bars = share.bars

    def more(end: date) -> pl.DataFrame:
        sent = bars(end)
        extra = pl.DataFrame(rows, schema={"date": pl.Date, "close": pl.Float64}, orient="row")
        return pl.concat([sent, extra], how="diagonal_relaxed").select(sent.columns)

    object.__setattr__(share, "bars", more)
    return share


def with_dividends(share: Share, told: dict[date, float]) -> Share:
    """Return a share whose vendor tells dividends, though the closes do not move by them."""
    object.__setattr__(share, "actions", Share("", dividends=told).actions)
    return share
