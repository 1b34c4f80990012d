"""Bring the ledger up to a day: dividends and splits, simulated fills of paper accounts, delisted tickers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pm.broker.base import OrderRequest
from pm.broker.paper import PaperBar, PaperOutcome, bars_of, simulate_pair, simulate_session
from pm.ledger.actions import KnownAction, record_action
from pm.ledger.book import Trade, event_id
from pm.pipeline.trading import Prices, prices_of
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.names import USER
from pm.tables.ledger import AUDIT_HEADS
from pm.tables.quality import BARS
from pm.tables.sources import RAW_ACTIONS, UNIVERSE
from pm.tables.vocabulary import BrokerName, OrderState, TickerStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.ledger.book import Book
    from pm.ledger.ledger import Ledger
    from pm.ledger.orders import OrderNow
    from pm.pipeline.stage import Context

__all__ = ["Night", "bring_up_to_date", "last_day"]

_BEFORE = timedelta(days=60)
"""Time before the first session to simulate whose bars say how volatile a ticker is and how much of it is traded."""


@dataclass
class Night:
    """What a run does to the ledger, counted for its summary."""

    context: Context
    ledger: Ledger
    as_of: date
    fills: int = 0
    events: int = 0
    planned: int = 0
    notes: list[str] = field(default_factory=list)


# -- up to the day -----------------------------------------------------------------------------------------------------


def last_day(ledger: Ledger) -> date | None:
    """Return the day up to which fills were simulated before; None if they never were."""
    return max((row["cutoff"] for row in ledger.rows[AUDIT_HEADS.qualified] if row["cutoff"]), default=None)


def bring_up_to_date(night: Night, account: str, since: date | None) -> None:
    """Record what happened to an account up to the day: of each day first dividends and splits, then fills."""
    ledger, context = night.ledger, night.context
    book = ledger.books[account]
    open_orders = ledger.open_orders(account)
    tickers = sorted({*book.currencies, *(order.row["ticker"] for order in open_orders)})
    if not tickers:
        return
    is_paper = ledger.accounts[account]["broker"] == BrokerName.PAPER
    prices = prices_of(context, book, tickers, night.as_of)
    bars = _bars(context, sorted({order.row["ticker"] for order in open_orders}), night.as_of, since, open_orders)
    actions = _actions(context, book, open_orders, night.as_of)
    days = {action.date for action in actions}
    if is_paper:
        days |= {day for rows in bars.values() for day in rows if since is None or day > since}
    by_day: dict[date, list[KnownAction]] = defaultdict(list)
    for action in actions:
        by_day[action.date].append(action)
    for day in sorted(days):
        # Of one day the dividend comes first, which is per share before the split.
        for action in sorted(by_day[day], key=lambda action: action.kind):
            _record(night, account, action, prices)
        if is_paper and (since is None or day > since):
            _settle(night, book)
            _simulate(night, account, day, {ticker: rows[day] for ticker, rows in bars.items() if day in rows}, prices)
    _settle(night, book)
    if is_paper:
        _close_delisted(night, book, prices)


def _bars(
    context: Context, tickers: Sequence[str], as_of: date, since: date | None, orders: Sequence[OrderNow]
) -> dict[str, dict[date, PaperBar]]:
    if not tickers:
        return {}
    first = min(order.row["cutoff"] for order in orders)
    first = max(first, since) if since is not None else first
    frame = context.read(
        BARS,
        "date > ? AND date <= ?",
        [first - _BEFORE, as_of],
        among={"ticker": tickers},
        columns=("ticker", "date", "open", "high", "low", "close", "volume", "adj_factor"),
    )
    found = {}
    for (ticker,), rows in frame.group_by("ticker", maintain_order=True):
        found[str(ticker)] = {bar.date: bar for bar in bars_of(rows.to_dicts()) if bar.date > first}
    return found


def _actions(context: Context, book: Book, orders: Sequence[OrderNow], as_of: date) -> list[KnownAction]:
    """Return the dividends and splits as sources tell them now, of each ticker since it was first held or ordered."""
    import polars as pl

    from pm.quality import effective_actions

    since = {ticker: history.first_day for ticker, history in book.histories.items()}
    for order in orders:
        ticker, cutoff = order.row["ticker"], order.row["cutoff"]
        since[ticker] = min(since.get(ticker, cutoff), cutoff)
    first, among = min(since.values()), {"ticker": sorted(since)}
    begun = pl.DataFrame(list(since.items()), schema={"ticker": pl.String, "since": pl.Date}, orient="row")
    raw = context.read(RAW_ACTIONS, "date > ? AND date <= ?", [first, as_of], among=among)
    raw = raw.join(begun, on="ticker").filter(pl.col("date") > pl.col("since")).drop("since")
    if raw.is_empty():
        return []
    day = ("ticker", "date", "kind")
    # What the user told comes before what files tell, and the newest before the older.
    effective = (
        effective_actions(raw)
        .sort(pl.col("source") == USER, "fetched_at", "batch_id", "row")
        .unique(day, keep="last", maintain_order=True)
    )
    taken_back = raw.join(effective, on=day, how="anti").unique(day, maintain_order=True)
    told = pl.concat([effective, taken_back.with_columns(value=pl.lit(None, pl.Float64))], how="diagonal")
    closes = context.read(
        BARS,
        "date > ?",
        [first - _BEFORE],
        among={"ticker": told["ticker"].unique().to_list()},
        columns=("ticker", "date", "close"),
    ).sort("date")
    told = (
        told.sort("date")
        .join_asof(
            closes.rename({"close": "before"}),
            on="date",
            by="ticker",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .join_asof(closes.rename({"close": "on"}), on="date", by="ticker", strategy="forward", check_sortedness=False)
        .with_columns(certain=pl.col("source").is_in([USER, *VENDOR_NAMES]))
        .sort("date", "ticker", "kind")
    )
    columns = ("ticker", "date", "kind", "value", "before", "on", "certain")
    return [KnownAction(**row) for row in told.select(columns).iter_rows(named=True)]


def _record(night: Night, account: str, action: KnownAction, prices: Prices) -> None:
    if action.problem is not None:
        night.notes.append(action.problem)
        return
    ledger = night.ledger
    row, ratio = record_action(ledger.books[account], action, rate=prices.rates.rate)
    night.events += ledger.add_cash_event(row)
    if ratio is None or ledger.accounts[account]["broker"] != BrokerName.PAPER:
        return
    for order in ledger.open_orders(account):
        if order.row["ticker"] == action.ticker and order.row["cutoff"] < action.date:
            detail = f"split on {action.date}"
            ledger.order_event(
                order.order_id, order.state, ratio=f"{ratio.numerator}/{ratio.denominator}", detail=detail
            )


def _settle(night: Night, book: Book) -> None:
    """Bring the lots to what they are after splits that were told late."""
    for row in book.settle_lots():
        night.ledger.add_cash_event(row)


def _simulate(night: Night, account: str, day: date, bars: dict[str, PaperBar], prices: Prices) -> None:
    """Fill the open orders of a paper account in a session; pairs of orders together."""
    ledger, settings = night.ledger, night.context.settings.broker
    fractional = ledger.books[account].fractional
    waiting = [
        order
        for order in ledger.open_orders(account)
        if order.row["ticker"] in bars
        and order.row["cutoff"] < day
        and order.state in {OrderState.ACCEPTED, OrderState.PARTLY_FILLED}
    ]
    pairs: dict[object, list[OrderNow]] = defaultdict(list)
    for order in waiting:
        pairs[(order.row["run_id"], order.row["pair"]) if order.row["pair"] else order.order_id].append(order)
    for orders in pairs.values():
        bar = bars[orders[0].row["ticker"]]
        rate = prices.rates.rate(orders[0].row["currency"], day)
        if len(orders) == 1:
            outcome = simulate_session(
                _request(orders[0]), orders[0].left, bar, settings, fractional=fractional, rate=rate
            )
            _apply(night, orders[0], outcome, prices)
            continue
        decided = simulate_pair(
            [(_request(order), order.left) for order in orders], bar, settings, fractional=fractional, rate=rate
        )
        if decided is not None:
            place, outcome = decided
            _apply(night, orders[place], outcome, prices)
            for other in orders:
                if other is not orders[place]:
                    ledger.order_event(
                        other.order_id, OrderState.CANCELLED, detail="the other order of the pair traded"
                    )


def _request(order: OrderNow) -> OrderRequest:
    row = order.row
    return OrderRequest(
        order.order_id, row["ticker"], row["side"], order.quantity, row["order_type"], row["time_in_force"],
        row["currency"], order.limit_price, order.stop_price,
    )  # fmt: skip


def _apply(night: Night, order: OrderNow, outcome: PaperOutcome, prices: Prices) -> None:
    ledger = night.ledger
    if outcome.fill is not None:
        fill, row = outcome.fill, order.row
        trade = Trade(
            fill_id=event_id(order.order_id, fill.date),
            order_id=order.order_id,
            ticker=row["ticker"],
            side=row["side"],
            shares=fill.quantity,
            price=fill.price,
            currency=row["currency"],
            commission=fill.commission,
            rate=prices.rates.rate(row["currency"], fill.date),
            date=fill.date,
            source=BrokerName.PAPER.value,
        )
        night.fills += ledger.fill(trade)
    if outcome.ended:
        ledger.order_event(order.order_id, OrderState.EXPIRED, detail=outcome.detail)


def _close_delisted(night: Night, book: Book, prices: Prices) -> None:
    """Close the positions of tickers that trade no more, at their last close."""
    held = list(book.positions())
    listed = night.context.read(UNIVERSE, "status = ?", [TickerStatus.DELISTED.value], among={"ticker": held})
    for ticker in listed["ticker"]:
        quote = prices.quote(ticker, book)
        if quote is None:
            night.notes.append(f"{ticker} is delisted and has no close; close it with pm trade close {ticker}.")
            continue
        row = book.close_out(
            ticker, day=night.as_of, price=quote.price, currency=quote.currency, rate=quote.rate,
            name=event_id(book.account, "delisting", ticker, night.as_of), detail=f"last close, of {quote.date}",
        )  # fmt: skip
        night.events += night.ledger.add_cash_event(row)
