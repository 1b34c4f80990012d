"""Match the columns of a file to the columns of a bar, by the names that vendors use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pm.errors import InputError, did_you_mean
from pm.sources.base import BARS_SCHEMA
from pm.sources.refusal import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ACTION_SPELLINGS", "SPELLINGS", "WEAK_SPELLINGS", "is_header", "is_weak", "match_columns", "normalised"]

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("ticker", "symbol", "sym", "instrument", "ric", "tickersymbol", "scripcode", "tradingsymbol"),
    "date": (
        *("date", "datetime", "timestamp", "day", "session", "tradedate", "tradingdate", "tradingday", "dt"),
        *("opentime", "datum", "fecha", "data", "tarih", "дата", "日付", "日期", "日付け", "날짜"),
    ),
    "open": (
        *("open", "openprice", "o", "pxopen", "opening", "openingprice"),
        *("eröffnung", "eröffn", "erster", "eröffnungskurs", "ouverture", "ouv", "apertura", "abertura"),
        *(
            "otwarcie",
            "öppning",
            "öppningskurs",
            "openen",
            "açılış",
            "откр",
            "始値",
            "开盘",
            "开盘价",
            "시가",
        ),
    ),
    "high": (
        *("high", "highprice", "h", "max", "pxhigh", "highest"),
        *("hoch", "höchst", "höchstkurs", "tageshoch", "haut", "plushaut", "massimo", "máximo", "máxima", "maximo"),
        *("najwyzszy", "najwyższy", "högst", "högsta", "hoog", "yüksek", "макс", "高値", "最高", "最高价", "고가"),
    ),
    "low": (
        *("low", "lowprice", "l", "min", "pxlow", "lowest"),
        *("tief", "tiefst", "tiefstkurs", "tagestief", "bas", "plusbas", "minimo", "mínimo", "mínima"),
        *("najnizszy", "najniższy", "lägst", "lägsta", "laag", "düşük", "мин", "安値", "最低", "最低价", "저가"),
    ),
    "close": (
        *("close", "closeprice", "closingprice", "c", "closelast", "settle", "settlement", "settlementprice"),
        *("closeclosepriceadjustedforsplits",),
        *("schluss", "schlusskurs", "zuletzt", "schlußkurs", "clôture", "cloture", "dernier", "chiusura", "ultimo"),
        *("cierre", "último", "fechamento", "zamkniecie", "zamknięcie", "ostatnio", "stängning", "senast"),
        *("slotkoers", "laatste", "kapanış", "şimdi", "закрытие", "終値", "收盘", "收盘价", "종가"),
    ),
    "adj_close": (
        *("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjustedcloseprice"),
        "adjcloseadjustedclosepriceadjustedforsplitsanddividendandorcapitalgaindistributions",
        *("adjschlusskurs", "bereinigterschlusskurs", "clôtureajustée", "cierreajustado", "chiusuraaggiustata"),
    ),
    "volume": (
        *("volume", "vol", "v", "tradedvolume", "sharestraded", "pxvolume", "tottrdqty", "ttltrdqnty", "noofshares"),
        *(
            "totaltradedquantity",
            "volumen",
            "stück",
            "stücke",
            "wolumen",
            "volym",
            "hacim",
            "hac",
            "объём",
            "出来高",
            "成交量",
            "거래량",
        ),
    ),
    "source": ("source", "vendor", "provider"),
}
"""Names of each column of a bar, compared without case, spaces and punctuation: `Adj. Close` is `adjclose`. After the
English ones, those of Yahoo and investing.com in other languages and of some exchanges."""

WEAK_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("code", "stock", "name"),
    "date": ("time", "", "indexlevel0"),
    "close": ("last", "lastprice", "pxlast", "price", "value"),
}
"""Names that can mean something else too, and match only if no other column does, the earlier ones first. The empty
name is a blank cell of the header, as pandas writes an unnamed index to CSV; in Parquet it is `__index_level_0__`."""

ACTION_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "split": (
        *("split", "splits", "stocksplit", "stocksplits", "splitratio", "splitcoefficient", "splitfactor"),
        *("splitcoeff", "aktiensplit", "aktiensplits"),
    ),
    "dividend": (
        *("dividend", "dividends", "dividendamount", "divcash", "dividendcash", "cashdividend", "exdividend"),
        *("dividendpershare", "dividende", "dividenden", "dividendo", "dividendos", "dividendi"),
    ),
}
"""Names of columns of splits and dividends, compared without case, spaces and punctuation."""

_PRICES = {"open", "high", "low", "close", "adj_close"}


def normalised(header: str) -> str:
    """Return a name in lower case without spaces and punctuation: 'adjclose' for '<Adj. Close>'."""
    return re.sub(r"[\W_]+", "", header).lower()


def is_header(record: Sequence[str]) -> bool:
    """Return whether a record names a date and a close."""
    keys = {normalised(name) for name in record} - {""}
    dates, closes = ({*SPELLINGS[field], *WEAK_SPELLINGS[field]} for field in ("date", "close"))
    return not keys.isdisjoint(dates) and not keys.isdisjoint(closes | {*SPELLINGS["adj_close"]})


def is_weak(field: str, name: str) -> bool:
    """Return whether a name of a file's column matches a column of a bar, and can mean something else too."""
    return normalised(name) in WEAK_SPELLINGS.get(field, ())


def match_columns(header: Sequence[str], *, where: str) -> dict[str, int]:
    """Find the columns of a bar among those of a file.

    If a file has adjusted closes and no closes, its adjusted closes are taken for the closes too.

    Parameters
    ----------
    header
        Names of the file's columns, in order.
    where
        The file, for error messages.

    Returns
    -------
    dict
        Column of a bar, to its position in `header`; columns that are not found are absent.

    Raises
    ------
    InputError
        There is no date or no close, each ticker has a column of its own, or two columns match equally well.
    """
    places: dict[str, int] = {}
    for field in BARS_SCHEMA:
        candidates = _best_candidates(field, header)
        if len(candidates) > 1:
            names = " and ".join(quoted(header[place]) for place in candidates)
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
    """Return the positions of the columns that match a field best; several if they match equally well."""
    key = normalised(field)
    ranks = (
        [name == field for name in header],
        [normalised(name) == key for name in header],
        [normalised(name) in SPELLINGS[field] for name in header],
        # A blank cell in the header is an index only if it is the first; elsewhere it comes from a trailing delimiter.
        *(
            [normalised(name) == word and bool(name.strip() or place == 0) for place, name in enumerate(header)]
            for word in WEAK_SPELLINGS.get(field, ())
        ),
    )
    return next(([place for place, hit in enumerate(rank) if hit] for rank in ranks if any(rank)), [])


def _require(places: Mapping[str, int], header: Sequence[str], where: str) -> None:
    found = ", ".join(quoted(name) for name in header[:20]) + (", …" if len(header) > 20 else "")
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
            f"No close column; found {found}. A file with a column per ticker cannot be read.",
            where=where,
            hint=f"convert it to one row per ticker and date, in DuckDB: UNPIVOT (FROM 'file.csv') "
            f'ON COLUMNS(* EXCLUDE "{header[places["date"]]}") INTO NAME ticker VALUE close',
        )
    raise InputError(
        f"No close column; found {found}.{_nearest('close', header)}",
        where=where,
        hint="rename the column of closing prices to close",
    )


def _nearest(field: str, header: Sequence[str]) -> str:
    """Return ' Did you mean …?' for the header most similar to a name of the field, or an empty string."""
    shown = {normalised(name): name for name in header}
    for word in SPELLINGS[field]:
        guess = did_you_mean(word, shown) if len(word) > 2 else ""
        # Names are compared without case and punctuation, and shown as the file has them.
        nearest = [name for key, name in shown.items() if guess == did_you_mean(key, [key])]
        if nearest:
            return did_you_mean(nearest[0], nearest[:1])
    return ""
