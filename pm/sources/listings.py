"""Read tickers of a watch list, and what is told of them, from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pm.errors import InputError, did_you_mean
from pm.settings.sources import EXCHANGES, SOURCE_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

__all__ = ["Listing", "read_listings"]

_COLUMNS = {"ticker": "ticker", "symbol": "ticker", "source": "source", "vendor": "source", "name": "name",
            "company": "name", "exchange": "exchange", "currency": "currency"}  # fmt: skip
"""Columns of the file, in lower case, and what they are."""
_SYMBOL = "symbol_"
"""Start of the name of a column with the ticker as a source spells it, such as symbol_yahoo."""


@dataclass(frozen=True)
class Listing:
    """A ticker to be put on the watch list, and what the user tells of it.

    Attributes
    ----------
    ticker
        Ticker.
    source
        Source that its bars come from. None for the one that is on the watch list already, else the one that its bars
        in the lake come from, else the first vendor of the settings.
    name, exchange, currency
        Columns of table universe; None for what is known already, or for what the source says.
    symbols
        Ticker as sources spell it, by source, where that is not as usual.
    """

    ticker: str
    source: str | None = None
    name: str | None = None
    exchange: str | None = None
    currency: str | None = None
    symbols: Mapping[str, str] = field(default_factory=dict)


def read_listings(file: Path) -> list[Listing]:
    """Return the tickers of a CSV file.

    Parameters
    ----------
    file
        A file with a line of names: ticker (or symbol), and where wanted source (or vendor), name, exchange, currency,
        and for a source that spells the ticker in its own way a column such as symbol_yahoo. Other columns are ignored.

    Raises
    ------
    InputError
        The file cannot be read, has no column of tickers, or names an unknown exchange or source.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"The file cannot be read: {reason}.", where=str(file), hint="name a CSV file") from None
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text.splitlines()[0] if text else "", delimiters=",;\t")
    except csv.Error:  # a single column
        dialect = csv.excel
    rows = list(csv.DictReader(text.splitlines(), dialect=dialect))
    fields = {name: name.strip().lower() for name in (rows[0] if rows else {}) if name}
    if "ticker" not in {_COLUMNS.get(lower) for lower in fields.values()}:
        raise InputError(
            "The file has no column of tickers.", where=str(file), hint="name the column `ticker` in the first line"
        )
    return [
        listing
        for number, row in enumerate(rows, start=2)
        if (listing := _listing(row, fields, f"{file}, line {number}")) is not None
    ]


def _listing(row: Mapping[str, str | None], fields: Mapping[str, str], where: str) -> Listing | None:
    """Return what a line tells; None for a line without a ticker."""
    told: dict[str, str] = {}
    symbols: dict[str, str] = {}
    for name, lower in fields.items():
        value = (row.get(name) or "").strip()
        if value and lower in _COLUMNS:
            told.setdefault(_COLUMNS[lower], value)
        elif value and lower.startswith(_SYMBOL):
            symbols[lower.removeprefix(_SYMBOL)] = value
    if "ticker" not in told:
        return None
    if not told["ticker"].isprintable() or "," in told["ticker"]:
        raise InputError(f"{told['ticker']!r} is no ticker.", where=where, hint="correct the line")
    sources = [source for source in (told.get("source"), *symbols) if source is not None]
    named: list[tuple[str, str, Collection[str]]] = [("source", source, SOURCE_NAMES) for source in sources]
    if "exchange" in told:
        named.append(("exchange", told["exchange"], EXCHANGES))
    for kind, name, known in named:
        if name not in known:
            raise InputError(
                f"Unknown {kind} {name!r}.{did_you_mean(name, known)}",
                where=where,
                hint="use an ISO 10383 code such as XNYS, XLON or 24/7" if kind == "exchange" else "correct the line",
            )
    return Listing(**told, symbols=symbols)
