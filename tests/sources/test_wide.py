"""Files with columns of their own for each ticker; those of yfinance are written by pandas here."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pm.errors import InputError
from pm.sources import inspect_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str | bytes], Path]
    BarsOf = Callable[[Path], pl.DataFrame]

DAYS = pd.date_range("2024-01-02", periods=4, name="Date")


def yfinance_table(fields: list[str], tickers: list[str], names: list[str | None]) -> pd.DataFrame:
    columns = pd.MultiIndex.from_product([fields, tickers], names=names)
    values = np.arange(1.0, 1 + len(DAYS) * len(columns)).reshape(len(DAYS), -1) / 8
    return pd.DataFrame(values, index=DAYS, columns=columns)


@pytest.mark.parametrize("fields", [["Close", "High", "Low", "Open", "Volume"], ["Adj Close", "Close"], ["Close"]])
@pytest.mark.parametrize("tickers", [["AAPL"], ["AAPL", "MSFT"], ["BRK-B", "^GSPC", "EURUSD=X"]])
def test_a_table_of_yfinance_is_read_as_pandas_writes_it(
    tmp_path: Path, bars_of: BarsOf, fields: list[str], tickers: list[str]
) -> None:
    levels: list[list[str | None]] = [["Price", "Ticker"], [None, None]]
    for number, names in enumerate(levels):
        table = yfinance_table(fields, tickers, names)
        turned = table.swaplevel(axis=1).sort_index(axis=1)  # as with group_by="ticker"
        paths = []
        for kind, frame in (("plain", table), ("turned", turned)):
            paths += [tmp_path / f"{kind}{number}.csv", tmp_path / f"{kind}{number}.parquet"]
            frame.to_csv(paths[-2])
            frame.to_parquet(paths[-1])
        for path in paths:
            bars = bars_of(path)
            assert bars.height == len(DAYS) * len(tickers), path
            for ticker in tickers:
                own = bars.filter(ticker=ticker).sort("date")
                assert own["date"].to_list() == [day.date() for day in DAYS]
                for field in fields:
                    found = own[field.lower().replace(" ", "_")].to_list()
                    assert found == table[field][ticker].to_list(), (path, ticker, field)


def test_a_file_with_a_column_of_closes_a_ticker_is_read(write: Write, bars_of: BarsOf) -> None:
    text = "date,GOOG,BRK.B,FB\n2012-05-17,310.1,75.7,\n2012-05-18,299.0,75.8,38.2\n"
    expected = [
        ("BRK.B", date(2012, 5, 17), 75.7), ("BRK.B", date(2012, 5, 18), 75.8), ("FB", date(2012, 5, 18), 38.2),
        ("GOOG", date(2012, 5, 17), 310.1), ("GOOG", date(2012, 5, 18), 299.0),
    ]  # fmt: skip
    for name, content in (("stock.csv", text), ("x.txt", text.replace(",", "\t")), ("y.csv", text.replace(",", ";"))):
        bars = bars_of(write(name, content)).sort("ticker", "date")
        assert bars.select("ticker", "date", "close").rows() == expected


def test_other_figures_beside_dates_are_not_taken_for_prices(write: Write) -> None:
    for header in ("Date,Cash,Equity", "Date,Fed Funds,10Y Yield", "Date,Sales", "Date,Open,High", "Date,aapl,msft"):
        with pytest.raises(InputError, match="No close column"):
            inspect_file(write("x.csv", f"{header}\n2020-01-02{',1' * header.count(',')}\n"))


@pytest.mark.parametrize(
    ("header", "close"),
    [
        ("DATE,PRICE", 5.0), ("DATE,VALUE", 5.0), ("DATE,LAST,PE", 5.0), ("DATE,PX_LAST", 5.0), ("DATE,C", 5.0),
        ("DATE,O,H,L,C,V,VWAP", 8.0), ("DATE,DIVIDEND,PRICE", 6.0), ("DATE,SETTLEMENT,OI", 5.0),
    ],
)  # fmt: skip
def test_the_names_of_prices_in_capitals_are_no_tickers(
    header: str, close: float, write: Write, bars_of: BarsOf
) -> None:
    cells = [str(5 + place) for place in range(header.count(","))]
    bars = bars_of(write("AAPL.csv", "\n".join([header, *(f"2024-01-0{day},{','.join(cells)}" for day in (2, 3))])))
    assert bars.select("ticker", "close").rows() == [("AAPL", close)] * 2


@pytest.mark.parametrize("header", ["SYMBOL,DATE,PRICE", "TICKER,TIME,VALUE", "CODE,DATE,PX_LAST"])
def test_a_file_in_capitals_with_a_column_of_tickers_is_read_by_it(header: str, write: Write, bars_of: BarsOf) -> None:
    bars = bars_of(write("x.csv", f"{header}\nAAPL,2024-01-02,5\nMSFT,2024-01-02,6\n"))
    assert bars.select("ticker", "close").rows() == [("AAPL", 5.0), ("MSFT", 6.0)]


def test_tickers_of_one_letter_beside_others_are_tickers(write: Write, bars_of: BarsOf) -> None:
    bars = bars_of(write("x.csv", "DATE,AAPL,C,V\n2024-01-02,5,6,7\n"))
    assert dict(bars.select("ticker", "close").iter_rows()) == {"AAPL": 5.0, "C": 6.0, "V": 7.0}


def test_tickers_that_are_names_of_prices_too_are_tickers_among_many(write: Write, bars_of: BarsOf) -> None:
    tickers = ["HD", "V", "T", "A", "AAPL", "MSFT", "DAY", "IBM", "KO", "C", "F", "O", "L", "LOW", "SYM", "XOM", "H"]
    tickers += ["JNJ", "PG", "UNH", "GE", "CAT", "BA", "MMM", "NKE", "DIS", "MRK"]
    cells = [str(5 + place) for place in range(len(tickers))]
    path = write("many.csv", f"Date,{','.join(tickers)}\n2024-01-02,{','.join(cells)}\n")
    assert dict(bars_of(path).select("ticker", "close").iter_rows()) == {
        ticker: float(5 + place) for place, ticker in enumerate(tickers)
    }


def test_the_tickers_of_columns_can_be_chosen_and_renamed(write: Write) -> None:
    from pm.sources import read_file

    path = write("x.csv", "date,GOOG,FB\n2012-05-18,299.0,38.2\n")
    assert pl.concat(read_file(inspect_file(path, tickers=["FB"])))["ticker"].to_list() == ["FB"]
    with pytest.raises(InputError, match="has several: FB, GOOG"):
        inspect_file(path, ticker="META")
    one = write("y.csv", "date,FB\n2012-05-18,38.2\n")
    assert pl.concat(read_file(inspect_file(one, ticker="META")))["ticker"].to_list() == ["META"]
    assert inspect_file(path).notes == ("columns of GOOG, FB",)


def test_a_bad_cell_of_a_wide_file_names_its_line_and_column(write: Write, bars_of: BarsOf) -> None:
    path = write("x.csv", "date,GOOG,FB\n2012-05-17,1,2\n2012-05-18,299.0,x\n")
    with pytest.raises(InputError, match="'x' in column 'FB' is not a number") as caught:
        bars_of(path)
    assert caught.value.where.endswith("line 3")


def test_tickers_that_are_headings_in_other_languages_keep_their_columns(write: Write, bars_of: BarsOf) -> None:
    bars = bars_of(write("x.csv", "Date,ALTO,CAO,KL\n2020-01-02,5,6,7\n"))
    assert sorted(bars.select("ticker", "close").rows()) == [("ALTO", 5.0), ("CAO", 6.0), ("KL", 7.0)]
    with pytest.raises(InputError, match="No ticker"):
        inspect_file(write("kurse.csv", "DATUM;KURS\n2020-01-02;5,25\n"))
