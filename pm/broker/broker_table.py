"""Read the table of a file that a broker or a person wrote: positions, or a ticket with what was traded.

The format of the file, of its numbers and of its dates is detected as that of files of bars is. What can be read in two
ways is refused and never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.errors import InputError
from pm.ledger.money import decimal_of
from pm.sources.dates import date_style, month_first, parse_dates, short_years
from pm.sources.delimited import DelimitedText, sniff
from pm.sources.numbers import MISSING, AmbiguousNumbersError, NumberStyle, number_style, plain_numbers
from pm.sources.spellings import normalised
from pm.sources.text_file import TextFile, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from decimal import Decimal
    from pathlib import Path

__all__ = ["Cells", "columns_of", "days", "numbers", "open_table"]

_CODE = re.compile(r"^(?:[A-Z]{3}(?=[\s\d.,(+-]))?\s*(?P<number>.*?)\s*(?:(?<=[\s\d.,)-])[A-Z]{3})?$")
"""Pattern of a number with the code of a currency before or after it: USD 1,234.50."""
_DOTTED = re.compile(r"\d{1,2}\.\d{1,2}\.\d{2,4}$")
"""Pattern of a date in a country whose decimal separator is a comma."""
_SIGNS = "+-−$€£¥ \u00a0\u202f"
"""Characters around the digits of a number."""


@dataclass(frozen=True)
class Cells:
    """The cells of one line, by the name of the column, without blanks around them; and where it is, for messages."""

    where: str
    text: dict[str, str]

    def __getitem__(self, name: str) -> str:
        """Return the text of a cell; empty if the file has no such column, or the line no such cell."""
        return self.text.get(name, "")


def open_table(path: Path, is_header: Callable[[Sequence[str]], bool]) -> DelimitedText:
    """Return the table of a file: of a workbook or an archive, that of its first part which has the header.

    Parameters
    ----------
    is_header
        Returns whether a line names the columns that are needed.

    Raises
    ------
    InputError
        The file cannot be read, is empty or is not text.
    """
    tables = [sniff(TextFile(path, part), is_header=is_header) for part in parts_of(path)]
    return next((table for table in tables if is_header(table.header)), tables[0])


def columns_of(header: Sequence[str], spellings: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the positions of the columns of a header, by name.

    Parameters
    ----------
    spellings
        For each name its spellings, the best first, in small letters and without spaces and punctuation.
    """
    headings = [normalised(heading) for heading in header]
    found = {}
    for name, words in spellings.items():
        place = next((headings.index(word) for word in words if word in headings), None)
        if place is not None:
            found[name] = place
    return found


def numbers(
    rows: Sequence[Cells],
    names: Sequence[str],
    others: Iterable[Sequence[str]],
    *,
    dates: str,
    delimiter: str,
    decimal: str | None = None,
) -> list[dict[str, Decimal | None]]:
    """Return the numbers of each line, by the name of the column; None where a cell has none.

    Negative numbers can be written in brackets, or with the sign at their end.

    Parameters
    ----------
    names
        Columns of numbers.
    others
        Cells of further columns, whose numbers can tell whether commas are decimal.
    dates
        Column of dates: beside 31.01.2024 a comma is decimal.
    delimiter
        Delimiter of the file.
    decimal
        Decimal separator if the user tells it.

    Raises
    ------
    InputError
        A cell is no number, or the numbers can be read in two ways.
    """
    texts = {name: pl.Series([_bare(cells[name]) for cells in rows], dtype=pl.String) for name in names}
    dotted = any(_DOTTED.match(cells[dates]) for cells in rows)
    style = _style(texts, others, delimiter, dotted, decimal, rows[0].where if rows else "")
    found: list[dict[str, Decimal | None]] = [{} for _ in rows]
    for name, text in texts.items():
        plain, bad = plain_numbers(text, style)
        for place, (cells, number) in enumerate(zip(rows, plain, strict=True)):
            if bad[place]:
                raise InputError(
                    f"The {name} is no number: {cells[name][:40]!r}.", where=cells.where, hint="correct the cell"
                )
            found[place][name] = None if number is None else decimal_of(number, name=name, where=cells.where)
    return found


def days(rows: Sequence[Cells], name: str) -> list[date | None]:
    """Return the days of a column; None where a cell has none. None is after today.

    Raises
    ------
    InputError
        A cell is no day, the days are after today, or they can be read with the day or with the month first.
    """
    texts = ["" if cells[name].lower() in MISSING else cells[name] for cells in rows]
    filled = [place for place, text in enumerate(texts) if text]
    if not filled:
        return [None] * len(rows)
    series = pl.Series(texts, dtype=pl.String)
    first = date_style(texts[filled[0]])
    told: dict[tuple[date | None, ...], bool] = {}
    unread = filled[0]
    for style in [] if first is None else [first, *filter(None, [month_first(first)]), *short_years(first)]:
        parsed, bad = parse_dates(series, style)
        if bad.any():
            unread = max(unread, int(bad.arg_true()[0]))
        else:
            told[tuple(parsed)] = any(value is not None and value > utc_today() for value in parsed)
    possible = [list(values) for values, is_later in told.items() if not is_later]
    if len(possible) == 1:
        return possible[0]
    if told and not possible:
        values = next(iter(told))
        late = next(place for place in filled if (value := values[place]) is not None and value > utc_today())
        raise InputError(f"The date {texts[late]!r} is after today.", where=rows[late].where, hint="correct the date")
    hint = "write it as 2024-01-31"
    if possible:
        where, what = (
            rows[filled[0]].where,
            f"The date {texts[filled[0]]!r} can be read with the day or the month first.",
        )
        raise InputError(what, where=where, hint=hint)
    raise InputError(f"The date {texts[unread][:20]!r} cannot be read.", where=rows[unread].where, hint=hint)


def _bare(text: str) -> str:
    """Return a number as a file has it, with its sign in front and without brackets and currencies."""
    inner = text.strip()
    if inner.lower() in MISSING:
        return ""
    match = _CODE.match(inner)
    inner = match["number"] if match is not None else inner
    is_negative = inner.startswith("(") and inner.endswith(")")
    inner = inner.strip("()")
    is_negative |= any(sign in inner[: len(inner) - len(inner.lstrip(_SIGNS))] for sign in "-−")
    is_negative |= any(sign in inner[len(inner.rstrip(_SIGNS)) :] for sign in "-−")
    return ("-" if is_negative else "") + inner.strip(_SIGNS)


def _style(
    texts: Mapping[str, pl.Series],
    others: Iterable[Sequence[str]],
    delimiter: str,
    dotted_dates: bool,
    decimal: str | None,
    where: str,
) -> NumberStyle:
    if decimal is not None:
        return NumberStyle(",", ".") if decimal == "," else NumberStyle(".", ",")
    further = [pl.Series([_bare(cell) for cell in cells], dtype=pl.String) for cells in others]
    try:
        return number_style(texts, further, delimiter=delimiter, dotted_dates=dotted_dates)
    except AmbiguousNumbersError as error:
        raise InputError(
            f"{error.cell} in the column of the {error.column} can be read with a decimal separator or with a "
            "thousands separator.",
            where=where.rpartition(", line")[0],
            hint="say which with --decimal point or --decimal comma",
        ) from None
