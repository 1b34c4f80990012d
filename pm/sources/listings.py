"""Read tickers of a watch list, and what is told of them, from a CSV file, a list or a workbook."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pm.errors import InputError, did_you_mean
from pm.settings.sources import EXCHANGES, SOURCE_NAMES
from pm.sources.symbols import exchange_code
from pm.sources.text_file import TextFile, parts_of, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

__all__ = ["Listing", "read_listings"]

_COLUMNS = {"ticker": "ticker", "tickers": "ticker", "symbol": "ticker", "symbols": "ticker", "source": "source",
            "vendor": "source", "name": "name", "company": "name", "company name": "name", "exchange": "exchange",
            "currency": "currency"}  # fmt: skip
"""Columns of the file, in lower case, and what they are."""
_SYMBOL = "symbol_"
"""Start of the name of a column with the ticker as a source spells it, such as symbol_yahoo."""

_TICKER = re.compile(r"[\w.^=/:&-]{1,20}")
"""Form of the lines of a list without a line of names."""


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
    """Return the tickers of a CSV file, of a list with one ticker a line, or of the sheets of a workbook.

    Parameters
    ----------
    file
        A file with a line of names: ticker (or symbol), and where wanted source (or vendor), name, exchange, currency,
        and for a source that spells the ticker in its own way a column such as symbol_yahoo. Other columns are ignored.
        Where each line is a ticker, it needs no line of names.

    Raises
    ------
    InputError
        The file cannot be read, has no column of tickers or no ticker, or names an unknown exchange or source.
    """
    found: list[Listing] = []
    without_tickers: list[InputError] = []
    for part in parts_of(file):
        text = TextFile(file, part)
        try:
            found += _listings(text)
        except _NoTickersError as error:  # another sheet may have them
            without_tickers.append(error)
    if not found:
        raise without_tickers[0]
    return found


class _NoTickersError(InputError):
    """A text has no column of tickers, or no ticker in it."""


def _listings(text: TextFile) -> list[Listing]:
    rows = _rows(text)
    names = [name.strip().lower() for name in rows[0]] if rows else []
    is_list = bool(rows) and all(len(row) == 1 and _TICKER.fullmatch(row[0].strip()) for row in rows if any(row))
    if is_list and names[0] not in _COLUMNS:
        return [Listing(row[0].strip()) for row in rows if any(row)]
    if rows and "ticker" not in {_COLUMNS.get(name) for name in names}:
        raise _NoTickersError(
            "The file has no column of tickers.", where=str(text), hint="name the column `ticker` in the first line"
        )
    listings = [_listing(dict(zip(names, row)), f"{text}, line {n}") for n, row in enumerate(rows[1:], start=2)]  # noqa: B905 - lines can be shorter
    if not any(listings):
        raise _NoTickersError("The file has no tickers.", where=str(text), hint="write one a line, below `ticker`")
    return [listing for listing in listings if listing is not None]


def _rows(text: TextFile) -> list[list[str]]:
    """Return the cells of a text's lines."""
    with reading(text.path), text.open() as stream:
        content = stream.read()
    lines = _decoded(content).splitlines()
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(lines[0] if lines else "", delimiters=",;\t")
    except csv.Error:  # a single column
        dialect = csv.excel
    return list(csv.reader(lines, dialect=dialect))


def _decoded(content: bytes) -> str:
    """Return a text that is in UTF-8, in UTF-16 with its mark, or as Excel saves it in western Europe."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _listing(row: Mapping[str, str], where: str) -> Listing | None:
    """Return what a line tells; None for a line without a ticker."""
    told: dict[str, str] = {}
    symbols: dict[str, str] = {}
    for lower, cell in row.items():
        value = cell.strip()
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
        told["exchange"] = exchange_code(told["exchange"]) or told["exchange"]
        named.append(("exchange", told["exchange"], EXCHANGES))
    for kind, name, known in named:
        if name not in known:
            raise InputError(
                f"Unknown {kind} {name!r}.{did_you_mean(name, known)}",
                where=where,
                hint="use an ISO 10383 code such as XNYS, XLON or 24/7" if kind == "exchange" else "correct the line",
            )
    return Listing(**told, symbols=symbols)
