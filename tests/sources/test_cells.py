from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from pm.sources import inspect_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.errors import InputError

    class Write(Protocol):
        def __call__(self, name: str, content: str | bytes) -> Path: ...

    BarsOf = Callable[[Path], pl.DataFrame]
    Refusal = Callable[[str, str | bytes], InputError]


def test_the_first_number_above_12_decides_the_order_of_day_and_month_in_any_row(write: Write, bars_of: BarsOf) -> None:
    # the first piece of a file is some hundred thousand rows long
    early = "03/04/2020,5\n" * 800_000
    american = bars_of(write("A.csv", f"Date,Close\n{early}04/13/2020,6\n"))
    european = bars_of(write("B.csv", f"Date,Close\n{early}13/04/2020,6\n"))
    assert american["date"].unique(maintain_order=True).to_list() == [date(2020, 3, 4), date(2020, 4, 13)]
    assert european["date"].unique(maintain_order=True).to_list() == [date(2020, 4, 3), date(2020, 4, 13)]


@pytest.mark.parametrize("mark", ["/", "-"])
def test_an_ambiguous_order_of_day_and_month_is_refused(refusal: Refusal, mark: str) -> None:
    error = refusal("A.csv", f"Date,Close\n03{mark}04{mark}2020,5\n12{mark}12{mark}2020,5\n")
    assert "day or the month first" in error.what
    assert "YYYY-MM-DD" in error.hint


def test_a_file_with_both_orders_is_refused_with_the_line(refusal: Refusal) -> None:
    error = refusal("A.csv", "Date,Close\n13/04/2020,5\n04/13/2020,5\n")
    assert error.where.endswith("line 3")
    assert "DD/MM/YYYY" in error.what


def test_dates_with_points_have_the_day_first(write: Write, bars_of: BarsOf) -> None:
    assert bars_of(write("A.csv", "Date;Close\n03.04.2020;5,5\n")).select("date", "close").rows() == [
        (date(2020, 4, 3), 5.5)
    ]


@pytest.mark.parametrize("row", [",5", " ,5"])
def test_a_row_without_a_date_is_refused(refusal: Refusal, row: str) -> None:
    error = refusal("A.csv", f"Date,Close\n2020-01-02,5\n{row}\n")
    assert error.what == "The row has no date in column 'Date'."
    assert error.where.endswith("line 3")


def test_a_first_cell_that_is_not_a_date_is_refused_with_its_line(refusal: Refusal) -> None:
    error = refusal("A.csv", "Date,Close\n\n,\nsoon,5\n")
    assert error.what == "'soon' in column 'Date' is not a date."
    assert error.where.endswith("line 4")


def test_the_first_of_several_errors_is_reported(refusal: Refusal) -> None:
    rows = "2020-01-02,1,1\n2020-01-03,1,oops\n2020-01-04,oh,1\nnever,1,1\n"
    error = refusal("A.csv", f"Date,Close,Volume\n{rows}")
    assert error.what == "'oops' in column 'Volume' is not a number."
    assert error.where.endswith("line 3")


def test_a_row_with_only_a_bad_cell_is_not_skipped(refusal: Refusal) -> None:
    assert refusal("A.csv", "Date,Close\n2020-01-02,5\n,x\n").where.endswith("line 3")


def test_implausible_prices_are_read_unchanged(write: Write, bars_of: BarsOf) -> None:
    rows = "2020-01-02,-5\n2020-01-03,0\n2020-01-04,\n2020-01-05,N/A\n2020-01-06,inf\n"
    closes = bars_of(write("A.csv", f"Date,Close\n{rows}"))["close"].to_list()
    assert closes == [-5.0, 0.0, None, None, float("inf")]


def test_columns_that_are_not_read_can_have_any_content(write: Write, bars_of: BarsOf) -> None:
    assert bars_of(write("A.csv", "Date,Close,Note\n2020-01-02,5,?!\n")).height == 1


def test_a_comma_that_could_be_either_separator_is_refused(refusal: Refusal) -> None:
    for delimiter, quote in ((";", ""), (",", '"'), ("\t", "")):
        rows = f"2020-01-02{delimiter}{quote}12,345{quote}\n" * 3
        assert "'12,345'" in refusal("A.csv", f"Date{delimiter}Close\n{rows}").what


def test_a_comma_after_many_numbers_without_one_is_read_beside_the_other_prices(write: Write, bars_of: BarsOf) -> None:
    rows = "2020-01-02;{close}\n" * 2_000 + "2020-01-03;{last}\n"
    for close, last, value in (("5", "12,345", 12.345), ("9999", "12,345", 12345.0)):
        bars = bars_of(write("A.csv", "Date;Close\n" + rows.format(close=close, last=last)))
        assert bars["close"][-1] == value


@pytest.mark.parametrize(("first", "outside"), [
    ("2020-01-02", "1799-12-31"), ("2020-01-02", "9999-12-31"), ("20200102", "17991231"), ("31.12.2020", "01.01.2200"),
    ("1799-12-31", "1799-12-31"), ("2 Jan 2020", "2 Jan 2300"),
])  # fmt: skip
def test_a_date_too_far_from_today_is_told_to_be_one(refusal: Refusal, first: str, outside: str) -> None:
    error = refusal("A.csv", f"Date,Close\n{first},5\n{outside},5\n")
    assert error.what == f"'{outside}' in column 'Date' is before 1800-01-01 or after 2199-12-31."
    assert ", line " in error.where


def test_years_of_two_digits_that_would_be_after_today_are_told(refusal: Refusal) -> None:
    error = refusal("A.csv", "Date,Close\n04/01/64,5\n04/16/64,6\n04/17/64,6\n")
    assert error.what == (
        "The dates in column 'Date', such as '04/17/64', would be after today: years of two digits are those from 1970 "
        "to 2069."
    )
    mixed = refusal("A.csv", "Date,Close\n04/16/64,5\n16/04/64,6\n")
    assert "have no order of day, month and year that fits all" in mixed.what


def test_cells_written_as_formulas_are_read(write: Write, bars_of: BarsOf) -> None:
    plain = '="Date",="Close",Volume\n="2020-01-02",="1,234.5",3\n2020-01-03,5.5,="4"\n'
    quoted = plain.replace('="1,234.5"', '"=""1,234.5"""')
    for text in (quoted, plain.replace("1,234.5", "1234.5"), quoted.encode("utf-16")):
        rows = bars_of(write("A.csv", text)).select("ticker", "date", "close", "volume").rows()
        assert rows == [("A", date(2020, 1, 2), 1234.5, 3.0), ("A", date(2020, 1, 3), 5.5, 4.0)]


def test_volumes_with_their_unit_as_a_word_are_read(write: Write, bars_of: BarsOf) -> None:
    cells = {
        "1,69 Mio.": 1_690_000.0, "0,5 Mrd.": 500_000_000.0, "12,5 Tsd.": 12_500.0, "2,5 mln": 2_500_000.0,
        "1,5 млрд": 1_500_000_000.0, "1,5万": 15_000.0, "1,5億": 150_000_000.0, "1.234": 1234.0, "3,5M": 3_500_000.0,
    }  # fmt: skip
    rows = "".join(f"{day:02}.01.2020;5,25;{cell}\n" for day, cell in enumerate(cells, start=1))
    bars = bars_of(write("A.csv", f"Datum;Schluss;Volumen\n{rows}"))
    assert bars["volume"].to_list() == pytest.approx(list(cells.values()))


def test_a_volume_with_an_unknown_word_is_refused_with_its_line(refusal: Refusal) -> None:
    error = refusal("A.csv", "Datum;Schluss;Volumen\n02.01.2020;5,25;1,5 Mio.\n03.01.2020;5,25;1,5 foo\n")
    assert error.what == "'1,5 foo' in column 'Volumen' is not a number."
    assert error.where.endswith("line 3")
    assert "not a number" in refusal("A.csv", "Datum;Schluss;Volumen\n02.01.2020;5,25 Mio.;1\n").what


def test_dates_that_look_one_day_early_are_noted(write: Write) -> None:
    days = [date(2025, 11, 27) + timedelta(days=count) for count in range(60)]
    rows = "".join(f"{day}T23:00:00Z,{5 + day.day / 8}\n" for day in days if day.weekday() not in {4, 5})
    plan = inspect_file(write("A.csv", f"date,close\n{rows}"))
    assert plan.notes == ("the dates look one day early: times of 23:00 in UTC, bars on Sundays and none on Fridays",)
