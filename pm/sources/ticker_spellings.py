"""Find tickers that differ in their spelling only, as vendors write one and the same share: AAPL.US and AAPL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["other_spellings", "spelling_key"]

_UNITED_STATES = ".US"
"""Ending of American tickers of some vendors, which others leave out. Endings of other exchanges tell shares apart."""
_SEPARATORS = re.compile(r"[./_\s-]+")
"""Characters between a ticker and its class of shares."""


def spelling_key(ticker: str) -> str:
    """Return a text that is equal for tickers that differ in their spelling only.

    Examples
    --------
    >>> {spelling_key(ticker) for ticker in ("BRK.B", "BRK-B", "BRK/B", "brk b", "BRK-B.US")}
    {'BRK-B'}
    """
    return _SEPARATORS.sub("-", ticker.strip().upper().removesuffix(_UNITED_STATES))


def other_spellings(imported: Collection[str], known: Iterable[str]) -> dict[str, str]:
    """Return the imported tickers that are another spelling of a ticker: that ticker, for each of them.

    Parameters
    ----------
    imported
        Tickers that have been imported now.
    known
        All tickers that have bars. Of several spellings, the one that was there before the import goes first, and then
        the shortest.
    """
    spellings: dict[str, list[str]] = {}
    for ticker in sorted({*imported, *known}, key=lambda ticker: (ticker in imported, len(ticker), ticker)):
        spellings.setdefault(spelling_key(ticker), []).append(ticker)
    found = {other: names[0] for names in spellings.values() for other in names[1:] if other in imported}
    return dict(sorted(found.items()))
