"""Files that libraries choke on, or that are made to exhaust whoever reads them, are refused like any other."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from pm.errors import InputError
from pm.sources import inspect_file, inspect_files, read_file
from pm.sources.refusal import quoted, refusal_of, refusing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    Write = Callable[[str, str | bytes], Path]
    BarsOf = Callable[[Path], pl.DataFrame]
    Refusal = Callable[[str, str | bytes], InputError]

MB = 1 << 20


def test_a_panic_of_a_library_is_the_files_error_and_an_interrupt_is_not() -> None:
    panicking = type("PanicException", (BaseException,), {})
    with (
        pytest.raises(InputError, match="cannot be read: PanicException: index out of bounds") as caught,
        refusing("x"),
    ):
        raise panicking("index out of bounds\nnote: run with RUST_BACKTRACE=1")
    assert caught.value.where == "x"
    with pytest.raises(KeyboardInterrupt), refusing("x"):
        raise KeyboardInterrupt
    with pytest.raises(InputError, match="its own words"), refusing("x"):
        raise InputError("its own words")


def test_long_cells_are_cut_in_messages(refusal: Refusal) -> None:
    assert quoted("short") == "'short'"
    assert quoted(5) == "5"
    for row in ("{0},5", "2020-01-02,{0}"):
        error = refusal("A.csv", f"date,close\n{row.format('x' * 100_000)}\n")
        assert len(error.what) < 200
        assert "100,000 characters" in error.what
        assert error.where.endswith("line 2")
    error = refusal("A.csv", f"date,{'y' * 100_000}\n2020-01-02,5\n")
    assert len(str(error)) < 500


@pytest.mark.parametrize("place", [0, 1])
def test_a_cell_longer_than_the_csv_module_reads_is_refused_with_its_line(refusal: Refusal, place: int) -> None:
    cells = [["2020-01-03", "6"], ["2020-01-04", "x"]][place:]
    cells[0][1] = "x" * (csv.field_size_limit() + 1)
    rows = "".join(",".join(row) + "\n" for row in cells)
    error = refusal("A.csv", f"date,close\n2020-01-02,5\n{rows}")
    assert error.where.endswith("line 3")
    assert "131,072 characters" in error.what


def test_typed_dates_far_from_today_are_refused_with_their_row(tmp_path: Path) -> None:
    far = 40_000_000
    columns = {
        "date": pa.array([18_000, far], pa.int32()).cast(pa.date32()),
        "datetime": pa.array([18_000 * 86_400_000, far * 86_400_000], pa.int64()).cast(pa.timestamp("ms")),
        "zoned": pa.array([18_000 * 86_400_000, -far * 86_400_000], pa.int64()).cast(pa.timestamp("ms", "Asia/Tokyo")),
        "before": pa.array([18_000, -100_000], pa.int32()).cast(pa.date32()),
    }
    for name, dates in columns.items():
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(pa.table({"ticker": ["A", "A"], "date": dates, "close": [1.0, 2.0]}), path)
        with pytest.raises(
            InputError, match="A date in column 'date' is before 1800-01-01 or after 2199-12-31"
        ) as caught:
            list(read_file(inspect_file(path)))
        assert caught.value.where == f"{path}, row 2"


def test_decimals_of_any_width_are_read(tmp_path: Path, bars_of: BarsOf) -> None:
    for bits, kind in {128: pa.decimal128(20, 4), 256: pa.decimal256(50, 4)}.items():
        path = tmp_path / f"D{bits}.parquet"
        closes = pa.array([Decimal("12.3456"), None], kind)
        dates = pa.array([18_000, 18_001], pa.int32()).cast(pa.date32())
        parquet.write_table(pa.table({"date": dates, "close": closes, "volume": closes}), path)
        assert bars_of(path)["close"].to_list() == [12.3456, None]


def test_compressed_text_that_grows_without_end_is_refused_early(tmp_path: Path) -> None:
    bar = b"2020-01-02,5\n" * 80_000
    with gzip.open(tmp_path / "A.csv.gz", "wb") as stream:
        stream.write(b"date,close\n")
        for _ in range(80):
            stream.write(bar)
    with zipfile.ZipFile(tmp_path / "B.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("B.csv", b"date,close\n" + bar * 80)
    with zipfile.ZipFile(tmp_path / "C.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bar * 80)
    inspected = inspect_files([tmp_path])
    assert inspected.plans == []
    assert ["100 times its size" in error.what for error in inspected.refused] == [True] * 3


def test_a_large_file_of_real_rows_is_no_bomb(tmp_path: Path, bars_of: BarsOf) -> None:
    rows = "".join(f"T{n},2020-01-02,{n % 9_973 / 100}\n" for n in range(200_000))
    (tmp_path / "big.csv.gz").write_bytes(gzip.compress(f"ticker,date,close\n{rows}".encode(), 1))
    assert bars_of(tmp_path / "big.csv.gz").height == 200_000


@pytest.mark.parametrize("text", [b"," * (3 * MB), b"x" * (3 * MB), b"date,close\n" + b"," * (3 * MB)])
def test_a_line_without_end_is_refused(tmp_path: Path, text: bytes) -> None:
    for name in ("A.csv", "A.csv.gz"):
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        with pytest.raises(InputError, match="A line has more than 1,048,576 bytes"):
            inspect_file(tmp_path / name)


def test_a_header_of_more_columns_than_any_market_is_refused(refusal: Refusal) -> None:
    assert "A row has 30,001 fields" in refusal("A.csv", "," * 30_000 + "\n").what


def test_blank_lines_without_end_are_no_header(refusal: Refusal) -> None:
    assert "empty" in refusal("A.csv", "\n" * 100_000).what


def test_one_bad_file_stops_neither_the_others_nor_their_errors(tmp_path: Path) -> None:
    contents: dict[str, bytes] = {
        "good.csv": b"ticker,date,close\nA,2020-01-02,5\n",
        "word.csv": b"ticker,date,close\nA,2020-01-02,five\n",
        "noclose.csv": b"ticker,date,mood\nA,2020-01-02,5\n",
        "cut.csv.gz": gzip.compress(b"ticker,date,close\n" * 1000)[:-20],
        "fake.parquet": b"text",
        "empty.csv": b"",
        "zero.csv": b"date\0close\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    inspected = inspect_files([tmp_path])
    assert [plan.path.name for plan in inspected.plans] == ["good.csv", "word.csv"]
    message = str(inspected.refusal())
    assert "Of 7 files 6 cannot be imported; nothing was imported." in message
    assert [name in message for name in contents] == [name != "good.csv" for name in contents]
    assert message.count("try:") == 1
    assert "--keep-going" in message


def test_the_error_of_one_file_of_several_stays_its_own() -> None:
    error = InputError("It is empty.", where="x.csv", hint="fill it")
    alone = refusal_of([error], files=1, others_landed=False)
    assert (alone.what, alone.where, alone.hint) == ("It is empty.", "x.csv", "fill it")
    assert "--keep-going" in refusal_of([error], files=3, others_landed=False).hint
    landed = refusal_of([error], files=3, others_landed=True)
    assert landed.hint == "fill it"
    assert landed.__notes__ == ["Of 3 files 1 cannot be imported; 2 other files were imported."]


def test_a_corrupt_member_leaves_the_others_of_its_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("A.csv", "date,close\n2020-01-02,5\n")
        archive.writestr("B.csv", "date,close\nsoon,5\n")
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    inspected = inspect_files([tmp_path / "x.zip"])
    assert [plan.ticker for plan in inspected.plans] == ["A"]
    assert [error.where for error in inspected.refused] == [f"{tmp_path / 'x.zip'}, B.csv, line 2"]
