"""The book of an account: its cash and lots, and the rows that change them.

A book is made from the rows of `fills` and `cash_events`, and makes the values of new ones. Each row says itself what
it changes (`base_amount` and `lots`), so that the views add up the rows and compute nothing else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pm.errors import InputError
from pm.ledger.lots import Lot, LotChange, changed, split_lots, trade_lots
from pm.ledger.money import ZERO, money, quantity
from pm.tables.vocabulary import CashKind, LotMethod, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Book", "Trade", "event_id", "lots_of_text"]


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
        Open lots by ticker, in the order in which they were opened.
    currencies
        Currency of each ticker that was ever held.
    known
        Identifiers of the fills and events that are recorded.
    """

    account: str
    currency: str
    fractional: bool = False
    method: str = LotMethod.FIFO
    cash: Decimal = ZERO
    lots: dict[str, list[Lot]] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    _history: list[tuple[str, date, tuple[LotChange, ...], str]] = field(default_factory=list)

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
        return sum((lot.quantity for lot in self.lots.get(ticker, ())), ZERO)

    def positions(self) -> dict[str, Decimal]:
        """Return the number of shares of each ticker that is held."""
        return {ticker: shares for ticker in sorted(self.lots) if (shares := self.shares(ticker))}

    def cost(self) -> Decimal:
        """Return what the open lots cost, in the base currency."""
        return sum((lot.base_cost for lots in self.lots.values() for lot in lots), ZERO)

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
            self.lots.get(trade.ticker, []),
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
        values = {"kind": CashKind.IMPORT.value, "ticker": ticker, "date": day, "currency": currency, "rate": rate}
        values |= {"quantity": shares, "amount": ZERO, "base_amount": ZERO, "detail": detail}
        return self._event(values, (change,), name)

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
        """Return the row of a split and apply it to the lots that were held before its day; None if known, or none.

        A lot counts from the day of the row that brought it in: shares that were taken over are those of that day,
        however long ago they were bought.

        Parameters
        ----------
        ratio
            New shares for an old one.
        price
            Price after the split, at which fractions are paid.
        corrects
            Event that this one corrects.
        """
        since = {
            change.lot: when for held, when, changes, _ in reversed(self._history) if held == ticker for change in changes
        }
        before = [lot for lot in self.lots.get(ticker, ()) if since[lot.lot] < day]
        if not before:
            return None
        changes, cash, base_cash = split_lots(
            before, ratio, fractional=self.fractional, price=price, rate=rate, method=self.method
        )
        values = {
            "kind": (CashKind.CORRECTION if corrects else CashKind.SPLIT).value,
            "ticker": ticker,
            "date": day,
            "currency": currency,
            "value": price,
            "ratio": f"{ratio.numerator}/{ratio.denominator}",
            "quantity": sum((change.quantity for change in changes), ZERO),
            "amount": cash,
            "rate": rate,
            "base_amount": base_cash,
            "corrects": corrects,
        }
        return self._event(values, changes, name)

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
            self.lots[ticker], shares=-shares, amount=amount, base_amount=base_amount, name=name, day=day
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
            self.lots.get(ticker, []), shares=shares, amount=-cost, base_amount=-base_cost, name=name, day=day,
            method=self.method,
        )  # fmt: skip
        without_gain = [replace(change, gain=ZERO, base_gain=ZERO) for change in changes]
        values = {"kind": CashKind.CORRECTION.value, "ticker": ticker, "date": day, "currency": currency, "rate": rate}
        values |= {"quantity": shares, "amount": ZERO, "base_amount": ZERO, "detail": detail}
        return self._event(values, without_gain, name)

    def shares_before(self, ticker: str, day: date) -> Decimal:
        """Return the number of shares held when a day began, in shares of that day: without its own split."""
        return sum(
            (change.quantity for held, when, changes, _ in self._history if held == ticker and when < day
             for change in changes),
            ZERO,
        )  # fmt: skip

    def _event(self, values: dict[str, Any], changes: Sequence[LotChange], name: str) -> dict[str, Any] | None:
        if name in self.known:
            return None
        row = {"event_id": name, "account": self.account, **values, "lots": _as_text(changes)}
        self._apply(row)
        return row

    def _apply(self, row: Mapping[str, Any]) -> None:
        name = row.get("fill_id") or row["event_id"]
        self.known.add(name)
        self.cash += row["base_amount"]
        ticker, changes = row.get("ticker"), lots_of_text(row["lots"])
        if ticker is None or not changes:
            return
        self.currencies[ticker] = row["currency"]
        self.lots[ticker] = changed(self.lots.get(ticker, []), changes)
        self._history.append((ticker, row["date"], tuple(changes), name))


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
            *(money(Decimal(item[name])) for name in ("cost", "base_cost", "gain", "base_gain")),
        )
        for item in json.loads(text or "[]")
    ]


def _as_text(changes: Sequence[LotChange]) -> str | None:
    if not changes:
        return None
    items = [{key: str(value) for key, value in asdict(change).items()} for change in changes]
    for item, change in zip(items, changes, strict=True):
        item["quantity"] = f"{change.quantity:f}"
        item |= {key: f"{getattr(change, key):f}" for key in ("cost", "base_cost", "gain", "base_gain")}
    return json.dumps(items, separators=(",", ":"))
