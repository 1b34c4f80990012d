"""Which of a file's columns is which of ours, whatever its vendor calls it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pm.errors import InputError
from pm.sources.base import BARS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SPELLINGS", "WEAK_SPELLINGS", "match_columns", "normalised"]

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol", "sym", "instrument", "ric", "tickersymbol"),
    "date": ("date", "datetime", "timestamp", "day", "session", "tradedate", "tradingdate", "tradingday", "dt"),
    "open": ("open", "openprice", "o", "pxopen"),
    "high": ("high", "highprice", "h", "max", "pxhigh"),
    "low": ("low", "lowprice", "l", "min", "pxlow"),
    "close": ("close", "closeprice", "closingprice", "c", "last", "closelast", "lastprice", "pxlast", "settle"),
    "adj_close": ("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjustedcloseprice"),
    "volume": ("volume", "vol", "v", "tradedvolume", "sharestraded", "pxvolume"),
    "source": ("source", "vendor", "provider"),
}
"""Spellings of each of our columns, compared without case, spaces or punctuation: `Adj. Close` is `adjclose`."""

WEAK_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("name", "code", "stock"),
    "date": ("time", "", "indexlevel0"),
    "close": ("price", "value"),
}
"""Words that mean other things too: read so only where no better column is there. The empty one is a header cell
left blank, as pandas writes an unnamed index in CSV; in Parquet it calls it `__index_level_0__`."""

_PRICES = {"open", "high", "low", "close", "adj_close"}


def normalised(header: str) -> str:
    """Give a header without case, spaces and punctuation: '<Adj. Close>' is 'adjclose'."""
    return re.sub(r"[\W_]+", "", header).lower()


def match_columns(header: Sequence[str], *, where: str) -> dict[str, int]:
    """Find our columns among a file's.

    A file that has only adjusted closes has them taken for its closes too.

    Parameters
    ----------
    header
        The file's column names, in order.
    where
        The file, for messages.

    Returns
    -------
    dict
        Our column name to its place in `header`; those not found are absent.

    Raises
    ------
    InputError
        No date, no close, a column per ticker, or two columns that could equally be the same one of ours.
    """
    places: dict[str, int] = {}
    for field in BARS_SCHEMA:
        candidates = _best_candidates(field, header)
        if len(candidates) > 1:
            names = " and ".join(repr(header[place]) for place in candidates)
            raise InputError(
                f"Columns {names} could both be the {field}.",
                where=where,
                hint=f"rename the one to use to {field!r}",
            )
        if candidates:
            places[field] = candidates[0]
    _require(places, header, where)
    if "close" not in places:
        places["close"] = places["adj_close"]
    return places


def _best_candidates(field: str, header: Sequence[str]) -> list[int]:
    """Give the places of the columns that match a field equally well and best of all."""
    key = normalised(field)
    ranks = (
        [name == field for name in header],
        [normalised(name) == key for name in header],
        [normalised(name) in SPELLINGS[field] for name in header],
        # A blank header means an index only where it comes first; elsewhere it is a trailing delimiter.
        [
            normalised(name) in WEAK_SPELLINGS.get(field, ()) and bool(name.strip() or place == 0)
            for place, name in enumerate(header)
        ],
    )
    return next(([place for place, hit in enumerate(rank) if hit] for rank in ranks if any(rank)), [])


def _require(places: Mapping[str, int], header: Sequence[str], where: str) -> None:
    found = ", ".join(repr(name) for name in header[:20]) + (", …" if len(header) > 20 else "")
    if "date" not in places:
        raise InputError(
            f"No date column; found {found}.{_nearest('date', header)}",
            where=where,
            hint="the first line must name the columns, and one must be called date",
        )
    if "close" in places or "adj_close" in places:
        return
    others = [name for place, name in enumerate(header) if place not in places.values() and name.strip()]
    if not _PRICES & places.keys() and len(others) >= 2 and not _nearest("close", others):
        raise InputError(
            f"No close column; found {found}. A column per ticker is not read as it stands.",
            where=where,
            hint=f"make it one row per ticker and date, in DuckDB: UNPIVOT (FROM 'file.csv') "
            f'ON COLUMNS(* EXCLUDE "{header[places["date"]]}") INTO NAME ticker VALUE close',
        )
    raise InputError(
        f"No close column; found {found}.{_nearest('close', header)}",
        where=where,
        hint="rename the column of closing prices to close",
    )


def _nearest(field: str, header: Sequence[str]) -> str:
    """Give ' Did you mean …?' for a header that nearly spells the field."""
    shown = {normalised(name): name for name in header}
    for word in SPELLINGS[field]:
        near = get_close_matches(word, shown, n=1, cutoff=0.6) if len(word) > 2 else []
        if near:
            return f" Did you mean {shown[near[0]]!r}?"
    return ""
