"""`pm text`: texts about tickers, such as news, from files; and what is known of those that are in the lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_ticker
from pm.cli.context import open_reader, open_workspace, open_writer
from pm.cli.options import NoWait, Zone, parse_ticker
from pm.cli.paths import expand_home

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    import polars as pl

    from pm.lake import Lake

__all__ = ["app", "zone_of"]

app = typer.Typer(help="Import texts about tickers, such as news, and list those that are known.", no_args_is_help=True)


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV, JSON lines or a JSON array, with a ticker, a time, and a headline, a text or both.",
        ),
    ],
    tz: Zone = None,
    ticker: Annotated[
        str | None, typer.Option(metavar="TICKER", help="Ticker of all texts. [default: a column of the file]")
    ] = None,
    no_wait: NoWait = False,
) -> None:
    """Import the texts of a file: all of them, or none. Those that are in the lake already are left out.

    The next `pm run` reads them with the language model. docs/texts.md says what files are understood.
    """
    from pm.cli.progress import progress_shown
    from pm.cli.render import join_names, print_lines
    from pm.pipeline import import_texts
    from pm.plural import plural
    from pm.sources.text_import import read_texts

    content = read_texts(expand_home(path), zone=zone_of(tz), ticker=parse_ticker(ticker))
    workspace, settings = open_workspace(context, create=True)
    with open_writer(workspace, settings, no_wait=no_wait) as lake:
        with progress_shown() as observer:
            result = import_texts(lake, workspace, settings, observer, texts=content.texts)
        landed = lake.select("raw.texts", columns=("ticker",), run_id=result.run_id).height
        line = f"{plural(landed, 'text')} imported, of {plural(content.row_count, 'row')} of {path.name}."
        if content.texts.height > landed:
            line += f" {plural(content.texts.height - landed, 'text')} already in the lake."
        if content.row_count > content.texts.height:
            line += f" {plural(content.row_count - content.texts.height, 'row')} repeated in the file."
        print_lines(line)
        if landed and settings.llm.enabled:
            print_lines("The next `pm run` has the language model read what is new: see docs/texts.md.")
        if content.cut:
            print_lines(f"{plural(content.cut, 'text')} of more than 100,000 characters were cut off there.")
        without = sorted(set(content.texts["ticker"]) - _tickers(lake))
        if without:
            print_lines(
                f"There are no bars of {join_names(without, limit=8)}: these texts are kept, and read once there are."
            )


@app.command("list")
def list_(
    context: typer.Context,
    tickers: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER", help="Tickers to show. [default: all]", autocompletion=complete_ticker),
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Number of texts to show.")] = 20,
) -> None:
    """List the newest texts, and how a language model has read them."""
    import polars as pl

    from pm.cli.known_tickers import require_known
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        if tickers:
            tickers = list(require_known(lake, tickers, table="raw.texts"))
        equal = {"ticker": tickers} if tickers else {}
        order = ("published_at", "ticker", "source_id")
        texts = lake.select("raw.texts", order=order, descending=("published_at",), limit=limit, **equal)
        if texts.is_empty():
            print_lines("There are no texts. Import some: pm text import FILE; see also docs/refreshing.md.")
            return
        read = _read(lake, texts)
        edge = lake.select_rows("sentiment_edge", basis="runs")
    keys = ["ticker", "source", "source_id"]
    shown = texts.join(read, on=keys, how="left", maintain_order="left").select(
        "ticker",
        "published_at",
        headline=pl.coalesce("headline", pl.col("text").str.slice(0, 120)).str.replace_all(r"\s+", " "),
        sentiment=pl.when(pl.col("duplicate_of").is_not_null()).then(pl.lit("duplicate")).otherwise("sentiment"),
        positive="probability_positive",
        counts_from="session",
        source="source",
    )
    print_frame(shown, formats={"positive": ".0%"}, optional=[["source"], ["counts_from"]])
    if edge and read.height:
        print_lines("", f"Forecasts do not use the sentiment: an edge is {edge[0]['verdict']}. {edge[0]['reason']}")


def _read(lake: Lake, texts: pl.DataFrame) -> pl.DataFrame:
    """Return the newest reading of each text."""
    names = texts["source_id"].unique().to_list()
    read = lake.select("text_sentiment", source_id=names).sort("run_id")
    return read.unique(["ticker", "source", "source_id"], keep="last").select(
        "ticker", "source", "source_id", "duplicate_of", "sentiment", "probability_positive", "session"
    )


def _tickers(lake: Lake) -> set[str]:
    return {str(row["ticker"]) for row in lake.select_rows("data_health", columns=("ticker",))}


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return the zone that `--tz` names."""
    from zoneinfo import ZoneInfo

    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise typer.BadParameter(
            f"{name!r} is no time zone; name one such as America/New_York or UTC", param_hint="--tz"
        ) from None
