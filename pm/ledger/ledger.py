"""The whole ledger in memory: its accounts, orders and halts, and the rows that are added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pm.errors import InputError, did_you_mean
from pm.ledger.book import Book, Trade
from pm.ledger.journal import START, Head, Journal
from pm.ledger.orders import OrderNow, after, may_follow, orders_now
from pm.tables.ledger import (
    ACCOUNTS,
    AUDIT_HEADS,
    CASH_EVENTS,
    CHAINED_TABLES,
    FILLS,
    HALTS,
    ORDER_EVENTS,
    ORDERS,
    RECONCILIATIONS,
)
from pm.tables.vocabulary import CashKind, HaltAction, HaltCause, OrderState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date, datetime

    import polars as pl

    from pm.tables.declaration import Table

__all__ = ["Ledger"]

Rows = list[dict[str, Any]]


class Ledger:
    """Accounts, orders and halts as the rows of the ledger make them, and new rows.

    Parameters
    ----------
    rows
        For each table of `CHAINED_TABLES`, by its name, all of its rows.
    run_id
        Run that adds rows.
    at
        Time that new rows carry; the present moment of each by default.

    Attributes
    ----------
    accounts
        Row of each account, by name.
    books
        Book of each account, by name.
    orders
        Orders as they are now, by name, in the order in which they were planned.
    journal
        New rows.
    """

    def __init__(self, rows: Mapping[str, Rows], run_id: str, *, at: datetime | None = None) -> None:
        self.run_id = run_id
        self.rows = {table.qualified: list(rows.get(table.qualified, ())) for table in CHAINED_TABLES}
        self.accounts: dict[str, dict[str, Any]] = {row["account"]: row for row in self.rows[ACCOUNTS.qualified]}
        fills, events = self.rows[FILLS.qualified], self.rows[CASH_EVENTS.qualified]
        self.books = {name: Book.of(row, fills, events) for name, row in self.accounts.items()}
        self.orders = orders_now(self.rows[ORDERS.qualified], self.rows[ORDER_EVENTS.qualified], fills)
        last = max(
            ((row["sequence"], row["hash"]) for kept in self.rows.values() for row in kept),
            default=(START.sequence, START.hash),
        )
        self.journal = Journal(Head(*last), run_id, at=at)
        self._planned = {row["order_id"] for row in self.rows[ORDER_EVENTS.qualified]}

    @classmethod
    def read(cls, read: Callable[[Table], pl.DataFrame], run_id: str, *, at: datetime | None = None) -> Ledger:
        """Return the ledger whose tables a function reads."""
        return cls({table.qualified: read(table).to_dicts() for table in CHAINED_TABLES}, run_id, at=at)

    # -- accounts ----------------------------------------------------------------------------------------------------

    def account(self, name: str | None) -> dict[str, Any]:
        """Return the row of an account that is open; of the only one if none is named.

        Raises
        ------
        InputError
            There is no such account, it was closed, or there are several and none is named.
        """
        known = {name: row for name, row in self.accounts.items() if name not in self.closed}
        if name is None and len(known) == 1:
            return next(iter(known.values()))
        if name is not None and name in known:
            return known[name]
        if name in self.closed:
            raise InputError(
                f"Account {name} was closed on {self.closed[name]}.",
                where="table accounts",
                hint="what it did stays: pm account list; open another: pm account open --name NAME",
            )
        if not known:
            raise InputError(
                "There is no account.", where="table accounts", hint="open one: pm account open --cash 100000"
            )
        what = "There are several accounts." if name is None else f"There is no account {name!r}."
        raise InputError(
            what + ("" if name is None else did_you_mean(name, known)),
            where="table accounts",
            hint=f"name one with --account: {', '.join(sorted(known))}",
        )

    @property
    def closed(self) -> dict[str, date]:
        """The days on which accounts were closed, by name."""
        return {row["account"]: row["date"] for row in self._all(CASH_EVENTS) if row["kind"] == CashKind.CLOSED}

    @property
    def open_accounts(self) -> list[str]:
        """The names of the accounts that are not closed, sorted."""
        return sorted(self.accounts.keys() - self.closed.keys())

    def open_account(self, **values: Any) -> None:  # noqa: ANN401 - columns of accounts
        """Add an account.

        Raises
        ------
        InputError
            There is an account of this name.
        """
        name = values["account"]
        if name in self.accounts:
            raise InputError(
                f"There is an account {name!r} already.", where="table accounts", hint="choose another: --name NAME"
            )
        row = self._add(ACCOUNTS, values)
        self.accounts[name] = row
        self.books[name] = Book.of(row, (), ())

    def add_cash_event(self, row: Mapping[str, Any] | None) -> bool:
        """Add the row of an event that a book made; whether there was one."""
        if row is None:
            return False
        self._add(CASH_EVENTS, row)
        return True

    # -- orders ------------------------------------------------------------------------------------------------------

    def plan(self, values: Mapping[str, Any]) -> OrderNow:
        """Add an order, and the event that it is planned."""
        row = self._add(ORDERS, values)
        self.orders |= orders_now([row], (), ())
        self.order_event(row["order_id"], OrderState.PLANNED)
        return self.orders[row["order_id"]]

    def order_event(
        self,
        order_id: str,
        state: OrderState,
        *,
        broker_order_id: str | None = None,
        ratio: str | None = None,
        detail: str | None = None,
    ) -> bool:
        """Add an event of an order if its state can come from the one before; whether it was added.

        An event that says nothing new is not added.
        """
        order = self.orders[order_id]
        is_first = order_id not in self._planned
        self._planned.add(order_id)
        before = None if is_first else order.state
        is_news = (
            is_first or state != order.state or ratio or (broker_order_id or None) not in {None, order.broker_order_id}
        )
        if not is_news or not (may_follow(before, state) or (ratio and state == before)):
            return False
        values = {
            "order_id": order_id,
            "account": order.row["account"],
            "state": state.value,
            "broker_order_id": broker_order_id,
            "ratio": ratio,
            "detail": detail,
        }
        self._refresh(order, self._add(ORDER_EVENTS, values))
        return True

    def fill(self, trade: Trade) -> bool:
        """Add a trade of an order and the event that follows from it; False if it is recorded already.

        Raises
        ------
        InputError
            There is no such order, the trade is of another ticker or side, or is larger than what is left of the order.
        """
        order = self.orders.get(trade.order_id)
        where = f"fills of {trade.source}"
        if order is None:
            raise InputError(
                f"Fill {trade.fill_id} of {trade.ticker} is of an unknown order, {trade.order_id!r}.",
                where=where,
                hint="see pm trade orders --all; a trade without an order is found by pm trade reconcile",
            )
        book = self.books[order.row["account"]]
        if trade.fill_id in book.known:
            return False
        if (trade.ticker, trade.side) != (order.row["ticker"], order.row["side"]):
            raise InputError(
                f"Fill {trade.fill_id} is a {trade.side} of {trade.ticker}, and its order a {order.row['side']} of "
                f"{order.row['ticker']}.",
                where=where,
                hint="correct the name of the order",
            )
        if trade.shares > order.left:
            raise InputError(
                f"Fill {trade.fill_id} of {trade.ticker} has {trade.shares.normalize():f} shares, and only "
                f"{order.left.normalize():f} are left of its order.",
                where=where,
                hint="correct the number of shares, or remove a fill that is there twice",
            )
        row = book.fill(trade)
        assert row is not None  # noqa: S101 - it is not known
        self._refresh(order, self._add(FILLS, row))
        now = self.orders[trade.order_id]
        self.order_event(trade.order_id, OrderState.PARTLY_FILLED if now.left > 0 else OrderState.FILLED)
        return True

    def open_orders(self, account: str | None = None) -> list[OrderNow]:
        """Return the orders that can still be traded, of one account or of all."""
        return [order for order in self.orders.values() if order.is_open and account in {None, order.row["account"]}]

    def _refresh(self, order: OrderNow, row: Mapping[str, Any]) -> None:
        self.orders[order.order_id] = after(order, row)

    # -- halts and differences -----------------------------------------------------------------------------------------

    @property
    def halts(self) -> Rows:
        """The rows of the halts that are in force, the oldest first."""
        in_force: list[dict[str, Any]] = []
        for row in sorted(self._all(HALTS), key=lambda row: row["sequence"]):
            if row["action"] == HaltAction.HALT:
                in_force.append(row)
            elif row["cause"] == HaltCause.HAND:  # a person ended all of them
                in_force.clear()
            else:
                in_force = [halt for halt in in_force if _halted_by(halt) != _halted_by(row)]
        return in_force

    def halt(self, cause: HaltCause, reason: str, *, person: str | None = None, account: str | None = None) -> bool:
        """Add a halt; False if one of the same cause, for the same account, is in force already.

        Parameters
        ----------
        person
            Who gave the command; None for a run.
        account
            Account whose limit or broker sets it; None if none does.
        """
        values: dict[str, Any] = {"action": HaltAction.HALT.value, "cause": cause.value, "reason": reason}
        values |= {"person": person, "account": account}
        if _halted_by(values) in [_halted_by(row) for row in self.halts]:
            return False
        self._add(HALTS, values)
        return True

    def resume(
        self, reason: str, *, person: str, cause: HaltCause = HaltCause.HAND, account: str | None = None
    ) -> bool:
        """Add the end of all halts, or of those with a cause; False if there is none to end.

        Parameters
        ----------
        cause, account
            What set the halt that ends; `HAND` for all.

        Raises
        ------
        InputError
            There is no reason, or no person.
        """
        if not reason.strip() or not person.strip():
            raise InputError(
                "A halt is ended by a person with a reason.", where="pm resume", hint='pm resume --reason "…"'
            )
        values: dict[str, Any] = {"action": HaltAction.RESUME.value, "cause": cause.value, "account": account}
        values |= {"person": person, "reason": reason}
        halts = self.halts
        if not (halts if cause == HaltCause.HAND else [row for row in halts if _halted_by(row) == _halted_by(values)]):
            return False
        self._add(HALTS, values)
        return True

    def differences(self, account: str) -> Rows:
        """Return the differences from the broker's account that the newest reconciliation found and nobody accepted."""
        rows = self._all(RECONCILIATIONS)
        newest: dict[str | None, dict[str, Any]] = {}
        own = sorted((row for row in rows if row["account"] == account), key=lambda row: row["sequence"])
        for row in own:
            if row["run_id"] == own[-1]["run_id"]:
                newest[row["ticker"]] = row
        return [row for row in newest.values() if not row["matches"] and not row["accepted"]]

    def add_comparison(self, **values: Any) -> None:  # noqa: ANN401 - columns of reconciliations
        """Add a row of a reconciliation."""
        self._add(RECONCILIATIONS, values)

    def add_head(self, **values: Any) -> None:  # noqa: ANN401 - columns of audit_heads
        """Add the row that says where the chain ends."""
        self._add(AUDIT_HEADS, values)

    def _add(self, table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
        row = self.journal.add(table, values)
        self.rows[table.qualified].append(row)
        return row

    def _all(self, table: Table) -> Rows:
        return self.rows[table.qualified]


def _halted_by(row: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return what set a halt: its cause, and the account that it is about."""
    return row["cause"], row.get("account")
