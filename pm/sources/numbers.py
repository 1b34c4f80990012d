"""Parse the numbers of a file: decimal points or commas, thousands separators, currency signs, missing values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MISSING", "NumberStyle", "number_style", "parse_numbers"]

MISSING = ("", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "nil", ".", "?")
"""Texts of a missing number, in lower case."""

_CURRENCY = r"^([+-]?)\s*[$€£¥]\s*"
_THOUSANDS = {
    ",": r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$",
    ".": r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$",
}
_SHOWS_POINT = r"^[+-]?(\d*\.\d{1,2}|\d*\.\d{4,}|\d{4,}\.\d+|0\.\d+|[\d,]*,\d{3}\.\d*)$"


@dataclass(frozen=True)
class NumberStyle:
    """A format of numbers.

    Attributes
    ----------
    decimal
        Decimal separator.
    thousands
        Thousands separator. Empty if a comma could be either separator, so that a number with a comma is refused.
    """

    decimal: Literal[".", ","]
    thousands: Literal[",", ".", ""]


def number_style(cells: Iterable[str], delimiter: str) -> NumberStyle:
    """Detect the format of numbers from a file's first ones.

    If commas delimit the columns, the decimal separator is a point. Otherwise a comma is a decimal comma, unless one of
    the numbers has a decimal point.
    """
    if delimiter == ",":
        return NumberStyle(".", ",")
    text = pl.Series(list(cells), dtype=pl.String).str.strip_chars().str.replace(_CURRENCY, "$1")
    if text.str.contains(_SHOWS_POINT).any():
        return NumberStyle(".", ",")
    if text.str.contains(r"^[+-]?[\d.]*,\d+$").any():
        return NumberStyle(",", ".")
    return NumberStyle(".", "")


def parse_numbers(text: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    """Parse numbers.

    Parameters
    ----------
    text
        Cells, as strings.
    style
        Format of the file's numbers.

    Returns
    -------
    values, bad
        Values as Float64, null where a cell is missing or bad; and whether a cell is neither missing nor a number.
    """
    if style.decimal == ".":
        values = text.cast(pl.Float64, strict=False)
        # "nan" is a missing value here, but polars casts it to NaN, which is not null.
        values = values.fill_nan(None)
        unread = values.is_null() & text.is_not_null() & (text != "")
        if not unread.any():
            return values, unread
        places = unread.arg_true()
        parsed, bad = _parse_slowly(text.gather(places), style)
        return values.scatter(places, parsed), _mask(len(text), places.filter(bad))
    return _parse_slowly(text, style)


def _parse_slowly(text: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    """Parse numbers with blanks, currency signs, thousands separators and decimal commas."""
    plain = text.str.strip_chars().str.replace(_CURRENCY, "$1")
    missing = plain.is_null() | plain.str.to_lowercase().is_in(MISSING)
    grouped = plain.str.contains(_THOUSANDS[style.thousands]) if style.thousands else missing & ~missing
    ungrouped = plain.str.replace_all(style.thousands or " ", "", literal=True)
    plain = plain.zip_with(~grouped.fill_null(value=False), ungrouped)
    if style.decimal == ",":
        has_point = plain.str.contains(".", literal=True).fill_null(value=False)
        plain = plain.str.replace(",", ".", literal=True).set(has_point, None)
    values = plain.cast(pl.Float64, strict=False).set(missing, None)
    return values, values.is_null() & ~missing


def _mask(length: int, places: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=length, eager=True).scatter(places, values=True)
