"""How fresh the bars of each ticker are."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pm.lake import Lake
from pm.pipeline import Request, add_to_universe, data_health, open_lake, refresh_bars
from pm.sources import OPENERS
from pm.tables.catalogue import TABLES
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, evening


@pytest.fixture
def vendor() -> Iterator[Market]:
    openers, clock = dict(OPENERS), market.running_clock()
    made = Market("yahoo", exchange="NYQ", begin=date(2023, 12, 1))
    market.install(made)
    yield made
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)


def test_the_health_of_each_ticker_is_that_of_its_bars_and_its_last_fetch(
    tmp_path: Path, workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any], vendor: Market
) -> None:
    workspace, settings = workspace_in(tmp_path), settings_with()
    thursday = date(2024, 1, 11)
    market.stop_clock(evening(date(2024, 1, 1)))
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=["GOOD", "LATE", "NEW"])
        vendor.failures["NEW"] = FailureReason.NOT_PERMITTED
        for days in range(8):
            if days == 3:
                vendor.failures["LATE"] = FailureReason.UNREACHABLE
            market.stop_clock(evening(thursday + timedelta(days=days)))
            refresh_bars(lake, workspace, settings, lambda _: None, request=Request())
    with Lake(workspace.lake, settings.lake, TABLES, read_only=True) as lake, lake.reading():
        health, view = data_health(lake, settings), lake.select("data_health", order=("ticker",))
    assert health.columns == ["lag" if name == "weekdays_behind" else name for name in view.columns]
    behind = dict(view.select("ticker", "weekdays_behind").iter_rows())  # as of the day on which the test runs
    assert (behind["LATE"] - behind["GOOD"], behind["NEW"]) == (4, None)  # Monday the 15th is a holiday, and counts
    found = {row["ticker"]: row for row in health.iter_rows(named=True)}
    wednesday = date(2024, 1, 17)  # evening(thursday + 7 days) is two in the morning of Friday the 19th
    good, late, new = found["GOOD"], found["LATE"], found["NEW"]
    assert (good["last_date"], good["lag"], good["last_reason"]) == (wednesday + timedelta(days=1), 0, None)
    assert good["due_at"].isoformat() == "2024-01-19T22:00:00"
    # Monday the 15th is a holiday: Tuesday to Thursday are missing.
    assert (late["last_date"], late["lag"], late["last_reason"]) == (date(2024, 1, 12), 3, "unreachable")
    assert "LATE" in late["last_detail"]
    assert (new["last_date"], new["lag"], new["bars"], new["last_reason"]) == (None, None, 0, "not_permitted")
    assert good["sources"] == f"yahoo {good['bars']}"
    assert {row["status"] for row in found.values()} == {"active"}
