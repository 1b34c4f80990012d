from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Protocol

import pytest

from pm.errors import InputError
from pm.sources.delimited import sniff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    class Write(Protocol):
        def __call__(self, name: str, content: str | bytes) -> Path: ...

    BarsOf = Callable[[Path], pl.DataFrame]
    Exclusion = Callable[[str, str | bytes], InputError]

HEADER = "ticker,date,close\n"
ROW = "A,2020-01-02,5\n"


@pytest.mark.parametrize(
    "content",
    [
        HEADER + ROW * 2,
        (HEADER + ROW * 2).strip(),
        "\ufeff" + HEADER + ROW * 2,
        (HEADER + ROW * 2).replace("\n", "\r\n"),
        (HEADER + ROW * 2).replace("\n", "\r"),
        HEADER.replace("\n", "\r\n") + ROW + ROW,
        "\n\n" + HEADER + "\n" + ROW + "\n\n" + ROW + "\n\n\n",
        HEADER + ROW + ",,\n" + ROW + ",,\n",
        HEADER + '"A","2020-01-02","5"\n' * 2,
        '"ticker","date","close"\n' + ROW * 2,
        (HEADER + ROW * 2).replace(",", ";"),
        (HEADER + ROW * 2).replace(",", "\t"),
        '"a note, with commas, and more, and more";ticker;date;close\n' + ";A;2020-01-02;5\n" * 2,
        "ticker,date,close,\n" + "A,2020-01-02,5,\n" * 2,
        " ticker , date , close \n" + " A , 2020-01-02 , 5 \n" * 2,
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_two_rows_however_they_are_laid_out(write: Write, bars_of: BarsOf, name: str, content: str) -> None:
    bars = bars_of(write(name, content))
    assert bars.select("ticker", "close").rows() == [("A", 5.0)] * 2


def test_a_field_may_hold_delimiters_quotes_and_lines(write: Write, bars_of: BarsOf) -> None:
    bars = bars_of(write("x.csv", HEADER + '"A ""b"", c\nd",2020-01-02,"1,234.5"\n'))
    assert bars.select("ticker", "close").rows() == [('A "b", c\nd', 1234.5)]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (HEADER + ROW + "A,2020-01-03\n", 3, "A row has 2 fields, the header has 3."),
        (HEADER + ROW + "A,2020-01-03,5,6\n", 3, "A row has 4 fields, the header has 3."),
        (HEADER + ROW + "\n\n" + "A\n", 5, "A row has 1 field, the header has 3."),
        # a field of two lines, and then a fault: lines are counted, not rows
        (HEADER + '"A\nB",2020-01-02,5\nA,2020-01-03\n', 4, "A row has 2 fields, the header has 3."),
        ((HEADER + ROW + "A,2\n").replace("\n", "\r\n"), 3, "A row has 2 fields, the header has 3."),
        ((HEADER + ROW).encode() + b"\xe9,2020-01-03,5\n", 3, "The text is not UTF-8."),
        (HEADER + ROW + "A,2020-01-03,x\n", 3, "'x' in column 'close' is not a number."),
        (
            "\n" + HEADER + ROW + "\n" + "A,soon,5\n",
            5,
            "'soon' in column 'date' is not a date in the format of the first one, YYYY-MM-DD",
        ),
        (HEADER + ROW * 250_000 + '"x\ny",2020-01-02,5\n' + "A,2020-01-02,x\n", 250_004, "is not a number"),
        (HEADER + ROW * 1_000_000 + "A,2020-01-02\n", 1_000_002, "A row has 2 fields"),
    ],
)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_a_fault_is_named_with_its_line(
    refusal: Exclusion, name: str, content: str | bytes, line: int, what: str
) -> None:
    error = refusal(name, content)
    assert what in error.what
    assert error.where.endswith(f", line {line}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "The file is empty."),
        ("\n\n", "The file is empty."),
        (HEADER, "The file has a header and no rows."),
        (HEADER + "\n\n", "The file has a header and no rows."),
        (HEADER + ",,\n", "Column 'date' is empty."),
        (b"PAR1" + b"\0" * 100, "The file is Parquet, not CSV."),
        (b"PK\x03\x04 and so on", "The file is a zip archive or an Excel workbook, not CSV."),
        (b"\0\1\2\3" * 100, "The file is not text."),
        (HEADER.encode("utf-16"), "The file is text in UTF-16, not CSV."),
        (gzip.compress(HEADER.encode()), "The file is compressed by gzip, not CSV."),
    ],
)
def test_a_file_that_is_no_table(refusal: Exclusion, content: str | bytes, what: str) -> None:
    assert refusal("x.csv", content).what == what


@pytest.mark.parametrize("kept", [5, 0.5, -12, -4])
def test_a_compressed_file_cut_short(tmp_path: Path, bars_of: BarsOf, kept: float) -> None:
    packed = gzip.compress((HEADER + "".join(f"A,2020-01-02,{i}\n" for i in range(100_000))).encode())
    path = tmp_path / "x.csv.gz"
    path.write_bytes(packed[: int(kept * len(packed)) if kept == 0.5 else int(kept)])
    with pytest.raises(InputError, match=r"not gzip, or incomplete|damaged or incomplete"):
        bars_of(path)


def test_a_damaged_compressed_file(tmp_path: Path, bars_of: BarsOf) -> None:
    packed = bytearray(gzip.compress((HEADER + ROW * 1000).encode()))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "x.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"damaged or incomplete|not gzip, or incomplete"):
        bars_of(path)


def test_text_named_gz(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_text(HEADER + ROW)
    with pytest.raises(InputError, match="not gzip, or incomplete") as caught:
        bars_of(path)
    assert "remove .gz" in caught.value.hint


@pytest.mark.parametrize("rows_after", [1, 10, 100_000])
def test_a_quote_that_never_ends_is_found_where_it_begins(refusal: Exclusion, rows_after: int) -> None:
    error = refusal("x.csv", HEADER + ROW + 'A,"2020-01-03,5\n' + ROW * rows_after)
    assert error.where.endswith("line 3")


@pytest.mark.parametrize(
    "content",
    ['"ticker,date,close\n' + ROW * 100_000, HEADER + ROW + "A,2020-01-02,5" + "0" * 30_000_000 + "\n"],
)
def test_a_field_longer_than_any_is(refusal: Exclusion, content: str) -> None:
    assert "more than 131,072 characters" in refusal("x.csv", content).what


def test_the_delimiter_is_looked_for_outside_quotes(write: Write) -> None:
    assert sniff(write("x.csv", '"a,b,c,d";"e";f\n1;2;3\n')).delimiter == ";"
