"""`pm data`: how good the bars are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace
from pm.cli.options import Tickers, parse_tickers
from pm.plural import plural

if TYPE_CHECKING:
    import polars as pl

__all__ = ["app"]

app = typer.Typer(help="Show how fresh and how good the bars are.", no_args_is_help=True)

_SHOWN = ("ticker", "source", "status", "last_date", "lag", "gaps", "quarantined", "restated", "last_reason", "due_at")
"""Columns of view data_health that are shown."""


@app.callback()
def _app() -> None:
    """Show how fresh and how good the bars are."""


@app.command()
def health(
    context: typer.Context,
    tickers: Tickers = None,
    problems: Annotated[
        bool,
        typer.Option("--problems", help="Show only tickers whose bars are old or that could not be fetched."),
    ] = False,
) -> None:
    """Show for each ticker how old its bars are, what was refused or changed, and when it is asked for next.

    The lag is counted in sessions of the ticker's exchange where that is known, and in weekdays elsewhere. The view
    data_health has more columns: pm sql 'FROM data_health'.
    """
    import polars as pl

    from pm.cli.known_tickers import as_known_of
    from pm.cli.render import SECONDS, print_frame, print_lines
    from pm.errors import UnknownTickerError
    from pm.pipeline import data_health, read_lake

    workspace, settings = open_workspace(context)
    with read_lake(workspace, settings) as lake, lake.reading():
        found = data_health(lake, settings)
    names = parse_tickers(tickers)
    if names is not None:
        names = as_known_of(found["ticker"], names)
        missing = set(names) - set(found["ticker"])
        if missing:
            raise UnknownTickerError.from_missing(missing, found["ticker"], where="view data_health")
        found = found.filter(pl.col("ticker").is_in(names))
    late = (pl.col("lag") > 0) & (pl.col("status") != "delisted")
    troubled = found.filter(late | pl.col("last_reason").is_not_null() | pl.col("last_date").is_null())
    shown = troubled if problems else found
    if shown.is_empty():
        none = "There are no tickers yet: pm universe add TICKER, pm import PATH, or pm run for the embedded sample."
        print_lines("No ticker has a problem." if not found.is_empty() else none)
        return
    always = {"ticker", "last_date", "lag"}
    columns = [name for name in _SHOWN if name in always or shown[name].null_count() < shown.height]
    counts = dict.fromkeys(("lag", "gaps", "quarantined", "restated"), ",d")
    print_frame(shown.select(columns), formats={"due_at": SECONDS, **counts})
    for row in _failures(shown):
        print_lines(f"{row['ticker']}: {row['last_detail']}")
    print_lines(f"{plural(found.height, 'ticker')}, {troubled.height:,} of them late or not fetched.")


def _failures(shown: pl.DataFrame) -> list[dict[str, str]]:
    """Return the tickers whose vendor gave nothing the last time, at most ten."""
    import polars as pl

    failed = shown.filter(pl.col("last_reason").is_not_null())
    return failed.select("ticker", "last_detail").head(10).to_dicts()
