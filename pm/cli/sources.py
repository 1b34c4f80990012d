"""`pm sources`: where bars can come from, and whether a vendor answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from pm.settings import Keys, RefreshSettings
    from pm.sources import Ask
    from pm.sources.vendors.base import Vendor

__all__ = ["app"]

app = typer.Typer(help="Show the sources of bars, or try a vendor.", no_args_is_help=True)


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the sources of bars: the key that each needs, its limits, and how many requests are left today."""
    import polars as pl

    from pm.cli.render import print_frame
    from pm.sources.vendors import VENDORS

    folder, settings, keys = _opened(context)
    rows: list[tuple[str, str, str, str | None]] = [
        ("sample", "none", "embedded", None),
        ("files", "none", "imported by pm import", None),
    ]
    for name in VENDORS:
        source = _vendor(name, settings, keys, folder)
        left = source.gate.budget.left()
        rows.append((name, _key(source, keys), _limits(source), None if left is None else f"{left:,}"))
    columns = ["source", "key", "limits", "left_today"]
    print_frame(pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row"))


@app.command("test")
def try_(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Vendors to try.", show_default="those of refresh.vendors"),
    ] = None,
    ticker: Annotated[str, typer.Option(metavar="TICKER", help="Ticker to ask for.")] = "AAPL",
) -> None:
    """Ask a vendor for the bars of the last two weeks, and show what came and how many requests are left today.

    Finnhub is also asked whether the key permits company news. Nothing lands in the lake. The request counts like any
    other: Alpha Vantage needs three, of 25 a day. The exit code is 0 if each vendor gave bars, and 7 if one did not.
    """
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.errors import SourceError

    folder, settings, keys = _opened(context)
    sources = [_vendor(name, settings, keys, folder) for name in names or settings.vendors]
    rows, problems, news = [], [], []
    for source in sources:
        bars, problem = _tried(source, ticker)
        news += _tried_news(source, ticker)
        left = source.gate.budget.left()
        first, last = (bars["date"].min(), bars["date"].max()) if bars is not None else (None, None)
        count = None if bars is None else bars.height
        result = "ok" if problem is None else problem[0]
        rows.append((source.name, _key(source, keys), result, ticker, count, first, last, _limits(source), left))
        problems += [f"{source.name}: {problem[1]}"] if problem is not None else []
    schema = {
        "source": pl.String,
        "key": pl.String,
        "result": pl.String,
        "ticker": pl.String,
        "bars": pl.Int64,
        "first": pl.Date,
        "last": pl.Date,
        "limits": pl.String,
        "left_today": pl.Int64,
    }
    print_frame(pl.DataFrame(rows, schema=schema, orient="row"), optional=[["limits"]])
    print_lines(*news, *problems)
    if problems:
        raise SourceError(
            f"{len(problems)} of {len(sources)} vendors gave no bars of {ticker}.",
            where="the vendors above",
            hint="do what the lines above say; docs/vendors.md has the limits and where to get a key",
        )


def _opened(context: typer.Context) -> tuple[Path, RefreshSettings, Keys]:
    """Return the folder of what is remembered of vendors, the settings, and the keys."""
    from pm.cli.visible import visible
    from pm.settings import load_keys, warning_about_keys

    workspace, settings = open_workspace(context)
    if (warning := warning_about_keys(workspace.root)) is not None:
        typer.echo(visible(f"warning: {warning}"), err=True)
    return workspace.vendors, settings.refresh, load_keys(workspace.root)


def _vendor(name: str, settings: RefreshSettings, keys: Keys, folder: Path) -> Vendor:
    from pm.sources.vendors import vendor

    return vendor(name, settings, keys, folder / name)


def _key(source: Vendor, keys: Keys) -> str:
    """Return whether a vendor's key is there; the key itself is never shown."""
    needed: Sequence[str] = source.key_names
    if not needed:
        return "none"
    return "set" if all(getattr(keys, name) is not None for name in needed) else "missing"


def _limits(source: Vendor) -> str:
    limits = source.gate.limits
    named = {
        "second": limits.per_second,
        "minute": limits.per_minute,
        "hour": limits.per_hour,
        "day": limits.per_day,
    }
    return ", ".join(
        f"{number:,.0f} {'an' if unit == 'hour' else 'a'} {unit}"
        for unit, number in named.items()
        if number is not None
    )


def _tried(source: Vendor, ticker: str) -> tuple[pl.DataFrame | None, tuple[str, str] | None]:
    """Return the bars that a vendor gave, or the kind of the failure and its words."""
    from pm.errors import SourceError
    from pm.sources import Failure

    try:
        found = next(iter(source.fetch([_two_weeks(source, ticker)])))
    except SourceError as error:
        return None, ("no key", f"{error.what} {error.hint}")
    if isinstance(found, Failure):
        return None, (str(found.reason), found.detail)
    return found.bars, None


def _tried_news(source: Vendor, ticker: str) -> list[str]:
    """Return a line about the company news that a vendor has; none of a vendor without any, or without a key."""
    from pm.errors import SourceError
    from pm.plural import plural
    from pm.sources import Failure, TextSource

    if not isinstance(source, TextSource):
        return []
    try:
        found = next(iter(source.texts([_two_weeks(source, ticker)])))
    except SourceError:  # the line about bars says that there is no key
        return []
    if isinstance(found, Failure):
        return [f"{source.name}: no company news: {found.detail}"]
    return [f"{source.name}: the key permits company news: {plural(found.texts.height, 'text')} of {ticker}"]


def _two_weeks(source: Vendor, ticker: str) -> Ask:
    """Return what a vendor is asked: the last two weeks of a ticker."""
    from datetime import timedelta

    from pm.clock import utc_today
    from pm.sources import Ask
    from pm.sources.vendors import symbol_for

    yesterday = utc_today() - timedelta(days=1)  # a session of that day is over on every exchange, or nearly
    return Ask(ticker, symbol_for(source.name, ticker), yesterday - timedelta(days=14), yesterday)
