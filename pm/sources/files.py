"""Files of bars, as `pm import` reads them: which there are, how each is to be read, and its bars, streamed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from pm.errors import InputError
from pm.sources.base import BARS_SCHEMA
from pm.sources.cells import CellStyles, cell_styles, read_cells
from pm.sources.columnar import ParquetFile, look_into
from pm.sources.delimited import DelimitedText, open_bytes, reading, sniff
from pm.sources.spellings import match_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["SOURCE_NAME", "FilePlan", "find_files", "inspect_file", "read_file"]

SOURCE_NAME = "files"
"""Source of the bars of a file that has no source column."""

_SEARCHED = (".csv", ".csv.gz", ".parquet")
_READ = (*_SEARCHED, ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_TICKER = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=-]{0,14}")
# fmt: off
_NOT_TICKERS = {
    "bars", "candles", "daily", "data", "dataset", "download", "export", "historical", "history", "ohlc", "ohlcv",
    "prices", "quotes", "sample", "stocks", "table", "test", "tickers",
}
# fmt: on


@dataclass(frozen=True)
class FilePlan:
    """How a file is to be read: what `pm import` shows before it reads.

    Attributes
    ----------
    path
        The file.
    format
        'csv' or 'parquet'.
    columns
        Our column to the file's column it is read from.
    ignored
        The file's columns that are not read.
    ticker
        The ticker of every row, from the file's name, where the file has no ticker column.
    tickers
        The tickers whose rows are read; None for all.
    fingerprint
        SHA-256 of the content (unpacked), and of what else decides the bars: `ticker` and `tickers`.
    styles
        How it writes dates and numbers.
    content
        The file, opened up.
    places
        Our column to the place of the file's column, from 0.
    """

    path: Path
    format: Literal["csv", "parquet"]
    columns: dict[str, str]
    ignored: tuple[str, ...]
    ticker: str | None
    tickers: frozenset[str] | None
    fingerprint: str
    styles: CellStyles = field(repr=False)
    content: DelimitedText | ParquetFile = field(repr=False)
    places: dict[str, int] = field(repr=False)


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Give the files to import: those named, and those found in the folders named.

    A folder is searched at every depth for *.csv, *.csv.gz and *.parquet, but for hidden ones and lakes; its files
    come sorted. A path is taken literally, whatever characters it holds. A file named twice is given once.

    Raises
    ------
    InputError
        A path that does not exist, or a folder without such a file.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        with reading(path):
            is_folder, is_there = path.is_dir(), path.exists()
        if is_folder:
            inside = sorted(file for file in path.rglob("*") if _is_searched(file, path))
            if not inside:
                raise InputError(
                    "The folder holds no files of bars.",
                    where=str(path),
                    hint=f"put {', '.join('*' + suffix for suffix in _SEARCHED)} there",
                )
            found.update(dict.fromkeys(inside))
        elif is_there:
            found[path] = None
        else:
            raise InputError("There is no such file or folder.", where=str(path), hint="check the path")
    return list(found)


def inspect_file(path: str | Path, *, tickers: Sequence[str] | None = None) -> FilePlan:
    """Find out how a file is to be read, without holding it in memory.

    Parameters
    ----------
    path
        CSV (commas, semicolons or tabs; gzipped or not) or Parquet.
    tickers
        The tickers whose rows are wanted, spelled as in the file; None for all. The file of one other ticker then
        has no rows.

    Raises
    ------
    InputError
        Whatever makes the file unreadable as bars: see docs/importing.md.
    """
    path = Path(path)
    with reading(path):
        is_folder = path.is_dir()
    if is_folder:
        raise InputError("This is a folder, not a file.", where=str(path), hint="give the files in it")
    if not path.name.lower().endswith(_READ):
        raise InputError(
            "The name does not tell a format that is read.",
            where=str(path),
            hint=f"let it end in one of: {', '.join(_READ)}",
        )
    content = look_into(path) if path.suffix.lower() == ".parquet" else sniff(path)
    places = match_columns(content.header, where=str(path))
    ticker = None if "ticker" in places else _ticker_of(path)
    wanted = None if tickers is None else frozenset(tickers)
    return FilePlan(
        path=path,
        format="parquet" if isinstance(content, ParquetFile) else "csv",
        columns={name: content.header[place] for name, place in places.items()},
        ignored=tuple(name for place, name in enumerate(content.header) if place not in places.values()),
        ticker=ticker,
        tickers=wanted,
        fingerprint=_fingerprint(content, ticker, wanted),
        styles=cell_styles(content, places),
        content=content,
        places=places,
    )


def read_file(plan: FilePlan, chunk_rows: int = 500_000) -> Iterator[pl.DataFrame]:
    """Give a file's bars in its own order, in pieces of at most `chunk_rows` rows of `pm.sources.BARS_SCHEMA`.

    Blank lines, and rows with nothing in any column that is read, are skipped. A price that is missing, negative or
    absurd is given as it stands: refusing bars is the quality room's task.

    Raises
    ------
    InputError
        A cell that is no date or no number, a row without a date, a row with too many or too few fields; with its
        line (its row, in Parquet).
    """
    if plan.ticker is not None and plan.tickers is not None and plan.ticker not in plan.tickers:
        return
    waiting: list[pl.DataFrame] = []
    rows = 0
    for piece in read_cells(plan.content, plan.places, plan.styles):
        waiting.append(_as_bars(piece, plan))
        rows += waiting[-1].height
        if rows >= chunk_rows:
            joined = pl.concat(waiting)
            rows %= chunk_rows
            yield from joined.head(joined.height - rows).iter_slices(chunk_rows)
            waiting = [joined.tail(rows)]
    if rows:
        yield pl.concat(waiting)


def _is_searched(file: Path, folder: Path) -> bool:
    within = file.relative_to(folder)
    hidden = any(part.startswith(".") for part in within.parts)
    # A lake's own Parquet files are no files of bars; `pm import .` in a workspace must not take them for some.
    in_lake = any((folder / parent / "catalog.sqlite").exists() for parent in within.parents)
    return file.name.lower().endswith(_SEARCHED) and not hidden and not in_lake and file.is_file()


def _ticker_of(path: Path) -> str:
    """Take the ticker from the file's name: AAPL.csv is AAPL's, brk.b.csv.gz BRK.B's."""
    suffix = max((suffix for suffix in _READ if path.name.lower().endswith(suffix)), key=len)
    stem = path.name[: -len(suffix)]
    # A file called data.csv is hardly of the ticker DATA; one called DATA.csv may be.
    if not _TICKER.fullmatch(stem) or stem in _NOT_TICKERS:
        raise InputError(
            "No ticker: the file has no ticker column, and its name is not a ticker.",
            where=str(path),
            hint="add a column called ticker, or name the file after its ticker, as AAPL.csv",
        )
    return stem.upper()


def _fingerprint(content: DelimitedText | ParquetFile, ticker: str | None, tickers: frozenset[str] | None) -> str:
    digest = hashlib.sha256()
    compressed = isinstance(content, DelimitedText) and content.compressed
    with reading(content.path), open_bytes(content.path, compressed=compressed) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if ticker is not None or tickers is not None:
        # Equal files of two tickers have different bars, and so has a file once read in part and once whole.
        digest.update(f"\0{ticker}\0{None if tickers is None else sorted(tickers)}".encode())
    return digest.hexdigest()


def _as_bars(piece: pl.DataFrame, plan: FilePlan) -> pl.DataFrame:
    """Give a piece every column of a bar, and only the tickers wanted."""
    known: dict[str, pl.Expr] = {name: pl.col(name) for name in piece.columns}
    if plan.ticker is not None:
        known["ticker"] = pl.lit(plan.ticker)
    known["source"] = known.get("source", pl.lit(None, pl.String)).fill_null(SOURCE_NAME)
    bars = piece.select(known.get(name, pl.lit(None, dtype)).alias(name) for name, dtype in BARS_SCHEMA.items())
    return bars if plan.tickers is None else bars.filter(pl.col("ticker").is_in(list(plan.tickers)))
