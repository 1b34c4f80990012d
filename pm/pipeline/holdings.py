"""Read what accounts hold, and how far each is below its peak, for the stages that compute risk and targets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.tables.ledger import ACCOUNTS, AUDIT_HEADS, CASH_EVENTS, FILLS, HALTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.pipeline.stage import Context
    from pm.portfolio.held import Held

__all__ = [
    "HELD_TABLES",
    "HELD_VIEWS",
    "LEDGER_VIEWS",
    "MARK_TABLES",
    "MARK_VIEWS",
    "accounts_held",
    "held_tickers",
    "held_version",
    "is_look",
    "newest_drawdowns",
    "newest_mark",
]

HELD_TABLES = (ACCOUNTS, FILLS, CASH_EVENTS)
"""Tables from which holdings follow: a stage declares them as `past`, since stages before and after it write them."""
MARK_TABLES = (HALTS, AUDIT_HEADS)
"""Tables from which follows the day since when the limit `drawdown` counts: to be declared as `past` beside them."""
LEDGER_VIEWS = ("lot_changes", "exchange_rates", "equity", "drawdowns")
"""Views from which the drawdown of an account follows."""
MARK_VIEWS = ("limit_drawdowns",)
"""View of how far the limit `drawdown` sees an account below its peak; it reads MARK_TABLES too."""
HELD_VIEWS = (*LEDGER_VIEWS, "lots", "positions")
"""Views from which holdings follow."""


def is_look(context: Context) -> bool:
    """Return whether a run looks at another day or at a part of the watch list: accounts are then left alone."""
    request = context.request
    return request.as_of is not None or request.tickers is not None or request.source is not None


def held_version(context: Context) -> object:
    """Return a value that changes whenever what accounts hold does: for a stage's `depends`."""
    return context.lake.versions(table.qualified for table in HELD_TABLES)


def accounts_held(context: Context) -> list[Held]:
    """Return what each account that is open holds at the newest closes, sorted by name; none for a look.

    The stage declares HELD_TABLES, HELD_VIEWS and the tables of the watch list.
    """
    from pm.portfolio.held import held_of_accounts

    if is_look(context):
        return []
    positions = context.query(
        "SELECT account, ticker, currency, quantity, base_value FROM positions ORDER BY account, ticker"
    )
    equity = context.query(
        "SELECT account, date, currency, equity FROM equity "
        "WHERE account NOT IN (SELECT account FROM cash_events WHERE kind = 'closed') ORDER BY account, date"
    )
    flags = {row["account"]: row["fractional"] for row in context.rows("SELECT account, fractional FROM accounts")}
    return held_of_accounts(positions, equity, flags)


def held_tickers(accounts: Iterable[Held]) -> set[str]:
    """Return the tickers that accounts hold."""
    return {ticker for held in accounts for ticker in {*held.weights, *held.shares}}


def newest_drawdowns(context: Context) -> dict[str, float | None]:
    """Return the drawdown of each account that the limit acts on, 0 or negative, by name; None if it is not known.

    It is that of the newest day. The stage declares HELD_TABLES, MARK_TABLES, LEDGER_VIEWS and MARK_VIEWS.
    """
    rows = context.rows("SELECT account, drawdown FROM limit_drawdowns ORDER BY account")
    return {row["account"]: row["drawdown"] for row in rows}


def newest_mark(context: Context) -> object:
    """Return a value that changes when a person ends a halt, after which drawdowns can count from another day.

    For a stage's `depends`.
    """
    return context.known_rows("SELECT max(sequence) AS newest FROM halts WHERE action = 'resume'")[0]["newest"]
