from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


def test_showing_the_risk_says_that_nothing_is_held_and_what_adds_to_it(finished: Path, pm: Pm) -> None:
    done = pm(finished, "risk")
    assert done.returncode == 0, done.stderr
    assert done.stdout == pm(finished, "risk", "show").stdout
    assert "There is no account: this is about a model portfolio of equal weights" in done.stdout
    with Lake(finished / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        held = "portfolio = 'model' AND horizon = 20 AND level = 0.99"
        (row,) = lake.rows(f"FROM portfolio_risk WHERE method = 'joint' AND {held}")
        first = lake.rows(f"FROM risk_contributions WHERE {held} ORDER BY component_es DESC")[0]
    assert f"{row['es']:.2%}" in done.stdout
    line = [
        first["ticker"], f"{first['weight']:.1%}", f"{first['component_es']:.2%}", f"{first['share']:.1%}",
        f"{first['standalone_es']:.2%}",
    ]  # fmt: skip
    assert line in [printed.split() for printed in done.stdout.splitlines()]


def test_stress_and_limits(finished: Path, pm: Pm) -> None:
    stress = pm(finished, "risk", "stress")
    assert stress.returncode == 0, stress.stderr
    assert "worst 20 sessions" in stress.stdout
    assert "crisis of 2008" in stress.stdout
    assert "2007-10-10  2009-03-09" in stress.stdout
    limits = pm(finished, "risk", "limits")
    assert limits.returncode == 0, limits.stderr
    assert "drawdown     25.0%  halt" in limits.stdout
    assert "No limit was exceeded in run" in limits.stdout


def test_a_limit_that_is_exceeded_is_shown_with_what_happened(finished: Path, tmp_path: Path, pm: Pm) -> None:
    own = shutil.copytree(finished, tmp_path / "own")
    strict = {"PM_RISK__LIMITS": '{"max_weight": {"bound": "19%", "action": "scale"}}'}
    assert pm(own, "run", "--source", "sample", env=strict).returncode == 0
    printed = pm(own, "risk", "limits", env=strict).stdout
    assert "max_weight" in printed
    assert "The max_weight of AAPL is 20%, above 19%: nothing is changed, this only warns." in printed


@pytest.mark.parametrize("command", ["show", "stress", "limits"])
def test_without_a_run_there_is_no_risk(workspace: Path, pm: Pm, command: str) -> None:
    done = pm(workspace, "risk", command)
    assert done.returncode != 0
    assert "pm run" in done.stderr


def test_a_backtest_is_stored_and_tested(finished: Path, tmp_path: Path, pm: Pm) -> None:
    own = shutil.copytree(finished, tmp_path / "own")
    quick = {"PM_RISK__PATHS": "1000", "PM_VOLATILITY__MODELS": '["garch"]', "PM_VOLATILITY__WINDOWS": "[1000]"}
    done = pm(own, "risk", "backtest", "--sessions", "25", "--source", "sample", "--tickers", "IBM,MSFT", env=quick)
    assert done.returncode == 0, done.stderr
    assert "Value at risk: is it exceeded as often as it should be?" in done.stdout
    with Lake(own / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        tests = lake.rows(
            "FROM risk_backtest WHERE basis <> 'runs' AND method = 'joint' AND level = 0.95 ORDER BY horizon"
        )
        assert lake.rows("SELECT kind FROM runs WHERE run_id = ?", [tests[0]["basis"]]) == [{"kind": "backtest"}]
    assert [(row["horizon"], row["forecasts"]) for row in tests] == [(1, 25), (5, 5), (20, 1)]


def test_a_backtest_of_too_few_bars_is_refused(workspace: Path, pm: Pm) -> None:
    rows = "".join(f"2024-01-{day:02d},{100 + day % 3}\n" for day in range(1, 31))
    (workspace / "NEW.csv").write_text("date,close\n" + rows)
    assert pm(workspace, "import", "NEW.csv").returncode == 0
    done = pm(workspace, "risk", "backtest", "--sessions", "20")
    assert done.returncode != 0
    assert "A backtest needs more than 300 sessions" in done.stderr
