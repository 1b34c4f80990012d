"""`pm universe`: the watch list, the tickers that runs are about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_ticker
from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.paths import expand_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.lake import Lake
    from pm.pipeline.events import Event
    from pm.sources.listings import Listing

__all__ = ["app"]

app = typer.Typer(help="Show or change the watch list: the tickers that runs are about.", no_args_is_help=True)

_NAMES = typer.Argument(
    metavar="TICKER", help="Tickers, such as AAPL IBM.", show_default=False, autocompletion=complete_ticker
)
_Names = Annotated[list[str], _NAMES]
_Some = Annotated[list[str] | None, _NAMES]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the tickers on the watch list, the source of each one's bars, and what is known of it."""
    with open_reader(context) as lake:
        _print_universe(lake)


@app.command()
def add(
    context: typer.Context,
    tickers: _Some = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Source of the bars: a vendor, sample or files. [default: the source of the bars in the lake if it "
            "is not the sample, else the first of refresh.vendors]",
        ),
    ] = None,
    exchange: Annotated[
        str | None, typer.Option(metavar="CODE", help="ISO 10383 code of the exchange. [default: what the source says]")
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE=SYMBOL", help="The ticker as a source spells it, such as yahoo=BRK-B. [default: as usual]"
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            "--files", metavar="FOLDER", help="Folder of files of bars to watch, in place of tickers; see `pm import`."
        ),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Add tickers to the watch list, or change what it says of them; or watch a folder of files.

    A refresh lands what is new or changed in a folder that is watched, and fetches what is new of the tickers. While
    the watch list is empty, runs are about all tickers of imported files, or else about all that have bars; these are
    the embedded sample's until there are others.
    """
    from pm.sources.listings import Listing

    if files is not None:
        _watch(context, files, tickers, watch=True, no_wait=no_wait)
        return
    names = _unique(tickers)
    if symbol and len(names) > 1:
        raise typer.BadParameter("name one ticker only: the symbols are its own", param_hint="--symbol")
    symbols = dict(_symbol(word) for word in symbol or ())
    _require_exchange(exchange)
    _add(context, [Listing(name, source, exchange=exchange, symbols=symbols) for name in names], no_wait=no_wait)


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="CSV file or workbook with a column ticker, and where wanted source, name, exchange, currency and "
            "symbol_SOURCE; or a list with one ticker a line.",
        ),
    ],
    no_wait: NoWait = False,
) -> None:
    """Add the tickers of a file to the watch list: all of them, or none."""
    from pm.sources.listings import read_listings

    listings = [listing for file in expand_paths([path]) for listing in read_listings(Path(file))]
    _add(context, listings, no_wait=no_wait)


@app.command()
def remove(
    context: typer.Context,
    tickers: _Some = None,
    files: Annotated[
        Path | None, typer.Option("--files", metavar="FOLDER", help="Folder to watch no more, in place of tickers.")
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Remove tickers from the watch list, or watch a folder no more; their bars stay in the lake."""
    from pm.cli.known_tickers import as_known
    from pm.pipeline import remove_from_universe

    if files is not None:
        _watch(context, files, tickers, watch=False, no_wait=no_wait)
        return

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        remove_from_universe(lake, workspace, settings, _print_notices, tickers=as_known(lake, _unique(tickers)))
        _print_universe(lake)


@app.command()
def move(
    context: typer.Context,
    tickers: _Names,
    to: Annotated[str, typer.Option("--to", metavar="SOURCE", help="Source that all their bars are to come from.")],
    no_wait: NoWait = False,
) -> None:
    """Take all bars of tickers from another source, once the next refresh has fetched them from it."""
    from pm.cli.known_tickers import as_known
    from pm.pipeline import move_in_universe

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        move_in_universe(lake, workspace, settings, _print_notices, tickers=as_known(lake, _unique(tickers)), source=to)
        _print_universe(lake)


def _add(context: typer.Context, listings: Sequence[Listing], *, no_wait: bool) -> None:
    from pm.cli.known_tickers import as_known
    from pm.pipeline import add_to_universe

    workspace, settings = open_workspace(context, create=True)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        known = as_known(lake, [listing.ticker for listing in listings])
        listings = [replace(listing, ticker=name) for listing, name in zip(listings, known, strict=True)]
        add_to_universe(lake, workspace, settings, _print_notices, tickers=listings)
        _print_universe(lake)


def _watch(context: typer.Context, folder: Path, tickers: list[str] | None, *, watch: bool, no_wait: bool) -> None:
    """Watch a folder of files, or no longer."""
    from pm.cli.paths import expand_home
    from pm.pipeline import watch_folder

    if tickers:
        raise typer.BadParameter("name tickers or a folder, not both", param_hint="--files")
    workspace, settings = open_workspace(context, create=watch)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        watch_folder(lake, workspace, settings, _print_notices, folder=expand_home(folder), watch=watch)
        _print_universe(lake)


def _print_notices(event: Event) -> None:
    from pm.cli.render import print_lines
    from pm.cli.visible import visible
    from pm.pipeline.events import Notice

    if isinstance(event, Notice):
        print_lines(visible(event.line))


def _symbol(word: str) -> tuple[str, str]:
    from pm.sources import require_source

    source, equals, symbol = word.partition("=")
    if not equals or not symbol.strip():
        raise typer.BadParameter(f"{word!r} is not of the form SOURCE=SYMBOL", param_hint="--symbol")
    require_source(source.strip())
    return source.strip(), symbol.strip()


def _require_exchange(code: str | None) -> None:
    from pm.sessions import exchange_codes
    from pm.settings.sources import EXCHANGES

    if code is not None and code not in EXCHANGES and code not in exchange_codes():
        raise typer.BadParameter(
            f"{code!r} is not known; use an ISO 10383 code such as XNYS, XLON or 24/7", param_hint="--exchange"
        )


def _unique(tickers: list[str] | None) -> list[str]:
    names = {name.strip() for words in tickers or () for name in words.split(",") if name.strip()}
    if not names:
        raise typer.BadParameter("name at least one ticker", param_hint="TICKER")
    for name in names:
        if not name.isprintable():
            raise typer.BadParameter(f"{name!r} has a character that cannot be shown", param_hint="TICKER")
    return sorted(names)


def _print_universe(lake: Lake) -> None:
    from pm.cli.render import SECONDS, print_frame, print_lines
    from pm.cli.visible import visible

    for row in lake.select_rows("folders", columns=("path", "problem"), order=("path",)):
        print_lines(f"Watched folder: {visible(row['path'])}")
        for line in (row["problem"] or "").splitlines():
            print_lines(f"  {visible(line)}")
    columns = ("ticker", "source", "added_at", "name", "exchange", "currency", "status")
    watched = lake.select("universe", columns=columns, order=("ticker",))
    if watched.is_empty():
        print_lines(
            "The watch list is empty: runs are about all tickers of imported files, or about",
            "the embedded sample if nothing was imported. Add tickers: pm universe add AAPL IBM",
        )
        return
    unknown = [name for name in columns[3:] if watched[name].null_count() == watched.height]
    print_frame(watched.drop(unknown), formats={"added_at": SECONDS})
