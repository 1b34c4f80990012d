"""Read the ledger and the prices that it is valued at, for the stages that trade."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pm.broker.halts import HALT_FILE, file_says_halt
from pm.broker.planning import Quote
from pm.currencies import HUNDREDTHS, rate_tickers
from pm.errors import LakeError
from pm.ledger.currencies import Rates
from pm.ledger.ledger import Ledger
from pm.pipeline.writes import Append
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.quality import BARS
from pm.tables.sources import UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date
    from pathlib import Path

    from pm.lake.location import LakeLocation
    from pm.ledger.book import Book
    from pm.pipeline.stage import Context
    from pm.pipeline.writes import Write

__all__ = [
    "Prices",
    "equity_of",
    "halt_sign",
    "is_halted",
    "ledger_day",
    "new_rows",
    "prices_of",
    "rates_of",
    "read_ledger",
]


def read_ledger(context: Context) -> Ledger:
    """Return the ledger; the stage declares that it reads or writes all of its tables."""
    return Ledger.read(context.read, context.run_id)


def new_rows(ledger: Ledger) -> list[Write]:
    """Return the changes that add the ledger's new rows."""
    return [Append(table, frame) for table, frame in ledger.journal.frames()]


def is_halted(context: Context, ledger: Ledger) -> str | None:
    """Return why trading is halted, in a sentence; None if it is not.

    The file and the sign are looked for anew each time, since others set them while this command writes.
    """
    if (why := halt_sign(context.workspace.root, context.lake.location)) is not None:
        return why
    return "; ".join(f"{row['reason']} ({row['cause']})" for row in ledger.halts) or None


def halt_sign(workspace: Path, location: LakeLocation) -> str | None:
    """Return what says that trading is halted besides the ledger, in a sentence; None if nothing does.

    It is the file HALT in the workspace, or the sign that all machines see which share the lake. A sign that cannot be
    looked for counts as set.
    """
    if file_says_halt(workspace):
        return "The file HALT is in the workspace."
    if not location.is_shared:
        return None
    from pm.lake.signs import sign

    try:
        text = sign(location, HALT_FILE)
    except LakeError as error:
        return f"Whether another machine has halted trading cannot be found out: {error.what}"
    return None if text is None else f"Another machine has halted trading: {text}"


@dataclass(frozen=True)
class Prices:
    """Currencies, last closes up to a day, and rates into the base currency of an account."""

    day: date
    currencies: dict[str, str | None]
    closes: dict[str, tuple[date, float]]
    rates: Rates

    def known_currency(self, ticker: str, book: Book) -> str | None:
        """Return the currency of a ticker's prices; None if it is not known.

        It is that in which the ticker is held, so that a position has one; else that of the watch list, or of earlier
        trades.
        """
        held, told = book.currencies.get(ticker), self.currencies.get(ticker)
        return held if held is not None and book.shares(ticker) else told or held

    def conflict(self, ticker: str, book: Book) -> str | None:
        """Return in a sentence that a ticker is held in another currency than its prices are in; None if not."""
        told, held = self.currencies.get(ticker), self.known_currency(ticker, book)
        if told is None or told == held:
            return None
        return f"{ticker} is held in {held}, and the watch list says that its prices are in {told}."

    def currency(self, ticker: str, book: Book) -> str:
        """Return the currency of a ticker's prices; the base currency of the account if it is not known."""
        return self.known_currency(ticker, book) or book.currency

    def quote(self, ticker: str, book: Book) -> Quote | None:
        """Return the last close of a ticker with its rate; None without a close.

        Raises
        ------
        InputError
            There is no rate of the ticker's currency.
        """
        found = self.closes.get(ticker)
        if found is None:
            return None
        day, close = found
        currency = self.currency(ticker, book)
        exact = Decimal(repr(float(close))).quantize(Decimal("0.000001"))
        return Quote(exact, day, currency, self.rates.rate(currency, self.day)) if exact > 0 else None


def prices_of(context: Context, book: Book, tickers: Iterable[str], day: date) -> Prices:
    """Return what an account's tickers are worth: currencies, closes up to a day, and rates of exchange.

    The stage declares that it reads BARS and UNIVERSE.
    """
    wanted = sorted(set(tickers))
    told = {
        row["ticker"]: row["currency"] for row in context.read(UNIVERSE, among={"ticker": wanted}).iter_rows(named=True)
    }
    currencies = {ticker: told.get(ticker) for ticker in wanted}
    closes = context.read(BARS, "date <= ?", [day], among={"ticker": wanted}, columns=("ticker", "date", "close"))
    last = closes.group_by("ticker").last()
    foreign = {currencies.get(ticker) or book.currencies.get(ticker) or book.currency for ticker in wanted}
    return Prices(
        day,
        currencies,
        {row["ticker"]: (row["date"], row["close"]) for row in last.iter_rows(named=True)},
        rates_of(context, book.currency, foreign),
    )


def rates_of(context: Context, base: str, currencies: Iterable[str]) -> Rates:
    """Return the rates of exchange of some currencies into a base currency."""
    names = [
        ticker
        for currency in sorted({HUNDREDTHS.get(currency, currency) for currency in currencies} - {base})
        for ticker in rate_tickers(currency, base)
    ]
    rows = context.read(BARS, among={"ticker": names}, columns=("ticker", "date", "close")) if names else None
    closes: dict[str, list[tuple[date, float]]] = {}
    for ticker, day, close in rows.iter_rows() if rows is not None else ():
        closes.setdefault(ticker, []).append((day, close))
    return Rates(base, closes)


def equity_of(book: Book, prices: Prices) -> tuple[Decimal, list[str]]:
    """Return an account's equity in its base currency, and the tickers that it cannot be valued for.

    It is not a number while there are such tickers: no order is planned from an equity that is not known.
    """
    total, unknown = book.cash, []
    for ticker, shares in book.positions().items():
        quote = prices.quote(ticker, book)
        if quote is None:
            unknown.append(ticker)
        else:
            value = quote.base_price * shares.as_integer_ratio()[0] / shares.as_integer_ratio()[1]
            total += (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal("0.0001"))
    return (Decimal("NaN") if unknown else total), unknown


def ledger_day(context: Context) -> date:
    """Return the day that events of accounts carry unless they say another: that of the newest bar, or today.

    The stage declares that it reads BARS.
    """
    from pm.clock import utc_today

    newest: date | None = context.rows("SELECT max(date) AS day FROM bars")[0]["day"]
    return min(newest, utc_today()) if newest is not None else utc_today()


LEDGER_TABLES = CHAINED_TABLES
"""Tables that a stage which changes the ledger declares to write."""
