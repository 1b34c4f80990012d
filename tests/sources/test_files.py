from __future__ import annotations

import csv
import gzip
import hashlib
import os
from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.errors import InputError
from pm.sources import BARS_SCHEMA, Answer, Ask, SampleSource, inspect_file, read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    class Write(Protocol):
        def __call__(self, name: str, content: str | bytes) -> Path: ...

    BarsOf = Callable[[Path], pl.DataFrame]
    Refusal = Callable[[str, str | bytes], InputError]

TIDY = "ticker,date,open,high,low,close,volume\nAAPL,2020-01-02,1,3,0.5,2,100\nMSFT,2020-01-02,10,30,5,20,1000\n"


def sample() -> pl.DataFrame:
    sample = SampleSource()
    asks = [Ask(ticker, ticker, None, date(2026, 1, 1)) for ticker in sample.tickers()]
    return pl.concat([answer.bars for answer in sample.fetch(asks) if isinstance(answer, Answer)])


class TestRead:
    @pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "semicolon", "parquet"])
    def test_the_sample_data_are_read_unchanged_from_every_format(
        self, tmp_path: Path, write: Write, bars_of: BarsOf, kind: str
    ) -> None:
        bars = sample()
        if kind == "parquet":
            path = tmp_path / "all.parquet"
            bars.write_parquet(path, row_group_size=1_000)
        elif kind == "semicolon":
            path = write("all.csv", bars.write_csv(separator=";", decimal_comma=True))
        else:
            path = write(f"all.{kind}", bars.write_csv(separator="\t" if kind == "tsv" else ","))
        read = bars_of(path)
        assert read.schema == BARS_SCHEMA
        assert read.equals(bars)

    def test_columns_are_found_in_any_order_and_under_other_names(self, write: Write, bars_of: BarsOf) -> None:
        path = write("x.csv", "Vol.,LAST,foo,Symbol,Trade Date\n5,2.5,bar,AAPL,2020-01-02\n")
        assert bars_of(path).rows(named=True) == [
            {
                "ticker": "AAPL",
                "date": date(2020, 1, 2),
                "open": None,
                "high": None,
                "low": None,
                "close": 2.5,
                "adj_close": None,
                "volume": 5.0,
                "source": "files",
            }
        ]
        plan = inspect_file(path)
        assert plan.columns == {"ticker": "Symbol", "date": "Trade Date", "close": "LAST", "volume": "Vol."}
        assert plan.ignored == ("foo",)

    def test_rows_keep_their_order(self, write: Write, bars_of: BarsOf) -> None:
        shuffled = sample().sample(fraction=1, shuffle=True, seed=1)
        assert bars_of(write("x.csv", shuffled.write_csv())).equals(shuffled)

    @pytest.mark.parametrize("chunk_rows", [1, 7, 12_154, 1_000_000])
    def test_pieces_have_the_size_asked_for_and_all_rows(self, write: Write, chunk_rows: int) -> None:
        bars = sample()
        pieces = list(read_file(inspect_file(write("x.csv", bars.write_csv())), chunk_rows))
        assert all(piece.height == chunk_rows for piece in pieces[:-1])
        assert 0 < pieces[-1].height <= chunk_rows
        assert pl.concat(pieces).equals(bars)

    @pytest.mark.parametrize(
        "name",
        [
            "[x].csv",
            pytest.param("*.csv", marks=pytest.mark.posix),
            pytest.param("o'q\"%20?.csv", marks=pytest.mark.posix),
            "späce ü.csv",
            "-.csv",
        ],
    )
    def test_a_name_is_taken_literally(self, write: Write, bars_of: BarsOf, name: str) -> None:
        write("x.csv", "nonsense")
        assert bars_of(write(name, TIDY)).height == 2

    def test_a_source_column_is_kept_and_its_blanks_are_filled(self, write: Write, bars_of: BarsOf) -> None:
        path = write("x.csv", "ticker,date,close,source\nA,2020-01-02,1,acme\nA,2020-01-03,1,\n")
        assert bars_of(path)["source"].to_list() == ["acme", "files"]

    def test_adjusted_closes_without_closes_are_used_as_closes(self, write: Write, bars_of: BarsOf) -> None:
        bars = bars_of(write("A.csv", "Date,Adj Close\n2020-01-02,1.5\n"))
        assert bars.select("close", "adj_close").rows() == [(1.5, 1.5)]

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(
                    lambda text: text.strip() == text and text.strip("\ufeff") == text
                ),
                st.dates(date(1800, 1, 1), date(2199, 12, 31)),
                st.floats(allow_nan=False) | st.none(),
            ),
            min_size=1,
        )
    )
    @hypothesis_settings(deadline=None)
    def test_everything_the_csv_module_writes_is_read_unchanged(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        rows: list[tuple[str, date, float | None]],
    ) -> None:
        path = tmp_path_factory.mktemp("csv") / "x.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ticker", "date", "close"])
            writer.writerows(rows)
        read = pl.concat(read_file(inspect_file(path)))
        assert read.select("ticker", "date", "close").rows() == rows


class TestTicker:
    @pytest.mark.parametrize(
        ("name", "ticker"),
        [
            ("AAPL.csv", "AAPL"),
            ("aapl.csv", "AAPL"),
            ("brk.b.csv.gz", "BRK.B"),
            ("aapl.us.txt", "AAPL.US"),
            ("^GSPC.csv", "^GSPC"),
            ("EURUSD=X.tsv", "EURUSD=X"),
            ("BTC-USD.CSV", "BTC-USD"),
            ("7203.T.csv", "7203.T"),
            ("DATA.csv", "DATA"),
        ],
    )
    def test_the_ticker_of_a_file_without_a_ticker_column_is_its_name(
        self, write: Write, bars_of: BarsOf, name: str, ticker: str
    ) -> None:
        path = write(name, "Date\tClose\n2020-01-02\t5\n")
        assert bars_of(path)["ticker"].to_list() == [ticker]

    @pytest.mark.parametrize("name", ["data.csv", "prices.csv", "Historical Data.csv", "[x].csv", "a" * 16 + ".csv"])
    def test_a_file_without_a_ticker_is_refused(self, refusal: Refusal, name: str) -> None:
        assert "No ticker" in refusal(name, "Date,Close\n2020-01-02,5\n").what

    def test_a_blank_ticker_is_read_as_missing(self, write: Write, bars_of: BarsOf) -> None:
        assert bars_of(write("x.csv", "ticker,date,close\n,2020-01-02,5\n"))["ticker"].to_list() == [None]

    def test_tickers_such_as_na_and_null_are_tickers(self, write: Write, bars_of: BarsOf) -> None:
        rows = "".join(f"{ticker},2020-01-02,5\n" for ticker in ("NA", "NULL", "NAN", "TRUE", "1"))
        assert bars_of(write("x.csv", f"ticker,date,close\n{rows}"))["ticker"].to_list() == [
            "NA",
            "NULL",
            "NAN",
            "TRUE",
            "1",
        ]

    @pytest.mark.parametrize("filler", [0, 300_000])
    def test_rows_of_other_papers_than_shares_are_left_out_wherever_they_are(
        self, filler: int, write: Write, bars_of: BarsOf
    ) -> None:
        rows = [
            "AAA,EQ,2024-01-01,10", "AAA,EQ,2024-01-02,11", "AAA,BE,2024-01-03,12", "AAA,N2,2024-01-03,1012",
            "BOND,GB,2024-01-01,100.5",
            *(f"F{n % 997},EQ,{date(2000, 1, 1) + timedelta(days=n // 997)},5" for n in range(filler)),
            "AAA,N2,2024-01-04,1015",
        ]  # fmt: skip
        read = bars_of(write("bhav.csv", "\n".join(["symbol,series,date,close", *rows])))
        assert read.height == 4 + filler
        assert read.filter(ticker="AAA")["close"].to_list() == [10.0, 11.0, 12.0]
        assert read.filter(ticker="BOND")["close"].to_list() == [100.5]

    def test_rows_of_other_papers_are_left_out_of_a_file_of_one_ticker(self, write: Write, bars_of: BarsOf) -> None:
        rows = "EQ,2024-01-01,10\nN2,2024-01-01,1012\nBE,2024-01-02,11\n"
        assert bars_of(write("AAA.csv", f"series,date,close\n{rows}"))["close"].to_list() == [10.0, 11.0]

    def test_only_the_tickers_wanted_are_read(self, write: Write) -> None:
        (piece,) = read_file(inspect_file(write("x.csv", TIDY), tickers=["MSFT", "A"]))
        assert piece["ticker"].to_list() == ["MSFT"]

    def test_the_file_of_another_ticker_has_no_rows(self, write: Write) -> None:
        path = write("AAPL.csv", "Date,Close\n2020-01-02,5\n")
        assert list(read_file(inspect_file(path, tickers=["A"]))) == []
        assert len(list(read_file(inspect_file(path, tickers=["AAPL"])))) == 1


class TestFingerprint:
    def test_the_fingerprint_is_the_hash_of_the_content(self, write: Write) -> None:
        assert inspect_file(write("x.csv", TIDY)).fingerprint == hashlib.sha256(TIDY.encode()).hexdigest()

    def test_compression_does_not_change_the_fingerprint(self, write: Write) -> None:
        plain, packed = write("x.csv", TIDY), write("y.csv.gz", TIDY)
        assert inspect_file(plain).fingerprint == inspect_file(packed).fingerprint

    def test_equal_files_of_two_tickers_have_different_fingerprints(self, write: Write) -> None:
        content = "Date,Close\n2020-01-02,5\n"
        assert inspect_file(write("A.csv", content)).fingerprint != inspect_file(write("B.csv", content)).fingerprint

    def test_the_fingerprint_depends_on_the_tickers_that_are_read(self, write: Write) -> None:
        path = write("x.csv", TIDY)
        prints = {inspect_file(path, tickers=tickers).fingerprint for tickers in (None, [], ["AAPL"], ["AAPL", "MSFT"])}
        assert len(prints) == 4
        assert inspect_file(path, tickers=["A", "B"]).fingerprint == inspect_file(path, tickers=["B", "A"]).fingerprint


class TestRefusals:
    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a folder"):
            inspect_file(tmp_path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file"):
            inspect_file(tmp_path / "x.csv")

    @pytest.mark.parametrize("name", ["x.doc", "x", "x.gz", "x.json"])
    def test_a_name_with_another_ending_is_refused(self, refusal: Refusal, name: str) -> None:
        assert "format" in refusal(name, TIDY).what

    @pytest.mark.posix
    @pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
    def test_a_file_without_permission_is_refused(self, write: Write, name: str) -> None:
        path = write(name, TIDY)
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("root may read every file")
        with pytest.raises(InputError, match="no permission to read"):
            inspect_file(path)


MANGLED = st.sampled_from(
    [b"", b",", b'"', b"\n", b"\r", b"\0", b"\xff", b";", b"1", b"x", b"-", b"\xef\xbb\xbf", b"e9"]
)


@given(
    st.sampled_from(["x.csv", "x.csv.gz", "x.parquet", "AAPL.csv"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 3), MANGLED), min_size=1, max_size=5),
)
@hypothesis_settings(deadline=None)
def test_a_mangled_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, cuts: list[tuple[int, int, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("mangled") / name
    bars = sample().head(20)
    if name.endswith("parquet"):
        bars.write_parquet(path)
        content = path.read_bytes()
    else:
        content = bars.drop("ticker" if name == "AAPL.csv" else []).write_csv().encode()
        content = gzip.compress(content) if name.endswith("gz") else content
    for where, length, inserted in cuts:
        start = where % (len(content) + 1)
        content = content[:start] + inserted + content[start + length :]
    path.write_bytes(content)
    refused_at = None
    read = BARS_SCHEMA.to_frame()
    try:
        read = pl.concat([read, *read_file(inspect_file(path))])
    except InputError as error:
        refused_at = error.where
    assert refused_at is None or str(path) in refused_at
    assert read.schema == BARS_SCHEMA
    assert read["date"].null_count() == 0
