"""`pm trade send` as a process against a broker on 127.0.0.1: killed at any moment, halted, and two at once."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # a module of the tests, which are no package
from alpaca_server import AlpacaServer, Fault

from pm.audit.chain import verify_chain
from pm.lake import Lake
from pm.ledger.orders import order_id
from pm.pipeline import import_bars, open_lake, trade
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages.account import NewAccount, opening
from pm.pipeline.trading import new_rows, read_ledger
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.sources import inspect_files
from pm.tables.catalogue import TABLES
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.vocabulary import BrokerName
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[Any]]

ORDERS = 5
TODAY = datetime.now(UTC).date()


def _plan(context: Context, cutoff: date = TODAY) -> Result:
    """Plan orders, as stage `orders` does from targets."""
    ledger = read_ledger(context)
    for place in range(ORDERS):
        ticker = f"T{place}"
        ledger.plan(
            {
                "order_id": order_id("main", context.run_id, ticker, "buy", "rebalance", 1), "account": "main",
                "ticker": ticker, "side": "buy", "quantity": Decimal(5), "order_type": "market", "time_in_force": "day",
                "currency": "USD", "purpose": "rebalance", "number": 1, "held": Decimal(0), "cutoff": cutoff,
                "snapshot_id": 1,
            }
        )  # fmt: skip
    return Result(new_rows(ledger), "planned")


def make(folder: Path) -> None:
    """Make a workspace with bars of today, an account at a broker, and planned orders."""
    workspace, settings = init_workspace(folder / "work"), load_settings()
    file = folder / "bars.csv"
    days = [TODAY - timedelta(days) for days in (3, 2, 1)]
    rows = [(f"T{place}", day, 100.0, 101.0, 99.0, 100.0, 1e6) for place in range(ORDERS) for day in days]
    pl.DataFrame(rows, ["ticker", "date", "open", "high", "low", "close", "volume"], orient="row").write_csv(file)
    plan = Stage("ledger", _plan, writes=CHAINED_TABLES, depends=lambda _: None)
    account = NewAccount(
        "main", BrokerName.ALPACA, "PA1", "USD", Decimal(100_000), "fifo", fractional=False, live=False, day=TODAY
    )
    with open_lake(workspace, settings) as lake:
        import_bars(lake, workspace, settings, print, files=inspect_files([file]))
        for stage in (opening(account), plan):
            trade(lake, workspace, settings, print, stage=stage)
    (workspace.root / "keys.yml").write_text("alpaca: key\nalpaca_secret: secret\n")
    (workspace.root / "keys.yml").chmod(0o600)


class Desk:
    """A copy of the workspace, its broker, and commands in it."""

    def __init__(self, folder: Path, pm: Pm, command: list[str], environment: dict[str, str]) -> None:
        self.folder, self._pm, self._command, self._environment = folder, pm, command, environment
        self.server = AlpacaServer()
        self.env = {"PM_BROKER__ALPACA_PAPER_URL": self.server.url, "PM_BROKER__TIMEOUT_SECONDS": "5"}

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self._pm(self.folder, *arguments, env=self.env | env)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *arguments], cwd=self.folder, env=self._environment | self.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with Lake(self.folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
            return lake.rows(sql)

    def states(self) -> dict[str, str]:
        rows = self.rows("SELECT order_id, arg_max(state, sequence) AS state FROM order_events GROUP BY ALL")
        return {row["order_id"]: row["state"] for row in rows}

    def check_end(self) -> None:
        """Let all be well, and check that each order is at the broker once, or that its end is known."""
        self.server.faults = []
        for arguments in (("trade", "sync"), ("trade", "send"), ("trade", "sync")):
            done = self.run(*arguments, PM_BROKER__SETTLE_SECONDS="0")
            assert done.returncode == 0, done.stderr
        states = self.states()
        assert len(states) == ORDERS
        assert len(self.server.received) == len(set(self.server.received))
        for name, state in states.items():
            assert state == ("accepted" if name in self.server.received else "expired")
        with Lake(self.folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
            rows = {table.qualified: lake.read(table).to_dicts() for table in CHAINED_TABLES}
        assert verify_chain(rows)[1] is None


@pytest.fixture
def desk(build_once: Build, tmp_path: Path, pm: Pm, command: list[str], environment: dict[str, str]) -> Iterator[Desk]:
    folder = shutil.copytree(build_once("orders", make) / "work", tmp_path / "work")
    made = Desk(folder, pm, command, environment)
    yield made
    made.server.close()


def test_orders_are_sent_and_synced(desk: Desk) -> None:
    done = desk.run("trade", "send")
    assert done.returncode == 0, done.stderr
    assert "5 accepted of 5 orders" in done.stderr + done.stdout
    assert len(desk.server.received) == ORDERS
    desk.server.fill(desk.server.received[0], "5")
    assert "buy 5 T0 at 100" in desk.run("trade", "sync").stdout
    assert sorted(desk.states().values()) == ["accepted"] * 4 + ["filled"]


def test_a_plan_whose_session_is_over_is_not_sent(desk: Desk) -> None:
    workspace, settings = init_workspace(desk.folder), load_settings()
    late = partial(_plan, cutoff=TODAY - timedelta(3))  # before two of the sessions that are there
    with open_lake(workspace, settings) as lake:
        trade(
            lake, workspace, settings, print, stage=Stage("ledger", late, writes=CHAINED_TABLES, depends=lambda _: None)
        )
    done = desk.run("trade", "send")
    assert done.returncode == 0, done.stderr
    assert "5 orders planned for a session that is over" in done.stdout
    assert sorted(desk.states().values()) == ["accepted"] * 5 + ["expired"] * 5
    assert len(desk.server.received) == ORDERS


def test_a_lost_answer_ends_the_command(desk: Desk) -> None:
    desk.server.faults = [None, None, None, None, Fault("after")]  # account, positions, clock, an order, an order
    done = desk.run("trade", "send")
    assert done.returncode == 21
    assert "1 accepted, 1 unknown, 3 planned" in done.stderr
    desk.check_end()
    assert len(desk.server.received) == ORDERS


def test_another_account_is_refused(desk: Desk) -> None:
    desk.server.faults = [None, None, None, Fault("before")]  # of the first order, which then can be cancelled
    assert desk.run("trade", "send").returncode == 21
    desk.server.number = "PA2"
    for word in ("send", "sync", "reconcile", "cancel"):
        done = desk.run("trade", word)
        assert done.returncode == 22, done.stderr
        assert "The broker says that this is account PA2; account main has number PA1." in done.stderr
    assert desk.server.received == []
    assert sorted(desk.states().values()) == ["planned"] * 4 + ["unknown"]


def test_a_trade_that_the_ledger_cannot_record_stops_orders_until_a_person_accepts_it(desk: Desk) -> None:
    desk.server.faults = [None, None, None, None, Fault("after")]
    assert desk.run("trade", "send").returncode == 21  # one order accepted, one unknown, three planned
    (first, *_) = desk.server.received
    desk.server.fill(first, "7")
    done = desk.run("trade", "sync")
    assert done.returncode == 22
    assert "has 7 shares, and only 5 are left of its order" in done.stdout
    assert "shares of T0: 0 in the ledger, 7 at the broker" in done.stderr
    assert desk.run("trade", "send").returncode == 22
    assert len(desk.server.received) == 2
    again = desk.run("trade", "reconcile")
    assert again.returncode == 22
    assert "shares of T0: 0 in the ledger, 7 at the broker" in again.stderr
    assert desk.run("trade", "reconcile", "--accept", "--reason", "by hand").returncode == 0
    assert desk.rows("SELECT quantity FROM positions WHERE ticker = 'T0'") == [{"quantity": 7}]
    done = desk.run("trade", "sync")
    assert (done.returncode, "not recorded" in done.stdout) == (0, False)
    assert desk.run("trade", "send").returncode == 0
    assert len(desk.server.received) == 2  # what was planned without those shares was cancelled
    assert desk.rows("SELECT order_id FROM open_orders WHERE state = 'planned'") == []


def test_an_account_without_a_broker_to_ask_says_what_to_do(tmp_path: Path, pm: Pm) -> None:
    for name, hint in (("ticket", "pm trade sync --fills FILE"), ("paper", "pm run fills its orders")):
        assert pm(tmp_path, "account", "open", "--name", name, "--broker", name).returncode == 0
        for word in ("sync", "reconcile"):
            done = pm(tmp_path, "trade", word, "--account", name)
            assert done.returncode == 5
            assert f"Account {name} has no broker that can be asked" in done.stderr
            assert hint in " ".join(done.stderr.split())


def kill_and_check(desk: Desk, seed: int) -> int:
    """Kill a command that sends orders around one of its requests; return the number of orders that the broker had."""
    generator = random.Random(seed)  # noqa: S311 - moments, not secrets
    requests = generator.randint(0, 3 + ORDERS)
    with desk.start("trade", "send") as process:
        while desk.server.requests < requests and process.poll() is None:
            time.sleep(0.0005)
        time.sleep(generator.choice([0, 0, generator.uniform(0, 0.01), generator.uniform(0, 0.1)]))
        process.kill()
        process.communicate()
    had = len(desk.server.received)
    desk.check_end()
    return had


@pytest.mark.parametrize("seed", range(2))
def test_a_command_that_is_killed(desk: Desk, seed: int) -> None:
    kill_and_check(desk, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_a_command_that_is_killed_at_a_hundred_moments(desk: Desk, seed: int) -> None:
    kill_and_check(desk, seed)


def test_two_commands_at_once_send_each_order_once(desk: Desk) -> None:
    desk.server.delay = 0.05
    processes = [desk.start("trade", "send") for _ in range(2)]
    said = ["".join(process.communicate()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sorted("5 accepted of 5 orders" in text for text in said) == [False, True]
    assert sorted("no planned order" in text.lower() for text in said) == [False, True]
    assert len(desk.server.received) == ORDERS == len(set(desk.server.received))


def test_a_halt_by_another_process_stops_a_command_that_is_sending(desk: Desk) -> None:
    desk.server.delay = 0.3
    with desk.start("trade", "send") as process:
        while len(desk.server.received) < 2 and process.poll() is None:
            time.sleep(0.001)
        (desk.folder / "HALT").write_text("")  # what `pm halt` does first
        sent = len(desk.server.received)
        _, told = process.communicate()
    assert process.returncode == 22
    assert "Trading is halted" in told
    assert len(desk.server.received) == sent == 2
    assert sorted(desk.states().values()) == ["accepted", "accepted", "planned", "planned", "planned"]
    assert desk.run("trade", "send").returncode == 22
    assert len(desk.server.received) == 2
    (desk.folder / "HALT").unlink()
    desk.server.delay = 0
    desk.check_end()
