from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from pm.errors import InputError
from pm.sources.spellings import SPELLINGS, WEAK_SPELLINGS, match_columns, normalised

GERMAN_ADJUSTED = (
    "Schluss (bereinigt) Bereinigter Schlusskurs bereinigt um Splits sowie Dividenden- und/oder "
    "Kapitalgewinnausschüttungen."
)


def test_the_headers_of_vendors_are_matched() -> None:
    cases = [
        # yfinance, one ticker a file
        ("Date,Open,High,Low,Close,Adj Close,Volume", "date,open,high,low,close,adj_close,volume"),
        # stooq and MetaStock
        (
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            "ticker,,date,,open,high,low,close,volume,",
        ),
        # Alpha Vantage
        ("timestamp,open,high,low,close,adjusted_close,volume", "date,open,high,low,close,adj_close,volume"),
        # nasdaq.com
        ("Date,Close/Last,Volume,Open,High,Low", "date,close,volume,open,high,low"),
        # Investing.com
        ("Date,Price,Open,High,Low,Vol.,Change %", "date,close,open,high,low,volume,"),
        # the S&P 500 set that many courses use
        ("date,open,high,low,close,volume,Name", "date,open,high,low,close,volume,ticker"),
        # Tiingo
        ("date,close,high,low,open,volume,adjClose,adjHigh,divCash", "date,close,high,low,open,volume,adj_close,,"),
        ("SYMBOL,TRADE_DATE,Last Price,Vendor", "ticker,date,close,source"),
        # pandas, with an index that has no name
        (",Close", "date,close"),
        ("__index_level_0__,close", "date,close"),
        # the blank cell after a trailing delimiter is not an index
        ("Date,Close,", "date,close,"),
        ("Datetime,Symbol,Adj. Close,Close", "date,ticker,adj_close,close"),
    ]
    wanted = {header: {f: place for place, f in enumerate(expected.split(",")) if f} for header, expected in cases}
    assert {header: match_columns(header.split(","), where="f") for header in wanted} == wanted


def test_the_best_match_is_used() -> None:
    headers = ["date,Last,close", "date,Close,close", "date,Last,Close", "date,Price,Last", "date,Last,Settle"]
    assert {header: match_columns(header.split(","), where="f")["close"] for header in headers} == dict.fromkeys(
        headers, 2
    )


def test_two_columns_that_match_equally_well_are_refused_by_name() -> None:
    for header in ("date,Close,CLOSE", "date,Settle,Schlusskurs", "date,close,close"):
        _, first, second = header.split(",")
        with pytest.raises(InputError, match=f"{first!r} and {second!r} could both be the close"):
            match_columns(header.split(","), where="f")


def test_adjusted_closes_without_closes_are_used_as_closes() -> None:
    assert match_columns(["Date", "Adj Close"], where="f") == {"date": 0, "adj_close": 1, "close": 1}


def test_the_message_for_a_missing_column_lists_those_there_are() -> None:
    cases = [
        ("Dat,Close", "No date column; found 'Dat', 'Close'. Did you mean 'Dat'?"),
        ("Date,Clsoe", "No close column; found 'Date', 'Clsoe'. Did you mean 'Clsoe'?"),
        ("foo,bar", "No date column; found 'foo', 'bar'."),
        ("Date,Open,High,Low", "No close column; found 'Date', 'Open', 'High', 'Low'."),
    ]
    for header, message in cases:
        with pytest.raises(InputError) as caught:
            match_columns(header.split(","), where="f")
        assert caught.value.what == message


def test_a_file_with_columns_of_other_names_is_told_how_tickers_are_written() -> None:
    cases = {
        "Datum,eni,race": "such as ENI, RACE; or",
        "Date,Apple Inc,Microsoft Corp": "such as AAPL; or",
        "date,AA Close,AA Volume,BB Close,BB Volume": "such as AAPL; or",
    }
    for header, hint in cases.items():
        with pytest.raises(
            InputError, match="one per ticker, are read if their names are tickers in capitals"
        ) as caught:
            match_columns(header.split(","), where="f")
        assert "Did you mean" not in caught.value.what
        assert hint in caught.value.hint
    with pytest.raises(InputError, match="Did you mean 'Clsoe'"):
        match_columns(["Date", "Clsoe", "Note"], where="f")


def test_the_headers_of_investing_com_in_other_languages_are_matched() -> None:
    headers = [
        "Дата,Цена,Откр.,Макс.,Мин.,Объём,Изм. %",
        "日期,收盘,开盘,高,低,交易量,涨跌幅",
        "日期,收市,開市,高,低,成交量,更改%",
        "日付け,終値,始値,高値,安値,出来高,変化率 %",
        "날짜,종가,시가,고가,저가,거래량,변동 %",
        "날짜,현재가,오픈,고가,저가,거래량,변동 %",
        "Data,Ostatnio,Otwarcie,Max.,Min.,Wol.,Zmiana%",
        "Datum,Senaste,Öppning,Högst,Lägst,Vol.,+/- %",
        "Tanggal,Terakhir,Pembukaan,Tertinggi,Terendah,Vol.,Perubahan%",
        "Ngày,Lần cuối,Mở,Cao,Thấp,KL,% Thay đổi",
        "Tarih,Şimdi,Açılış,Yüksek,Düşük,Hac.,Fark %",
        "Data,Último,Abertura,Máxima,Mínima,Vol.,Var%",
    ]
    expected = {"date": 0, "close": 1, "open": 2, "high": 3, "low": 4, "volume": 5}
    for header in headers:
        for form in ("NFC", "NFD"):
            assert match_columns(unicodedata.normalize(form, header).split(","), where="f") == expected, header


def test_the_headers_of_exchanges_and_portals_are_matched() -> None:
    cases = [
        # ariva.de, with and without umlauts
        ("Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen", "date;open;high;low;close;volume;"),
        ("Datum;Erster;Hoch;Tief;Schlusskurs;Stücke;Volumen", "date;open;high;low;close;volume;"),
        ("Date;Close;Volume;Shares traded", "date;close;;volume"),
        ("Datum;Schlusskurs;Volumen", "date;close;volume"),
        # Nasdaq Nordic, with a delimiter at the end of each line
        (
            "Date;Bid;Ask;Opening price;High price;Low price;Closing price;Average price;Total volume;Turnover;Trades;",
            "date;;;open;high;low;close;;volume;;;",
        ),
        # Euronext
        (
            "Date;Open;High;Low;Last;Close;Number of Shares;Number of Trades;Turnover;vwap",
            "date;open;high;low;;close;volume;;;",
        ),
        ("date;ouv;haut;bas;clot;vol;devise", "date;open;high;low;close;volume;"),
        ("Datum;Kurs", "date;close"),
        # the exchanges of Frankfurt, Warsaw and Stockholm
        (
            "Datum;Eröffnung;Schluss;Tageshoch;Tagestief;Umsatz (Stück);Umsatz (€)",
            "date;open;close;high;low;volume;",
        ),
        (
            "Data;Nazwa;ISIN;Waluta;Kurs otwarcia;Kurs max;Kurs min;Kurs zamknięcia;Zmiana;Wolumen",
            "date;;;;open;high;low;close;;volume",
        ),
        ("Datum;Kl;Senast;Volym", "date;;close;volume"),
        ("Datum;Kl;Senast", "date;;close"),
        # CoinGecko, whose volume is an amount of money
        ("snapped_at;price;market_cap;total_volume", "date;close;;"),
        # the number of shares can be that of shares outstanding
        ("Date;Close;Volume;Number of shares", "date;close;volume;"),
        ("Date;Close;Vol.;Total volume", "date;close;volume;"),
        ("Date;Close (adjusted);Close (unadjusted);Volume", "date;adj_close;close;volume"),
        ("date;close;closeadj;closeunadj", "date;close;adj_close;"),
        (
            # the page of Yahoo in German, whose headings hold their explanations
            f"Datum;Schluss Schlusskurs bereinigt um Splits.;{GERMAN_ADJUSTED}",
            "date;close;adj_close",
        ),
    ]
    wanted = {header: {f: place for place, f in enumerate(expected.split(";")) if f} for header, expected in cases}
    assert {header: match_columns(header.split(";"), where="f") for header in wanted} == wanted


def test_no_name_stands_for_two_columns() -> None:
    words = [word for table in (SPELLINGS, WEAK_SPELLINGS) for group in table.values() for word in group]
    assert len(words) == len(set(words))
    assert all(word == normalised(word) for word in words)


def test_every_name_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|\n]*) \|", text, flags=re.MULTILINE)
    words_of = re.compile(r"[,;]|\(beside \w+\)")
    documented: dict[str, set[str]] = {}
    for field, words in rows:
        documented.setdefault(field, set()).update(normalised(word.strip(" ¹")) for word in words_of.split(words))
    for field, spellings in SPELLINGS.items():
        known = {*spellings, *WEAK_SPELLINGS.get(field, ())} - {normalised(field), "", "indexlevel0"}
        assert documented[field] - {"anunnamedfirstcolumn", ""} == known
