"""The report's first screen: orders, positions, possible losses, changes since the last run, age of the bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.age import age
from pm.number_format import integer, percent, shares
from pm.plural import plural
from pm.report.changes import changes
from pm.report.frames import Row, held_risk, rows_of, verdicts_of
from pm.report.words import edges, joined, look, newest_bar, reached, stale, suggested
from pm.tables.risk import MODEL_PORTFOLIO
from pm.tables.vocabulary import Action, BrokerName, OrderState

if TYPE_CHECKING:
    from datetime import date

    from pm.report.data import ReportData

__all__ = ["today"]

_SHOWN = 5
"""Number of orders and of positions that the first screen names."""
_BY_BROKER = {
    BrokerName.PAPER.value: "The next run fills them by the bars that have come until then: nothing to enter.",
    BrokerName.TICKET.value: "Write the ticket to enter by hand: pm trade send",
}


def today(data: ReportData, ranked: pl.DataFrame) -> Row:
    """Return what the first screen shows.

    Parameters
    ----------
    data
        The frames of the run.
    ranked
        Rows of table `signals`, the most probable gain or loss first.
    """
    fresh, is_old = newest_bar(data)
    newest: date | None = data.history["date"].max()  # type: ignore[assignment] # polars knows no types of values
    orders = _orders(data)
    return {
        "headline": _headline(data, ranked, orders),
        "edges": edges(ranked, verdicts_of(data)) if ranked.height else None,
        "look": look(data),
        "suggested": suggested(ranked),
        "reached": reached(ranked),
        "counts": {action.value: data.signals.filter(action=action.value).height for action in Action},
        "halts": _halts(data),
        "orders": orders[:_SHOWN],
        "orders_total": len(orders),
        "advice": _advice(data, orders),
        "accounts": _accounts(data),
        "losses": _losses(data),
        "changes": changes(data),
        "before": data.before,
        "fresh": fresh,
        "is_old": is_old,
        "stale": stale(data),
        "newest": newest,
        "age": None if newest is None else age(newest, data.made_on),
        "sources": _SOURCES,
    }


def _halts(data: ReportData) -> list[str]:
    return [] if data.books is None else data.books.halts.sort("sequence")["reason"].to_list()


def _orders(data: ReportData) -> list[Row]:
    if data.books is None:
        return []
    order = data.books.orders.sort("account", "side", "ticker", descending=[False, True, False])
    return [
        row | {"text": f"{row['side'].capitalize()} {shares(_left(row))} {row['ticker']}"} for row in rows_of(order)
    ]


def _left(row: Row) -> float:
    """Return the number of shares of an order that are not traded yet."""
    return float(row["quantity"]) - float(row["filled"] or 0.0)


def _headline(data: ReportData, ranked: pl.DataFrame, orders: list[Row]) -> str:
    """Return what to do, in one sentence."""
    if halts := _halts(data):
        return f"Trading is halted: {halts[-1]}"
    if orders:
        shown = [f"{row['side']} {shares(_left(row))} {row['ticker']}" for row in orders[:3]]
        rest = [f"{len(orders) - 3:,} more"] if len(orders) > 3 else []
        return f"{plural(len(orders), 'order')} for the next session: {joined([*shown, *rest])}."
    if ranked.is_empty():
        return "No ticker has a signal. The section on data has a list of the tickers that were left out, and why."
    acts = not ranked.filter(pl.col("action") != Action.HOLD.value).is_empty()
    if data.books is not None:
        idle = "Nothing to do: no order is open."
        return f"{idle} {suggested(ranked)}" if acts else idle
    return suggested(ranked) if acts else "Nothing to do: every signal is to hold."


def _advice(data: ReportData, orders: list[Row]) -> list[str]:
    """Return how the orders are carried out, by the brokers of their accounts."""
    if data.books is None:
        return []
    brokers = dict(data.books.accounts.select("account", "broker").iter_rows())
    found = []
    for broker in sorted({brokers.get(row["account"], "") for row in orders}):
        own = [row for row in orders if brokers.get(row["account"], "") == broker]
        if broker in _BY_BROKER:
            found.append(_BY_BROKER[broker])
        elif any(row["state"] == OrderState.PLANNED for row in own):
            found.append("Send them to the broker: pm trade send")
    return found


def _accounts(data: ReportData) -> list[Row]:
    """Return each account with its equity, the change of the day, and the largest positions by weight."""
    books, found = data.books, []
    if books is None:
        return []
    for account in rows_of(books.accounts.sort("account")):
        days = books.equity.filter(account=account["account"]).sort("date")
        positions = books.positions.filter(account=account["account"]).sort(
            pl.col("base_value").abs(), "ticker", descending=[True, False], nulls_last=True
        )
        equity = account["equity"]
        last = rows_of(days.tail(1))
        change = last[0]["daily_return"] if last and last[0]["date"] == account["date"] else None
        worth = None if change is None or equity is None else equity - equity / (1 + change) if change > -1 else None
        found.append(
            account
            | {
                "change": change,
                "change_amount": worth,
                "cash_share": account["cash"] / equity if equity else None,
                "positions": [
                    row | {"weight": row["base_value"] / equity if equity and row["base_value"] is not None else None}
                    for row in rows_of(positions.head(_SHOWN))
                ],
                "held": positions.height,
            }
        )
    return found


def _losses(data: ReportData) -> list[Row]:
    """Return sentences of the value at risk of each portfolio held, over the shortest and the longest horizon.

    The level is the highest; amounts are in the currency of the account.
    """
    risk = held_risk(data)
    accounts = {} if data.books is None else {row["account"]: row for row in rows_of(data.books.accounts)}
    found = []
    for (portfolio,), own in risk.partition_by("portfolio", as_dict=True, maintain_order=True).items():
        level = own["level"].max()
        kept = own.filter(level=level).sort("horizon")
        for row in (kept.head(1).to_dicts(), kept.tail(1).to_dicts() if kept.height > 1 else []):
            found += [_loss(one, accounts.get(str(portfolio))) for one in row]
    return found


def _loss(row: Row, account: Row | None) -> Row:
    once = round(1 / (1 - row["level"]))
    over = "session" if row["horizon"] == 1 else f"{row['horizon']} sessions"
    equity = account["equity"] if account else None
    unit = f" {account['currency']}" if account else ""

    def amount(share: float) -> str:
        return f"{integer(share * equity)}{unit} ({percent(share)})" if equity is not None else percent(share, 2)

    whose = "equal weights of all tickers" if row["portfolio"] == MODEL_PORTFOLIO and account is None else None
    return row | {
        "over": f"Over {'one ' if row['horizon'] == 1 else ''}{over}",
        "text": f"once in {once:,} the loss is more than {amount(row['var'])}; then {amount(row['es'])} on average",
        "whose": whose,
        "nothing": row["var"] == 0 and row["es"] == 0,
    }


_SOURCES = (
    ("Orders that are open", "SELECT * FROM open_orders"),
    ("Halts in force", "SELECT * FROM active_halts"),
    ("Equity and its change by day", "SELECT * FROM drawdowns ORDER BY account, date DESC"),
    ("Value at risk (var) and expected shortfall (es)", "SELECT * FROM latest_risk WHERE method = 'joint'"),
    ("Signals", "SELECT * FROM latest_signals"),
    (
        "Signals of the runs before",
        (
            "SELECT r.run_id, r.as_of, s.ticker, s.action\nFROM runs AS r\n"
            "JOIN run_outputs AS o ON o.run_id = r.run_id AND o.stage = 'signals'\n"
            "JOIN signals AS s ON s.run_id = o.output_run_id\n"
            "WHERE r.kind = 'run'\nORDER BY r.started_at DESC, s.ticker"
        ),
    ),
    ("Trades", "SELECT * FROM fills ORDER BY recorded_at DESC"),
    ("Freshness of bars", "SELECT ticker, last_date, weekdays_behind FROM data_health"),
)
