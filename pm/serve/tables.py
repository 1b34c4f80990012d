"""Tables of a page: which columns of a view a visitor sees, under which words, and how their values are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pm.number_format import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

__all__ = ["ROWS", "Column", "table", "words"]

ROWS = 1000
"""Largest number of rows in a table of a page; downloads have all."""


def words(value: object) -> str:
    """Return a value as words: `within_band` as 'within band', a missing one as a dash."""
    return MISSING if value is None else str(value).replace("_", " ")


def _text(value: object) -> str:
    return MISSING if value is None else str(value)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name
        Its name in the frame.
    heading
        Words above it.
    show
        Function that writes a value; by default the value's own text.
    number
        Whether its values are aligned to the right.
    """

    name: str
    heading: str
    show: Callable[[Any], str] = _text
    number: bool = False


def table(
    title: str, name: str, frame: pl.DataFrame, columns: Sequence[Column], *, note: str = "", total: int | None = None
) -> dict[str, Any]:
    """Return a table for the template: its first 1,000 rows as texts.

    Parameters
    ----------
    title
        Words above the table.
    name
        The table or view whose rows can be downloaded.
    note
        Sentences that explain the columns.
    total
        Number of rows of which the frame has the first ones; by default it has all.
    """
    shown = frame.head(ROWS)
    cells = [[column.show(value) for value in shown[column.name].to_list()] for column in columns]
    return {
        "title": title,
        "name": name,
        "note": note,
        "columns": columns,
        "rows": list(zip(*cells, strict=True)),
        "total": frame.height if total is None else total,
    }
