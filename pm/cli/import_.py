"""`pm import`: land bars from files and check them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import find_settings, open_workspace, open_writer
from pm.cli.imported import print_import
from pm.cli.options import DecimalSign, NoWait, parse_ticker, parse_tickers
from pm.cli.paths import expand_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.lake import Lake
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["import_"]


def import_(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="CSV or Parquet files, folders of them, or patterns such as bars/*.csv."),
    ],
    tickers: Annotated[
        str | None,
        typer.Option(
            metavar="TICKERS", help="Comma-separated tickers to import, such as AAPL,IBM. [default: all in the files]"
        ),
    ] = None,
    ticker: Annotated[
        str | None,
        typer.Option(metavar="TICKER", help="Ticker of all rows. [default: a column of the file, or the file's name]"),
    ] = None,
    decimal: DecimalSign = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check the files, say what would be imported, and write nothing.")
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import the other files if some cannot be read; the exit code is 5.")
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Import daily bars from CSV or Parquet files.

    All of the files are imported, or none if some cannot be read. Rows that fail a check are quarantined.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import progress_shown
    from pm.pipeline import import_bars
    from pm.sources import inspect_files, refusal_of

    names, ticker = parse_tickers(tickers), parse_ticker(ticker)
    if ticker is not None and names is not None:
        raise typer.BadParameter("leave out --tickers: all rows are of one ticker", param_hint="--ticker")
    files = inspect_files(
        expand_paths(paths), tickers=names, ticker=ticker, decimal=None if decimal is None else decimal.sign
    )
    if files.refused and not (keep_going and files.plans):
        raise files.refusal()
    message = (
        "Interrupted. Bars that have landed are checked by the next `pm run`; import the files again for the rest."
    )
    with _lake(context, dry_run=dry_run, no_wait=no_wait) as (workspace, settings, lake):
        with interruptible(message) as wrap, progress_shown() as observer:
            result = import_bars(
                lake, workspace, settings, wrap(observer), files=files, tickers=names, keep_going=keep_going
            )
        print_import(lake, result.run_id, dry_run=dry_run)
    if result.refused:
        raise refusal_of(result.refused, files=len(files.plans) + len(files.refused), others_landed=not dry_run)


@contextmanager
def _lake(context: typer.Context, *, dry_run: bool, no_wait: bool) -> Iterator[tuple[Workspace, Settings, Lake]]:
    """Open the workspace's lake for writing; for a dry run, a copy of it that is deleted in the end."""
    if not dry_run:
        workspace, settings = open_workspace(context, create=True)
        with open_writer(workspace, settings, no_wait=no_wait) as lake:
            yield workspace, settings, lake
        return
    from pm.pipeline.rehearsal import rehearsal

    found, settings = find_settings(context)
    with rehearsal(found, settings) as (copy, lake):
        yield copy, settings, lake
