"""`pm sql`: query the lake."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace
from pm.cli.listing import OutputFormat, file_format
from pm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl


__all__ = ["sql"]


def sql(
    context: typer.Context,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="SQL statement that reads; '-' reads the statement from standard input."),
    ],
    output_format: Annotated[
        OutputFormat | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            show_default=False,
            help="Format of the result: table, csv, json or parquet. [default: table, or the ending of FILE]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="File to write the result to, instead of printing it."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="MOMENT", help="Past state of the lake to query: a date (its end, UTC) or a snapshot's number."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="Time after which the query is ended; 0 for no limit. [default: the setting lake.query_seconds]",
        ),
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(
            metavar="MB",
            min=100,
            help="Memory beyond which the query uses the disk. [default: the setting lake.query_memory_mb]",
        ),
    ] = None,
    max_rows: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Largest number of rows of the result; 0 for no limit. [default: the setting lake.query_rows]",
        ),
    ] = None,
) -> None:
    """Query the lake in SQL.

    The query can read tables and views of the lake, which `pm tables` lists, and nothing else.
    """
    from pm.cli.write import write_frames
    from pm.lake.console import Console
    from pm.lake.limits import QueryLimits
    from pm.lake.location import LakeLocation

    chosen_format = file_format(output_format, output)
    workspace, settings = open_workspace(context)
    at = _snapshot(context, as_of) if as_of is not None else None
    chosen = settings.lake
    limits = QueryLimits(
        seconds=chosen.query_seconds if timeout is None else timeout,
        memory_mb=chosen.query_memory_mb if memory is None else memory,
        rows=chosen.query_rows if max_rows is None else max_rows,
    )
    with Console(LakeLocation.of(workspace.lake, chosen), at=at, threads=chosen.threads, limits=limits) as console:
        frames = console.stream(_standard_input() if query == "-" else query)
        if chosen_format is None:
            _print_table(frames)
        else:
            write_frames(frames, chosen_format, output)


def _print_table(frames: Iterator[pl.DataFrame]) -> None:
    """Print the first rows, and count the others without keeping them."""
    import polars as pl

    from pm.cli.render import MAX_ROWS, print_frame
    from pm.export.expressible import expressible, not_in_python

    first: list[pl.DataFrame] = []
    total = 0
    for frame in frames:
        if total <= MAX_ROWS:
            first.append(frame.head(MAX_ROWS))
        total += frame.height
    rows = expressible(pl.concat(first), write=lambda column: list(map(str, column)), refuses=not_in_python)
    print_frame(rows, total=total)


def _standard_input() -> str:
    """Return the text of standard input, which is UTF-8 whatever the system's encoding."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "The statement on standard input is not UTF-8.", where="standard input", hint="save or send it as UTF-8"
        ) from None


def _snapshot(context: typer.Context, moment: str) -> int:
    """Return the number of the snapshot that `--as-of` names."""
    try:
        when: int | date = int(moment) if moment.isdigit() else date.fromisoformat(moment)
    except ValueError:
        raise InputError(
            f"{moment!r} is neither a date nor the number of a snapshot.",
            where="--as-of",
            hint="write a date such as 2026-01-31, or a number from `pm lake snapshots`",
        ) from None
    with open_reader(context) as lake:
        return lake.snapshot_at(when)
