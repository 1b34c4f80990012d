"""Print what an import did, or would do: where the rows of each file went, and what is new, restated and flagged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.cli.other_spellings import print_other_spellings
from pm.cli.results import print_flags
from pm.plural import plural

if TYPE_CHECKING:
    import polars as pl

    from pm.lake import Lake

__all__ = ["print_import"]

_LISTED = 15
"""Maximum number of rows of a table: with the lines around it, they fit a screen of 24 lines."""
_COUNTS = ("landed", "inserted", "updated", "unchanged", "quarantined")


def print_import(lake: Lake, run_id: str, *, dry_run: bool) -> None:
    """Print the account of an import, at most a screenful.

    Parameters
    ----------
    run_id
        The run that landed the files.
    dry_run
        Whether the lake is a copy, and nothing was imported.
    """
    from pm.cli.render import print_frame, print_lines

    accounts = _accounts(lake, run_id)
    if accounts.is_empty():
        print_lines("Nothing new would be imported." if dry_run else "Nothing new was imported.")
        return
    shown = accounts.drop("batch_id").sort("path")
    print_frame(shown.head(_LISTED), formats=dict.fromkeys(_COUNTS, ",d"))
    if shown.height > _LISTED:
        counts = ", ".join(f"{shown[name][_LISTED:].sum():,} {name}" for name in _COUNTS)
        print_lines(f"… and {plural(shown.height - _LISTED, 'more file')}: {counts}")
    if dry_run:
        _print_tickers(lake, run_id, accounts)
    print_other_spellings(lake, run_id)
    if dry_run:
        print_lines("Nothing was written. To import: the same command without --dry-run")
        return
    if accounts["quarantined"].sum():
        print_lines("To see which rows were quarantined, and why: pm quarantine")
    print_flags(lake, run_id)
    print_lines("Next: pm run")


def _accounts(lake: Lake, run_id: str) -> pl.DataFrame:
    batches = lake.select("raw.batches", columns=("batch_id",), run_id=run_id)
    accounts = lake.select("batch_accounts", columns=("batch_id", "path", *_COUNTS))
    return accounts.join(batches, on="batch_id", how="semi")


def _print_tickers(lake: Lake, run_id: str, accounts: pl.DataFrame) -> None:
    """Print for each ticker its bars, their dates, and what would be refused, restated and flagged."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines

    batches = accounts["batch_id"].to_list()
    bars = lake.select("raw.bars", columns=("ticker", "date"), batch_id=batches)
    names = bars["ticker"].drop_nulls().unique().to_list()
    summary = bars.group_by("ticker").agg(bars=pl.len(), first=pl.col("date").min(), last=pl.col("date").max())
    restated = lake.select("restatements", columns=("ticker", "date"), run_id=run_id).unique()
    refused = lake.select("quarantine", columns=("ticker", "date"), batch_id=batches)
    flags = lake.select("bar_flags", columns=("ticker", "date", "rule"), ticker=names)
    flags = flags.join(bars, on=["ticker", "date"], how="semi")
    for name, rows in (("restated", restated), ("refused", refused), ("flagged", flags)):
        counts = rows.group_by("ticker").agg(pl.len().alias(name))
        summary = summary.join(counts, on="ticker", how="left", nulls_equal=True)
    counted = ("restated", "refused", "flagged")
    summary = summary.with_columns(pl.col(counted).fill_null(0)).sort("ticker", nulls_last=True)
    print_lines("")
    print_frame(summary.head(_LISTED), formats=dict.fromkeys(("bars", *counted), ",d"))
    if summary.height > _LISTED:
        print_lines(f"… and {plural(summary.height - _LISTED, 'more ticker')}")
    if not flags.is_empty():
        by_rule = flags.group_by("rule").len().sort("rule")
        print_lines("Flagged: " + ", ".join(f"{count:,} {rule}" for rule, count in by_rule.iter_rows()))
    print_lines("")
