"""`pm import`: land bars from files and check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.options import parse_tickers

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["import_"]


def import_(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="CSV or Parquet files, or folders of them.")],
    tickers: Annotated[
        str | None,
        typer.Option(
            metavar="TICKERS", help="Comma-separated tickers to import, such as AAPL,IBM. [default: all in the files]"
        ),
    ] = None,
) -> None:
    """Import daily bars from CSV or Parquet files.

    All of the files are imported, or none if one of them cannot be read. Rows that fail a check are quarantined.
    """
    from pm.cli.interrupt import interruptible
    from pm.cli.progress import progress_shown
    from pm.pipeline import import_bars, open_lake

    names = parse_tickers(tickers)
    workspace, settings = open_workspace(context, create=True)
    message = (
        "Interrupted. Bars that have landed are checked by the next `pm run`; import the files again for the rest."
    )
    with open_lake(workspace, settings) as lake:
        with interruptible(message) as wrap, progress_shown() as observer:
            result = import_bars(lake, workspace, settings, wrap(observer), paths=paths, tickers=names)
        _print_accounts(lake, result.run_id)


def _print_accounts(lake: Lake, run_id: str) -> None:
    """Print where the rows of an import went, one line per file."""
    from pm.cli.render import print_frame, print_lines

    counts = ("landed", "inserted", "updated", "unchanged", "quarantined")
    batches = lake.select("raw.batches", columns=("batch_id",), run_id=run_id)
    accounts = lake.select("batch_accounts", columns=("batch_id", "path", *counts))
    accounts = accounts.join(batches, on="batch_id", how="semi")
    if accounts.is_empty():
        print_lines("Nothing new was imported.")
        return
    print_frame(accounts.drop("batch_id").sort("path"), formats=dict.fromkeys(counts, ",d"))
    if accounts["quarantined"].sum():
        print_lines("To see which rows were quarantined, and why: pm quarantine")
    print_lines("Next: pm run")
