from __future__ import annotations

import re
from pathlib import Path

import pytest

from pm.errors import InputError
from pm.sources.spellings import SPELLINGS, WEAK_SPELLINGS, match_columns, normalised


@pytest.mark.parametrize(
    ("header", "expected"),
    [
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
        # a trailing delimiter is no index
        ("Date,Close,", "date,close,"),
        ("Datetime,Symbol,Adj. Close,Close", "date,ticker,adj_close,close"),
    ],
)
def test_vendors_headers(header: str, expected: str) -> None:
    wanted = {field: place for place, field in enumerate(expected.split(",")) if field}
    assert match_columns(header.split(","), where="f") == wanted


@pytest.mark.parametrize(
    ("header", "close"),
    [("date,Last,close", 2), ("date,Close,close", 2), ("date,Last,Close", 2), ("date,Price,Last", 2)],
)
def test_the_nearer_spelling_wins(header: str, close: int) -> None:
    assert match_columns(header.split(","), where="f")["close"] == close


@pytest.mark.parametrize("header", ["date,Close,CLOSE", "date,Last,Settle", "date,close,close"])
def test_two_columns_equally_near_are_named(header: str) -> None:
    _, first, second = header.split(",")
    with pytest.raises(InputError, match=f"{first!r} and {second!r} could both be the close"):
        match_columns(header.split(","), where="f")


def test_adjusted_closes_alone_are_taken_for_closes() -> None:
    assert match_columns(["Date", "Adj Close"], where="f") == {"date": 0, "adj_close": 1, "close": 1}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Dat,Close", "No date column; found 'Dat', 'Close'. Did you mean 'Dat'?"),
        ("Date,Clsoe", "No close column; found 'Date', 'Clsoe'. Did you mean 'Clsoe'?"),
        ("foo,bar", "No date column; found 'foo', 'bar'."),
        ("Date,Open,High,Low", "No close column; found 'Date', 'Open', 'High', 'Low'."),
    ],
)
def test_a_missing_column_is_named_beside_what_was_found(header: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        match_columns(header.split(","), where="f")
    assert caught.value.what == message


def test_a_column_per_ticker_is_refused_with_the_way_to_turn_it() -> None:
    with pytest.raises(InputError, match="column per ticker") as caught:
        match_columns(["Date", "AAPL", "MSFT", "XOM"], where="f")
    assert "UNPIVOT" in caught.value.hint
    assert '"Date"' in caught.value.hint


def test_no_spelling_belongs_to_two_fields() -> None:
    words = [word for table in (SPELLINGS, WEAK_SPELLINGS) for group in table.values() for word in group]
    assert len(words) == len(set(words))
    assert all(word == normalised(word) for word in words)


def test_every_spelling_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "importing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, flags=re.MULTILINE)
    documented = {field: {normalised(word.strip(" ¹")) for word in re.split("[,;]", words)} for field, words in rows}
    for field, spellings in SPELLINGS.items():
        words = {*spellings, *WEAK_SPELLINGS.get(field, ())} - {normalised(field), "", "indexlevel0"}
        assert documented[field] - {"anunnamedfirstcolumn"} == words
