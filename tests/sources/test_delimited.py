from __future__ import annotations

import gzip
from datetime import date
from typing import TYPE_CHECKING, Protocol

import pytest

from pm.errors import InputError
from pm.sources import inspect_file
from pm.sources.delimited import sniff
from pm.sources.spellings import is_header
from pm.sources.text_file import TextFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    class Write(Protocol):
        def __call__(self, name: str, content: str | bytes) -> Path: ...

    BarsOf = Callable[[Path], pl.DataFrame]
    Refusal = Callable[[str, str | bytes], InputError]

HEADER = "ticker,date,close\n"
ROW = "A,2020-01-02,5\n"


def test_two_rows_are_read_in_every_layout(write: Write, bars_of: BarsOf) -> None:
    layouts = [
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
    ]
    for name in ("x.csv", "x.csv.gz"):
        found = {content: bars_of(write(name, content)).select("ticker", "close").rows() for content in layouts}
        assert {content: rows for content, rows in found.items() if rows != [("A", 5.0)] * 2} == {}


def test_a_quoted_field_can_contain_delimiters_quotes_and_line_breaks(write: Write, bars_of: BarsOf) -> None:
    bars = bars_of(write("x.csv", HEADER + '"A ""b"", c\nd",2020-01-02,"1,234.5"\n'))
    assert bars.select("ticker", "close").rows() == [('A "b", c\nd', 1234.5)]


def test_an_error_names_its_line(refusal: Refusal) -> None:
    cases: list[tuple[str | bytes, int, str]] = [
        (HEADER + ROW + "A,2020-01-03\n", 3, "A row has 2 fields, the header has 3."),
        (HEADER + ROW + "A,2020-01-03,5,6\n", 3, "A row has 4 fields, the header has 3."),
        (HEADER + ROW + "\n\n" + "A\n", 5, "A row has 1 field, the header has 3."),
        # a field of two lines before the error: lines are counted, not rows
        (HEADER + '"A\nB",2020-01-02,5\nA,2020-01-03\n', 4, "A row has 2 fields, the header has 3."),
        ((HEADER + ROW + "A,2\n").replace("\n", "\r\n"), 3, "A row has 2 fields, the header has 3."),
        ((HEADER + ROW).encode() + b"\x81,2020-01-03,5\n", 3, "The text is neither UTF-8 nor Windows-1252."),
        (HEADER + ROW + "BRK\n", 3, "A row has 1 field, the header has 3."),
        (HEADER + ROW + "2024-01-02 00:00\n", 3, "A row has 1 field, the header has 3."),
        (HEADER + ROW + "A,2020-01-03,x\n", 3, "'x' in column 'close' is not a number."),
        (
            "\n" + HEADER + ROW + "\n" + "A,soon,5\n",
            5,
            "'soon' in column 'date' is not a date in the format of the first one, YYYY-MM-DD",
        ),
        (HEADER + ROW * 250_000 + '"x\ny",2020-01-02,5\n' + "A,2020-01-02,x\n", 250_004, "is not a number"),
        (HEADER + ROW * 1_000_000 + "A,2020-01-02\n", 1_000_002, "A row has 2 fields"),
    ]
    offenders = []
    for name in ("x.csv", "x.csv.gz"):
        for content, line, what in cases:
            error = refusal(name, content)
            if what not in error.what or not error.where.endswith(f", line {line}"):
                offenders.append((name, content[:80], str(error)))
    assert offenders == []


@pytest.mark.parametrize(("encoding", "header", "shown"), [
    ("cp932", "日付,始値,高値,安値,終値,出来高", "Shift-JIS"),
    ("gb18030", "日期,开盘,最高,最低,收盘,成交量", "GB 18030"),
    ("cp949", "날짜,시가,고가,저가,종가,거래량", "the Korean of Windows"),
    ("big5", "日期,開盤價,最高價,最低價,收盤價,成交量", "Big5"),
    ("cp1251", "Дата,Откр.,Макс.,Мин.,Цена,Объём", "Windows-1251"),
    ("cp1250", "Data,Otwarcie,Najwyższy,Najniższy,Zamknięcie,Wolumen", "Windows-1250"),
    ("cp1254", "Tarih,Açılış,Yüksek,Düşük,Şimdi,Hac.", "Windows-1254"),
])  # fmt: skip
def test_text_in_the_encodings_of_other_countries_is_read(
    write: Write, bars_of: BarsOf, encoding: str, header: str, shown: str
) -> None:
    rows = "".join(f"2020-01-0{day},4.5,6,4,5.25,{day}000\n" for day in range(2, 8))
    path = write("X.csv", f"{header}\n{rows}".encode(encoding))
    assert inspect_file(path).notes == (f"the text is in {shown}",)
    expected = [(date(2020, 1, day), 4.5, 6.0, 4.0, 5.25, day * 1000.0) for day in range(2, 8)]
    assert bars_of(path).select("date", "open", "high", "low", "close", "volume").rows() == expected


def test_names_of_columns_in_an_unknown_encoding_are_not_shown_as_such(refusal: Refusal) -> None:
    error = refusal("X.csv", "日にち,終わり,高い\n2020-01-02,5,6\n".encode("cp932"))
    assert error.what == "The text is neither UTF-8 nor Windows-1252."
    error = refusal("X.csv", "时间,数字\n2020-01-02,5\n".encode("gb18030"))
    assert error.what == "The text is neither UTF-8 nor Windows-1252."
    assert "'Größe'" in refusal("X.csv", "Größe,Öl\n2020-01-02,5\n".encode("cp1252")).what
    damaged = "日付,終値\n2020-01-02,5\n".encode("cp932") + b"\x81\x20,6\n"
    assert refusal("X.csv", damaged).what == "The text is neither UTF-8 nor Shift-JIS."


def test_a_file_that_is_not_a_table_is_refused(refusal: Refusal) -> None:
    cases: list[tuple[str | bytes, str]] = [
        ("", "The file is empty."),
        ("\n\n", "The file is empty."),
        (HEADER, "The file has a header and no rows."),
        (HEADER + "\n\n", "The file has a header and no rows."),
        ("\n<!DOCTYPE html>\n<html><body>Busy</body></html>\n", "The file is a web page or XML, and no table."),
        ("<?xml version='1.0'?>\n<Workbook/>\n", "The file is a web page or XML, and no table."),
        (HEADER + ",,\n", "Column 'date' is empty."),
        (b"PAR1" + b"\0" * 100, "The file is Parquet, not CSV."),
        (b"\0\1\2\3" * 100, "The file is not text."),
        (HEADER.encode("utf-16"), "The file has a header and no rows."),
        (gzip.compress(HEADER.encode()), "The file is compressed by gzip, not CSV."),
    ]
    found = [(content, refusal("x.csv", content).what) for content, _ in cases]
    assert found == cases


@pytest.mark.parametrize("kept", [5, 0.5, -12, -4])
def test_an_incomplete_compressed_file_is_refused(tmp_path: Path, bars_of: BarsOf, kept: float) -> None:
    packed = gzip.compress((HEADER + "".join(f"A,2020-01-02,{i}\n" for i in range(100_000))).encode())
    path = tmp_path / "x.csv.gz"
    path.write_bytes(packed[: int(kept * len(packed)) if kept == 0.5 else int(kept)])
    with pytest.raises(InputError, match=r"not gzip, or incomplete|damaged or incomplete"):
        bars_of(path)


def test_a_damaged_compressed_file_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    packed = bytearray(gzip.compress((HEADER + ROW * 1000).encode()))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "x.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError, match=r"damaged or incomplete|not gzip, or incomplete"):
        bars_of(path)


def test_text_whose_name_ends_in_gz_is_refused(tmp_path: Path, bars_of: BarsOf) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_text(HEADER + ROW)
    with pytest.raises(InputError, match="not gzip, or incomplete") as caught:
        bars_of(path)
    assert "remove .gz" in caught.value.hint


def test_a_quote_that_is_not_closed_is_named_by_the_line_it_is_on(refusal: Refusal) -> None:
    for rows_after in (1, 10, 100_000):
        error = refusal("x.csv", HEADER + ROW + 'A,"2020-01-03,5\n' + ROW * rows_after)
        assert error.where.endswith("line 3"), rows_after


def test_a_field_that_is_too_long_is_refused(refusal: Refusal) -> None:
    # Not parameters of the test: their text would become its name, megabytes long.
    for content in ('"ticker,date,close\n' + ROW * 100_000, HEADER + ROW + "A,2020-01-02,5" + "0" * 30_000_000 + "\n"):
        assert "has more than" in refusal("x.csv", content).what


def test_the_delimiter_is_looked_for_outside_quotes(write: Write) -> None:
    assert sniff(TextFile(write("x.csv", '"a,b,c,d";"e";f\n1;2;3\n')), is_header=is_header).delimiter == ";"
