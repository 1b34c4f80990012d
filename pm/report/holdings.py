"""Gather what is owned: positions and targets, cash, currencies, gains, what each adds to the risk, orders, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.report.charts import weight_bar
from pm.report.frames import Row, held_risk, rows_of

if TYPE_CHECKING:
    from pm.report.data import Books, ReportData

__all__ = ["holdings"]

_NONE = pl.DataFrame()
_HELD_SCHEMA = {
    "portfolio": pl.String,
    "ticker": pl.String,
    "currency": pl.String,
    "price_date": pl.Date,
    **dict.fromkeys(("quantity", "price", "base_value", "base_gain", "weight", "gain"), pl.Float64),
}


def holdings(data: ReportData, limit: int) -> Row:
    """Return what the section on holdings shows: at most `limit` rows of each table, and how many there are.

    A ticker that is neither held nor aimed at is left out. Risk is that of joint scenarios.
    """
    books, positions = data.books, _positions(data)
    orders = books.orders.sort("account", "side", "ticker", descending=[False, True, False]) if books else _NONE
    tables = {
        "positions": positions,
        "orders": orders,
        "risk": _with_proposed(data),
        "limit_events": data.limit_events.sort("portfolio", "limit_name", "subject"),
    }
    rows: Row = {name: rows_of(frame.head(limit)) for name, frame in tables.items()}
    reach = max((abs(row[name] or 0.0) for row in rows["positions"] for name in ("weight", "target")), default=1.0)
    for row in rows["positions"]:
        row["bar"] = weight_bar(row["weight"], row["target"], reach)
    return rows | {
        "accounts": _accounts(books) if books else [],
        "currencies": _currencies(books) if books else [],
        "contribution": _contribution(data),
        "losses": _losses(data),
        "head": next(iter(books.heads.to_dicts()), None) if books else None,
        "totals": {name: frame.height for name, frame in tables.items()},
        "is_there": books is not None or bool(positions.height or data.risk.height),
        "sources": _SOURCES,
    }


def _positions(data: ReportData) -> pl.DataFrame:
    """Return a row for each ticker that a portfolio holds or aims at.

    Columns: portfolio, ticker, currency, quantity, price, price_date, base_value, base_gain, gain (as a share of the
    cost), weight, target, target_shares, reason, component_es. Weights are shares of the portfolio's equity.
    """
    held = _held(data.books) if data.books else pl.DataFrame(schema=_HELD_SCHEMA)
    aimed = data.targets.filter(
        (pl.col("weight").fill_null(0.0) != 0.0) | (pl.col("previous_weight").fill_null(0.0) != 0.0)
    ).select("portfolio", "ticker", "reason", target="weight", target_shares="shares")
    both = held.join(aimed, on=["portfolio", "ticker"], how="full", coalesce=True)
    risk = _component(data)
    joined = both.join(risk, on=["portfolio", "ticker"], how="left")
    size = pl.max_horizontal(pl.col("weight").abs().fill_null(0.0), pl.col("target").abs().fill_null(0.0))
    return joined.sort("portfolio", size, "ticker", descending=[False, True, False])


def _held(books: Books) -> pl.DataFrame:
    """Return what each account holds, with its weight in the account's equity, and its gain as a share of the cost."""
    equity = dict(books.accounts.select("account", pl.col("equity").cast(pl.Float64)).iter_rows())
    numbers = ("quantity", "price", "base_value", "base_gain", "base_cost")
    worth = pl.col("portfolio").replace_strict(equity, default=None, return_dtype=pl.Float64)
    held = books.positions.select(
        "ticker", "price_date", *(pl.col(name).cast(pl.Float64) for name in numbers), "currency", portfolio="account"
    ).with_columns(
        weight=pl.col("base_value") / worth,
        gain=pl.when(pl.col("base_cost").abs() > 0).then(pl.col("base_gain") / pl.col("base_cost").abs()),
    )
    return held.select(pl.col(name).cast(dtype) for name, dtype in _HELD_SCHEMA.items())


def _component(data: ReportData) -> pl.DataFrame:
    """Return what each ticker adds to the expected shortfall over the shortest horizon at the highest level."""
    own = data.contributions
    if own.is_empty():
        return own.select("portfolio", "ticker", "component_es", "share")
    first = own.filter(pl.col("horizon") == pl.col("horizon").min(), pl.col("level") == pl.col("level").max())
    return first.select("portfolio", "ticker", "component_es", "share")


def _contribution(data: ReportData) -> Row | None:
    """Return the horizon and the level of the contributions shown."""
    own = data.contributions
    return None if own.is_empty() else {"horizon": own["horizon"].min(), "level": own["level"].max()}


def _accounts(books: Books) -> list[Row]:
    """Return each account with what was paid in, gained, and received."""
    grown = (
        books.equity.sort("date")
        .group_by("account")
        .agg(total_return=pl.col("growth").last() - 1, paid_in=pl.col("flow").sum())
    )
    open_gains = books.positions.group_by("account").agg(open_gain=pl.col("base_gain").sum())
    joined = (
        books.accounts.join(books.payments, on="account", how="left")
        .join(grown, on="account", how="left")
        .join(open_gains, on="account", how="left")
    )
    return rows_of(joined.sort("account"))


def _currencies(books: Books) -> list[Row]:
    """Return for each account the value of its positions by currency; none while all is in the account's own."""
    held = books.positions.join(books.accounts.select("account", base="currency"), on="account", how="left")
    foreign = held.filter(pl.col("currency") != pl.col("base"))
    if foreign.is_empty():
        return []
    return rows_of(
        held.group_by("account", "currency", "base")
        .agg(value=pl.col("base_value").sum(), positions=pl.len())
        .sort("account", "value", descending=[False, True])
    )


def _losses(data: ReportData) -> list[Row]:
    """Return what can be lost of what is held: portfolio, unit, levels (as 'once in N') and a row for each horizon.

    Of the levels, the lowest and the highest are shown. Losses are in the currency of the account, and as shares.
    """
    risk = held_risk(data)
    accounts = {} if data.books is None else {row["account"]: row for row in rows_of(data.books.accounts)}
    found = []
    for (portfolio,), own in risk.partition_by("portfolio", as_dict=True, maintain_order=True).items():
        account = accounts.get(str(portfolio), {"equity": None, "currency": None})
        levels: list[float] = own["level"].unique().sort().to_list()
        levels = [*levels[:1], *levels[1:][-1:]]
        rows = []
        for horizon in own["horizon"].unique().sort():
            cells = own.filter(pl.col("horizon") == horizon, pl.col("level").is_in(levels)).sort("level").to_dicts()
            rows.append({"horizon": horizon, "cells": [_amounts(cell, account["equity"]) for cell in cells]})
        once = [round(1 / (1 - level)) for level in levels]
        found.append({"portfolio": portfolio, "unit": account["currency"], "levels": once, "rows": rows})
    return found


def _amounts(cell: Row, equity: float | None) -> Row:
    amounts = {f"{name}_amount": None if equity is None else cell[name] * equity for name in ("var", "es")}
    return cell | amounts


def _with_proposed(data: ReportData) -> pl.DataFrame:
    """Return the risk of what is held, then that of what is aimed at."""
    held = held_risk(data)
    proposed = data.risk.join(held.select("portfolio").unique(), on="portfolio", how="anti")
    return pl.concat([held, proposed.sort("portfolio", "horizon", "level")])


_SOURCES = (
    ("Positions at the newest close", "SELECT * FROM positions"),
    ("Targets", "SELECT * FROM latest_targets"),
    ("Gains, dividends, commissions", "SELECT * FROM account_payments"),
    ("Cash, equity, return", "SELECT * FROM performance"),
    ("What each ticker adds to the expected shortfall", "SELECT * FROM risk_contributions ORDER BY run_id DESC"),
    ("Value at risk and expected shortfall", "SELECT * FROM latest_risk WHERE method = 'joint'"),
    ("Orders", "SELECT * FROM open_orders"),
    ("Limits", "SELECT * FROM limit_events ORDER BY run_id DESC"),
    ("Head of the chain of the ledger", "SELECT rows, head FROM audit_heads ORDER BY sequence DESC LIMIT 1"),
)
