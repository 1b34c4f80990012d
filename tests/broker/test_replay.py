"""Orders of nights with all stages of a run, computed anew from what is stored."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.lake import Lake
from pm.pipeline.replay_order import replay_order
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import find_workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

SESSIONS = 320
ENV = {
    "PM_PORTFOLIO__MINIMUM_ORDER": "1",
    "PM_PORTFOLIO__BAND": "0",
    "PM_RISK__LIMITS": '{"max_weight": {"bound": "20%", "action": "scale"}}',
}


def bars() -> pl.DataFrame:
    """Return bars of three tickers, one of which rises so that it is bought and sold at a signal."""
    generator = random.Random(5)  # noqa: S311 - prices, not secrets
    days = [day for n in range(2 * SESSIONS) if (day := date(2023, 1, 2) + timedelta(n)).weekday() < 5][:SESSIONS]
    rows = []
    for ticker, drift, sigma in (("AAA", 0.001, 0.01), ("BBB", 0.0, 0.02), ("CCC", -0.001, 0.015)):
        close = 50.0
        for day in days:
            first = round(close * (1 + generator.gauss(0, 0.003)), 2)
            close = round(first * (1 + generator.gauss(drift, sigma)), 2)
            high, low = round(max(first, close) * 1.002, 2), round(min(first, close) * 0.998, 2)
            rows.append((ticker, day, first, high, low, close, 1e6))
    return pl.DataFrame(rows, ["ticker", "date", "open", "high", "low", "close", "volume"], orient="row")


def check_nights(pm: Pm, folder: Path, nights: int) -> int:
    """Run nights, and compute all their orders anew; return the number of orders."""
    frame = bars()
    days = sorted(frame["date"].unique())
    for night in range(nights):
        day = days[SESSIONS - nights + night]
        file = folder.parent / f"{day}.csv"
        frame.filter(pl.col("date") <= day).write_csv(file)
        commands: list[tuple[str, ...]] = [("import", str(file)), ("run",)]
        if night == 0:
            commands.insert(1, ("account", "open", "--cash", "100000"))
        for arguments in commands:
            done = pm(folder, *arguments, env=ENV)
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    workspace = find_workspace(folder)
    assert workspace is not None
    settings = load_settings(workspace.config)
    with Lake(workspace.lake, settings.lake, TABLES, read_only=True) as lake:
        names = [row["order_id"] for row in lake.rows("SELECT order_id FROM orders ORDER BY sequence")]
    stages: set[str] = set()
    for name in names:
        result = replay_order(workspace, settings, name)
        assert result.is_equal, result.fields.filter(equal="no")
        stages |= set(result.fields["stage"])
        assert {"signals", "portfolio", "orders"} <= set(result.fields["stage"])
    with Lake(workspace.lake, settings.lake, TABLES, read_only=True) as lake:
        assert lake.rows("SELECT count(*) AS n FROM limit_events")[0]["n"] > 0
    audited = pm(folder, "audit", "verify", env=ENV)
    assert audited.returncode == 0, audited.stderr
    assert "none changed" in audited.stdout
    assert "risk" in stages  # of what is held, which on the first night is nothing
    return len(names)


def test_orders_of_two_nights_are_computed_anew(pm: Pm, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    assert pm(tmp_path / "work", "init").returncode == 0
    assert check_nights(pm, tmp_path / "work", 2) >= 2


@pytest.mark.slow
def test_orders_of_twenty_nights_are_computed_anew(pm: Pm, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    assert pm(tmp_path / "work", "init").returncode == 0
    assert check_nights(pm, tmp_path / "work", 20) >= 20
