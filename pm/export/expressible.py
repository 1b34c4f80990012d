"""Turn values that an output has no form for into texts, as SQL writes them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.lake.sql_text import sql_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["expressible", "has_part", "is_map", "not_in_python"]

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_DAY, _LAST_DAY = date.min.toordinal() - _EPOCH, date.max.toordinal() - _EPOCH
"""First and last day that Python has, of the years 1 and 9999, in days since 1970-01-01."""
_UNITS_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}
_INFINITE_NS = 2**63 - 1
"""Number of nanoseconds, before or after 1970, that stands for an infinite time; years that Python lacks need more."""
_TOO_LONG = 1e38
"""Number from which on Python's decimals of polars lose digits."""


def expressible(
    frame: pl.DataFrame,
    *,
    write: Callable[[pl.Series], Sequence[Any]],
    refuses: Callable[[pl.DataType], bool] = lambda _: False,
) -> pl.DataFrame:
    """Return a frame whose values an output can show; those that it cannot are texts.

    Dates and times that are infinite or not of the years 1 to 9999 are such values, and integers of 39 digits. A column
    of texts is made where there is one, in which the other values are as the output writes them; a column of lists,
    structs or maps becomes SQL's texts as a whole.

    Parameters
    ----------
    write
        Function that returns the texts of the output for a column of dates or times.
    refuses
        Function that tells types that the output has no form for at all.
    """
    changed = [
        _expressible(column, write, refuses(column.dtype))
        for column in frame.get_columns()
        if has_part(column.dtype, _can_exceed) or refuses(column.dtype)
    ]
    return frame.with_columns(changed) if changed else frame


def has_part(dtype: pl.DataType, is_sought: Callable[[pl.DataType], bool]) -> bool:
    """Return whether a type, or one that it is made of, is of a kind."""
    return is_sought(dtype) or any(has_part(part, is_sought) for part in _parts(dtype))


def is_map(dtype: pl.DataType) -> bool:
    """Return whether a type is that of maps, which polars 2.0 has under no name."""
    return type(dtype).__name__ == "Map"


def not_in_python(dtype: pl.DataType) -> bool:
    """Return whether Python has no values of a type: maps whose keys are lists, structs or maps."""
    return has_part(dtype, lambda part: is_map(part) and part.key.is_nested())  # type: ignore[attr-defined]


def _parts(dtype: Any) -> list[Any]:  # noqa: ANN401 - a type, whose attributes depend on its class
    if is_map(dtype):
        return [dtype.key, dtype.value]
    if isinstance(dtype, pl.Struct):
        return [field.dtype for field in dtype.fields]
    return [dtype.inner] if isinstance(dtype, (pl.List, pl.Array)) else []


def _can_exceed(dtype: pl.DataType) -> bool:
    return isinstance(dtype, (pl.Date, pl.Datetime, pl.Decimal))


def _expressible(column: pl.Series, write: Callable[[pl.Series], Sequence[Any]], refused: bool) -> pl.Series:
    if refused:
        return sql_text(column)
    if column.dtype.is_nested():
        return sql_text(column) if any(_exceeding(leaf).any() for leaf in _leaves(column)) else column
    exceeding = _exceeding(column)
    if not exceeding.any():
        return column
    if isinstance(column.dtype, pl.Decimal):
        return column.cast(pl.String)
    others = pl.Series(column.name, write(column.set(exceeding, None)), pl.String)
    return sql_text(column).zip_with(exceeding | column.is_null(), others)


def _leaves(column: Any) -> Iterator[pl.Series]:  # noqa: ANN401 - a series, whose attributes depend on its type
    """Yield the values in a column of lists, structs or maps, in columns that are none."""
    if is_map(column.dtype):
        yield from _leaves(column.map.entries())
    elif isinstance(column.dtype, pl.Struct):
        for field in column.struct.fields:
            yield from _leaves(column.struct.field(field))
    elif isinstance(column.dtype, (pl.List, pl.Array)):
        yield from _leaves(column.explode())
    else:
        yield column


def _exceeding(column: pl.Series) -> pl.Series:
    """Return for each value whether it is beyond those that Python has."""
    match column.dtype:
        case pl.Decimal():
            return (column.cast(pl.Float64).abs() >= _TOO_LONG).fill_null(value=False)
        case pl.Date():
            inside = column.to_physical().is_between(_FIRST_DAY, _LAST_DAY)
        case pl.Datetime(time_unit="ns"):
            inside = column.to_physical().is_between(-_INFINITE_NS + 1, _INFINITE_NS - 1)
        case pl.Datetime(time_unit=unit):
            inside = column.to_physical().is_between(
                _FIRST_DAY * _UNITS_PER_DAY[unit], (_LAST_DAY + 1) * _UNITS_PER_DAY[unit] - 1
            )
        case _:
            return pl.repeat(False, len(column), eager=True)
    return (~inside).fill_null(value=False)
