"""Find the ticker in the name of a file, as users, browsers and vendors name their files."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["ticker_in"]

_TICKER = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=&-]{0,14}")
_WORDS = frozenset(
    {
        "bar", "bars", "book", "candles", "chart", "close", "daily", "data", "dataset", "download", "export", "file",
        "historical", "historicaldata", "historicalprices", "history", "import", "mappe", "my", "new", "ohlc", "ohlcv",
        "output", "prices", "price", "quote", "quotes", "result", "results", "sample", "series", "sheet", "stock",
        "stockprices", "stocks", "table", "tabelle", "temp", "test", "ticker", "tickers", "untitled", "values",
        "workbook", "daten", "datos", "dati", "dados", "kurse", "kursdaten", "cours", "koersen", "prezzi", "precios",
    }
)  # fmt: skip
"""Words that name a file and not its ticker, in lower case; a number can follow them: Book1, sheet_2."""

_COPY = re.compile(r"\s*(?:\(\d{1,3}\)|[-_ ]+copy(?: ?\(\d+\))?|[-_ ]kopie)$", re.IGNORECASE)
"""What browsers and file managers add to the name of a second download: 'AAPL (1)', 'AAPL - Copy'."""
_INTERVAL = re.compile(r"(?:,\s*|[-_ ])(?:1?d|1day|daily)(?:[_ ][0-9a-f]{5,8})?$", re.IGNORECASE)
"""Interval of daily bars at the end of a name: 'BTCUSDT-1d', 'BATS_AAPL, 1D', 'aapl_us_d'."""
_DESCRIPTION = re.compile(
    r"[-_ ]+(?:stock[-_ ]+)?"
    r"(?:historical[-_ ]+(?:data|prices|quotes)|price[-_ ]+history|history|prices|quotes|ohlcv?|data"
    r"|historische[-_ ]+(?:daten|kurse|gegevens|data)|données[-_ ]+historiques|datos[-_ ]+históricos|dati[-_ ]+storici"
    r"|dados[-_ ]+históricos|dane[-_ ]+historyczne|historisk[-_ ]+data|historiska[-_ ]+(?:data|priser)"
    r"|data[-_ ]+historis|geçmiş[-_ ]+verileri|過去データ|历史数据|歷史數據|과거[-_ ]+데이터)$",
    re.IGNORECASE,
)
"""What the file holds, after its ticker: 'NVDA Historical Data', as investing.com writes it in its languages."""
_CHINESE = re.compile(r"(?<=[A-Za-z0-9])(?:历史数据|歷史數據|過去データ)$")
"""The same, which can follow without a space."""
_BEFORE = re.compile(r"^(?:прошлые данные|dữ liệu lịch sử)[-_ ]+", re.IGNORECASE)
"""The same, in the languages in which it is before the ticker: 'Прошлые данные - GAZP'."""
_WHOLE_HISTORY = re.compile(r"^([a-z0-9]{2,10}-[a-z]{3,4})-max$")
"""A coin and a currency as CoinGecko writes them: 'btc-usd-max'."""
_EXCHANGE = re.compile(
    r"^(?:AMEX|ASX|BATS|BINANCE|BSE|COINBASE|EURONEXT|FWB|HKEX|LSE|MIL|NASDAQ|NSE|NYSE|OTC|SIX|SSE|SZSE|TSE|TSX|XETR)"
    r"[_:](?=[A-Z0-9])"
)
"""Exchange before a ticker, as chart programs write it: 'BATS_AAPL'."""
_STOOQ = re.compile(r"^([a-z0-9]+)_([a-z]{2})$")
"""Ticker and country as Stooq writes them: 'aapl_us'."""
_NUMBERED = re.compile(r"^[A-Za-z.]+-\d{1,2}$")
"""A name with a small number after a hyphen, which is a ticker as likely as a second download of one."""


def ticker_in(stem: str) -> str | None:
    """Return the ticker in a file's name, in upper case; None if the name is not one, or leaves a doubt.

    Parameters
    ----------
    stem
        Name of the file without its ending.
    """
    name = _WHOLE_HISTORY.sub(r"\1", unicodedata.normalize("NFC", stem).strip())
    for addition in (_COPY, _INTERVAL, _DESCRIPTION, _CHINESE, _BEFORE):
        name = addition.sub("", name)
    name = _EXCHANGE.sub("", name)
    stooq = _STOOQ.match(name)
    if stooq and name != stem:
        name = f"{stooq[1]}.{stooq[2]}"
    if not _TICKER.fullmatch(name) or _NUMBERED.match(name):
        return None
    # A file called data.csv or Data.csv is hardly about the ticker DATA; one called DATA.csv can be.
    if not name.isupper() and re.sub(r"[-.]?\d*$", "", name).lower() in _WORDS:
        return None
    return name.upper()
