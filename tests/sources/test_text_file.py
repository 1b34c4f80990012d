"""Archives and workbooks: the texts in them are read as files of their own."""

from __future__ import annotations

import zipfile
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest
import xlsxwriter

from pm.errors import InputError
from pm.sources import inspect_files, read_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Rows = Sequence[Sequence[object]]

ROWS: Rows = [("Date", "Close", "Volume"), (date(2024, 1, 15), 10.5, 1_000), (date(2024, 1, 16), 11, 2_000)]
TEXT = "Date,Close,Volume\n2024-01-15,10.5,1000\n2024-01-16,11,2000\n"
BARS = [(date(2024, 1, 15), 10.5, 1000.0), (date(2024, 1, 16), 11.0, 2000.0)]


def workbook(path: Path, **sheets: Rows) -> Path:
    with xlsxwriter.Workbook(path, {"default_date_format": "dd.mm.yy"}) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return path


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return path


def bars_in(*paths: Path, **options: object) -> dict[str, list[tuple[object, ...]]]:
    inspected = inspect_files(paths, **options)  # type: ignore[arg-type]
    if inspected.refused:
        raise inspected.refused[0]
    plans = inspected.plans
    bars = pl.concat(piece for plan in plans for piece in read_file(plan))
    return {str(ticker): own.select("date", "close", "volume").rows() for (ticker,), own in bars.group_by("ticker")}


def test_a_workbook_is_read_with_its_dates_whatever_their_format(tmp_path: Path) -> None:
    assert bars_in(workbook(tmp_path / "IBM.xlsx", Sheet1=ROWS)) == {"IBM": BARS}
    assert bars_in(workbook(tmp_path / "Book1.xlsx", Sheet1=ROWS), ticker="IBM") == {"IBM": BARS}


def test_each_sheet_of_bars_has_the_ticker_of_its_name(tmp_path: Path) -> None:
    book = workbook(tmp_path / "all.xlsx", IBM=ROWS, MSFT=ROWS, Notes=[("to do",), ("buy milk",)])
    assert bars_in(book) == {"IBM": BARS, "MSFT": BARS}
    assert {plan.name for plan in inspect_files([book]).plans} == {str(book / name) for name in ("IBM", "MSFT")}


def test_a_sheet_with_a_title_above_the_header_is_read(tmp_path: Path) -> None:
    titled = [("Prices of IBM",), (), *ROWS]
    assert bars_in(workbook(tmp_path / "IBM.xlsx", Sheet1=titled)) == {"IBM": BARS}


def test_each_text_of_an_archive_is_read(tmp_path: Path) -> None:
    members = {
        "a/IBM.csv": TEXT, "MSFT (1).txt": TEXT.replace(",", "\t"), "__MACOSX/._IBM.csv": "x", "readme.md": "read me",
    }  # fmt: skip
    assert bars_in(archive(tmp_path / "all.zip", **members)) == {"IBM": BARS, "MSFT": BARS}


def test_members_of_an_archive_without_bars_are_left_out_and_named(tmp_path: Path) -> None:
    members = {
        "data/IBM.csv": TEXT, "README.txt": "these are files", "LICENSE.txt": "Do what you want.\n\nReally.",
        "symbols.csv": "Symbol,Name\nIBM,International\n", "empty.csv": "", "AAPL.csv": TEXT.splitlines()[0],
        "positions.csv": "Symbol,Shares,Cost,Value\nIBM,3,10,15\n",
    }  # fmt: skip
    packed = archive(tmp_path / "x.zip", **members)
    assert bars_in(packed) == {"IBM": BARS}
    assert inspect_files([packed]).left_out == {
        packed / "README.txt": "The file has a header and no rows.",
        packed / "LICENSE.txt": "No date column",
        packed / "symbols.csv": "No date column",
        packed / "empty.csv": "The file is empty.",
        packed / "AAPL.csv": "The file has a header and no rows.",
        packed / "positions.csv": "The file lists positions of an account, not daily bars",
    }
    # without any bars, each member is refused
    none = archive(tmp_path / "y.zip", **{name: text for name, text in members.items() if text != TEXT})
    assert len(inspect_files([none]).refused) == len(members) - 1


def test_a_member_or_a_sheet_with_bars_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    broken = {
        "A.csv": "Date,Close\n45306,5\n", "B.txt": "a note\nDate;Close\nsoon;5\n", "Prices.csv": TEXT,
        "C.csv": "Date,Close\n01/02/2020,5\n", "D.csv": 'Date,Close\n2020-01-02,"' + "x" * 200_000,
    }  # fmt: skip
    for name, text in broken.items():
        packed = archive(tmp_path / f"{name}.zip", **{"IBM.csv": TEXT, name: text})
        inspected = inspect_files([packed])
        assert [name in error.where for error in inspected.refused] == [True], name
        assert inspected.left_out == {}
    book = workbook(tmp_path / "x.xlsx", IBM=ROWS, KO=[("Date", "Close"), ("soon", 5)], Notes=[("to do",), ("milk",)])
    inspected = inspect_files([book])
    assert [plan.ticker for plan in inspected.plans] == ["IBM"]
    assert inspected.left_out == {book / "KO": "'soon' in column 'Date' is not a date."}


def test_where_the_ticker_is_from(tmp_path: Path) -> None:
    book, alone = workbook(tmp_path / "all.xlsx", IBM=ROWS, KO=ROWS), workbook(tmp_path / "KO.xlsx", Sheet1=ROWS)
    packed = archive(tmp_path / "x.zip", **{"IBM.csv": TEXT})
    sources = {path: {plan.ticker_source for plan in inspect_files([path]).plans} for path in (book, alone, packed)}
    assert sources == {book: {"sheet"}, alone: {"name"}, packed: {"name"}}


def test_archives_and_workbooks_are_known_by_their_content(tmp_path: Path) -> None:
    book = workbook(tmp_path / "IBM.xlsx", Sheet1=ROWS).rename(tmp_path / "IBM.csv")
    packed = archive(tmp_path / "x.zip", **{"MSFT.csv": TEXT}).rename(tmp_path / "MSFT.txt")
    assert bars_in(book, packed) == {"IBM": BARS, "MSFT": BARS}


def test_the_same_text_is_known_again_however_it_is_packed(tmp_path: Path) -> None:
    (tmp_path / "IBM.csv").write_bytes(TEXT.encode())
    packed = archive(tmp_path / "x.zip", **{"IBM.csv": TEXT})
    prints = {plan.fingerprint for plan in inspect_files([tmp_path / "IBM.csv", packed]).plans}
    assert len(prints) == 1


def test_what_is_in_an_archive_is_named_in_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        bars_in(archive(tmp_path / "x.zip", **{"IBM.csv": TEXT + "2024-01-17,x,1\n"}))
    assert caught.value.where == f"{tmp_path / 'x.zip'}, IBM.csv, line 4"
    with pytest.raises(InputError, match="No close column") as caught:
        bars_in(workbook(tmp_path / "x.xlsx", Notes=[("date", "what"), (date(2024, 1, 15), "milk")]))
    assert caught.value.where == f"{tmp_path / 'x.xlsx'}, Notes"


def test_damaged_and_empty_archives_and_workbooks_are_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.zip", **{"IBM.csv": TEXT * 50}).read_bytes()
    book = workbook(tmp_path / "whole.xlsx", Sheet1=ROWS).read_bytes()
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.zip").write_bytes(flipped)
    (tmp_path / "cut.xlsx").write_bytes(book[: len(book) // 2])
    (tmp_path / "fake.xlsx").write_bytes(archive(tmp_path / "y.zip", **{"[Content_Types].xml": "type"}).read_bytes())
    (tmp_path / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 600)
    archive(tmp_path / "none.zip", **{"readme.md": "read me"})
    (tmp_path / "text.zip").write_text(TEXT)
    (tmp_path / "text.xlsx").write_text(TEXT)
    for name in ("text.zip", "text.xlsx", "cut.zip", "flipped.zip", "cut.xlsx", "fake.xlsx", "old.xls", "none.zip"):
        with pytest.raises(InputError, match=r"damaged|holds no text|cannot be read") as caught:
            bars_in(tmp_path / name)
        assert str(tmp_path / name) in caught.value.where
        assert caught.value.hint
