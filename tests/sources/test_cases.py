"""Files of the kinds that vendors, exchanges and spreadsheets write, and the bars that are in them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import InputError
from pm.sources import inspect_file, read_file

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str, str | bytes], Path]
    BarsOf = Callable[[Path], pl.DataFrame]

CASES = Path(__file__).with_name("cases")

# File to the ticker, date, close and volume of one of its bars, and its number of bars.
READ = {
    "decimal-comma-three-places/BTP.csv": ("BTP", "2024-01-15", 1.087, None, 3),
    "decimal-comma-three-places/FUND.csv": ("FUND", "2024-01-15", 108.745, 1234.0, 3),
    "decimal-comma-three-places/IBEXCO.csv": ("IBEXCO", "2019-07-22", 10.081, None, 3),
    "decimal-comma-three-places/SAIPEM.csv": ("SAIPEM", "2024-01-15", 0.875, None, 6),
    "decimal-comma-three-places/YIELD.csv": ("YIELD", "2024-01-17", 0.894, None, 3),
    "nse-indian-grouping/M&M.csv": ("M&M", "2024-01-15", 1650.0, 2_100_000.0, 2),
    "nse-indian-grouping/MRF.csv": ("MRF", "2024-01-16", 136_180.2, None, 2),
    "nse-indian-grouping/RELIANCE.csv": ("RELIANCE", "2024-01-17", 2674.1, 8_156_310.0, 3),
    "investing-com-english/EURUSD.csv": ("EURUSD", "2024-01-17", 1.0882, None, 3),
    "investing-com-english/NVDA.csv": ("NVDA", "2024-01-17", 560.53, 47_440_000.0, 3),
    "nse-bhavcopy-series/cm15JAN2024bhav.csv": ("ACMEPOWER", "2024-01-15", 234.85, 4_812_003.0, 2),
    "encodings/BMW.csv": ("BMW", "2024-01-15", 98.9, 1_200_300.0, 2),
    "encodings/CRCRLF.csv": ("CRCRLF", "2024-01-16", 1.6, None, 2),
    "encodings/CRONLY.csv": ("CRONLY", "2024-01-16", 1.6, None, 2),
    "encodings/NBSP.csv": ("NBSP", "2024-01-15", 1234.5, None, 2),
    "encodings/ORANGE.csv": ("ORANGE", "2024-01-15", 9.9, None, 2),
    "encodings/SAP.csv": ("SAP", "2024-01-15", 140.9, 1_200_300.0, 2),
    "encodings/SEP.csv": ("SEP", "2024-01-16", 1.6, None, 2),
    "encodings/U16.csv": ("U16", "2024-01-15", 2.0, None, 1),
    "dates/EST.csv": ("EST", "2024-01-15", 10.0, None, 2),
    "dates/GFIN.csv": ("GFIN", "2024-01-17", 10.1, None, 2),
    "dates/LONGMON.csv": ("LONGMON", "2024-01-15", 11.0, 10_000.0, 2),
    "dates/TWODIG.csv": ("TWODIG", "2024-01-17", 2.0, None, 2),
    "vendors/AAPL.csv": ("AAPL", "2024-01-17", 182.68, 47_317_430.0, 2),
    "vendors/BHP.csv": ("BHP", "2024-01-16", 46.7, 6_512_300.0, 2),
    "vendors/BRK-A.csv": ("BRK-A", "2024-01-16", 551_210.0, 9_800.0, 2),
    "vendors/CHRIS.csv": ("CHRIS", "2020-04-17", 18.27, 281_000.0, 1),
    "vendors/ES1.csv": ("ES1", "2024-01-17", 4767.75, 1_600_000.0, 2),
    "vendors/IBM.csv": ("IBM", "2024-01-17", 166.08, 4_000_000.0, 2),
    "vendors/USDJPY.csv": ("USDJPY", "2024-01-16", 147.18, 0.0, 2),
    "vendors/WIKI.csv": ("WIKI", "2014-06-09", 93.7, 75_415_000.0, 2),
    "vendors/aapl.us.txt": ("AAPL.US", "2024-01-16", 183.63, 65_603_041.5, 2),
    "vendors/binance.csv": ("BINANCE", "2024-01-17", 42_776.1, 33_266.21132, 1),
    "vendors/cdd.csv": ("BTC/USD", "2024-01-17", 42_750.0, None, 1),
    "vendors/pkn.csv": ("PKN", "2024-01-16", 63.9, 2_100_000.0, 2),
    "zipline-split-column/AAPL.csv": ("AAPL", "2024-02-13", 275.526, 1_500_000.0, 60),
    "vendors/tiingo.csv": ("AAPL", "2024-01-16", 183.63, 65_603_041.0, 1),
}

# File to what the message says.
REFUSED = {
    "dates/AMB.csv": "can be read with the day or the month first",
    "dates/EXCELMIX.csv": "'13/01/2020' in column 'Date' is not a date in the format of the first one",
    "dates/MIXED.csv": "'01/15/2020' in column 'Date' is not a date in the format of the first one",
    "dates/MSUS.csv": "is not a date in the format of the first one, milliseconds since 1970",
    "dates/SCI.csv": "'1.5778E+12' in column 'timestamp' is not a date",
    "dates/XLSERIAL.csv": "'45306' in column 'Date' is not a date",
}


def test_files_of_vendors_and_spreadsheets_are_read(bars_of: BarsOf) -> None:
    wrong = {}
    for name, (ticker, day, close, volume, count) in READ.items():
        bars = bars_of(CASES / name)
        found = bars.filter(ticker=ticker, date=date.fromisoformat(day)).select("close", "volume").rows()
        if (found, bars.height) != ([(close, volume)], count):
            wrong[name] = (found, bars.height)
    assert wrong == {}


def test_files_whose_dates_leave_a_doubt_are_refused(bars_of: BarsOf) -> None:
    for name, message in REFUSED.items():
        with pytest.raises(InputError) as caught:
            bars_of(CASES / name)
        assert message in caught.value.what, name


def test_every_case_is_read_or_refused() -> None:
    files = {path.relative_to(CASES).as_posix() for path in CASES.rglob("*") if path.is_file()}
    assert files == {*READ, *REFUSED, "tickers.csv"}


def test_tickers_that_look_like_values_are_kept(bars_of: BarsOf) -> None:
    bars = bars_of(CASES / "tickers.csv")
    spelled = [line.split(",")[0] for line in (CASES / "tickers.csv").read_text("utf-8").splitlines()[1:]]
    assert {"TRUE", "FALSE", "NA", "NAN"} <= set(bars["ticker"])
    assert bars["ticker"].to_list() == [ticker.strip('"') for ticker in spelled]


def test_a_column_called_name_gives_way_to_the_ticker_in_the_files_name(write: Write, bars_of: BarsOf) -> None:
    rows = "date,name,close\n2020-01-02,{0},5\n2020-01-03,{1},6\n"
    named = {"2781": "2781", "Bitcoin": "Bitcoin", "1": "2"}
    for first, second in named.items():
        assert set(bars_of(write("BTC.csv", rows.format(first, second)))["ticker"]) == {"BTC"}
    assert set(bars_of(write("BTC.csv", rows.format("ETH", "BTC")))["ticker"]) == {"ETH", "BTC"}
    assert set(bars_of(write("data.csv", rows.format("ETH", "ETH")))["ticker"]) == {"ETH"}


def test_the_ticker_is_found_in_names_as_browsers_and_vendors_write_them(write: Write, bars_of: BarsOf) -> None:
    named = {
        "AAPL (1).csv": "AAPL", "AAPL - Copy.csv": "AAPL", "aapl_us_d.csv": "AAPL.US", "BTCUSDT-1d.csv": "BTCUSDT",
        "BATS_AAPL, 1D.csv": "AAPL", "BATS_AAPL, 1D_3f2a9.csv": "AAPL", "NVDA Historical Data.csv": "NVDA",
        "TSLA_historical_prices (2).csv": "TSLA", "nifty50.csv": "NIFTY50", "M&M.csv": "M&M", "BRK-B.csv": "BRK-B",
        "^GSPC.csv": "^GSPC", "EURUSD=X.csv": "EURUSD=X", "005930.csv": "005930", "NA.csv": "NA", "DATA.csv": "DATA",
        "ENI Dati Storici.csv": "ENI", "PETR4 Dados Históricos.csv": "PETR4", "SAN Datos Históricos (2).csv": "SAN",
        "ABI - Données Historiques (1).csv": "ABI", "BASF11 Historische Daten.csv": "BASF11",
        "THYAO Geçmiş Verileri.csv": "THYAO", "AMZN 過去データ.csv": "AMZN", "600519历史数据.csv": "600519",
        "AAPL 과거 데이터.csv": "AAPL", "Прошлые данные - GAZP.csv": "GAZP", "btc-usd-max.csv": "BTC-USD",
        "kurse.xyz.csv": "KURSE.XYZ",
    }  # fmt: skip
    found = {name: set(bars_of(write(name, "Date,Close\n2024-01-15,10\n"))["ticker"]) for name in named}
    assert found == {name: {ticker} for name, ticker in named.items()}


def test_names_that_are_no_tickers_are_refused_until_the_ticker_is_said(write: Write) -> None:
    names = [
        "Data", "Book1", "Sheet1", "Prices", "stock", "output", "Historical", "HistoricalPrices", "AAPL-2", "Mappe1",
        "HistoricalData_1705500000000", "my prices", "Table (3)", "untitled 2", "kurse",
        "Dati Storici", "历史数据", "IBEX 35 Datos Históricos",
    ]  # fmt: skip
    for name in names:
        path = write(f"{name}.csv", "Date,Close\n2024-01-15,10\n")
        with pytest.raises(InputError, match="No ticker") as caught:
            inspect_file(path)
        assert "--ticker" in caught.value.hint
        assert pl.concat(read_file(inspect_file(path, ticker="TSLA")))["ticker"].to_list() == ["TSLA"]


def test_one_ticker_is_not_given_to_a_file_of_several(write: Write) -> None:
    rows = "ticker,date,close\nA,2020-01-02,5\nB,2020-01-02,6\n"
    with pytest.raises(InputError, match="has several: A, B"):
        inspect_file(write("x.csv", rows), ticker="TSLA")
    assert inspect_file(write("x.csv", rows.replace("B,", "A,")), ticker="TSLA").ticker == "TSLA"


def test_how_a_file_is_read_is_noted(write: Write) -> None:
    text = "Kurse von gestern, ohne Gewähr\nDatum;Schluss\n16.01.24;1.230,5\n17.01.24;1.234,5\nStand: heute\n"
    plan = inspect_file(write("BMW.csv", text.encode("cp1252")))
    assert plan.notes == (
        "the text is in Windows-1252",
        "lines left out: Kurse von gestern, ohne Gewähr, Stand: heute",
        "decimal commas",
        "dates as DD.MM.YY",
    )
    assert inspect_file(write("A.csv", "Date,Close\n2020-01-02,1.5\n")).notes == ()


def test_delimiters_at_the_end_of_lines_are_not_shown(write: Write) -> None:
    plan = inspect_file(write("A.csv", "IBM common stock,,,\n,,,\nDate,Close,Trades,\n2020-01-02,1.5,3,\n"))
    assert plan.notes == ("lines left out: IBM common stock",)
    assert plan.ignored == ("Trades",)
    assert inspect_file(write("B.csv", ",,\nDate,Close,Volume\n2020-01-02,1.5,1\n")).notes == ()
