"""Stage `features`: a ticker's features on each of its days.

A feature looks only backwards, so what was computed before a ticker's first changed bar is still right. Only the days
from there on are written again.
"""

from __future__ import annotations

import polars as pl

from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Delete, Result, Write
from pm.plural import plural
from pm.tables.features import FEATURES
from pm.tables.quality import BARS

__all__ = ["STAGE"]

_TICKERS_AT_A_TIME = 200
"""Number of tickers whose bars are read at a time."""

# Bars are stamped with the snapshot that their check read, features with the later one that they read: a bar whose
# stamp is not older than its ticker's features is new, or has changed, since. A ticker whose first bar has changed
# starts afresh.
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

_OUTDATED = "EXISTS (FROM changed c WHERE c.replaces AND c.ticker = features.ticker AND features.date >= c.since)"


def _compute(context: Context) -> Result:
    from pm.features import compute_features

    same_code = context.code_hash == context.previous_code_hash
    changed = context.query(_CHANGED if same_code else _ALL)
    writes: list[Write] = []
    if not same_code:
        writes.append(Delete(FEATURES))
    elif changed["replaces"].any():
        writes.append(Delete(FEATURES, _OUTDATED, frames={"changed": changed}))
    features = context.spool(FEATURES)
    for start in range(0, changed.height, _TICKERS_AT_A_TIME):
        context.progress(start, changed.height)
        piece = changed.slice(start, _TICKERS_AT_A_TIME).select("ticker", "since")
        bars = context.read(BARS, among={"ticker": piece["ticker"].to_list()})
        computed = compute_features(bars).join(piece, on="ticker").filter(pl.col("date") >= pl.col("since"))
        features.add(context.stamp(computed.drop("since")))
    context.progress(changed.height, changed.height)
    return Result(
        [*writes, features.append()], f"{plural(features.rows, 'row')} for {plural(changed.height, 'ticker')}"
    )


STAGE = Stage("features", _compute, reads=(BARS,), writes=(FEATURES,), replaces=True)
"""Compute features from bars."""
