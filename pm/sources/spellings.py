"""Match the columns of a file to the columns of a bar, by the names that vendors use."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
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
        *("opentime", "snappedat", "datum", "fecha", "data", "dato", "päivämäärä", "tarih", "tanggal", "ngày", "дата"),
        *("日付", "日付け", "日期", "交易日期", "날짜", "일자"),
    ),
    "open": (
        *("open", "openprice", "o", "pxopen", "opening", "openingprice"),
        *("eröffnung", "eröffn", "erster", "eröffnungskurs", "ouverture", "ouv", "apertura", "abrir", "abertura"),
        *("aperto", "otwarcie", "kursotwarcia", "öppning", "öppningskurs", "öppna"),
        *("åben", "avaus", "openen", "açılış", "откр"),
        *("pembukaan", "mở", "始値", "开盘", "开盘价", "開盤", "開盤價", "開市", "시가", "오픈"),
    ),
    "high": (
        *("high", "highprice", "h", "max", "pxhigh", "highest"),
        *("hoch", "höchst", "höchstkurs", "tageshoch", "haut", "plushaut", "élevé", "massimo", "máximo", "máxima"),
        *("maximo", "máx", "alto", "najwyzszy", "najwyższy", "kursmax"),
        *("högst", "högsta", "hög", "høj", "korkein", "hoog"),
        *("yüksek", "макс", "tertinggi", "cao", "高値", "高", "最高", "最高价", "最高價", "고가"),
    ),
    "low": (
        *("low", "lowprice", "l", "min", "pxlow", "lowest"),
        *("tief", "tiefst", "tiefstkurs", "tagestief", "bas", "plusbas", "faible", "minimo", "mínimo", "mínima"),
        *("mín", "basso", "bajo", "baixo", "najnizszy", "najniższy", "kursmin", "lägst", "lägsta", "låg", "lav"),
        *("matalin", "laag"),
        *("düşük", "мин", "terendah", "thấp", "安値", "低", "最低", "最低价", "最低價", "저가"),
    ),
    "close": (
        *("close", "closeprice", "closingprice", "c", "closelast", "settle", "settlement", "settlementprice"),
        *("closeclosepriceadjustedforsplits", "schlussschlusskursbereinigtumsplits"),
        *("schluss", "schlusskurs", "zuletzt", "schlußkurs", "clôture", "cloture", "clot", "dernier", "chiusura"),
        *("chiudi", "ultimo", "cierre", "cerrar", "último"),
        *("fechamento", "zamkniecie", "zamknięcie", "kurszamknięcia", "ostatnio"),
        *("stängning", "stäng", "senast", "senaste", "seneste", "viimeisin", "slotkoers", "laatste", "laatst"),
        *("kapanış", "şimdi", "закрытие", "terakhir", "lầncuối"),
        *("終値", "收盘", "收盘价", "收盤", "收盤價", "收市", "종가"),
    ),
    "adj_close": (
        *("adjclose", "adjustedclose", "closeadj", "closeadjusted", "adjcloseprice", "adjustedcloseprice"),
        "adjcloseadjustedclosepriceadjustedforsplitsanddividendandorcapitalgaindistributions",
        *("adjschlusskurs", "bereinigterschlusskurs", "schlussbereinigt", "schlusskursbereinigt"),
        "schlussbereinigtbereinigterschlusskursbereinigtumsplitssowiedividendenundoderkapitalgewinnausschüttungen",
        *("clôtureajustée", "coursdeclôtureajusté", "cierreajustado", "chiusuraaggiustata", "fechamentoajustado"),
        *("justeradstängning", "調整後終値"),
    ),
    "volume": (
        *("volume", "vol", "v", "tradedvolume", "sharestraded", "pxvolume", "tottrdqty", "ttltrdqnty", "noofshares"),
        *("totaltradedquantity",),
        *("volumen", "stück", "stücke", "stueck", "stuecke", "wolumen", "wol", "volym", "hacim", "hac", "объём"),
        *("umsatzstück", "umsatzinstück", "volumenstück", "出来高", "売買高", "成交量", "交易量", "거래량"),
    ),
    "source": ("source", "vendor", "provider"),
}
"""Names of each column of a bar, compared without case, spaces and punctuation: `Adj. Close` is `adjclose`. After the
English ones, those of Yahoo and investing.com in other languages and of some exchanges."""

WEAK_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "ticker": ("code", "stock", "name"),
    "date": ("time", "", "indexlevel0"),
    "close": (
        *("closeunadjusted", "unadjustedclose", "closeunadj", "unadjclose", "closeraw", "rawclose"),
        *("last", "lastprice", "pxlast", "price", "value"),
        *("kurs", "cours", "koers", "prezzo", "precio", "preço", "cena", "fiyat", "цена", "価格", "价格", "현재가"),
    ),
    "volume": ("totalvolume", "numberofshares", "kl"),
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

_SHARES_FIRST = (
    *("stück", "stücke", "stueck", "stuecke", "umsatzstück", "umsatzinstück", "volumenstück"),
    "sharestraded",
)
"""Names of a number of shares: beside them, `volume` is the turnover, an amount of money."""
_SHARES = (*_SHARES_FIRST, "noofshares", "tottrdqty", "ttltrdqnty", "totaltradedquantity")
"""Names of a number of shares, which go before other names of the volume than `volume`."""
_MONEY_BESIDE = {"totalvolume": "snappedat"}
"""Name of a volume, to the name of a column beside which it is an amount of money: in CoinGecko's files."""
_ONLY_BESIDE = {"kl": "ngày"}
"""Name that is Vietnamese for the volume and Swedish for the time of day, to the Vietnamese date that tells which."""

_LETTERS = 4
"""Minimum number of letters of a name that can be a misspelled one: a shorter one is a ticker as likely."""
_ALIKE = 0.75
"""Minimum similarity of a misspelled name and the right one, between 0 and 1."""
_WORD = re.compile(r"[^\W_][\w.^=&-]{0,14}")

_PRICES = {"open", "high", "low", "close", "adj_close"}


def normalised(header: str) -> str:
    """Return a name in lower case without spaces and punctuation: 'adjclose' for '<Adj. Close>'."""
    # Some systems write an accent as a character of its own.
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", header)).lower()


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
    names = [normalised(name) for name in header]
    shares = field == "volume"
    ranks = (
        [shares and name in _SHARES_FIRST for name in names],
        [name == field for name in header],
        [name == key for name in names],
        [shares and name in _SHARES for name in names],
        [name in SPELLINGS[field] for name in names],
        # A blank cell in the header is an index only if it is the first; elsewhere it comes from a trailing delimiter.
        *(
            [name == word and bool(header[place].strip() or place == 0) for place, name in enumerate(names)]
            for word in WEAK_SPELLINGS.get(field, ())
            if _MONEY_BESIDE.get(word) not in names and _ONLY_BESIDE.get(word, names[0]) in names
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
    if not _PRICES & places.keys() and len(others) >= 2 and not _is_misspelled_close(others):
        capitals = ", ".join(name.strip().upper() for name in others[:2] if _WORD.fullmatch(name.strip()))
        raise InputError(
            f"No close column; found {found}. Columns of closes, one per ticker, are read if their names are tickers "
            "in capitals.",
            where=where,
            hint=f"name each column after its ticker, such as {capitals or 'AAPL'}; or call the column of closes close",
        )
    raise InputError(
        f"No close column; found {found}.{_nearest('close', header)}",
        where=where,
        hint="rename the column of closing prices to close",
    )


def _is_misspelled_close(names: Sequence[str]) -> bool:
    """Return whether exactly one of some names is close to a name of the close, letter by letter."""
    words = [word for word in SPELLINGS["close"] if len(word) >= _LETTERS]
    keys = [normalised(name) for name in names]
    return sum(len(key) >= _LETTERS and bool(get_close_matches(key, words, n=1, cutoff=_ALIKE)) for key in keys) == 1


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
