from __future__ import annotations

import re
from pathlib import Path

import pytest

from pm.errors import InputError
from pm.sources.spellings import SPELLINGS, WEAK_SPELLINGS, match_columns, normalised


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


def test_a_file_with_a_column_per_ticker_is_refused_with_the_statement_that_converts_it() -> None:
    with pytest.raises(InputError, match="column per ticker") as caught:
        match_columns(["Date", "AAPL", "MSFT", "XOM"], where="f")
    assert "UNPIVOT" in caught.value.hint
    assert '"Date"' in caught.value.hint


def test_no_name_stands_for_two_columns() -> None:
    words = [word for table in (SPELLINGS, WEAK_SPELLINGS) for group in table.values() for word in group]
    assert len(words) == len(set(words))
    assert all(word == normalised(word) for word in words)


def test_every_name_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|\n]*) \|", text, flags=re.MULTILINE)
    documented: dict[str, set[str]] = {}
    for field, words in rows:
        documented.setdefault(field, set()).update(normalised(word.strip(" ¹")) for word in re.split("[,;]", words))
    for field, spellings in SPELLINGS.items():
        known = {*spellings, *WEAK_SPELLINGS.get(field, ())} - {normalised(field), "", "indexlevel0"}
        assert documented[field] - {"anunnamedfirstcolumn"} == known
