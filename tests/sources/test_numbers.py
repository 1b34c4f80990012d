from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.sources.numbers import MISSING, NumberStyle, number_style, parse_numbers

POINT = NumberStyle(".", ",")
COMMA = NumberStyle(",", ".")
UNSAID = NumberStyle(".", "")


def parse(cell: str, style: NumberStyle) -> float | str | None:
    values, bad = parse_numbers(pl.Series([cell]), style)
    return "bad" if bad.item() else values.item()


@pytest.mark.parametrize(
    ("cell", "style", "value"),
    [
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
        # a point that parts no thousands, in a file whose decimals are commas: 1250 %, or 12.5? Nobody knows
        ("12.5", COMMA, "bad"),
        ("1,2,3", COMMA, "bad"),
        ("12.5", UNSAID, 12.5),
        ("1,234", UNSAID, "bad"),
    ],
)
def test_cells(cell: str, style: NumberStyle, value: object) -> None:
    assert parse(cell, style) == value


@pytest.mark.parametrize("style", [POINT, COMMA, UNSAID])
@pytest.mark.parametrize("word", [*MISSING, "N/A", "NULL", "NaN", " "])
def test_words_for_nothing(word: str, style: NumberStyle) -> None:
    assert parse(word, style) is None


@pytest.mark.parametrize(
    ("cells", "delimiter", "style"),
    [
        (["1.5", "1,234"], ",", POINT),
        (["12,50", "1.234,50"], ";", COMMA),
        (["12,345"], ";", COMMA),
        (["12.50", "1,234"], ";", POINT),
        (["12.50", "1,234"], "\t", POINT),
        (["12", "15"], ";", UNSAID),
        (["", "N/A"], ";", UNSAID),
    ],
)
def test_a_file_s_style(cells: list[str], delimiter: str, style: NumberStyle) -> None:
    assert number_style(cells, delimiter) == style


@given(st.lists(st.floats(allow_nan=False) | st.none()))
def test_what_python_writes_is_read_back_to_the_bit(numbers: list[float | None]) -> None:
    cells = pl.Series(["" if number is None else repr(number) for number in numbers], dtype=pl.String)
    values, bad = parse_numbers(cells, POINT)
    assert values.to_list() == numbers
    assert not bad.any()


@given(st.lists(st.integers(-(10**12), 10**12).map(lambda cents: cents / 100), min_size=1))
def test_thousands_and_decimal_commas_say_the_same_number(numbers: list[float]) -> None:
    english = [f"{number:,.2f}" for number in numbers]
    german = [cell.translate(str.maketrans(",.", ".,")) for cell in english]
    for cells, style in ((english, POINT), (german, COMMA)):
        values, bad = parse_numbers(pl.Series(cells), style)
        assert values.to_list() == numbers
        assert not bad.any()
