"""`pm universe`: the watch list, the tickers that runs are about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations

if TYPE_CHECKING:
    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(help="Show or change the watch list: the tickers that runs are about.", no_args_is_help=True)

_Names = Annotated[list[str], typer.Argument(metavar="TICKER", help="Tickers, such as AAPL IBM.", show_default=False)]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the tickers on the watch list, and the source of each one's bars."""
    with open_reader(context) as lake:
        _print_universe(lake)


@app.command()
def add(
    context: typer.Context,
    tickers: _Names,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="Source of the bars: sample or files. [default: the source of the bars in the lake]"
        ),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Add tickers to the watch list.

    While the watch list is empty, runs are about all tickers of imported files, or about the embedded sample if nothing
    was imported.
    """
    from pm.pipeline import add_to_universe

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=_unique(tickers), source=source)
        _print_universe(lake)


@app.command()
def remove(context: typer.Context, tickers: _Names, no_wait: NoWait = False) -> None:
    """Remove tickers from the watch list; their bars stay in the lake."""
    from pm.pipeline import remove_from_universe

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        remove_from_universe(lake, workspace, settings, lambda _: None, tickers=_unique(tickers))
        _print_universe(lake)


def _unique(tickers: list[str]) -> list[str]:
    names = {name.strip() for words in tickers for name in words.split(",") if name.strip()}
    if not names:
        raise typer.BadParameter("name at least one ticker", param_hint="TICKER")
    return sorted(names)


def _print_universe(lake: Lake) -> None:
    from pm.cli.render import SECONDS, print_frame, print_lines

    watched = lake.select("universe", columns=("ticker", "source", "added_at"), order=("ticker",))
    if watched.is_empty():
        print_lines(
            "The watch list is empty: runs are about all tickers of imported files, or about",
            "the embedded sample if nothing was imported. Add tickers: pm universe add AAPL IBM",
        )
        return
    print_frame(watched, formats={"added_at": SECONDS})
