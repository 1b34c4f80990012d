"""`pm sql`: query the lake."""

from __future__ import annotations

import sys
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pm.cli.context import open_reader, open_workspace
from pm.errors import InputError

__all__ = ["sql"]


class _OutputFormat(StrEnum):
    """Format of a query's result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def sql(
    context: typer.Context,
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="SQL statement that reads; '-' reads the statement from standard input."),
    ],
    output_format: Annotated[
        _OutputFormat | None,
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
) -> None:
    """Query the lake in SQL.

    The query can read tables and views of the lake, which `pm tables` lists, and nothing else.
    """
    from pm.cli.render import print_frame
    from pm.cli.write import FileFormat, write_frame
    from pm.lake.console import Console

    workspace, settings = open_workspace(context)
    at = _snapshot(context, as_of) if as_of is not None else None
    with Console(workspace.lake, at=at, threads=settings.lake.threads) as console:
        frame = console.query(sys.stdin.read() if query == "-" else query)
    if output is not None and output_format in {None, _OutputFormat.TABLE}:
        ending = output.suffix.lstrip(".")
        write_frame(frame, FileFormat(ending) if ending in set(FileFormat) else FileFormat.CSV, output)
    elif output_format in {None, _OutputFormat.TABLE}:
        print_frame(frame)
    else:
        write_frame(frame, FileFormat(str(output_format)), output)


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
