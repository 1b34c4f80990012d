"""`pm account` and `pm trade`, as a user types them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import typer

from pm.cli.account import _currency, _require_name

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]


@pytest.mark.parametrize("name", ["", " ", "a ", "a,b", "a/b", "a:b", "what?", "CON", "model", "main proposed", "a\nb"])
def test_names_that_an_account_cannot_have(name: str) -> None:
    with pytest.raises(typer.BadParameter, match="cannot be the name of an account"):
        _require_name(name)


@pytest.mark.parametrize("name", ["main", "Depot 2", "années", "model 2"])
def test_names_that_an_account_can_have(name: str) -> None:
    _require_name(name)


def test_a_currency_is_written_in_capital_letters() -> None:
    assert _currency("eur") == "EUR"
    with pytest.raises(typer.BadParameter, match="no code of a currency"):
        _currency("euro")


def test_a_first_evening(workspace: Path, pm: Pm) -> None:
    (workspace / "positions.csv").write_text(
        "Symbol;Stück;Einstandskurs;Kurswert\nAAA;10;12,50;130,00\nOption X;;;55,00\n"
        "Cash;;;1.000,25\nSumme;;;1.130,25\n",
        "utf-8",
    )
    assert pm(workspace, "account", "open", "--cash", "100.50").returncode == 0
    imported = pm(workspace, "account", "import", "positions.csv")
    assert imported.returncode == 0, imported.stderr
    assert "Line 3: Option X has no number of shares, and 55.00 beside it." in imported.stdout
    assert "1 position and 1,000.25 USD of cash of positions.csv taken over." in imported.stdout
    assert "is not known while a position has no close, or no rate: AAA." in imported.stdout
    positions = pm(workspace, "trade", "positions")
    assert "main: cash 1,100.75 USD, and positions whose value is not known" in positions.stdout
    again = pm(workspace, "account", "import", "positions.csv")
    assert "All of positions.csv was known already." in again.stdout
    (workspace / "positions.csv").write_text("Symbol;Stück;Einstandskurs\nAAA;11;12,50\n", "utf-8")
    refused = pm(workspace, "account", "import", "positions.csv")
    assert (refused.returncode, "holds AAA already: 10 shares" in refused.stderr) == (5, True)
    mistyped = pm(workspace, "trade", "orders", "--account", "mian")
    assert (mistyped.returncode, "Did you mean 'main'?" in mistyped.stderr) == (5, True)


def test_a_folder_named_halt_stops_trading_and_is_left_to_the_user(workspace: Path, pm: Pm) -> None:
    (workspace / "HALT").mkdir()
    halted = pm(workspace, "halt")
    assert halted.returncode == 0, halted.stderr
    resumed = pm(workspace, "resume", "--reason", "over")
    assert (resumed.returncode, "A folder named HALT stops trading" in resumed.stderr) == (10, True)
    (workspace / "HALT").rmdir()
    assert pm(workspace, "resume", "--reason", "over").returncode == 0
