from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.sources.numbers import MISSING, NumberStyle, number_style, parse_numbers

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
        ("12,34,567", POINT, "bad"),
        ("1.2M", POINT, "bad"),
        ("5%", POINT, "bad"),
        ("abc", POINT, "bad"),
        ("1 000", POINT, "bad"),
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


def test_the_format_of_a_file_is_detected_from_its_first_numbers() -> None:
    cases = [
        (["1.5", "1,234"], ",", POINT),
        (["12,50", "1.234,50"], ";", COMMA),
        (["12,345"], ";", COMMA),
        (["12.50", "1,234"], ";", POINT),
        (["12.50", "1,234"], "\t", POINT),
        (["12", "15"], ";", UNDECIDED),
        (["", "N/A"], ";", UNDECIDED),
    ]
    assert [(cells, delimiter, number_style(cells, delimiter)) for cells, delimiter, _ in cases] == cases


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
