"""Find the columns of each ticker in a file that has columns of its own for each.

Two kinds of such files are known: a column of closes for each ticker, named after it; and the table of several fields
and tickers that yfinance returns, as pandas writes it to CSV, with a header of three lines, or to Parquet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pm.sources.spellings import ACTION_SPELLINGS, SPELLINGS, WEAK_SPELLINGS, normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["columns_by_ticker", "joined_header"]

_PAIR = re.compile(r"\('(.*)', '(.*)'\)")
"""Name of a column of two levels, as pandas writes it to Parquet: "('Close', 'AAPL')"."""
_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.^=&/-]{0,14}")
_LINES = 3
"""Number of lines of the header of a table of fields and tickers."""
_ALSO_TICKERS = {"alto", "cao", "dato", "kl", "lav", "wol"}
"""Names of columns in other languages that are tickers too: in a file with columns of tickers, they are tickers."""
_FIELDS = {
    word: field
    for field in ("open", "high", "low", "close", "adj_close", "volume")
    for word in (normalised(field), *SPELLINGS[field])
    if word not in _ALSO_TICKERS
}
_DATES = {"date", *SPELLINGS["date"], *WEAK_SPELLINGS["date"]}
_OF_BARS = {
    word
    for spellings in (SPELLINGS, WEAK_SPELLINGS, ACTION_SPELLINGS)
    for words in spellings.values()
    for word in words
    if word not in _ALSO_TICKERS
}
"""Names of columns of a file with a row for each bar: PRICE is no ticker."""
_CLOSES = {
    word
    for field in ("close", "adj_close")
    for word in (normalised(field), *SPELLINGS[field], *WEAK_SPELLINGS.get(field, ()))
    if len(word) > 1
}
"""Names of the close of a bar, but for a single letter."""


def joined_header(lines: Sequence[Sequence[str]]) -> list[str] | None:
    """Return one header for the three lines that pandas writes above a table of fields and tickers, or None.

    One of the first two lines has the fields and the other the tickers; the third has the name of the dates alone. The
    columns are named as pandas names them in Parquet: "('Close', 'AAPL')".
    """
    if len(lines) < _LINES:
        return None
    first, second, third = ([cell.strip() for cell in line] for line in lines[:_LINES])
    if len({len(first), len(second), len(third)}) != 1 or len(first) < 2 or any(third[1:]):
        return None
    for fields, tickers in ((first[1:], second[1:]), (second[1:], first[1:])):
        if normalised(third[0]) in _DATES and all(normalised(name) in _FIELDS for name in fields) and all(tickers):
            return [third[0], *(f"('{field}', '{ticker}')" for field, ticker in zip(fields, tickers, strict=True))]
    return None


def columns_by_ticker(header: Sequence[str]) -> dict[str, dict[str, int]] | None:
    """Return, for each ticker, the positions of its columns by column of a bar, the date's among them.

    None for a header that is not that of such a file. A column named after a ticker is in capitals, so that a file of
    other figures is not taken for one of prices.
    """
    date = next((place for place, name in enumerate(header) if normalised(_first(name)) in _DATES), None)
    if date is None:
        return None
    found: dict[str, dict[str, int]] = {}
    for place, name in enumerate(header):
        pair = _PAIR.fullmatch(name)
        if place == date or pair is None:
            continue
        one, other = pair.groups()
        if normalised(one) not in _FIELDS:
            one, other = other, one
        if normalised(one) in _FIELDS and other.strip():
            found.setdefault(other.strip(), {"date": date})[_FIELDS[normalised(one)]] = place
    if not found:
        others = [place for place in range(len(header)) if place != date and header[place].strip()]
        names = [header[place].strip() for place in others]
        if others and all(map(_TICKER.fullmatch, names)) and not _are_of_bars(names):
            found = {header[place].strip(): {"date": date, "close": place} for place in others}
    for columns in found.values():
        if "close" not in columns and "adj_close" in columns:
            columns["close"] = columns["adj_close"]
    priced = {ticker: columns for ticker, columns in found.items() if "close" in columns}
    return priced or None


def _are_of_bars(names: Sequence[str]) -> bool:
    """Return whether some names are those of the columns of a bar.

    Among many names some are by chance: C, O, V and LOW are tickers too. A close in words is none of a ticker.
    """
    words = [word for name in names if (word := normalised(name)) in _OF_BARS]
    if not _CLOSES.isdisjoint(words):
        return True
    letters = {word for word in words if len(word) == 1}
    are_prices = "c" in letters and (not letters.isdisjoint("ohl") or len(letters) == len(names))
    return len(words) * 3 >= len(names) and (are_prices or any(len(word) > 1 for word in words))


def _first(name: str) -> str:
    """Return the first level of a column's name: 'Date' of "('Date', '')"."""
    pair = _PAIR.fullmatch(name)
    return name if pair is None or pair[2].strip() else pair[1]
