"""Numbers of one column are written alike."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.cli.render import _cell, _number_format, print_frame


def written(*values: float | None) -> list[str]:
    column = pl.Series("x", values, pl.Float64)
    return [_cell(value, _number_format(column)) for value in column]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((9_999_999.0, 12_345_678.0, 100.0), ["9,999,999", "12,345,678", "100"]),  # volumes
        ((1.5, 1234.25, -99.125, 0.0), ["1.500", "1,234.250", "-99.125", "0.000"]),
        ((1e-9, 0.5, 1234.5), ["1e-09", "0.5", "1,234.5"]),  # p-values beside others
        ((1e20, 1e6, 12_345_678.9), ["1e+20", "1,000,000", "12,345,679"]),
        ((float("inf"), 2.5, float("nan")), ["inf", "2.5", "nan"]),
        ((0.1 + 0.2,), ["0.3"]),
    ],
)
def test_a_column_has_one_format(values: tuple[float, ...], texts: list[str]) -> None:
    assert written(*values) == texts


@given(st.lists(st.floats(-1e14, 1e14), min_size=1, max_size=8))
def test_every_number_of_a_column_has_its_separators_and_seven_digits(values: list[float]) -> None:
    for value, text in zip(values, written(*values), strict=True):
        assert float(text.replace(",", "")) == pytest.approx(value, rel=1e-6, abs=1e-300)
        whole = text.lstrip("-").partition(".")[0].partition("e")[0]
        assert (len(whole.replace(",", "")) > 3) == ("," in whole)


def test_whole_numbers_of_a_query_have_no_separators_and_points_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_frame(pl.DataFrame({"year": [2000, 12154], "price": [1.25, 1234.5]}))
    assert capsys.readouterr().out == " year     price\n 2000      1.25\n12154  1,234.50\n"
