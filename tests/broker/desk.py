"""A ledger and what is done with it, for the tests of brokers."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pm.broker.sending import send_orders, sync_orders
from pm.clock import utc_now
from pm.ledger.ledger import Ledger
from pm.ledger.orders import order_id
from pm.sessions import day_at
from pm.settings import load_settings
from pm.tables.ledger import CHAINED_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pm.broker.base import Broker

__all__ = ["DAY", "SETTINGS", "Desk"]

D = Decimal
SETTINGS = load_settings().broker
DAY = date(2024, 1, 5)


class Desk:
    """A ledger whose committed rows outlive the process, as those of the lake do."""

    def __init__(self, broker: str = "alpaca", number: str = "PA1") -> None:
        self.committed: dict[str, list[dict[str, Any]]] = {table.qualified: [] for table in CHAINED_TABLES}
        self.ledger = Ledger(self.committed, "run-0")
        self.problems: list[str] = []
        self.ledger.open_account(
            account="main",
            broker=broker,
            number=number,
            currency="USD",
            lot_method="fifo",
            fractional=True,
            live=False,
        )
        self.commit()

    def commit(self) -> None:
        for table, frame in self.ledger.journal.drain():
            self.committed[table.qualified] += frame.to_dicts()

    def restart(self) -> None:
        """Forget all that was not committed, as a process that is killed does."""
        self.ledger = Ledger(self.committed, f"run-{self.ledger.run_id.partition('-')[2] + '1'}")

    def plan(self, ticker: str, shares: str, side: str = "buy", **values: object) -> str:
        name = order_id("main", self.ledger.run_id, ticker, side, "rebalance", len(self.ledger.orders))
        self.ledger.plan(
            {
                "order_id": name, "account": "main", "ticker": ticker, "side": side, "quantity": D(shares),
                "order_type": "market", "time_in_force": "day", "currency": "USD", "purpose": "rebalance", "number": 1,
                "held": D(0), "cutoff": DAY, "snapshot_id": 1, **values,
            }
        )  # fmt: skip
        self.commit()
        return name

    def run(self, steps: Iterator[str]) -> list[str]:
        """Go through the steps, and commit at each as the pipeline does."""
        notes = []
        for note in steps:
            notes.append(note)
            self.commit()
        self.commit()
        return notes

    def send(self, broker: Broker, halted: Callable[[], str | None] = lambda: None) -> list[str]:
        return self.run(send_orders(self.ledger, broker, "main", halted=halted, settings=SETTINGS))

    def sync(self, broker: Broker, *, later: timedelta = timedelta(0)) -> list[str]:
        rate = lambda *_: D(1)  # noqa: E731 - one currency
        steps = sync_orders(
            self.ledger, broker, "main", now=utc_now() + later, rate=rate, day_of=lambda _, at: day_at("XNYS", at),
            settings=SETTINGS, problems=self.problems,
        )  # fmt: skip
        return self.run(steps)

    def state(self, name: str) -> str:
        return self.ledger.orders[name].state.value
