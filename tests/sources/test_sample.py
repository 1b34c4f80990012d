from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from importlib import metadata, resources

import pytest

from pm.errors import UnknownTickerError
from pm.sources import ACTIONS_SCHEMA, BARS_SCHEMA, SampleSource, Source


def test_every_cell_is_that_of_the_packaged_file() -> None:
    packed = (resources.files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    (bars,) = SampleSource().fetch().bars
    assert bars.schema == BARS_SCHEMA
    assert len(rows) == bars.height == 12_154
    for row, bar in zip(rows, bars.iter_rows(named=True), strict=True):
        assert bar == {
            "ticker": row["Ticker"],
            "date": date.fromisoformat(row["Date"]),
            "open": float(row["Open"]),
            "high": float(row["High"]),
            "low": float(row["Low"]),
            "close": float(row["Close"]),
            "adj_close": float(row["Adj Close"]),
            "volume": float(row["Volume"]),
            "source": "sample",
        }


def test_tickers_and_both_dates_included_restrict_the_bars() -> None:
    (bars,) = SampleSource().fetch(["MSFT", "AAPL"], date(2010, 1, 4), date(2010, 1, 6)).bars
    assert bars.select("ticker", "date").rows() == [
        (ticker, date(2010, 1, day)) for ticker in ("AAPL", "MSFT") for day in (4, 5, 6)
    ]


def test_the_frame_of_actions_is_empty_and_has_its_columns() -> None:
    actions = SampleSource().fetch().actions
    assert actions.is_empty()
    assert actions.schema == ACTIONS_SCHEMA


def test_a_part_of_a_ticker_is_unknown() -> None:
    with pytest.raises(UnknownTickerError, match=r"Unknown tickers: A, AAP\.") as caught:
        SampleSource().fetch(["A", "AAPL", "AAP"])
    assert "AAPL, FB, GOOG, IBM, MSFT" in caught.value.hint


def test_the_version_is_that_of_the_package() -> None:
    assert SampleSource().version() == f"bokeh-sampledata {metadata.version('bokeh-sampledata')}"


def test_it_is_a_source() -> None:
    assert isinstance(SampleSource(), Source)
