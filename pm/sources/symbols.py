"""Write a ticker as a source spells it, and an exchange as its ISO code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["exchange_code", "known_spelling", "symbol_of"]

_CLASS = re.compile(r"^([A-Z]{1,5})[.\-/]([A-Z])$")
"""A ticker of a class of American shares, such as BRK.B; a single letter after the mark is no exchange's suffix, but
for those below."""
_ONE_LETTER_SUFFIXES = frozenset({"L", "T", "F", "V"})
"""Suffixes of one letter by which vendors name an exchange: London, Tokyo, Frankfurt, Toronto's Venture."""
_CLASS_MARKS = {"yahoo": "-", "alpha_vantage": "-", "tiingo": "-", "finnhub": ".", "alpaca": "."}
"""Mark before the class of a share, by vendor."""

_EXCHANGES = {
    "NMS": "XNAS", "NGM": "XNAS", "NCM": "XNAS", "NAS": "XNAS", "NASDAQ": "XNAS", "NYQ": "XNYS", "NYSE": "XNYS",
    "PCX": "XNYS", "NYSEARCA": "XNYS", "ARCA": "XNYS", "ASE": "XNYS", "AMEX": "XNYS", "NYSE ARCA": "XNYS",
    "NYSE MKT": "XNYS", "BATS": "XNYS", "BTS": "XNYS", "LSE": "XLON", "GER": "XETR", "FRA": "XFRA", "PAR": "XPAR",
    "AMS": "XAMS", "BRU": "XBRU", "LIS": "XLIS", "MIL": "XMIL", "MCE": "XMAD", "EBS": "XSWX", "VIE": "XWBO",
    "STO": "XSTO", "CPH": "XCSE", "HEL": "XHEL", "OSL": "XOSL", "TOR": "XTSE", "ASX": "XASX", "HKG": "XHKG",
    "JPX": "XTKS", "SHH": "XSHG", "KSC": "XKRX", "TAI": "XTAI", "SAO": "BVMF", "MEX": "XMEX", "NZE": "XNZE",
    "CCC": "24/7", "CCY": "24/5",
}  # fmt: skip
"""Names that vendors give to exchanges, and their ISO 10383 codes; alternative markets of the United States keep the
sessions of New York."""


def symbol_of(ticker: str, source: str, symbols: str | None = None) -> str:
    """Return a ticker as a source spells it.

    Parameters
    ----------
    ticker
        Ticker, as the lake spells it.
    source
        Name of the source.
    symbols
        Column `symbols` of table universe: what the user told about this ticker.

    Examples
    --------
    >>> symbol_of("BRK.B", "yahoo"), symbol_of("BRK-B", "alpaca"), symbol_of("VOD.L", "yahoo")
    ('BRK-B', 'BRK.B', 'VOD.L')
    """
    told = json.loads(symbols) if symbols else {}
    if source in told:
        return str(told[source])
    found = _CLASS.match(ticker.upper())
    mark = _CLASS_MARKS.get(source)
    if found is None or mark is None or (found[2] in _ONE_LETTER_SUFFIXES and ticker[-2] == "."):
        return ticker
    return f"{found[1]}{mark}{found[2]}"


def known_spelling(ticker: str, known: Iterable[str]) -> str:
    """Return the known ticker that a ticker is, or is another spelling of; the ticker itself if there is none.

    Examples
    --------
    >>> known_spelling("BRK-B", ["AAPL", "BRK.B"]), known_spelling("IBM", ["AAPL"])
    ('BRK.B', 'IBM')
    """
    from pm.sources.ticker_spellings import spelling_key

    names = list(known)
    if ticker in names:
        return ticker
    key = spelling_key(ticker)
    return min((name for name in names if spelling_key(name) == key), default=ticker)


def exchange_code(name: str | None) -> str | None:
    """Return the ISO 10383 code of an exchange as a vendor names it; None if it is not known.

    Examples
    --------
    >>> exchange_code("NYQ"), exchange_code("XLON"), exchange_code("Mars")
    ('XNYS', 'XLON', None)
    """
    from pm.settings.sources import EXCHANGES

    if name is None:
        return None
    return name if name in EXCHANGES else _EXCHANGES.get(name.strip().upper())
