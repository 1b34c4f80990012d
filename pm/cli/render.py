"""Print frames and sentences for a person."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SECONDS", "CellFormat", "join_names", "print_frame", "print_lines"]

CellFormat = str | Callable[[float], str]
"""A format specification such as '.2f' or '%Y-%m-%d', or a function that returns the one for a number."""

SECONDS = "%Y-%m-%d %H:%M:%S"
"""Format of a time to the second."""

_MAX_ROWS = 1000
"""Maximum number of rows to print."""
_FILE_WIDTH = 100_000
"""Width in columns where output goes to a file or a pipe: no line is folded there."""
_FOLDED_WIDTH = 30
"""Number of characters from which a column of text is folded on a terminal."""
_EXPONENT_FROM = 1e15
"""Number from which values are written with an exponent: one broken price must not push a table off the screen."""
_TRAILING_SPACES = re.compile(r" +(\x1b\[0m)?$", re.MULTILINE)
_STYLES = {
    "BUY": "green", "SELL": "red", "HOLD": "dim", "failed": "red", "abandoned": "yellow", "cut off": "yellow",
}  # fmt: skip


def print_lines(*lines: str) -> None:
    """Print lines of text; on a terminal, long ones are folded between words, and indented where they go on."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_WIDTH
    for line in lines:
        print(_folded(line, width) if len(line) > width else line)  # noqa: T201 - this is where the command line prints


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
    return ", ".join(names[:limit]) + (f" and {others:,} more" if others > 0 else "")


def print_frame(
    frame: pl.DataFrame, *, formats: Mapping[str, CellFormat] | None = None, title: str | None = None
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
    """
    formats = formats or {}
    table = Table(header_style="bold", box=None, pad_edge=False)
    rows = [
        [_cell(value, formats.get(name)) for name, value in zip(frame.columns, row, strict=True)]
        for row in frame.head(_MAX_ROWS).iter_rows()
    ]
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _FILE_WIDTH
    needed = 0
    for place, (name, dtype) in enumerate(frame.schema.items()):
        longest = max((len(line) for row in rows for line in row[place].splitlines()), default=0)
        folded = terminal and dtype == pl.String and longest > _FOLDED_WIDTH
        needed += _FOLDED_WIDTH if folded else max(longest, len(name))
        table.add_column(
            escape(name), justify="right" if dtype.is_numeric() or dtype == pl.Null else "left", no_wrap=not folded
        )
    gap = 2 if needed + 2 * frame.width <= width else 1
    table.padding = (0, gap, 0, 0)
    for row in rows:
        table.add_row(*row)
    buffer = StringIO()
    width = max(width, needed + gap * frame.width)
    Console(file=buffer, width=width, highlight=False, force_terminal=terminal).print(table)
    if title is not None:
        print_lines(title)  # not the table's own: that would be folded to the width of a narrow table
    print(_TRAILING_SPACES.sub(r"\1", buffer.getvalue()).rstrip("\n"))  # noqa: T201 - as in print_lines
    if frame.height > _MAX_ROWS:
        print_lines(
            f"… {frame.height - _MAX_ROWS:,} more rows. Narrow the query, or write all rows to a file: "
            "pm sql … --format csv -o FILE"
        )


def _cell(value: Any, cell_format: CellFormat | None) -> str:  # noqa: ANN401 - any SQL value
    if value is None:
        return "[dim]–[/dim]"
    if isinstance(value, float) and abs(value) >= _EXPONENT_FROM:
        return f"{value:.7g}"
    if cell_format is not None:
        return format(value, cell_format if isinstance(cell_format, str) else cell_format(value))
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() and abs(value) >= 1e7 else f"{value:.7g}"
    text = escape(str(value))
    return f"[{_STYLES[text]}]{text}[/]" if text in _STYLES else text
