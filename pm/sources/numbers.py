"""Parse the numbers of a file: decimal points or commas, thousands separators, currency signs, missing values.

A number such as 1,234 can be read in two ways that differ by a factor of 1000. Which one is right is decided once for a
file, by all of its columns together; what stays undecided is an error and not a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["MISSING", "AmbiguousNumbersError", "NumberStyle", "number_style", "parse_numbers", "plain_numbers"]

MISSING = ("", "-", "--", "na", "n/a", "#n/a", "nan", "null", "none", "nil", ".", "?")
"""Texts of a missing number, in lower case."""

_SIGNS = "$€£¥₹₩"
"""Currency signs, which can stand before or after a number."""
_CURRENCY = rf"^([+-]?)\s*[{_SIGNS}]?\s*(.*?)\s*[{_SIGNS}]?$"
_SPACES = " \u00a0\u2009\u202f'’"
"""Thousands separators that are neither a point nor a comma: spaces and apostrophes."""
_SPACED = rf"^[+-]?\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?:[.,]\d*)?$"
_EXPONENT = r"(?:[eE][+-]?\d+)?$"
# A group of thousands never starts with a zero: 0,875 has a decimal comma. After the last three digits, digits are
# grouped by three, or by two as in India: 81,56,310.
_WITH_POINT = rf"^[+-]?(?:\d+|[1-9]\d{{0,2}}(?:,\d{{3}})+|[1-9]\d?(?:,\d{{2}})+,\d{{3}})?(?:\.\d*)?{_EXPONENT}"
_WITH_COMMA = rf"^[+-]?(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+)?(?:,\d*)?{_EXPONENT}"
_MULTIPLES = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
"""Letters after a volume, and what they stand for: 47.44M are 47,440,000."""
_SUFFIXED = r"^(.*\d)\s*([KMBTkmbt])$"

_PRICES = ("open", "high", "low", "close", "adj_close")
_COHERENT = 10.0
"""Largest ratio of two prices of one bar, or of two closes one after the other, that is taken for plausible."""


@dataclass(frozen=True)
class NumberStyle:
    """A format of numbers.

    Attributes
    ----------
    decimal
        Decimal separator.
    thousands
        Thousands separator. Empty if no number of the file has a separator.
    """

    decimal: Literal[".", ","]
    thousands: Literal[",", ".", ""]


POINT, COMMA, PLAIN = NumberStyle(".", ","), NumberStyle(",", "."), NumberStyle(".", "")


class AmbiguousNumbersError(ValueError):
    """The numbers of a file can be read with a decimal point or a decimal comma."""

    def __init__(self, column: str, cell: str) -> None:
        super().__init__(f"{cell!r} in {column!r} can be read in two ways")
        self.column = column
        self.cell = cell


def number_style(
    columns: Mapping[str, pl.Series], others: Sequence[pl.Series] = (), *, delimiter: str, dotted_dates: bool
) -> NumberStyle:
    """Detect the format of a file's numbers.

    In this order, the first that decides:

    1. A number that has one reading only: 12.50, 0,875, 1,234,567; in the columns of a bar, then in other columns.
    2. A number with five digits in a row, or with four beside one such as 1.234: thousands are not separated.
    3. What the following say together. Where they contradict each other, nothing decides.
       The prices: with the wrong separator, 999 and 1,001 differ by a factor of 1000.
       The volume, which is a whole number; that of coins is not, so that it is left out beside a comma as delimiter.
       The separators used: a point alone is a decimal point in a file delimited by commas, and in one delimited by
       anything but semicolons (which spreadsheets write where the comma is decimal) without dates written DD.MM.YYYY;
       a comma alone is a decimal comma beside dates written DD.MM.YYYY, which no country has beside 1,000.

    Parameters
    ----------
    columns
        Cells of the first rows, as strings, by column of a bar.
    others
        Cells of further columns, whose numbers can decide.
    delimiter
        Delimiter of the fields.
    dotted_dates
        Whether the dates are written DD.MM.YYYY.

    Raises
    ------
    AmbiguousNumbersError
        Nothing decides.
    """
    cells = {name: _plain(cells.drop_nulls(), volume=name == "volume") for name, cells in columns.items()}
    told = _told_by(cells.values())
    if told is not None:
        return told
    ambiguous = {name: _ambiguous(text) for name, text in cells.items()}
    doubtful = next(((name, text[0]) for name, text in ambiguous.items() if len(text)), None)
    if doubtful is None:
        return PLAIN
    told = (
        _told_by(filter(_is_numeric, (_plain_share(cells.drop_nulls()) for cells in others)))
        or _told_by_long_numbers(cells)
        or _told_together(columns, cells, pl.concat(list(ambiguous.values())), delimiter, dotted_dates=dotted_dates)
    )
    if told is None:
        raise AmbiguousNumbersError(*doubtful)
    return told


def _told_by(columns: Iterable[pl.Series]) -> NumberStyle | None:
    """Return the only format in which all numbers can be read; None if both can be, or neither."""
    point = comma = False
    for text in columns:
        is_spaced = text.str.contains(_SPACED)
        as_point = text.str.contains(_WITH_POINT) | (is_spaced & ~text.str.contains(",", literal=True))
        as_comma = text.str.contains(_WITH_COMMA) | (is_spaced & ~text.str.contains(".", literal=True))
        point = point or (as_point & ~as_comma).any()
        comma = comma or (as_comma & ~as_point).any()
    # Where both are found, one of them is an error, which is reported with its line when the cell is parsed.
    return POINT if point else COMMA if comma else None


def _ambiguous(text: pl.Series) -> pl.Series:
    """Return the cells that have two readings."""
    has_separator = text.str.contains("[.,]")
    return text.filter(has_separator & text.str.contains(_WITH_POINT) & text.str.contains(_WITH_COMMA))


def _is_numeric(text: pl.Series) -> bool:
    filled = text.filter(~text.str.to_lowercase().is_in(MISSING))
    return len(filled) > 0 and (filled.str.contains(_WITH_POINT) | filled.str.contains(_WITH_COMMA)).all()


def _told_by_long_numbers(cells: Mapping[str, pl.Series]) -> NumberStyle | None:
    """Return the format in which the only separator of numbers that have long ones among them is the decimal one."""
    prices = [text for name, text in cells.items() if name != "volume"]
    for text in (pl.concat(prices) if prices else pl.Series(dtype=pl.String), cells.get("volume")):
        if text is None:
            continue
        # Some countries separate thousands from five digits on.
        separated = _ambiguous(text).str.extract(r"^[+-]?(\d+)").str.len_chars().min()
        digits = text.str.extract(r"^[+-]?(\d+)").str.len_chars().max()
        if separated is None or digits is None or digits < (4 if separated == 1 else 5):  # type: ignore[operator]
            continue
        point, comma = (_ambiguous(text).str.contains(separator, literal=True).any() for separator in (".", ","))
        if point != comma:
            return POINT if point else COMMA
    return None


def _told_together(
    columns: Mapping[str, pl.Series],
    cells: Mapping[str, pl.Series],
    ambiguous: pl.Series,
    delimiter: str,
    *,
    dotted_dates: bool,
) -> NumberStyle | None:
    """Return the format that prices, volume and separators tell, None if none of them tells one or they differ."""
    prices, separators = _told_by_prices(columns), _told_by_separators(ambiguous, delimiter, dotted_dates=dotted_dates)
    told = [prices, separators]
    if delimiter != "," or separators != POINT:
        told.append(_told_by_volume(cells))
    styles = {style.decimal: style for style in told if style is not None}
    return next(iter(styles.values())) if len(styles) == 1 else None


def _told_by_prices(columns: Mapping[str, pl.Series]) -> NumberStyle | None:
    if columns.keys().isdisjoint(_PRICES):
        return None
    coherent = []
    for style in (POINT, COMMA):
        prices = pl.DataFrame(
            [parse_numbers(columns[name], style)[0].alias(name) for name in _PRICES if name in columns]
        )
        prices = prices.select(pl.when(pl.all() > 0).then(pl.all()))
        ratio = prices.select((pl.max_horizontal(pl.all()) / pl.min_horizontal(pl.all())).max()).item() or 1.0
        moves = [abs(move) for move in prices.select(pl.all().log().diff().abs().max()).row(0) if move is not None]
        if max(ratio, *(2.718281828459045**move for move in moves), 1.0) <= _COHERENT:
            coherent.append(style)
    return coherent[0] if len(coherent) == 1 else None


def _told_by_volume(cells: Mapping[str, pl.Series]) -> NumberStyle | None:
    if "volume" not in cells or not len(_ambiguous(cells["volume"])):
        return None
    whole = []
    for style in (POINT, COMMA):
        values, bad = parse_numbers(cells["volume"], style)
        if not bad.any() and (values.drop_nulls() % 1 == 0).all():
            whole.append(style)
    return whole[0] if len(whole) == 1 else None


def _told_by_separators(ambiguous: pl.Series, delimiter: str, *, dotted_dates: bool) -> NumberStyle | None:
    has_point, has_comma = (ambiguous.str.contains(separator, literal=True).any() for separator in (".", ","))
    if has_point:
        is_told = delimiter == "," or (delimiter != ";" and not dotted_dates)
        return POINT if is_told and not has_comma else None
    return COMMA if dotted_dates else None


def parse_numbers(text: pl.Series, style: NumberStyle, *, volume: bool = False) -> tuple[pl.Series, pl.Series]:
    """Parse numbers.

    Parameters
    ----------
    text
        Cells, as strings.
    style
        Format of the file's numbers.
    volume
        Whether the cells are volumes, which can end in K, M, B or T.

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
        parsed, bad = _parse_slowly(text.gather(places), style, volume=volume)
        return values.scatter(places, parsed), _mask(len(text), places.filter(bad))
    return _parse_slowly(text, style, volume=volume)


def _parse_slowly(text: pl.Series, style: NumberStyle, *, volume: bool) -> tuple[pl.Series, pl.Series]:
    """Parse numbers with blanks, currency signs, thousands separators and decimal commas."""
    plain, missing, unreadable = _with_point(_plain(text, volume=volume), style)
    values = plain.cast(pl.Float64, strict=False).set(missing | unreadable, None)
    if volume:
        letters = text.str.strip_chars().str.extract(_SUFFIXED, 2).str.to_uppercase()
        values = values * letters.replace_strict(_MULTIPLES, default=1.0, return_dtype=pl.Float64)
    return values, values.is_null() & ~missing


def plain_numbers(text: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series]:
    """Return numbers as texts with a decimal point and no thousands separators, to be read as exact decimals.

    Returns
    -------
    texts, bad
        Texts, null where a cell is missing or bad; and whether a cell is neither missing nor a number.
    """
    plain, missing, unreadable = _with_point(_plain(text, volume=False), style)
    bad = ~missing & (unreadable | ~plain.str.contains(_WITH_POINT).fill_null(value=False))
    return plain.set(missing | bad, None), bad


def _with_point(plain: pl.Series, style: NumberStyle) -> tuple[pl.Series, pl.Series, pl.Series]:
    """Return numbers with a decimal point and no separators of thousands; which are missing; and which are misread."""
    missing = plain.is_null() | plain.str.to_lowercase().is_in(MISSING)
    spaced = plain.str.contains(_SPACED).fill_null(value=False)
    plain = plain.zip_with(~spaced, plain.str.replace_all(f"[{_SPACES}]", ""))
    readable = plain.str.contains(_WITH_POINT if style.decimal == "." else _WITH_COMMA).fill_null(value=False)
    # What has no separator is left to the cast: inf, for one.
    separated = plain.str.contains("[.,]").fill_null(value=False)
    if style.thousands:
        plain = plain.zip_with(~separated, plain.str.replace_all(style.thousands, "", literal=True))
    if style.decimal == ",":
        plain = plain.str.replace(",", ".", literal=True)
    return plain, missing, separated & ~readable


def _plain(text: pl.Series, *, volume: bool) -> pl.Series:
    """Return cells without blanks around them and currency signs, and volumes without their letter."""
    plain = text.str.strip_chars().str.replace("−", "-", literal=True).str.replace(_CURRENCY, "$1$2")
    return plain.str.replace(_SUFFIXED, "$1") if volume else plain


def _plain_share(text: pl.Series) -> pl.Series:
    """Return the cells of a column that is not one of a bar, which can be shares in percent."""
    return _plain(text.str.replace(r"\s*%\s*$", ""), volume=True)


def _mask(length: int, places: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=length, eager=True).scatter(places, values=True)
