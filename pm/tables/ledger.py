"""Declare the tables of the ledger: accounts, orders, fills, cash, halts; append-only, and chained by hashes."""

from __future__ import annotations

from pm.tables.declaration import (
    DATE,
    FLAG,
    INTEGER,
    MONEY,
    PRICE,
    QUANTITY,
    RATE,
    REAL,
    TEXT,
    TIME,
    Column,
    Table,
)

__all__ = [
    "ACCOUNTS",
    "AUDIT_HEADS",
    "CASH_EVENTS",
    "CHAINED_TABLES",
    "FILLS",
    "HALTS",
    "ORDERS",
    "ORDER_EVENTS",
    "RECONCILIATIONS",
]

_RECORDED = (
    Column("recorded_at", TIME, "Time at which the row was recorded, in UTC."),
    Column("run_id", TEXT, "Run that recorded it; see runs."),
    Column("sequence", INTEGER, "Position of the row in the chain of all rows of the ledger, from 1."),
    Column("hash", TEXT, "SHA-256 of the hash of the row before it in the chain, and of this row."),
)
"""Columns of every row of the ledger."""

_LOTS = Column(
    "lots",
    TEXT,
    "Changes of lots, as a JSON array of objects: lot, opened, quantity, cost, base_cost, gain, base_gain, and new, "
    "the part of the quantity that a split's ratio made; see view lot_changes.",
)

ACCOUNTS = Table(
    "main",
    "accounts",
    "An account: a paper account, or one at a broker.",
    ("account",),
    (
        Column("account", TEXT, "Name of the account; its portfolio has the same name."),
        Column("broker", TEXT, "'paper', 'ticket', 'alpaca' or 'ib'."),
        Column("number", TEXT, "Number of the account at the broker; null for a paper account."),
        Column("currency", TEXT, "Base currency: that of its cash, and in which it is valued."),
        Column("lot_method", TEXT, "Lots that a sale closes first: 'fifo', 'lifo', 'hifo' or 'specific'."),
        Column("fractional", FLAG, "Whether the account can hold fractions of a share."),
        Column("live", FLAG, "Whether its orders are for real money."),
        *_RECORDED,
    ),
)

ORDERS = Table(
    "main",
    "orders",
    "An order as it was planned, before it was sent. What became of it is in order_events.",
    ("order_id",),
    (
        Column("order_id", TEXT, "Hash of account, run, ticker, side, purpose and number; the broker is told it."),
        Column("account", TEXT, "Account; see accounts."),
        Column("ticker", TEXT, "Ticker."),
        Column("side", TEXT, "'buy' or 'sell'."),
        Column("quantity", QUANTITY, "Number of shares ordered."),
        Column("order_type", TEXT, "'market', 'limit' or 'stop'."),
        Column("limit_price", PRICE, "Worst price to trade at; null unless it is a limit order."),
        Column("stop_price", PRICE, "Price that makes it a market order; null unless it is a stop order."),
        Column("time_in_force", TEXT, "'day' for the next session only, or 'gtc' until it is filled or cancelled."),
        Column("currency", TEXT, "Currency of the price."),
        Column("purpose", TEXT, "'rebalance', 'stop' or 'target'; see docs/vocabulary.md."),
        Column("number", INTEGER, "Number among the run's orders with the same ticker, side and purpose, from 1."),
        Column("pair", TEXT, "Name shared by two orders of which one cancels the other; null for one alone."),
        Column("held", QUANTITY, "Number of shares held when it was planned."),
        Column("target_shares", QUANTITY, "Number of shares aimed at; null for an order of the user's own."),
        Column("target_weight", REAL, "Weight aimed at; null for an order of the user's own."),
        Column("reference_price", PRICE, "Last close as traded when it was planned."),
        Column("reference_date", DATE, "Date of that close."),
        Column("target_run_id", TEXT, "Run whose target it carries out; see targets. Null for the user's own."),
        Column("signal_run_id", TEXT, "Run of the ticker's signal; see signals. Null without one."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake that the plan read."),
        Column("cutoff", DATE, "Last date whose data the plan can depend on."),
        *_RECORDED,
    ),
)

ORDER_EVENTS = Table(
    "main",
    "order_events",
    "What happened to an order: that it was planned, sent, accepted, cancelled and so on.",
    ("sequence",),
    (
        Column("order_id", TEXT, "Order; see orders."),
        Column("account", TEXT, "Account; see accounts."),
        Column("state", TEXT, "State from then on; see docs/vocabulary.md."),
        Column("broker_order_id", TEXT, "The order's name at the broker; null if it is not known."),
        Column("ratio", TEXT, "New shares to old ones, as 4/1, of a split that changes the order; null otherwise."),
        Column("detail", TEXT, "What the broker said, or why; null if there is nothing to say."),
        *_RECORDED,
    ),
)

FILLS = Table(
    "main",
    "fills",
    "A trade of an order, in whole or in part.",
    ("fill_id",),
    (
        Column("fill_id", TEXT, "The trade's name at the broker, by which it is recorded once."),
        Column("order_id", TEXT, "Order; see orders."),
        Column("account", TEXT, "Account; see accounts."),
        Column("ticker", TEXT, "Ticker."),
        Column("side", TEXT, "'buy' or 'sell'."),
        Column("quantity", QUANTITY, "Number of shares traded."),
        Column("price", PRICE, "Price per share as traded, in the currency of the ticker."),
        Column("currency", TEXT, "Currency of price, commission and amount."),
        Column("commission", MONEY, "Commission and fees."),
        Column("amount", MONEY, "Change of cash in that currency, after commission: negative for a purchase."),
        Column("rate", RATE, "Units of the account's base currency for one of that currency."),
        Column("base_amount", MONEY, "Change of the account's cash, in its base currency."),
        Column("date", DATE, "Session of the trade."),
        Column("source", TEXT, "What told of it: 'paper', 'ticket', 'alpaca' or 'ib'."),
        _LOTS,
        *_RECORDED,
    ),
)

CASH_EVENTS = Table(
    "main",
    "cash_events",
    "A change of an account's cash or shares that is no trade: a deposit, a dividend, a split, an imported position.",
    ("event_id",),
    (
        Column("event_id", TEXT, "Name of the event, by which it is recorded once."),
        Column("account", TEXT, "Account; see accounts."),
        Column("kind", TEXT, "Kind of event; see docs/vocabulary.md."),
        Column("ticker", TEXT, "Ticker; null where the event is about cash alone."),
        Column("date", DATE, "Day from which it counts: of a dividend or a split, the ex-date."),
        Column("currency", TEXT, "Currency of amount."),
        Column("value", RATE, "Dividend per share, price of a delisted share, or fraction of a split; null otherwise."),
        Column("ratio", TEXT, "New shares to old ones of a split, as 4/1; null otherwise."),
        Column("quantity", QUANTITY, "Change of the number of shares; 0 for none."),
        Column("amount", MONEY, "Change of cash in that currency; of a split, the cash in lieu of fractions."),
        Column("rate", RATE, "Units of the account's base currency for one of that currency."),
        Column("base_amount", MONEY, "Change of the account's cash, in its base currency."),
        Column("corrects", TEXT, "Event that this one corrects; null otherwise."),
        Column("detail", TEXT, "A remark; null without one."),
        _LOTS,
        *_RECORDED,
    ),
)

RECONCILIATIONS = Table(
    "main",
    "reconciliations",
    "A comparison of the ledger with the broker's account: one row for each ticker of either, and one for cash.",
    ("sequence",),
    (
        Column("account", TEXT, "Account; see accounts."),
        Column("ticker", TEXT, "Ticker; null for the row of cash."),
        Column("ledger_value", RATE, "Number of shares by the ledger; null for cash, but for rows of older versions."),
        Column("broker_value", RATE, "Number of shares that the broker tells; null for cash, likewise."),
        Column("ledger_cash", MONEY, "Cash by the ledger, in the base currency; null for shares."),
        Column("broker_cash", MONEY, "Cash that the broker tells, in the base currency; null for shares."),
        Column("matches", FLAG, "Whether they agree."),
        Column("accepted", FLAG, "Whether a person accepted the difference, with a reason."),
        Column("detail", TEXT, "The difference, and what explains it; or why it was accepted; else null."),
        *_RECORDED,
    ),
)

HALTS = Table(
    "main",
    "halts",
    "A halt of trading, or its end.",
    ("sequence",),
    (
        Column("action", TEXT, "'halt' or 'resume'."),
        Column("cause", TEXT, "What set the halt, see docs/vocabulary.md; of an end, which ends: 'hand' for all."),
        Column("account", TEXT, "Account whose limit or broker set it; null if none did. All accounts are halted."),
        Column("person", TEXT, "Who gave the command; null for a halt that a run set."),
        Column("reason", TEXT, "Reason in a sentence."),
        *_RECORDED,
    ),
)

AUDIT_HEADS = Table(
    "main",
    "audit_heads",
    "The end of the chain of the ledger after a run, and a hash of the run's limit events.",
    ("sequence",),
    (
        Column("rows", INTEGER, "Number of rows of the chain before this one."),
        Column("head", TEXT, "Hash of the last of them."),
        Column("cutoff", DATE, "Day up to which fills were simulated and dividends and splits recorded."),
        Column(
            "limit_events",
            TEXT,
            "Hash of the rows of limit_events that the run's stages made; null before its orders are planned.",
        ),
        *_RECORDED,
    ),
)

CHAINED_TABLES = (
    ACCOUNTS,
    ORDERS,
    ORDER_EVENTS,
    FILLS,
    CASH_EVENTS,
    RECONCILIATIONS,
    HALTS,
    AUDIT_HEADS,
)
"""Tables whose rows together are one chain of hashes, in the order of their column `sequence`."""
