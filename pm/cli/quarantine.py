"""`pm quarantine`: show the rows that were refused."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.completion import complete_ticker
from pm.cli.context import open_reader

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["quarantine"]

_FOLDER = re.compile(r".*[\\/]")
"""Folders before the name of a file, in a path of this system or of another."""
_EXPONENT_FROM = 1e15
"""Number from which values are written with an exponent."""


def quarantine(
    context: typer.Context,
    ticker: Annotated[
        str | None,
        typer.Option(metavar="TICKER", help="Show only this ticker.", autocompletion=complete_ticker),
    ] = None,
    rule: Annotated[str | None, typer.Option(metavar="RULE", help="Show only rows refused by this rule.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of rows to show.")] = 50,
) -> None:
    """Show the rows that were refused, and why.

    It shows the number of rows by the rule that refused them, and the newest of the rows.
    """
    import polars as pl

    from pm.cli.known_tickers import require_known
    from pm.cli.render import print_frame, print_lines

    rules = pl.col("rule").str.replace_all(",", "\n" if sys.stdout.isatty() else ",")  # a line each, where it is short
    with open_reader(context) as lake:
        if ticker is not None:
            (ticker,) = require_known(lake, [ticker], table="quarantine")
        refused = _refused(lake, ticker, rule)
        if refused.is_empty():
            filtered = ticker is not None or rule is not None
            print_lines("No refused row matches." if filtered else "No row has been refused.")
            return
        print_frame(_counts(refused).with_columns(rules), formats={"rows": ",d", "tickers": ",d"})
        print_lines("")
        shown = refused.sort("batch_id", "row", descending=[True, False]).head(limit)
        print_frame(_described(lake, shown).with_columns(rules))


def _refused(lake: Lake, ticker: str | None, rule: str | None) -> pl.DataFrame:
    """Return the refused rows, without the rows as they landed."""
    import polars as pl

    columns = ("ticker", "date", "rule", "batch_id", "row")
    if ticker is None:
        refused = lake.select("quarantine", columns=columns)
    else:
        refused = lake.select("quarantine", columns=columns, ticker=ticker)
    return refused if rule is None else refused.filter(pl.col("rule").str.split(",").list.contains(rule))


def _counts(refused: pl.DataFrame) -> pl.DataFrame:
    """Count the rows and tickers by rule; a row that broke several rules counts under their combination."""
    import polars as pl

    counts = refused.group_by("rule").agg(rows=pl.len(), tickers=pl.col("ticker").drop_nulls().n_unique())
    return counts.sort("rows", "rule", descending=[True, False])


def _described(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Describe some refused rows: ticker, date, rule, and a text with the file, the row and its numbers."""
    import polars as pl

    batches = rows["batch_id"].unique().to_list()
    originals = lake.select("quarantine", columns=("batch_id", "row", "original"), batch_id=batches)
    origins = {
        row["batch_id"]: row["origin"] if row["path"] is None else _FOLDER.sub("", row["path"])
        for row in lake.select_rows("raw.batches", columns=("batch_id", "origin", "path"), batch_id=batches)
    }
    found = rows.join(originals, on=("batch_id", "row"), how="left", maintain_order="left")
    texts = [
        f"{origins[row['batch_id']]}, row {row['row']:,}: {_numbers(row['original'])}"
        for row in found.iter_rows(named=True)
    ]
    return found.select("ticker", "date", "rule", pl.Series("row as delivered", texts, pl.String))


def _numbers(original: str) -> str:
    """Return the numbers of a row that landed, each after its name: 'close -5, volume 1,200'."""
    from pm.quality.rules import NUMBERS

    values = json.loads(original)
    return ", ".join(f"{name} {_number(values[name])}" for name in NUMBERS if values[name] is not None) or "no numbers"


def _number(value: float | str) -> str:
    if isinstance(value, str):  # NaN or an infinity
        return value
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < _EXPONENT_FROM else f"{value:,.7g}"
