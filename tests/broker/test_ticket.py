"""The list of orders that a person enters at a broker without an interface."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.broker.ticket import read_fills
from pm.errors import InputError, StorageError
from pm.ledger.orders import order_id
from pm.pipeline import import_bars, open_lake, trade
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages.account import NewAccount, opening
from pm.pipeline.stages.fills import reading_fills
from pm.pipeline.stages.send import sending
from pm.pipeline.trading import new_rows, read_ledger
from pm.pipeline.writes import Result
from pm.settings import load_settings
from pm.sources import inspect_files
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.vocabulary import BrokerName
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("empty_lake")

TODAY = datetime.now(UTC).date()
SETTINGS = load_settings()


def _plan(context: Context) -> Result:
    ledger = read_ledger(context)
    for ticker in ("AAA", "BBB"):
        ledger.plan(
            {
                "order_id": order_id("main", context.run_id, ticker, "buy", "rebalance", 1), "account": "main",
                "ticker": ticker, "side": "buy", "quantity": Decimal(5), "order_type": "market", "time_in_force": "day",
                "currency": "USD", "purpose": "rebalance", "number": 1, "held": Decimal(0), "cutoff": TODAY,
                "snapshot_id": 1, "reference_price": Decimal(10),
            }
        )  # fmt: skip
    return Result(new_rows(ledger), "planned")


PLAN = Stage("ledger", _plan, writes=CHAINED_TABLES, depends=lambda _: None)


class Desk:
    """A workspace with a ticket account and two planned orders."""

    def __init__(self, folder: Path, lot_method: str = "fifo") -> None:
        self.workspace = init_workspace(folder)
        file = folder / "bars.csv"
        days: list[date] = [TODAY - timedelta(days) for days in (2, 1)]
        rows = [(ticker, day, 10.0) for ticker in ("AAA", "BBB") for day in days]
        pl.DataFrame(rows, ["ticker", "date", "close"], orient="row").write_csv(file)
        with open_lake(self.workspace, SETTINGS) as lake:
            import_bars(lake, self.workspace, SETTINGS, lambda _: None, files=inspect_files([file]))
        account = NewAccount(
            "main", BrokerName.TICKET, None, "USD", Decimal(1_000), lot_method, fractional=False, live=False, day=TODAY
        )
        self.do(opening(account))
        self.do(PLAN)

    def do(self, stage: Stage) -> None:
        with open_lake(self.workspace, SETTINGS) as lake:
            trade(lake, self.workspace, SETTINGS, lambda _: None, stage=stage)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with open_lake(self.workspace, SETTINGS) as lake:
            return lake.query(sql).to_dicts()

    def tickets(self) -> list[list[str]]:
        """Return the tickers of each ticket."""
        found = []
        for file in sorted((self.workspace.root / "tickets").glob("*.csv")):
            with file.open(encoding="utf-8", newline="") as lines:
                found.append([row["ticker"] for row in csv.DictReader(lines)])
        return found


def test_a_ticket_that_could_not_be_written_is_written_by_the_next_command(tmp_path: Path) -> None:
    """The ledger says that they are being handed over before the file is there: a cut between loses none."""
    desk = Desk(tmp_path)
    tickets = desk.workspace.root / "tickets"
    tickets.write_text("a file where the folder is to be", encoding="utf-8")
    with pytest.raises(StorageError, match="The ticket cannot be written"):
        desk.do(sending(None, live=False))
    tickets.unlink()
    desk.do(PLAN)
    desk.do(sending(None, live=False))
    assert desk.tickets() == [["AAA", "BBB"], ["AAA", "BBB"]]
    desk.do(sending(None, live=False))
    assert len(desk.tickets()) == 2


def _sale(context: Context) -> Result:
    ledger = read_ledger(context)
    (bought,) = [order for order in ledger.orders.values() if order.row["ticker"] == "AAA"]
    kept = ("account", "ticker", "order_type", "time_in_force", "currency", "purpose", "number", "held", "cutoff",
            "snapshot_id")  # fmt: skip
    row = {name: bought.row[name] for name in kept} | {"order_id": "sale", "side": "sell", "quantity": Decimal(3)}
    ledger.plan(row | {"reference_price": Decimal(10)})
    return Result(new_rows(ledger), "planned")


def test_a_sale_closes_the_lots_that_the_ticket_names(tmp_path: Path) -> None:
    """2 shares at 10 and 3 at 11 are bought; the sale of 3 at 12 names the second lot, and gains 3."""
    desk = Desk(tmp_path, lot_method="specific")
    desk.do(sending("main", live=False))
    (ticket,) = (desk.workspace.root / "tickets").glob("*.csv")
    assert ticket.read_text("utf-8").splitlines()[0].endswith(",filled_quantity,filled_price,commission,date,lots")
    (order,) = desk.rows("SELECT order_id FROM orders WHERE ticker = 'AAA'")

    def tell(*lines: str) -> None:
        file = tmp_path / "fills.csv"
        head = "order_id,filled_quantity,filled_price,commission,date,fill_id,lots"
        file.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        desk.do(reading_fills("main", read_fills(file)))

    tell(f"{order['order_id']},2,10,0,{TODAY},first,", f"{order['order_id']},3,11,0,{TODAY},second,")
    desk.do(Stage("ledger", _sale, writes=CHAINED_TABLES, depends=lambda _: None))
    with pytest.raises(InputError, match="no open lot 'third'"):
        tell(f"sale,3,12,0,{TODAY},sold,third")
    tell(f"sale,3,12,0,{TODAY},sold,sec")
    (gain,) = desk.rows("SELECT lot, quantity, gain FROM realised_gains")
    assert (gain["lot"], gain["quantity"], gain["gain"]) == ("second", Decimal(3), Decimal(3))
