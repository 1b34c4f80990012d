"""Check tickers again with all that ever landed of them, and correct the accounts of the batches that they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.clock import utc_today
from pm.pipeline.checking.changes import PARTS, Changes
from pm.pipeline.checking.history import Rows, check_history, split_by_source
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE, REBASINGS, RECONCILIATION, RESTATEMENTS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.pipeline.checking.origins import Origins
    from pm.pipeline.stage import Context

__all__ = ["check_again", "corrected_accounts"]


def check_again(
    context: Context, origins: Origins, tickers: Sequence[str], batches: Sequence[str], changes: Changes
) -> None:
    """Derive everything of some tickers anew, from all rows that landed of them.

    Parameters
    ----------
    tickers
        The tickers.
    batches
        Batches that are new, and have no accounts yet.
    changes
        What the check changes; the differences to the accounts of earlier batches are among its `corrections`.
    """
    from pm.quality import check_bars

    raw = context.read(RAW_BARS, among={"ticker": list(tickers)})
    passed = check_bars(raw, today=utc_today(), settings=context.settings.quality)
    origins.learn(passed.good)
    refused = context.read(QUARANTINE, among={"ticker": list(tickers)}, columns=("batch_id", "row"))
    is_new = pl.col("batch_id").is_in(list(batches))
    stood = passed.good.filter(~is_new).join(refused, on=["batch_id", "row"], how="anti")
    nothing = passed.refused.clear()
    trial = Changes(context, afresh=True)
    before = check_history(context, origins, tickers, Rows(stood, nothing, nothing), trial, afresh=True)
    was_refused = refused.group_by("batch_id").agg(quarantined=pl.len().cast(pl.Int64))
    before = pl.concat([before.select("batch_id", *PARTS[:3]), was_refused], how="diagonal")

    for table in (BARS, QUARANTINE, BAR_FLAGS, RESTATEMENTS, REBASINGS):
        changes.forget(table, tickers)
    rows = split_by_source(origins, passed.good, passed.refused)
    after = check_history(context, origins, tickers, rows, changes, afresh=True)
    changes.counts.append(after.filter(is_new))
    taken = before.select("batch_id", *(-pl.col(name) for name in PARTS))
    changes.corrections.append(pl.concat([after.filter(~is_new), taken], how="diagonal"))


def corrected_accounts(context: Context, changes: Changes) -> pl.DataFrame:
    """Return the accounts of earlier batches that tickers checked again have changed, with the columns of the table.

    The numbers of inserted and refused rows are exact. How many of the others changed a bar is known as far as a check
    of all rows at once tells; whatever it is, the parts of an account come to what landed.
    """
    if not changes.corrections:
        return RECONCILIATION.polars_schema.to_frame()
    moved = pl.concat(changes.corrections, how="diagonal").group_by("batch_id").agg(pl.col(*PARTS).sum())
    accounts = context.read(RECONCILIATION, among={"batch_id": moved["batch_id"].to_list()})
    joined = accounts.join(moved, on="batch_id", how="inner", suffix="_more")
    exact = joined.with_columns(
        (pl.col(name) + pl.col(f"{name}_more").fill_null(0)).alias(name) for name in ("inserted", "quarantined")
    )
    left = pl.col("landed") - pl.col("inserted") - pl.col("quarantined")
    updated = (pl.col("updated") + pl.col("updated_more").fill_null(0)).clip(0, left)
    changed = exact.with_columns(updated=updated).with_columns(unchanged=left - pl.col("updated"))
    return context.stamp(changed.select(RECONCILIATION.unstamped_schema.names()), cutoff=utc_today())
