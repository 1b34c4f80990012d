from __future__ import annotations

import csv
import gzip
import io
from datetime import date
from importlib import metadata, resources

import polars as pl

from pm.sources import ACTIONS_SCHEMA, BARS_SCHEMA, Answer, Ask, Failure, SampleSource, Source
from pm.tables.vocabulary import FailureReason

LAST = date(2026, 1, 1)


def fetched(*asks: Ask) -> list[Answer | Failure]:
    return list(SampleSource().fetch(asks))


def answer(ask: Ask) -> Answer:
    (found,) = fetched(ask)
    assert isinstance(found, Answer)
    return found


def test_every_cell_is_that_of_the_packaged_file() -> None:
    packed = (resources.files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    bars = pl.concat([answer(Ask(ticker, ticker, None, LAST)).bars for ticker in SampleSource().tickers()])
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


def test_both_dates_included_restrict_the_bars() -> None:
    bars = answer(Ask("MSFT", "MSFT", date(2010, 1, 4), date(2010, 1, 6))).bars
    assert bars.select("ticker", "date").rows() == [("MSFT", date(2010, 1, day)) for day in (4, 5, 6)]


def test_the_bars_have_the_ticker_of_the_lake() -> None:
    assert set(answer(Ask("Microsoft", "MSFT", None, LAST)).bars["ticker"]) == {"Microsoft"}


def test_the_frame_of_actions_is_empty_and_has_its_columns() -> None:
    actions = answer(Ask("IBM", "IBM", None, LAST)).actions
    assert actions.is_empty()
    assert actions.schema == ACTIONS_SCHEMA


def test_a_part_of_a_ticker_is_unknown_and_the_others_are_answered() -> None:
    found = fetched(Ask("A", "A", None, LAST), Ask("AAPL", "AAPL", None, LAST), Ask("AAP", "AAP", None, LAST))
    failures = {outcome.ask.ticker: outcome for outcome in found if isinstance(outcome, Failure)}
    assert set(failures) == {"A", "AAP"}
    assert failures["A"].reason is FailureReason.GONE
    assert "AAPL, FB, GOOG, IBM, MSFT" in failures["A"].detail
    assert isinstance(found[1], Answer)


def test_the_version_is_that_of_the_package() -> None:
    assert SampleSource().version() == f"bokeh-sampledata {metadata.version('bokeh-sampledata')}"


def test_it_is_a_source() -> None:
    assert isinstance(SampleSource(), Source)
