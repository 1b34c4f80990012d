"""Refreshes that ask the local servers of vendors, from the wire to the tables."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.pipeline import Request, add_to_universe, open_lake, refresh_bars
from tests.vendor_servers import AlpacaServer, Listing, only_this_computer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl

    from pm.workspace import Workspace

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import evening

FIRST, LAST = date(2023, 6, 1), date(2024, 12, 31)


class Nights:
    """A workspace with one ticker of Alpaca, and a clock that stands still."""

    def __init__(self, folder: Path, workspace: Workspace, settings_with: Callable[..., Any], url: str) -> None:
        self.folder = folder
        self._workspace = workspace
        self._settings = settings_with(refresh={"vendors": ["alpaca"], "base_urls": {"alpaca": url}})

    def add(self, *tickers: str) -> None:
        with open_lake(self._workspace, self._settings) as lake:
            add_to_universe(lake, self._workspace, self._settings, _nothing, tickers=tickers, source="alpaca")

    def refresh(self, day: date) -> None:
        market.stop_clock(evening(day))
        with open_lake(self._workspace, self._settings) as lake:
            refresh_bars(lake, self._workspace, self._settings, _nothing, request=Request())


def _nothing(_: object) -> None:
    pass


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlpacaServer]:
    only_this_computer(monkeypatch)
    monkeypatch.setenv("PM_KEYS__ALPACA", AlpacaServer.key)
    monkeypatch.setenv("PM_KEYS__ALPACA_SECRET", AlpacaServer.secret)
    running = market.running_clock()
    market.stop_clock(evening(date(2024, 1, 1)))
    with AlpacaServer() as server:
        yield server
    market.start_clock(running)


@pytest.fixture
def nights(
    tmp_path: Path, workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any], alpaca: AlpacaServer
) -> Nights:
    return Nights(tmp_path, workspace_in(tmp_path), settings_with, alpaca.url)


@pytest.mark.parametrize(("days", "tells_ahead"), [(20, True), (20, False), (95, False)])
def test_a_dividend_lands_once_though_alpaca_goes_by_the_day_on_which_it_is_paid(
    nights: Nights, alpaca: AlpacaServer, ask: Read, days: int, *, tells_ahead: bool
) -> None:
    """Nights before it, around its ex-date, around the day on which it is paid, and long after."""
    ex_date = date(2024, 2, 9)
    alpaca.paid_after, alpaca.tells_ahead = timedelta(days=days), tells_ahead
    alpaca.listings["AAPL"] = Listing.made("AAPL", first=FIRST, last=LAST, dividends={ex_date: 0.5})
    nights.add("AAPL")
    after = [3, days, days + 4, 180]
    for day in [date(2024, 1, 31), *sorted({ex_date + timedelta(days=number) for number in after})]:
        alpaca.today = day
        nights.refresh(day)
    sent = ask(nights.folder, "SELECT date, value FROM raw.actions ORDER BY batch_id, row").rows()
    assert sent == [(ex_date, 0.5)]
    before, since = (
        ask(nights.folder, f"SELECT DISTINCT adj_factor = 1 FROM bars WHERE date {when} DATE '2024-02-09'").rows()
        for when in ("<", ">=")
    )
    assert (before, since) == ([(False,)], [(True,)])


def test_a_dividend_that_alpaca_takes_back_is_taken_back(nights: Nights, alpaca: AlpacaServer, ask: Read) -> None:
    """Also weeks after its ex-date, for as long as the requests reach back to it."""
    ex_date = date(2024, 2, 9)
    alpaca.listings["AAPL"] = Listing.made("AAPL", first=FIRST, last=LAST, dividends={ex_date: 0.5})
    nights.add("AAPL")
    for day in (date(2024, 1, 31), date(2024, 2, 12)):
        nights.refresh(day)
    alpaca.listings["AAPL"].dividends.clear()
    nights.refresh(date(2024, 3, 29))
    sent = ask(nights.folder, "SELECT date, value FROM raw.actions ORDER BY batch_id, row").rows()
    assert sent == [(ex_date, 0.5), (ex_date, None)]
    assert ask(nights.folder, "SELECT count(*) FROM bars WHERE adj_factor <> 1").item() == 0
