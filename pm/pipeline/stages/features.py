"""Stage `features`: a ticker's features on each of its days.

A feature looks only backwards, so what was computed before a ticker's first changed bar stands: only the days from
there on are written again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.pipeline.stage import Context, Outcome, Stage
from pm.tables.features import FEATURES
from pm.tables.quality import BARS

if TYPE_CHECKING:
    from pm.lake import Transaction

__all__ = ["STAGE"]

_TICKERS_AT_A_TIME = 200

# Bars are stamped with the snapshot their check read, features with the later one they read: a bar whose stamp is not
# older than its ticker's features has come, or changed, since. A ticker whose first bar has changed starts afresh.
_CHANGED = """
WITH made AS (SELECT ticker, max(snapshot_id) AS snapshot_id, max(date) AS last FROM features GROUP BY ticker),
     bar AS (
         SELECT b.ticker, min(b.date) AS first,
                min(b.date) FILTER (m.snapshot_id IS NULL OR b.snapshot_id >= m.snapshot_id) AS since,
                any_value(m.last) AS last
         FROM bars b LEFT JOIN made m USING (ticker)
         GROUP BY b.ticker
     )
SELECT coalesce(bar.ticker, made.ticker) AS ticker,
       CASE WHEN since > first THEN since ELSE DATE '0001-01-01' END AS since,
       coalesce(made.last >= since, bar.ticker IS NULL) AS replaces
FROM bar FULL JOIN made ON bar.ticker = made.ticker
WHERE since IS NOT NULL OR bar.ticker IS NULL
ORDER BY 1
"""

_ALL = "SELECT DISTINCT ticker, DATE '0001-01-01' AS since, false AS replaces FROM bars ORDER BY ticker"

_OVERTAKEN = "EXISTS (FROM changed c WHERE c.replaces AND c.ticker = features.ticker AND features.date >= c.since)"


def _run(context: Context) -> Outcome:
    lake = context.lake
    same = context.recipe == lake.scalar(
        "SELECT recipe FROM stage_events WHERE stage = 'features' AND status = 'done' ORDER BY finished_at DESC LIMIT 1"
    )
    changed = lake.query(_CHANGED if same else _ALL)
    rows = 0

    def write(transaction: Transaction) -> int:
        from pm.features import compute_features

        nonlocal rows
        rows = 0
        if not same:
            transaction.delete(FEATURES, "true")
        elif changed["replaces"].any():
            transaction.delete(FEATURES, _OVERTAKEN, changed=changed)
        for start in range(0, changed.height, _TICKERS_AT_A_TIME):
            context.progress(start, changed.height)
            piece = changed.slice(start, _TICKERS_AT_A_TIME).select("ticker", "since")
            bars = lake.read(BARS, among={"ticker": piece["ticker"].to_list()}, at=context.snapshot)
            fresh = compute_features(bars).join(piece, on="ticker").filter(pl.col("date") >= pl.col("since"))
            rows += transaction.append(FEATURES, context.stamp(fresh.drop("since")))
        context.progress(changed.height, changed.height)
        return rows

    return Outcome(write, lambda: f"{rows:,} rows for {changed.height:,} tickers")


STAGE = Stage("features", _run, reads=("bars",), rooms=("features",), libraries=("polars",), replaces=True)
"""Compute features from bars."""
