"""Read the dividends and splits in a file of bars: columns beside the prices, and rows between them."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import InputError
from pm.sources.base import ACTIONS_SCHEMA
from pm.sources.cells import cell_styles
from pm.sources.dates import parse_dates
from pm.sources.delimited import ACTION_CELL, DelimitedText, sniff
from pm.sources.finding import is_folder
from pm.sources.names import FILES, USER
from pm.sources.numbers import parse_numbers
from pm.sources.spellings import ACTION_SPELLINGS, SPELLINGS, normalised
from pm.sources.text_file import TextFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pm.sources.cells import CellStyles
    from pm.sources.columnar import ParquetFile

__all__ = ["actions_in", "match_actions", "read_actions", "split_ratio", "with_numbers"]

_RATIO = re.compile(r"^\s*(\d+(?:[.,]\d+)?)\s*(?:[:/]|-?\s*for\s*-?)\s*(\d+(?:[.,]\d+)?)\s*$", re.IGNORECASE)
"""A ratio of new shares to old ones: 4:1, 3/2, 4-for-1."""


_SAMPLE_ROWS = 1_000
"""Number of first rows from which it is known what a column holds."""
_ALONE = {"split": ("ratio",), "dividend": ("amount",)}
"""Further names of the columns of a file that has no bars."""


def actions_in(path: Path) -> pl.DataFrame:
    """Return the dividends and splits of a file of nothing else, with the columns of `ACTIONS_SCHEMA`.

    The file is delimited text with the columns ticker, date, and split (or ratio), dividend (or amount), or both.

    Raises
    ------
    InputError
        The path is no file, a column is missing, or a cell cannot be read.
    """
    if is_folder(path):
        raise InputError("The path is a folder.", where=str(path), hint="name a file of dividends and splits")
    content = sniff(TextFile(path), is_header=lambda record: {"ticker", "date"} <= _columns_of(record).keys())
    columns = _columns_of(content.header)
    missing = [name for name in ("ticker", "date") if name not in columns]
    actions = {kind: columns[kind] for kind in ACTION_SPELLINGS if kind in columns}
    if missing or not actions:
        lacking = missing[0] if missing else "split and no dividend"
        raise InputError(
            f"No {lacking} column; found {', '.join(map(repr, content.header))}.",
            where=str(path),
            hint="let the first line name the columns: ticker,date,split,dividend",
        )
    amounts = {"close": actions["dividend"]} if "dividend" in actions else {}
    styles = cell_styles(content, {"date": columns["date"]} | amounts)
    return read_actions(content, columns, actions, styles, ticker=None).with_columns(source=pl.lit(USER))


def _columns_of(header: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    words = {name: SPELLINGS[name] for name in ("ticker", "date")} | {
        kind: (*names, *_ALONE[kind]) for kind, names in ACTION_SPELLINGS.items()
    }
    for place, name in enumerate(header):
        for column, names in words.items():
            if normalised(name) in names:
                found.setdefault(column, place)
    return found


def match_actions(header: Sequence[str], taken: Mapping[str, int]) -> dict[str, int]:
    """Return the positions of the columns of splits and dividends, the first of each, among those not taken."""
    found: dict[str, int] = {}
    for kind, words in ACTION_SPELLINGS.items():
        places = [place for place, name in enumerate(header) if normalised(name) in words]
        if places and places[0] not in taken.values():
            found[kind] = places[0]
    return found


def with_numbers(
    content: DelimitedText | ParquetFile, actions: Mapping[str, int], styles: CellStyles
) -> dict[str, int]:
    """Return those of the columns of splits and dividends whose first rows hold numbers, or nothing at all.

    Columns of these names can hold something else: the date of an ex-dividend, a yes or no, a yield in percent.
    """
    if not actions:
        return {}
    with closing(content.pieces(actions)) as pieces:
        head = next(pieces, pl.DataFrame(schema=list(actions))).head(_SAMPLE_ROWS)
    return {kind: place for kind, place in actions.items() if _holds_numbers(head[kind], kind, styles)}


def _holds_numbers(cells: pl.Series, kind: str, styles: CellStyles) -> bool:
    if cells.dtype != pl.String:
        return cells.dtype.is_numeric() or cells.dtype == pl.Null
    values, bad = parse_numbers(cells, styles.numbers)
    if kind == "split":
        bad = bad & pl.Series([split_ratio(cell or "") is None for cell in cells], dtype=pl.Boolean)
    return not bad.any() or (~bad & (values.is_not_null() if kind == "dividend" else cells != "")).any()


def split_ratio(text: str) -> float | None:
    """Return the number of new shares for an old one that a text means, such as '4:1', '3/2' or '0.1'; None if none.

    Examples
    --------
    >>> split_ratio("3:2"), split_ratio("1-for-10"), split_ratio("1.5"), split_ratio("four")
    (1.5, 0.1, 1.5, None)
    """
    found = _RATIO.match(text)
    if found is None:
        try:
            return float(text)
        except ValueError:
            return None
    new, old = (float(part.replace(",", ".")) for part in found.groups())
    return new / old if old else None


def read_actions(
    content: DelimitedText | ParquetFile,
    places: Mapping[str, int],
    actions: Mapping[str, int],
    styles: CellStyles,
    *,
    ticker: str | None,
) -> pl.DataFrame:
    """Return the dividends and splits of a file, with the columns of `ACTIONS_SCHEMA`.

    They are in columns of their own, or in rows between the bars. A dividend of 0, a split of 0 or 1 and an empty cell
    are none.

    Parameters
    ----------
    content
        The file.
    places
        Positions of the columns of a bar.
    actions
        Positions of the columns of splits and dividends.
    styles
        Formats of dates and numbers.
    ticker
        Ticker of every row; None if a column has it.

    Raises
    ------
    InputError
        A cell is neither a number nor a ratio.
    """
    found = [ACTIONS_SCHEMA.to_frame(), _between_bars(content, places, styles, ticker)]
    if not actions:
        return pl.concat(found)
    read = {name: places[name] for name in ("ticker", "date") if name in places} | dict(actions)
    if ticker is not None:
        read.pop("ticker", None)
    start = 0
    for raw in content.pieces(read):
        columns = _typed(raw, content, actions, styles, start)
        start += raw.height
        rows = pl.DataFrame(columns).with_columns(
            ticker=pl.lit(ticker) if ticker is not None else pl.lit(raw["ticker"].cast(pl.String).str.strip_chars())
        )
        for kind in actions:
            none = (0.0, 1.0) if kind == "split" else (0.0,)
            rows_of = rows.filter(pl.col("date").is_not_null(), ~pl.col(kind).is_in(none))
            found.append(rows_of.select("ticker", "date", kind=pl.lit(kind), value=kind, source=pl.lit(FILES)))
    return pl.concat(found)


def _between_bars(
    content: DelimitedText | ParquetFile, places: Mapping[str, int], styles: CellStyles, ticker: str | None
) -> pl.DataFrame:
    """Return the rows of a file that are dividends and splits, as '0.24 Dividend' or '4:1 Stock Splits'."""
    rows = list(content.action_rows()) if isinstance(content, DelimitedText) else []
    if not rows or styles.dates is None:
        return ACTIONS_SCHEMA.to_frame()
    dates, _ = parse_dates(pl.Series([row[places["date"]] for row in rows]), styles.dates)
    found = []
    for row, day in zip(rows, dates, strict=True):
        cell = next(match for match in (re.match(ACTION_CELL, field) for field in row[1:]) if match)
        kind = "dividend" if cell["dividend"] else "split"
        value = (
            parse_numbers(pl.Series([cell["dividend"]]), styles.numbers)[0][0]
            if kind == "dividend"
            else split_ratio(cell["split"])
        )
        named = ticker if ticker is not None else row[places["ticker"]] if places["ticker"] < len(row) else None
        if day is None or value is None or named is None:
            raise InputError(
                f"The row {', '.join(filter(None, row))!r} is no {kind} that can be read.",
                where=str(content),
                hint=f"correct the row, or delete it and tell the {kind}: pm actions add",
            )
        found.append((named, day, kind, value, FILES))
    return pl.DataFrame(found, schema=ACTIONS_SCHEMA, orient="row")


def _typed(
    raw: pl.DataFrame, content: DelimitedText | ParquetFile, actions: Mapping[str, int], styles: CellStyles, start: int
) -> dict[str, pl.Series]:
    dates = raw["date"]
    if styles.dates is not None:
        whole = dates.cast(pl.Int64, strict=False) if dates.dtype.is_float() else dates
        dates, _ = parse_dates(whole.cast(pl.String), styles.dates)
    elif dates.dtype != pl.Date:
        dates = dates.dt.date()
    columns = {"date": dates}
    for kind in actions:
        cells = raw[kind]
        if cells.dtype != pl.String:
            columns[kind] = cells.cast(pl.Float64).fill_nan(None)
            continue
        values, bad = parse_numbers(cells, styles.numbers)
        for place in bad.arg_true():
            ratio = split_ratio(cells[place]) if kind == "split" else None
            if ratio is None:
                raise InputError(
                    f"{cells[place]!r} in column {content.header[actions[kind]]!r} is no {kind}.",
                    where=content.place_of(start + place),
                    hint="write a split as 4:1 or 4.0, a dividend as an amount per share; or leave the cell empty",
                )
            values[place] = ratio
        columns[kind] = values
    return columns
