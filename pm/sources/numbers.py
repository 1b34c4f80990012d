"""Numbers as files write them: decimal points or commas, thousands, currency signs, a dozen words for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MISSING", "NumberStyle", "number_style", "parse_numbers"]

MISSING = ("", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "nil", ".", "?")
"""What an empty cell may say, in lower case."""

_CURRENCY = r"^([+-]?)\s*[$€£¥]\s*"
_THOUSANDS = {
    ",": r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$",
    ".": r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?$",
}
_SHOWS_POINT = r"^[+-]?(\d*\.\d{1,2}|\d*\.\d{4,}|\d{4,}\.\d+|0\.\d+|[\d,]*,\d{3}\.\d*)$"


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes its numbers.

    Attributes
    ----------
    decimal
        What parts the whole from the fraction.
    thousands
        What parts the thousands: a comma where commas part the columns, for such a file has decimal points. Empty where
        the file could mean either, so that such a number is refused.
    """

    decimal: Literal[".", ","]
    thousands: Literal[",", ".", ""]


def number_style(cells: Iterable[str], delimiter: str) -> NumberStyle:
    """Tell from a file's first numbers how it writes them.

    Where commas part the columns a decimal is a point. Elsewhere a comma is a decimal comma, unless one of the
    numbers shows a decimal point.
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
    """Read numbers.

    Parameters
    ----------
    text
        Cells, as strings.
    style
        How the file writes its numbers.

    Returns
    -------
    values, bad
        Float64 values, null where nothing is said; and where a cell says something that is not a number.
    """
    if style.decimal == ".":
        values = text.cast(pl.Float64, strict=False)
        # "nan" is a missing value here, and casts to one that is not missing.
        values = values.fill_nan(None)
        unread = values.is_null() & text.is_not_null() & (text != "")
        if not unread.any():
            return values, unread
        places = unread.arg_true()
        mended, bad_there = _parse_slowly(text.gather(places), style)
        return values.scatter(places, mended), _mask(len(text), places.filter(bad_there))
    return _parse_slowly(text, style)


def _parse_slowly(text: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    """Read numbers with blanks, currency signs, thousands and decimal commas."""
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
