from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Protocol

import pytest

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
