from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.sources.numbers import MISSING, AmbiguousNumbersError, NumberStyle, number_style, parse_numbers

POINT = NumberStyle(".", ",")
COMMA = NumberStyle(",", ".")
UNDECIDED = NumberStyle(".", "")


def parse(cell: str, style: NumberStyle) -> float | str | None:
    values, bad = parse_numbers(pl.Series([cell]), style)
    return "bad" if bad.item() else values.item()


def test_numbers_are_parsed_in_the_format_of_their_file() -> None:
    cases: list[tuple[str, NumberStyle, object]] = [
        ("12.5", POINT, 12.5),
        (" 12.5 ", POINT, 12.5),
        ("+1e3", POINT, 1000.0),
        ("-3", POINT, -3.0),
        ("1,234.5", POINT, 1234.5),
        ("1,234,567", POINT, 1234567.0),
        ("$1,234.50", POINT, 1234.5),
        ("-$5", POINT, -5.0),
        ("inf", POINT, float("inf")),
        ("1,23", POINT, "bad"),
        ("12,34,567", POINT, 1234567.0),
        ("1,36,100.05", POINT, 136100.05),
        ("0,875", POINT, "bad"),
        ("0.875", COMMA, "bad"),
        ("\u20b91,234.50", POINT, 1234.5),
        ("12,50 \u20ac", COMMA, 12.5),
        ("1\u202f234,50", COMMA, 1234.5),
        ("1'234.50", POINT, 1234.5),
        ("1 234 567", POINT, 1234567.0),
        ("\u221212.5", POINT, -12.5),
        ("1.2M", POINT, "bad"),
        ("5%", POINT, "bad"),
        ("abc", POINT, "bad"),
        ("1 00", POINT, "bad"),
        ("12,5", COMMA, 12.5),
        ("1.234,5", COMMA, 1234.5),
        ("1.234.567", COMMA, 1234567.0),
        ("12", COMMA, 12.0),
        ("€ 12,5", COMMA, 12.5),
        # a point that is not a thousands separator, in a file with decimal commas, is ambiguous
        ("12.5", COMMA, "bad"),
        ("1,2,3", COMMA, "bad"),
        ("12.5", UNDECIDED, 12.5),
        ("1,234", UNDECIDED, "bad"),
    ]
    assert [(cell, style, parse(cell, style)) for cell, style, _ in cases] == cases


def test_texts_of_a_missing_value_are_missing_in_every_format() -> None:
    words = [*MISSING, "N/A", "NULL", "NaN", " "]
    found = {(word, style): parse(word, style) for word in words for style in (POINT, COMMA, UNDECIDED)}
    assert {case: value for case, value in found.items() if value is not None} == {}


def detected(
    delimiter: str = ",", *, dotted: bool = False, others: list[str] | None = None, **cells: list[str]
) -> object:
    further = [pl.Series(others)] if others else []
    columns = {name: pl.Series(column) for name, column in cells.items()}
    try:
        return number_style(columns, further, delimiter=delimiter, dotted_dates=dotted)
    except AmbiguousNumbersError as error:
        return error.column, error.cell


def test_a_number_with_one_reading_decides() -> None:
    assert detected(close=["1.5"], volume=["1,234"]) == POINT
    assert detected(close=["12,50", "1.234,50"]) == COMMA
    assert detected(close=["0,875", "0,912"]) == COMMA
    assert detected(close=["1,234,567"]) == POINT
    assert detected(close=["1.234.567"]) == COMMA
    assert detected(close=["1,36,100"]) == POINT
    assert detected(close=["12,345"], others=["0,07%", "-0,2%"]) == COMMA
    assert detected(close=["12,345"], others=["0.07%", "-0.2%"]) == POINT
    assert detected(close=["12,345"], others=["a text, 1.5", "0.2"]) == ("close", "12,345")


def test_prices_decide_by_their_size() -> None:
    assert detected(close=["999", "1,001"]) == POINT
    assert detected(open=["1,002"], close=["1"]) == COMMA
    assert detected(";", close=["999", "1.001"]) == COMMA


def test_a_volume_decides_by_being_whole() -> None:
    assert detected(";", close=["108.745"], volume=["1,234"]) == POINT
    assert detected(";", close=["108,745"], volume=["1.234"]) == COMMA
    assert detected(volume=["1,234"], close=["5"]) == POINT


def test_the_separators_decide_beside_the_dates_and_the_delimiter() -> None:
    assert detected(close=["1.087", "1.083"]) == POINT
    # Excel writes semicolons where the comma is the decimal separator, and the point that of thousands.
    assert detected(";", close=["1.087", "1.083"]) == ("close", "1.087")
    assert detected("\t", close=["145.731", "145.902"]) == POINT
    assert detected("\t", dotted=True, close=["145.731"]) == ("close", "145.731")
    assert detected(";", dotted=True, close=["1.087"]) == ("close", "1.087")
    assert detected(dotted=True, close=["1,087", "1,083"]) == COMMA
    assert detected(close=["1,087", "1,083"]) == ("close", "1,087")
    assert detected(open=["1.087"], close=["1,087"]) == ("open", "1.087")


def test_a_point_in_a_file_delimited_by_commas_is_decimal_whatever_the_volume_is() -> None:
    assert detected(close=["12.345", "13.250"], volume=["1.234", "2.345"]) == POINT
    assert detected(close=["12", "13"], volume=["1.500", "2.250"]) == POINT
    # One price or bad quote of 1000 times as much is a contradiction and decides nothing.
    assert detected(close=["1.234", "999", "1.235"]) == ("close", "1.234")
    # With another delimiter the volume is whole.
    assert detected(";", close=["12", "13"], volume=["1.500", "2.250"]) == COMMA


def test_prices_volume_and_separators_that_differ_decide_nothing() -> None:
    assert detected("\t", close=["999", "998", "1.001"]) == ("close", "1.001")
    assert detected(";", close=["999", "1,001"], volume=["118,204"]) == POINT
    assert detected(";", close=["999", "1,001"], volume=["118.204"]) == ("close", "1,001")


def test_thousands_that_are_not_separated_once_are_separated_nowhere() -> None:
    assert detected(";", close=["1.234", "1234", "1.235"]) == POINT
    assert detected(";", close=["1,234", "1234"]) == COMMA
    assert detected(";", close=["5"], volume=["1.234", "12345"]) == POINT
    # A volume without separators says nothing of prices with them.
    assert detected(";", close=["999", "1.001"], volume=["12345"]) == COMMA


def test_numbers_without_a_separator_leave_it_undecided() -> None:
    assert detected(close=["12", "15"]) == detected(close=["", "N/A"]) == UNDECIDED


def test_letters_stand_for_multiples_in_a_volume_only() -> None:
    cells = pl.Series(["47.44M", "35K", "1.5b", "2 T", "12", "M", "1.2X"])
    values, bad = parse_numbers(cells, POINT, volume=True)
    assert values.to_list() == [47_440_000.0, 35_000.0, 1.5e9, 2e12, 12.0, None, None]
    assert bad.to_list() == [False] * 5 + [True] * 2
    assert parse("47.44M", POINT) == "bad"
    assert parse_numbers(pl.Series(["1,5M"]), COMMA, volume=True)[0].item() == 1.5e6


@given(st.lists(st.floats(allow_nan=False) | st.none()))
@hypothesis_settings(deadline=None)
def test_numbers_that_python_writes_are_parsed_to_the_last_bit(numbers: list[float | None]) -> None:
    cells = pl.Series(["" if number is None else repr(number) for number in numbers], dtype=pl.String)
    values, bad = parse_numbers(cells, POINT)
    assert values.to_list() == numbers
    assert not bad.any()


@given(st.lists(st.integers(-(10**12), 10**12).map(lambda cents: cents / 100), min_size=1))
@hypothesis_settings(deadline=None)
def test_thousands_separators_and_decimal_commas_are_parsed(numbers: list[float]) -> None:
    english = [f"{number:,.2f}" for number in numbers]
    german = [cell.translate(str.maketrans(",.", ".,")) for cell in english]
    for cells, style in ((english, POINT), (german, COMMA)):
        values, bad = parse_numbers(pl.Series(cells), style)
        assert values.to_list() == numbers
        assert not bad.any()
