"""Print frames and sentences for a person."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from math import isfinite
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.cells import cell_len
from rich.console import Console, detect_legacy_windows
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from pm.cli.listing import current_listing
from pm.cli.visible import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["MAX_ROWS", "SECONDS", "CellFormat", "join_names", "print_frame", "print_lines"]

CellFormat = str | Callable[[float], str]
"""A format specification such as '.2f' or '%Y-%m-%d', or a function that returns the one for a number."""

SECONDS = "%Y-%m-%d %H:%M:%S"
"""Format of a time to the second."""

MAX_ROWS = 1000
"""Maximum number of rows to print."""
_FILE_WIDTH = 100_000
"""Width in columns where output goes to a file or a pipe: no line is folded there."""
_FOLDED_WIDTH = 30
"""Number of characters from which a column of text is folded on a terminal."""
_EXPONENT_FROM = 1e15
"""Number from which values are written with an exponent: one broken price must not push a table off the screen."""
_SIGNIFICANT = 7
"""Significant digits of floating-point numbers without a format; whole numbers above have all of theirs."""
_WIDEST_ALIGNED = 16
"""Largest number of characters of a number in a column whose decimal points are aligned."""
_TRAILING_SPACES = re.compile(r" +(\x1b\[0m)?$", re.MULTILINE)
_STYLES = {
    "BUY": "green", "SELL": "red", "HOLD": "dim", "failed": "red", "abandoned": "yellow", "cut off": "yellow",
}  # fmt: skip


def print_lines(*lines: str) -> None:
    """Print lines of text; on a terminal, long ones are folded between words, and indented where they go on."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_WIDTH
    taken = current_listing()
    # Standard output is the table's where that is written for a program.
    stream = sys.stderr if taken is not None and taken.output is None else sys.stdout
    for line in lines:
        shown = visible(line)
        print(_folded(shown, width) if len(shown) > width else shown, file=stream)


def _folded(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(),
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,  # a path can be copied in one piece
        break_on_hyphens=False,
    )


def join_names(names: Sequence[str], *, limit: int) -> str:
    """Return at most `limit` names, comma-separated, and the number of the others."""
    others = len(names) - limit
    return ", ".join(map(visible_line, names[:limit])) + (f" and {others:,} more" if others > 0 else "")


def print_frame(
    frame: pl.DataFrame,
    *,
    formats: Mapping[str, CellFormat] | None = None,
    title: str | None = None,
    total: int | None = None,
    optional: Sequence[Sequence[str]] = (),
    keys: Mapping[str, str] | None = None,
    beside: bool = False,
) -> None:
    """Print a frame as a table, one line per row; on a terminal, long texts are folded to fit its width.

    Parameters
    ----------
    frame
        Frame; rows after the first 1,000 are counted, not printed.
    formats
        Formats of the values of some columns.
    title
        Line above the table.
    total
        Number of rows of which the frame has the first ones, 1,000 if there are as many; by default the frame has all.
    optional
        Groups of columns to leave out on a terminal that is too narrow for the table, the first group first. A line
        below the table names those left out.
    keys
        Columns with one value, which the title tells a person: a program gets them in front of the others.
    beside
        Whether the table stands beside the one that the command is about: a program gets that one alone.
    """
    if (taken := current_listing()) is not None:
        if not beside:
            told = [pl.lit(value).alias(name) for name, value in (keys or {}).items()]
            taken.take(frame.select(*told, pl.all()))
        return
    _print_table(frame, formats=dict(formats or {}), title=title, optional=optional)
    total = frame.height if total is None else total
    if total > MAX_ROWS:
        print_lines(
            f"… {total - MAX_ROWS:,} more rows. Narrow the query, or write all rows to a file: "
            "pm sql … --format csv -o FILE"
        )


def _print_table(
    frame: pl.DataFrame, *, formats: dict[str, CellFormat], title: str | None, optional: Sequence[Sequence[str]]
) -> None:
    table = Table(header_style="bold", box=None, pad_edge=False)
    shown = frame.head(MAX_ROWS)
    formats = {name: _number_format(shown[name]) for name in frame.columns if frame[name].dtype.is_float()} | formats
    cells = {name: [_cell(value, formats.get(name)) for value in shown[name].to_list()] for name in frame.columns}
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _FILE_WIDTH
    widths = {}
    folded = set()
    for name, dtype in frame.schema.items():
        longest = max((_width(line) for cell in cells[name] for line in cell.splitlines()), default=0)
        if terminal and dtype == pl.String and longest > _FOLDED_WIDTH:
            folded.add(name)
        widths[name] = _FOLDED_WIDTH if name in folded else max(longest, len(visible_line(name)))
    left_out: list[str] = []
    for group in optional:
        if sum(widths.values()) + len(widths) - 1 > width:
            left_out += [name for name in group if widths.pop(name, None) is not None]
    needed = sum(widths.values())
    gap = 2 if needed + 2 * len(widths) <= width else 1
    table.padding = (0, gap, 0, 0)
    for name in widths:
        dtype = frame.schema[name]
        table.add_column(
            escape(visible_line(name)),
            justify="right" if dtype.is_numeric() or dtype == pl.Null else "left",
            no_wrap=name not in folded,
        )
    for row in zip(*(cells[name] for name in widths), strict=True):
        table.add_row(*row)
    buffer = StringIO()
    width = max(width, needed + gap * len(widths))
    styled = terminal and not detect_legacy_windows()  # an old console would print the codes
    Console(file=buffer, width=width, highlight=False, emoji=False, force_terminal=styled).print(table)
    if title is not None:
        print_lines(title)  # not the table's own: that would be folded to the width of a narrow table
    print(_TRAILING_SPACES.sub(r"\1", buffer.getvalue()).rstrip("\n"))  # noqa: T201 - as in print_lines
    if left_out:
        print_lines(f"Left out, for the terminal is too narrow: {', '.join(left_out)}")


def _number_format(column: pl.Series) -> CellFormat:
    """Return the format of a column of floating-point numbers that has none.

    Values have seven significant digits, all of them thousands separators, and as many decimals as the one that needs
    most, so that their points are aligned; unless the values differ so much in size that the column would be wide.
    """
    values = [value for value in column if value is not None and isfinite(value) and abs(value) < _EXPONENT_FROM]
    exact = [f"{value:.{_SIGNIFICANT}g}" for value in values if abs(value) < 10**_SIGNIFICANT]
    decimals = max((len(text.partition(".")[2]) for text in exact), default=0)
    widest = max((len(f"{value:,.{decimals}f}") for value in values), default=0)
    if any("e" in text for text in exact) or widest > _WIDEST_ALIGNED:
        return lambda value: ",.0f" if abs(value) >= 10**_SIGNIFICANT else f",.{_SIGNIFICANT}g"
    return f",.{decimals}f"


def _width(line: str) -> int:
    """Return the number of columns that a line of a cell takes on a terminal."""
    return Text.from_markup(line).cell_len if "[" in line else cell_len(line)


def _cell(value: Any, cell_format: CellFormat | None) -> str:  # noqa: ANN401 - any SQL value
    if value is None:
        return "[dim]–[/dim]"
    if isinstance(value, float) and abs(value) >= _EXPONENT_FROM:
        return f"{value:.7g}"
    if cell_format is not None:
        return format(value, cell_format if isinstance(cell_format, str) else cell_format(value))
    text = escape(visible(f"{value:f}" if isinstance(value, Decimal) else str(value)))
    return f"[{_STYLES[text]}]{text}[/]" if text in _STYLES else text
