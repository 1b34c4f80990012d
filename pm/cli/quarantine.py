"""`pm quarantine`: show the rows that were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["quarantine"]


def quarantine(
    context: typer.Context,
    ticker: Annotated[str | None, typer.Option(metavar="TICKER", help="Show only this ticker.")] = None,
    rule: Annotated[str | None, typer.Option(metavar="RULE", help="Show only rows refused by this rule.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Maximum number of rows to show.")] = 50,
) -> None:
    """Show the rows that were refused, and why.

    It shows the number of rows by the rule that refused them, and the newest of the rows.
    """
    from pm.cli.render import print_frame, print_lines

    with open_reader(context) as lake:
        refused = _refused(lake, ticker, rule)
        if refused.is_empty():
            filtered = ticker is not None or rule is not None
            print_lines("No refused row matches." if filtered else "No row has been refused.")
            return
        print_frame(_counts(refused), formats={"rows": ",d", "tickers": ",d"})
        print_lines("")
        shown = refused.sort("batch_id", "row", descending=[True, False]).head(limit)
        print_frame(_with_originals(lake, shown))


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


def _with_originals(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """Add to some refused rows the rows as they landed."""
    batches = rows["batch_id"].unique().to_list()
    originals = lake.select("quarantine", columns=("batch_id", "row", "original"), batch_id=batches)
    return rows.join(originals, on=("batch_id", "row"), how="left", maintain_order="left")
