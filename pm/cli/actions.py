"""`pm actions`: dividends and splits, those of the files and those that the user tells."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_ticker
from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait  # noqa: TC001 - Typer reads annotations
from pm.cli.paths import expand_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from pm.lake import Lake

__all__ = ["app"]

app = typer.Typer(
    help="Show the dividends and splits that are known, or tell those that no file tells.", no_args_is_help=True
)

_Ticker = Annotated[str, typer.Argument(metavar="TICKER", help="Ticker, such as AAPL.", autocompletion=complete_ticker)]
_Day = Annotated[
    datetime,
    typer.Argument(
        metavar="DATE",
        formats=["%Y-%m-%d"],
        help="Ex-date: the first day that trades without the dividend, or after the split.",
    ),
]


@app.command("list")
def list_(
    context: typer.Context,
    tickers: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER", help="Tickers to show. [default: all]", autocompletion=complete_ticker),
    ] = None,
) -> None:
    """List dividends and splits; those of source 'user' are your own."""
    from pm.cli.known_tickers import require_known

    with open_reader(context) as lake:
        _print_actions(lake, require_known(lake, tickers, table="raw.actions") if tickers else None)


@app.command()
def add(
    context: typer.Context,
    ticker: _Ticker,
    day: _Day,
    split: Annotated[
        str | None,
        typer.Option("--split", "--ratio", metavar="RATIO", help="New shares to old ones: 4:1, 3/2, 1:10 or 4."),
    ] = None,
    dividend: Annotated[
        float | None,
        typer.Option("--dividend", "--amount", metavar="AMOUNT", help="Dividend per share, in the price's currency."),
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Add a split or a dividend that no file tells, and adjust the prices before it."""
    import polars as pl

    from pm.sources import ACTIONS_SCHEMA, split_ratio
    from pm.sources.names import USER

    if split is None and dividend is None:
        raise typer.BadParameter("name the split, as --split 4:1, or the dividend, as --dividend 0.24")
    values = {"split": split_ratio(split) if split is not None else None, "dividend": dividend}
    if split is not None and values["split"] is None:
        raise typer.BadParameter(f"{split!r} is no ratio; write it as 4:1, 3/2 or 4", param_hint="--split")
    rows = [(ticker, day.date(), kind, value, USER) for kind, value in values.items() if value is not None]
    _add(context, pl.DataFrame(rows, schema=ACTIONS_SCHEMA, orient="row"), "the command line", no_wait=no_wait)


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[
        str,
        typer.Argument(metavar="FILE", help="CSV file with columns ticker, date, and split, dividend or both."),
    ],
    no_wait: NoWait = False,
) -> None:
    """Add the splits and dividends of a CSV file: all of them, or none."""
    from pm.sources import actions_in

    for file in expand_paths([path]):
        _add(context, actions_in(Path(file)), str(file), no_wait=no_wait)


@app.command()
def remove(
    context: typer.Context,
    ticker: _Ticker,
    day: _Day,
    split: Annotated[bool, typer.Option("--split", help="Remove only the split.")] = False,
    dividend: Annotated[bool, typer.Option("--dividend", help="Remove only the dividend.")] = False,
    no_wait: NoWait = False,
) -> None:
    """Remove a split or a dividend that you added; what files tell stays."""
    from pm.cli.known_tickers import as_known
    from pm.pipeline import remove_actions

    kind = None if split == dividend else "split" if split else "dividend"
    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        (known,) = as_known(lake, [ticker])
        remove_actions(lake, workspace, settings, lambda _: None, ticker=known, day=day.date(), kind=kind)
        _print_actions(lake, [known])


def _add(context: typer.Context, actions: pl.DataFrame, where: str, *, no_wait: bool) -> None:
    import polars as pl

    from pm.cli.known_tickers import as_known
    from pm.cli.progress import progress_shown
    from pm.cli.render import print_lines
    from pm.cli.results import print_flags
    from pm.pipeline import add_actions

    workspace, settings = open_workspace(context)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        told = actions["ticker"].unique(maintain_order=True).to_list()
        actions = actions.with_columns(pl.col("ticker").replace(dict(zip(told, as_known(lake, told), strict=True))))
        with progress_shown() as observer:
            result = add_actions(lake, workspace, settings, observer, actions=actions, where=where)
        _print_actions(lake, sorted(set(actions["ticker"])))
        print_flags(lake, result.run_id)
        print_lines("Next: pm run")


def _print_actions(lake: Lake, tickers: Sequence[str] | None) -> None:
    import polars as pl

    from pm.cli.render import SECONDS, join_names, print_frame, print_lines
    from pm.quality import effective_actions

    known = effective_actions(lake.select("raw.actions"))
    if tickers:
        known = known.filter(pl.col("ticker").is_in(list(tickers)))
    if known.is_empty() and tickers:
        print_lines(f"No dividends and splits of {join_names(tickers, limit=8)} are known.")
        return
    if known.is_empty():
        print_lines("No dividends and splits are known. Add one: pm actions add AAPL 2020-08-31 --split 4:1")
        return
    shown = known.sort("ticker", "date", "kind").select("ticker", "date", "kind", "value", "source", added="fetched_at")
    print_frame(shown, formats={"added": SECONDS})
