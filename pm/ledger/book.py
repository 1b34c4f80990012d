"""The book of an account: its cash and lots, and the rows that change them.

A book is made from the rows of `fills` and `cash_events`, and makes the values of new ones. Each row says itself what
it changes (`base_amount` and `lots`), so that the views add up the rows and compute nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.errors import InputError
from pm.ledger.lots import Lot, LotChange, change_lots, changed, split_lots, trade_lots
from pm.ledger.money import ZERO, money, quantity
from pm.ledger.ticker_history import Entry, RecordedSplit, TickerHistory, netted
from pm.tables.vocabulary import CashKind, LotMethod, Side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

__all__ = ["Book", "Trade", "event_id", "lots_of_text"]

_AMOUNTS = ("cost", "base_cost", "gain", "base_gain")
"""Amounts of money of a change of a lot."""


@dataclass(frozen=True)
class Trade:
    """A trade as a broker tells it.

    Attributes
    ----------
    fill_id
        Name at the broker, by which it is recorded once.
    shares
        Number of shares, positive.
    price, commission
        In the currency of the ticker.
    rate
        Units of the base currency for one of that currency.
    lots
        Lots that a sale closes first, by name.
    """

    fill_id: str
    order_id: str
    ticker: str
    side: str
    shares: Decimal
    price: Decimal
    currency: str
    commission: Decimal
    rate: Decimal
    date: date
    source: str
    lots: tuple[str, ...] = ()


@dataclass
class Book:
    """Cash and lots of an account.

    Attributes
    ----------
    account, currency, fractional, method
        Its name, base currency, whether it holds fractions of shares, and which lots a sale closes first.
    cash
        Cash in the base currency.
    lots
        Open lots by ticker and name, in the order in which they were opened. Those of a ticker are all long or all
        short.
    currencies
        Currency of each ticker that was ever held.
    known
        Identifiers of the fills and events that are recorded.
    histories
        What changed the lots of each ticker that was ever held.
    splits
        What is recorded of each split, by ticker and day.
    dividends
        What is recorded of each dividend, by ticker and day: per share, and in all, in the ticker's currency.
    unsettled
        Tickers of which a split was told late, until `settle_lots` is called.
    """

    account: str
    currency: str
    fractional: bool = False
    method: str = LotMethod.FIFO
    cash: Decimal = ZERO
    lots: dict[str, dict[str, Lot]] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    histories: dict[str, TickerHistory] = field(default_factory=dict)
    splits: dict[tuple[str, date], RecordedSplit] = field(default_factory=dict)
    dividends: dict[tuple[str, date], tuple[Fraction, Decimal]] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)
    _shares: dict[str, Decimal] = field(default_factory=dict)
    _places: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, account: Mapping[str, Any], fills: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]
    ) -> Book:
        """Return the book of an account.

        Parameters
        ----------
        account
            Row of table accounts.
        fills, events
            Rows of fills and cash_events; those of other accounts are ignored.
        """
        book = cls(account["account"], account["currency"], bool(account["fractional"]), account["lot_method"])
        rows = [row for row in (*fills, *events) if row["account"] == book.account]
        for row in sorted(rows, key=lambda row: row["sequence"]):
            book._apply(row)
        return book

    def shares(self, ticker: str) -> Decimal:
        """Return the number of shares held of a ticker."""
        return self._shares.get(ticker, ZERO)

    def positions(self) -> dict[str, Decimal]:
        """Return the number of shares of each ticker that is held."""
        return {ticker: self._shares[ticker] for ticker in sorted(self._shares) if self._shares[ticker]}

    def cost(self) -> Decimal:
        """Return what the open lots cost, in the base currency."""
        return sum((lot.base_cost for lots in self.lots.values() for lot in lots.values()), ZERO)

    def fill(self, trade: Trade) -> dict[str, Any] | None:
        """Return the row of a trade and apply it; None if it is recorded already.

        Raises
        ------
        InputError
            A number of it is impossible.
        """
        if trade.fill_id in self.known:
            return None
        if trade.shares <= 0 or trade.price <= 0 or trade.rate <= 0:
            raise InputError(
                f"Fill {trade.fill_id} of {trade.ticker} has an impossible number: {trade.shares} at {trade.price}.",
                where=f"fills of {trade.source}",
                hint="shares, price and rate are above 0",
            )
        shares = trade.shares if trade.side == Side.BUY else -trade.shares
        amount = money(Fraction(-shares) * Fraction(trade.price)) - trade.commission
        base_amount = money(Fraction(amount) * Fraction(trade.rate))
        changes = trade_lots(
            self._against(trade.ticker, shares),
            shares=shares,
            amount=amount,
            base_amount=base_amount,
            name=trade.fill_id,
            day=trade.date,
            method=self.method,
            named=trade.lots,
        )
        row = {
            "fill_id": trade.fill_id,
            "order_id": trade.order_id,
            "account": self.account,
            "ticker": trade.ticker,
            "side": trade.side,
            "quantity": trade.shares,
            "price": trade.price,
            "currency": trade.currency,
            "commission": trade.commission,
            "amount": amount,
            "rate": trade.rate,
            "base_amount": base_amount,
            "date": trade.date,
            "source": trade.source,
            "lots": _as_text(changes),
        }
        self._apply(row)
        return row

    def cash_event(
        self,
        kind: CashKind,
        amount: Decimal,
        *,
        day: date,
        name: str,
        currency: str | None = None,
        rate: Decimal = Decimal(1),
        **values: Any,  # noqa: ANN401 - further columns of cash_events
    ) -> dict[str, Any] | None:
        """Return the row of a change of cash and apply it; None if an event of this name is recorded already.

        Parameters
        ----------
        amount
            Change of cash in `currency`, the base currency by default.
        values
            Further columns: ticker, value, corrects, detail.
        """
        return self._event(
            {
                "kind": kind.value,
                "date": day,
                "currency": currency or self.currency,
                "quantity": ZERO,
                "amount": money(amount),
                "rate": rate,
                "base_amount": money(Fraction(money(amount)) * Fraction(rate)),
                **values,
            },
            (),
            name,
        )

    def take_over(  # noqa: PLR0913 - a position has as many properties
        self,
        ticker: str,
        shares: Decimal,
        cost: Decimal,
        *,
        day: date,
        currency: str,
        rate: Decimal,
        name: str,
        opened: date | None = None,
        detail: str | None = None,
    ) -> dict[str, Any] | None:
        """Return the row of a position that the account had before, and apply it: shares at a cost, and no cash.

        Parameters
        ----------
        cost
            What the shares cost, in their currency.
        day
            Day from which they count.
        opened
            Day on which they were bought; by default `day`.
        """
        change = LotChange(name, opened or day, shares, money(cost), money(Fraction(money(cost)) * Fraction(rate)))
        after = changed(list(self.lots.get(ticker, {}).values()), [change])
        values = {"kind": CashKind.IMPORT.value, "ticker": ticker, "date": day, "currency": currency, "rate": rate}
        values |= {"quantity": shares, "amount": ZERO, "base_amount": ZERO, "detail": detail}
        return self._event(values, [change, *netted(after, day, self.method)], name)

    def is_split_due(self, ticker: str, ratio: Fraction, day: date) -> bool:
        """Return whether a split of a day changes something that is not recorded yet."""
        if ticker not in self.histories:
            return False
        known = self.splits.get((ticker, day), RecordedSplit())
        shares = self.histories[ticker].shares_of_split(day, ratio, fractional=self.fractional)
        is_held = known.new or known.paid or self.shares_before(ticker, day)
        return bool(is_held) and (*shares, ratio) != (known.new, known.paid, known.ratio)

    def split(
        self,
        ticker: str,
        ratio: Fraction,
        *,
        day: date,
        price: Decimal,
        currency: str,
        rate: Decimal,
        name: str,
        corrects: str | None = None,
    ) -> dict[str, Any] | None:
        """Return the row of a split and apply it; None if it changes nothing, or nothing that is not recorded yet.

        It changes what was held when its day began, in shares of that day, though it be told after later trades.

        Parameters
        ----------
        ratio
            New shares for an old one, as it is known now.
        price
            Price after the split, at which fractions are paid.
        corrects
            Event that this one corrects.
        """
        if name in self.known or not self.is_split_due(ticker, ratio, day):
            return None
        known, history = self.splits.get((ticker, day)), self.histories[ticker]
        if known is None and history.is_before(day):
            changes, amount, base_amount = split_lots(
                list(self.lots[ticker].values()), ratio, fractional=self.fractional, price=price, rate=rate,
                method=self.method,
            )  # fmt: skip
        else:
            known = known or RecordedSplit()
            new, paid = history.shares_of_split(day, ratio, fractional=self.fractional)
            amount = money(-Fraction(paid) * Fraction(price)) - known.amount
            base_amount = money(Fraction(amount) * Fraction(rate))
            changes = [history.change(new - known.new, paid - known.paid, amount, base_amount)]
            self.unsettled.add(ticker)
        change = ratio if known is None else ratio / known.ratio
        values = {
            "kind": (CashKind.CORRECTION if corrects else CashKind.SPLIT).value,
            "ticker": ticker,
            "date": day,
            "currency": currency,
            "value": price,
            "ratio": f"{change.numerator}/{change.denominator}",
            "quantity": sum((change.quantity for change in changes), ZERO),
            "amount": amount,
            "rate": rate,
            "base_amount": base_amount,
            "corrects": corrects,
        }
        return self._event(values, changes, name)

    def settle_lots(self) -> list[dict[str, Any]]:
        """Return the rows that bring lots to what they are after splits that were told late, and apply them.

        It is called when all splits are recorded. The costs of what was closed since change, and so the gains.
        """
        rows = []
        for ticker in sorted(self.unsettled):
            history = self.histories[ticker]
            if changes := history.settling_changes(self.method):
                values = {"kind": CashKind.CORRECTION.value, "ticker": ticker, "date": history.last_day}
                values |= {"currency": self.currencies[ticker], "rate": Decimal(1), "detail": "lots after a late split"}
                values |= {"quantity": ZERO, "amount": ZERO, "base_amount": ZERO}
                rows.append(self._event(values, changes, event_id(self.account, "lots", ticker, len(self.known))))
        self.unsettled.clear()
        return [row for row in rows if row is not None]

    def close_out(
        self, ticker: str, *, day: date, price: Decimal, currency: str, rate: Decimal, name: str, detail: str
    ) -> dict[str, Any] | None:
        """Return the row that closes a position whose ticker trades no more, at a price, and apply it."""
        shares = self.shares(ticker)
        if not shares:
            return None
        amount = money(Fraction(shares) * Fraction(price))
        base_amount = money(Fraction(amount) * Fraction(rate))
        changes = trade_lots(
            self._against(ticker, -shares), shares=-shares, amount=amount, base_amount=base_amount, name=name, day=day
        )
        values = {
            "kind": CashKind.DELISTING.value,
            "ticker": ticker,
            "date": day,
            "currency": currency,
            "value": price,
            "quantity": -shares,
            "amount": amount,
            "rate": rate,
            "base_amount": base_amount,
            "detail": detail,
        }
        return self._event(values, changes, name)

    def adjust(
        self,
        ticker: str,
        shares: Decimal,
        *,
        price: Decimal,
        day: date,
        currency: str,
        rate: Decimal,
        name: str,
        detail: str,
    ) -> dict[str, Any] | None:
        """Return the row that changes a position without a trade, and apply it.

        Shares are added at a price, or removed at their cost: neither has a gain or changes cash.
        """
        cost = money(Fraction(shares) * Fraction(price))
        base_cost = money(Fraction(cost) * Fraction(rate))
        changes = trade_lots(
            self._against(ticker, shares), shares=shares, amount=-cost, base_amount=-base_cost, name=name, day=day,
            method=self.method,
        )  # fmt: skip
        without_gain = [replace(change, gain=ZERO, base_gain=ZERO) for change in changes]
        values = {"kind": CashKind.ACCEPTED.value, "ticker": ticker, "date": day, "currency": currency, "rate": rate}
        values |= {"quantity": shares, "amount": ZERO, "base_amount": ZERO, "detail": detail}
        return self._event(values, without_gain, name)

    def shares_before(self, ticker: str, day: date) -> Decimal:
        """Return the number of shares held when a day began, in shares of that day: without its own split."""
        history = self.histories.get(ticker)
        return ZERO if history is None else history.shares_before(day)

    def _against(self, ticker: str, shares: Decimal) -> Collection[Lot]:
        """Return the open lots that a change of the number of shares closes; none if it only adds to the position."""
        is_closing = self.shares(ticker) * shares < 0
        return self.lots[ticker].values() if is_closing else ()

    def _event(self, values: dict[str, Any], changes: Sequence[LotChange], name: str) -> dict[str, Any] | None:
        if name in self.known:
            return None
        row = {"event_id": name, "account": self.account, "value": None, **values, "lots": _as_text(changes)}
        self._apply(row)
        return row

    def _apply(self, row: Mapping[str, Any]) -> None:
        name = row.get("fill_id") or row["event_id"]
        self.known.add(name)
        self._places[name] = len(self._places)
        self.cash += row["base_amount"]
        ticker, changes = row.get("ticker"), lots_of_text(row["lots"])
        if ticker is None:
            return
        is_split = bool(row.get("ratio"))
        if is_split:
            known = self.splits.get((ticker, row["date"]), RecordedSplit())
            self.splits[ticker, row["date"]] = known.with_event(row, changes)
        elif row.get("kind") in {CashKind.DIVIDEND, CashKind.CORRECTION} and row["value"] is not None:
            value, amount = self.dividends.get((ticker, row["date"]), (Fraction(0), ZERO))
            self.dividends[ticker, row["date"]] = (value + Fraction(row["value"]), amount + row["amount"])
        if changes:
            self.currencies[ticker] = row["currency"]
            self._change(ticker, changes, name)
            is_settling = not is_split and row.get("kind") == CashKind.CORRECTION and not row["quantity"]
            entry = Entry(name, row["date"], tuple(changes), is_split, is_settling)
            self.histories.setdefault(ticker, TickerHistory()).add(entry)

    def _change(self, ticker: str, changes: Sequence[LotChange], name: str) -> None:
        lots = self.lots.setdefault(ticker, {})
        is_opened_again = any(change.lot not in lots and change.lot != name for change in changes)
        change_lots(lots, changes)
        if is_opened_again:
            self.lots[ticker] = dict(sorted(lots.items(), key=lambda item: self._places.get(item[0], 0)))
        self._shares[ticker] = self.shares(ticker) + sum((change.quantity for change in changes), ZERO)


def event_id(*parts: object) -> str:
    """Return the name of an event that is the same whenever it is recorded: a hash of what it is about."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:24]


def lots_of_text(text: str | None) -> list[LotChange]:
    """Return the changes of lots that a row of the ledger has."""
    return [
        LotChange(
            item["lot"],
            date.fromisoformat(item["opened"]),
            quantity(Decimal(item["quantity"])),
            **{name: money(Decimal(item[name])) for name in _AMOUNTS},
            new=quantity(Decimal(item.get("new", 0))),
        )
        for item in json.loads(text or "[]")
    ]


def _as_text(changes: Sequence[LotChange]) -> str | None:
    if not changes:
        return None
    items = [
        {"lot": change.lot, "opened": change.opened.isoformat(), "quantity": f"{change.quantity:f}"}
        | {key: f"{getattr(change, key):f}" for key in _AMOUNTS}
        | ({"new": f"{change.new:f}"} if change.new else {})
        for change in changes
    ]
    return json.dumps(items, separators=(",", ":"))
