"""Write a ticker as a source spells it, and an exchange as its ISO code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["exchange_code", "exchange_suffix", "known_spelling", "symbol_for", "symbol_of"]

_CLASS = re.compile(r"(?P<name>[A-Z0-9]+)[./_ -](?P<class>[A-Z]{1,2})")
"""A share and its class: BRK.B, BRK-B, BRK/B."""
_SEPARATORS = {"yahoo": "-", "alpha_vantage": "-", "finnhub": ".", "alpaca": ".", "tiingo": "-", "ib": " "}
"""Characters between a share and its class, by vendor or broker."""
_UNITED_STATES = (".US",)
_EXCHANGES_OF_ONE_LETTER = frozenset("LFTVHIS")
"""Suffixes of exchanges with one letter (London, Frankfurt, Tokyo, …), which are no class of a share."""
_SUFFIXES: dict[str, dict[str, str]] = {
    "alpha_vantage": {"L": "LON", "DE": "DEX", "TO": "TRT", "V": "TRV", "BO": "BSE", "SS": "SHH", "SZ": "SHZ"},
}
"""Suffixes of exchanges that a vendor writes otherwise than Yahoo, whose suffixes the lake has."""

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
    return str(told[source]) if source in told else symbol_for(source, ticker)


def symbol_for(vendor: str, ticker: str) -> str:
    """Return a ticker as a vendor or a broker spells it.

    Parameters
    ----------
    vendor
        Name of the vendor or the broker.
    ticker
        Ticker as the lake has it: a class of a share after any mark (BRK.B, BRK-B), and an exchange other than those of
        the United States as Yahoo's suffix (VOD.L, 7203.T).

    Examples
    --------
    >>> [symbol_for("yahoo", ticker) for ticker in ("BRK.B", "BRK-B", "brk/b", "VOD.L", "AAPL.US")]
    ['BRK-B', 'BRK-B', 'BRK-B', 'VOD.L', 'AAPL']
    >>> symbol_for("alpaca", "BRK-B"), symbol_for("ib", "BRK-B"), symbol_for("alpha_vantage", "VOD.L")
    ('BRK.B', 'BRK B', 'VOD.LON')
    """
    plain = ticker.strip().upper()
    for ending in _UNITED_STATES:
        plain = plain.removesuffix(ending)
    suffix = exchange_suffix(plain)
    if suffix:
        name = plain.removesuffix(f".{suffix}")
        return f"{name}.{_SUFFIXES.get(vendor, {}).get(suffix, suffix)}"
    parts = _CLASS.fullmatch(plain)
    if parts is None:
        return plain
    return f"{parts['name']}{_SEPARATORS.get(vendor, '-')}{parts['class']}"


def exchange_suffix(symbol: str) -> str:
    """Return the suffix of a symbol that names an exchange, without the dot; empty if it has none.

    Examples
    --------
    >>> [exchange_suffix(symbol) for symbol in ("VOD.L", "0700.HK", "BRK.B", "AAPL")]
    ['L', 'HK', '', '']
    """
    _, dot, suffix = symbol.rpartition(".")
    return suffix if dot and (len(suffix) > 1 or suffix in _EXCHANGES_OF_ONE_LETTER) else ""


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
