"""Spell tickers as vendors do."""

from __future__ import annotations

import re

__all__ = ["exchange_suffix", "symbol_for"]

_CLASS = re.compile(r"(?P<name>[A-Z0-9]+)[./_ -](?P<class>[A-Z]{1,2})")
"""A share and its class: BRK.B, BRK-B, BRK/B."""
_SEPARATORS = {"yahoo": "-", "alpha_vantage": "-", "finnhub": ".", "alpaca": ".", "tiingo": "-"}
"""Characters between a share and its class, by vendor."""
_UNITED_STATES = (".US",)
_EXCHANGES_OF_ONE_LETTER = frozenset("LFTVHIS")
"""Suffixes of exchanges with one letter (London, Frankfurt, Tokyo, …), which are no class of a share."""
_SUFFIXES: dict[str, dict[str, str]] = {
    "alpha_vantage": {"L": "LON", "DE": "DEX", "TO": "TRT", "V": "TRV", "BO": "BSE", "SS": "SHH", "SZ": "SHZ"},
}
"""Suffixes of exchanges that a vendor writes otherwise than Yahoo, whose suffixes the lake has."""


def symbol_for(vendor: str, ticker: str) -> str:
    """Return a ticker as a vendor spells it.

    Parameters
    ----------
    vendor
        Name of the vendor.
    ticker
        Ticker as the lake has it: a class of a share after any mark (BRK.B, BRK-B), and an exchange other than those of
        the United States as Yahoo's suffix (VOD.L, 7203.T).

    Examples
    --------
    >>> [symbol_for("yahoo", ticker) for ticker in ("BRK.B", "BRK-B", "brk/b", "VOD.L", "AAPL.US")]
    ['BRK-B', 'BRK-B', 'BRK-B', 'VOD.L', 'AAPL']
    >>> symbol_for("alpaca", "BRK-B"), symbol_for("alpha_vantage", "VOD.L")
    ('BRK.B', 'VOD.LON')
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
