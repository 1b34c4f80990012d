"""Read files of bars for `pm import`: find them, detect their format, and stream their bars."""

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
from pm.sources.columnar import ParquetFile, open_parquet
from pm.sources.delimited import DelimitedText, open_bytes, reading, sniff
from pm.sources.names import FILES
from pm.sources.spellings import match_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["FilePlan", "find_files", "inspect_file", "read_file"]


_SEARCHED = (".csv", ".csv.gz", ".parquet")
"""Endings of the files that a folder is searched for."""
_READ = (*_SEARCHED, ".tsv", ".tsv.gz", ".txt", ".txt.gz")
"""Endings of the files that can be read."""
_TICKER = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=-]{0,14}")
# fmt: off
_NOT_TICKERS = {
    "bars", "candles", "daily", "data", "dataset", "download", "export", "historical", "history", "ohlc", "ohlcv",
    "prices", "quotes", "sample", "stocks", "table", "test", "tickers",
}
# fmt: on


@dataclass(frozen=True)
class FilePlan:
    """The detected format of a file, which `pm import` shows before it reads the file.

    Attributes
    ----------
    path
        The file.
    format
        'csv' or 'parquet'.
    columns
        Column of a bar, to the column of the file that it is read from.
    ignored
        Columns of the file that are not read.
    ticker
        Ticker of every row, taken from the file's name; None if the file has a ticker column.
    tickers
        Tickers whose rows are read; None for all.
    fingerprint
        SHA-256 of the uncompressed content, and of `ticker` and `tickers`.
    styles
        Formats of its dates and numbers.
    content
        The file as delimited text or as Parquet.
    places
        Column of a bar, to the position of the file's column, from 0.
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
    """Return the files to import: the files named, and those found in the folders named.

    A folder is searched at every depth for *.csv, *.csv.gz and *.parquet, except hidden files and folders and lakes;
    its files are sorted. A path is taken literally: it is not a pattern. A file named twice is returned once.

    Raises
    ------
    InputError
        A path does not exist, or a folder has no file to import.
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
    """Detect the format of a file, without loading it into memory.

    Parameters
    ----------
    path
        CSV (commas, semicolons or tabs; gzipped or not) or Parquet.
    tickers
        Tickers whose rows are read, spelled as in the file; None for all.

    Raises
    ------
    InputError
        The file cannot be read as bars; docs/importing.md lists the reasons.
    """
    path = Path(path)
    with reading(path):
        is_folder = path.is_dir()
    if is_folder:
        raise InputError("This is a folder, not a file.", where=str(path), hint="name the files in it")
    if not path.name.lower().endswith(_READ):
        raise InputError(
            "The name of the file does not end like a format that can be read.",
            where=str(path),
            hint=f"let the name end in one of: {', '.join(_READ)}",
        )
    content = open_parquet(path) if path.suffix.lower() == ".parquet" else sniff(path)
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
    """Yield a file's bars in its order, in frames of at most `chunk_rows` rows with the columns of `BARS_SCHEMA`.

    Blank lines, and rows that are empty in every column read, are skipped. A price that is missing, negative or
    implausible is kept as it is: to refuse bars is the task of `pm.quality`.

    Raises
    ------
    InputError
        A cell is not a date or not a number, or a row has no date, or too many or too few fields. The error names the
        line, or the row of a Parquet file.
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
    # The Parquet files of a lake are not files of bars, and `pm import .` in a workspace must not import them.
    in_lake = any((folder / parent / "catalog.sqlite").exists() for parent in within.parents)
    return file.name.lower().endswith(_SEARCHED) and not hidden and not in_lake and file.is_file()


def _ticker_of(path: Path) -> str:
    """Return the ticker in the file's name: AAPL for AAPL.csv, BRK.B for brk.b.csv.gz."""
    suffix = max((suffix for suffix in _READ if path.name.lower().endswith(suffix)), key=len)
    stem = path.name[: -len(suffix)]
    # A file called data.csv is hardly about the ticker DATA; one called DATA.csv can be.
    if not _TICKER.fullmatch(stem) or stem in _NOT_TICKERS:
        raise InputError(
            "No ticker: the file has no ticker column, and its name is not a ticker.",
            where=str(path),
            hint="add a column called ticker, or name the file after its ticker, such as AAPL.csv",
        )
    return stem.upper()


def _fingerprint(content: DelimitedText | ParquetFile, ticker: str | None, tickers: frozenset[str] | None) -> str:
    digest = hashlib.sha256()
    compressed = isinstance(content, DelimitedText) and content.compressed
    with reading(content.path), open_bytes(content.path, compressed=compressed) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if ticker is not None or tickers is not None:
        # Two tickers' files with equal content have different bars; and so has a file that is read for some tickers.
        digest.update(f"\0{ticker}\0{None if tickers is None else sorted(tickers)}".encode())
    return digest.hexdigest()


def _as_bars(piece: pl.DataFrame, plan: FilePlan) -> pl.DataFrame:
    """Return a piece with all columns of a bar, and the rows of the tickers wanted."""
    known: dict[str, pl.Expr] = {name: pl.col(name) for name in piece.columns}
    if plan.ticker is not None:
        known["ticker"] = pl.lit(plan.ticker)
    known["source"] = known.get("source", pl.lit(None, pl.String)).fill_null(FILES)
    bars = piece.select(known.get(name, pl.lit(None, dtype)).alias(name) for name, dtype in BARS_SCHEMA.items())
    return bars if plan.tickers is None else bars.filter(pl.col("ticker").is_in(list(plan.tickers)))
