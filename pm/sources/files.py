"""Read files of bars for `pm import`: detect their format, and stream their bars."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, TypeAlias

import polars as pl

from pm.errors import InputError
from pm.sources.accounts import account_file
from pm.sources.actions import match_actions, read_actions, with_numbers
from pm.sources.base import BARS_SCHEMA
from pm.sources.cells import CellStyles, cell_styles, read_cells, read_columns_of_tickers
from pm.sources.columnar import ParquetFile, open_parquet
from pm.sources.delimited import DELIMITERS, ENCODINGS, DelimitedText, sniff
from pm.sources.file_names import ticker_in
from pm.sources.finding import READ, find_files, require_readable_name
from pm.sources.names import FILES
from pm.sources.refusal import quoted, refusal_of, refusing
from pm.sources.series import SERIES, series_place, shares_only, tickers_of_shares
from pm.sources.spellings import is_header, is_weak, match_columns
from pm.sources.text_file import TextFile, is_workbook, parts_of, reading
from pm.sources.wide import columns_by_ticker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["FilePlan", "Inspected", "actions_of", "inspect_file", "inspect_files", "read_file"]


_COLUMNS = 20
"""Maximum number of columns named in a message."""
_NAMED = 5
"""Maximum number of tickers named in a note."""


Decimal: TypeAlias = Literal[".", ","]


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
        Columns of the file that are not read; those without a name are left out.
    ticker
        Ticker of every row; None if the file has a ticker column.
    ticker_source
        Where `ticker` is from: 'name' of the file or of an archive's member, 'sheet', or 'option', named by the user;
        None without it.
    tickers
        Tickers whose rows are read; None for all.
    fingerprint
        SHA-256 of the uncompressed content, and of `ticker`, `tickers` and the decimal separator that was told.
    styles
        Formats of its dates and numbers.
    content
        The file as delimited text or as Parquet.
    places
        Column of a bar, to the position of the file's column, from 0. Of a file with columns of its own for each
        ticker, those of the first.
    groups
        For each ticker of such a file, the positions of its columns; empty for any other file.
    actions
        Positions of the columns of splits and dividends.
    without
        Tickers whose rows are not read.
    """

    path: Path
    format: Literal["csv", "parquet"]
    columns: dict[str, str]
    ignored: tuple[str, ...]
    ticker: str | None
    ticker_source: Literal["name", "sheet", "option"] | None
    tickers: frozenset[str] | None
    fingerprint: str
    styles: CellStyles = field(repr=False)
    content: DelimitedText | ParquetFile = field(repr=False)
    places: dict[str, int] = field(repr=False)
    groups: dict[str, dict[str, int]] = field(repr=False)
    actions: dict[str, int] = field(repr=False)
    without: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Whole path of the file, and the archive's member or the workbook's sheet."""
        part = self.content.file.part if isinstance(self.content, DelimitedText) else None
        return str(self.path.resolve() if part is None else self.path.resolve() / part)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is unusual about how the file is read, for the user to see."""
        notes = []
        if isinstance(self.content, DelimitedText):
            if self.content.encoding != "utf-8":
                notes.append(f"the text is in {ENCODINGS[self.content.encoding]}")
            remarks = [line.strip(f" {self.content.delimiter}") for line in self.content.remarks]
            if any(remarks):
                notes.append(f"lines left out: {', '.join(filter(None, remarks))}")
        if self.groups:
            first = ", ".join(list(self.groups)[:_NAMED])
            more = f" and {len(self.groups) - _NAMED:,} more" if len(self.groups) > _NAMED else ""
            notes.append(f"columns of {first}{more}")
        lacking = [name for name in ("open", "high", "low") if name not in self.places]
        if 0 < len(lacking) < 3:
            used = " and ".join(name for name in ("open", "high", "low") if name in self.places)
            notes.append(f"{used} not used without {' and '.join(lacking)}")
        if not self.groups and series_place(self.content.header) is not None:
            notes.append("of a ticker's series those of shares only")
        if self.styles.numbers.decimal == ",":
            notes.append("decimal commas")
        if self.styles.dates is not None and "YY" in self.styles.dates.name and "YYYY" not in self.styles.dates.name:
            notes.append(f"dates as {self.styles.dates.name}")
        if self.styles.early_times:
            times = " and ".join(self.styles.early_times)
            notes.append(f"the dates look one day early: times of {times} in UTC, bars on Sundays and none on Fridays")
        return tuple(notes)


@dataclass(frozen=True)
class Inspected:
    """The files of an import, before they are read.

    Attributes
    ----------
    plans
        Detected formats, one for each file, member of an archive or sheet of a workbook.
    refused
        An error for each file whose format could not be detected.
    left_out
        Files in folders that are not read, and why: that they must be named, or what is wrong with an archive or a
        workbook that can hold other things than bars. Also an archive's members without bars, and a workbook's sheets
        that have bars and cannot be read, where other members or sheets can.
    """

    plans: list[FilePlan] = field(default_factory=list)
    refused: list[InputError] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)

    def refusal(self) -> InputError:
        """Read all files to their ends, and return an error that names each one that cannot be read.

        There must be one: call it when `refused` is not empty.
        """
        errors = list(self.refused)
        for plan in self.plans:
            try:
                for _ in read_file(plan):
                    pass
                actions_of(plan)
            except InputError as error:
                errors.append(error)
        return refusal_of(errors, files=len(self.plans) + len(self.refused), others_landed=False)


def inspect_files(
    paths: Iterable[str | Path],
    *,
    tickers: Sequence[str] | None = None,
    ticker: str | None = None,
    decimal: Decimal | None = None,
) -> Inspected:
    """Detect the format of each file that `find_files` finds; of an archive, of each text in it.

    A file that cannot be read does not stop the others. Of an archive or a workbook, the members or sheets that are
    not of bars are left out, unless none is; so are the archives and workbooks found in a folder that has other files
    of bars.

    Parameters
    ----------
    paths, tickers, ticker, decimal
        See `find_files` and `inspect_file`.
    """
    found = find_files(paths)
    inspected = Inspected(refused=found.refused, left_out=dict.fromkeys(found.left_out, "if it has bars, name it"))
    unsuitable: list[tuple[Path, InputError]] = []
    for path in found.files:
        try:
            with refusing(str(path)):
                require_readable_name(path)
                parts = parts_of(path)
                is_book = parts != [None] and is_workbook(path)
        except InputError as error:
            if path in found.incidental:
                unsuitable.append((path, error))
            else:
                inspected.refused.append(error)
            continue
        plans, errors = _inspect_parts(path, parts, tickers, ticker, decimal)
        inspected.plans.extend(plans)
        first = next(iter(errors.values()), None)
        if plans or first is None:
            _sort_out(inspected, path, errors, is_book=is_book)
        elif path in found.incidental:
            unsuitable.append((path, first))
        else:
            inspected.refused.extend([first] if is_book else errors.values())
    if inspected.plans:
        inspected.left_out.update((path, error.what) for path, error in unsuitable)
    else:
        inspected.refused.extend(error for _, error in unsuitable)
    return inspected


def _inspect_parts(
    path: Path,
    parts: Sequence[str | None],
    tickers: Sequence[str] | None,
    ticker: str | None,
    decimal: Decimal | None,
) -> tuple[list[FilePlan], dict[str | None, InputError]]:
    """Return the plans of a file's members or sheets, and the errors of those that cannot be read."""
    plans: list[FilePlan] = []
    errors: dict[str | None, InputError] = {}
    for part in parts:
        try:
            plans.append(
                inspect_file(path, part=part, parts=len(parts), tickers=tickers, ticker=ticker, decimal=decimal)
            )
        except InputError as error:
            errors[part] = error
    return plans, errors


def _sort_out(inspected: Inspected, path: Path, errors: Mapping[str | None, InputError], *, is_book: bool) -> None:
    """Refuse the members with bars, beside others that can be read; leave the rest out. Sheets are never refused."""
    for part, error in errors.items():
        has_bars = _has_bars(TextFile(path, part))
        if part is None or (has_bars and not is_book):
            inspected.refused.append(error)
        elif has_bars or not is_book:
            # Without the names of columns, so that those left out for one reason are told in one line.
            inspected.left_out[path / part] = error.what.split(";")[0]


def _has_bars(text: TextFile) -> bool:
    """Return whether a text that cannot be read has a line that names a date and a close, and lines after it."""
    try:
        header = sniff(text, is_header=is_header).header
        return is_header(header) or columns_by_ticker(header) is not None
    except InputError:
        with reading(text.path), text.open() as stream:
            start = stream.read(1 << 16)
    lines = [line for line in start.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return any(is_header(line.split(delimiter)) for line in lines[:-1] for delimiter in DELIMITERS)


def inspect_file(
    path: str | Path,
    *,
    part: str | None = None,
    parts: int = 1,
    tickers: Sequence[str] | None = None,
    ticker: str | None = None,
    decimal: Decimal | None = None,
) -> FilePlan:
    """Detect the format of a file, without loading it into memory.

    Parameters
    ----------
    path
        Text (commas, semicolons or tabs; gzipped or not), Parquet, an archive or a workbook.
    part, parts
        The archive's member or the workbook's sheet to read, and how many there are.
    tickers
        Tickers whose rows are read, spelled as in the file; None for all.
    ticker
        Ticker of every row, whatever the file says; None to find it in the file or in its name.
    decimal
        Decimal separator; None to find it by the numbers.

    Raises
    ------
    InputError
        The file cannot be read as bars; docs/importing.md lists the reasons.
    """
    path = Path(path)
    require_readable_name(path)
    with refusing(str(path)):
        content = _opened(path, part)
        _refuse_lists_of_accounts(content)
        name = _name_of(path, part, parts)
        is_sheet = part is not None and is_workbook(path) and name == part
        wanted = None if tickers is None else frozenset(tickers)
        return _plan(path, name, content, wanted, ticker, decimal, is_sheet=is_sheet)


def _opened(path: Path, part: str | None) -> DelimitedText | ParquetFile:
    if path.suffix.lower() == ".parquet":
        return open_parquet(path)
    return sniff(TextFile(path, part), is_header=lambda record: is_header(record) or bool(account_file(record)))


def _plan(
    path: Path,
    name: str,
    content: DelimitedText | ParquetFile,
    tickers: frozenset[str] | None,
    ticker: str | None,
    decimal: Decimal | None,
    *,
    is_sheet: bool,
) -> FilePlan:
    groups = columns_by_ticker(content.header) or {}
    origin: Literal["name", "sheet", "option"] | None = None if ticker is None or groups else "option"
    if groups:
        places = next(iter(groups.values()))
        if ticker is not None and len(groups) > 1:
            raise _several_tickers(groups, content)
        groups = groups if ticker is None else {ticker: places}
        ticker = None
    else:
        places = match_columns(content.header, where=str(content))
        if ticker is None:
            ticker = _ticker_of(name, content, places)
            if ticker is not None:
                origin = "sheet" if is_sheet else "name"
        else:
            _require_one_ticker(content, places)
            places.pop("ticker", None)
    styles = cell_styles(content, places, decimal)
    actions = {} if groups else with_numbers(content, match_actions(content.header, places), styles)
    read = {place for own in (places, actions, *groups.values()) for place in own.values()}
    if not groups and (series := series_place(content.header)) is not None:
        read.add(series)
    return FilePlan(
        path=path,
        format="parquet" if isinstance(content, ParquetFile) else "csv",
        columns={} if groups else {name: content.header[place] for name, place in (places | actions).items()},
        ignored=tuple(name for place, name in enumerate(content.header) if place not in read and name.strip()),
        ticker=ticker,
        ticker_source=origin,
        tickers=tickers,
        fingerprint=_fingerprint(content, ticker, tickers, decimal),
        styles=styles,
        content=content,
        places=places,
        groups=groups,
        actions=actions,
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
    with refusing(str(plan.content)):
        yield from _frames(plan, chunk_rows)


def _frames(plan: FilePlan, chunk_rows: int) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    rows = 0
    for piece in _pieces(plan):
        waiting.append(_as_bars(piece, plan))
        rows += waiting[-1].height
        if rows >= chunk_rows:
            joined = pl.concat(waiting)
            rows %= chunk_rows
            yield from joined.head(joined.height - rows).iter_slices(chunk_rows)
            waiting = [joined.tail(rows)]
    if rows:
        yield pl.concat(waiting)


def _pieces(plan: FilePlan) -> Iterator[pl.DataFrame]:
    """Yield a file's rows as `read_cells` does; of tickers with shares, only the rows of these."""
    if plan.groups:
        yield from read_columns_of_tickers(plan.content, plan.groups, plan.styles)
        return
    series = series_place(plan.content.header)
    if series is None:
        yield from read_cells(plan.content, plan.places, plan.styles)
        return
    shares = tickers_of_shares(plan.content, series, plan.places.get("ticker"))
    for piece in read_cells(plan.content, plan.places | {SERIES: series}, plan.styles):
        yield shares_only(piece, shares)


def actions_of(plan: FilePlan) -> pl.DataFrame:
    """Return a file's dividends and splits, with the columns of `ACTIONS_SCHEMA`.

    Raises
    ------
    InputError
        A cell is neither a number nor a ratio. The error names the line.
    """
    with refusing(str(plan.content)):
        found = read_actions(plan.content, plan.places, plan.actions, plan.styles, ticker=plan.ticker)
    found = _without(found, plan)
    return found if plan.tickers is None else found.filter(pl.col("ticker").is_in(list(plan.tickers)))


def _refuse_lists_of_accounts(content: DelimitedText | ParquetFile) -> None:
    kind = account_file(content.header)
    if kind is not None:
        found = ", ".join(quoted(name) for name in content.header[:_COLUMNS]) + (
            ", …" if len(content.header) > _COLUMNS else ""
        )
        raise InputError(
            f"The file lists {kind} of an account, not daily bars; found {found}.",
            where=str(content),
            hint="import a history of prices: one row per ticker and date, with the columns ticker, date and close",
        )


def _name_of(path: Path, part: str | None, parts: int) -> str:
    """Return the name that can be a ticker: that of the file; of an archive's member; of one of several sheets."""
    if part is None:
        return path.name
    if is_workbook(path):
        return path.name if parts == 1 else part
    return PurePosixPath(part).name


def _ticker_of(name: str, content: DelimitedText | ParquetFile, places: dict[str, int]) -> str | None:
    """Return the ticker in the file's name, AAPL for AAPL.csv, or None if the file has a column of tickers.

    A column called name, code or stock can hold something else: the name of a company, or a number. If it does not
    hold tickers that differ, the file's name goes before it, and the column is left out of `places`.
    """
    suffix = max((suffix for suffix in ("", *READ) if name.lower().endswith(suffix)), key=len)
    named = ticker_in(name[: len(name) - len(suffix)])
    if "ticker" in places:
        if named is None or not is_weak("ticker", content.header[places["ticker"]]) or _has_tickers(content, places):
            return None
        del places["ticker"]
    if named is None:
        raise InputError(
            "No ticker: the file has no ticker column, and its name is not a ticker.",
            where=str(content),
            hint="say which with --ticker, add a column called ticker, or name the file after its ticker, as AAPL.csv",
        )
    return named


def _require_one_ticker(content: DelimitedText | ParquetFile, places: dict[str, int]) -> None:
    if "ticker" not in places or is_weak("ticker", content.header[places["ticker"]]):
        return
    seen: set[str] = set()
    with closing(content.pieces({"ticker": places["ticker"]})) as pieces:
        for piece in pieces:
            seen |= set(piece["ticker"].cast(pl.String).drop_nulls())
            if len(seen) > 1:
                raise _several_tickers(seen, content)


def _several_tickers(tickers: Iterable[str], content: DelimitedText | ParquetFile) -> InputError:
    names = ", ".join(quoted(name)[1:-1] for name in sorted(tickers)[:2])
    return InputError(
        f"--ticker names one ticker, and the file has several: {names}, …",
        where=str(content),
        hint="leave --ticker out; --tickers chooses among those of the file",
    )


def _has_tickers(content: DelimitedText | ParquetFile, places: dict[str, int]) -> bool:
    """Return whether a column holds several values in the first rows that are not numbers."""
    with closing(content.pieces({"ticker": places["ticker"]})) as pieces:
        head = next(pieces, pl.DataFrame(schema=["ticker"]))["ticker"].cast(pl.String).str.strip_chars().unique()
    return len(head) > 1 and not head.str.contains(r"^\d*$").all()


def _fingerprint(
    content: DelimitedText | ParquetFile,
    ticker: str | None,
    tickers: frozenset[str] | None,
    decimal: Decimal | None,
) -> str:
    digest = hashlib.sha256()
    file = content.file if isinstance(content, DelimitedText) else TextFile(content.path)
    with reading(file.path), file.open() as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if ticker is not None or tickers is not None:
        # Two tickers' files with equal content have different bars; and so has a file that is read for some tickers.
        digest.update(f"\0{ticker}\0{None if tickers is None else sorted(tickers)}".encode())
    if decimal is not None:
        digest.update(f"\0decimal {decimal}".encode())
    return digest.hexdigest()


def _as_bars(piece: pl.DataFrame, plan: FilePlan) -> pl.DataFrame:
    """Return a piece with all columns of a bar, and the rows of the tickers wanted."""
    known: dict[str, pl.Expr] = {name: pl.col(name) for name in piece.columns}
    if plan.ticker is not None:
        known["ticker"] = pl.lit(plan.ticker)
    known["source"] = known.get("source", pl.lit(None, pl.String)).fill_null(FILES)
    bars = piece.select(known.get(name, pl.lit(None, dtype)).alias(name) for name, dtype in BARS_SCHEMA.items())
    if plan.tickers is not None:
        bars = bars.filter(pl.col("ticker").is_in(list(plan.tickers)))
    return _without(bars, plan)


def _without(rows: pl.DataFrame, plan: FilePlan) -> pl.DataFrame:
    """Return the rows but for those of `plan.without`; a row that lacks its ticker stays."""
    left_out = pl.col("ticker").is_in(list(plan.without)).fill_null(value=False)
    return rows.filter(~left_out) if plan.without else rows
