"""Stage `sample`: remove the embedded sample and all that was computed from it, once there are bars of the user's own.

These are bars of imported files or of a vendor. The sample is there to try the system before there are any. It stays
beside them only where it was asked for since: by `--source sample`, or by a ticker of the watch list with this source.
See decision 0042.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.clock import utc_today
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import check
from pm.pipeline.writes import Delete, Merge, Result, Write
from pm.plural import plural
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.names import FILES, SAMPLE, USER
from pm.tables.catalogue import TABLES
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.risk import LIMIT_EVENTS
from pm.tables.sources import (
    FETCHES,
    FOLDERS,
    RAW_ACTIONS,
    RAW_BARS,
    RAW_BATCHES,
    RAW_TEXTS,
    SPLICES,
    TEXT_FETCHES,
    UNIVERSE,
    UNIVERSE_CHANGES,
)
from pm.tables.validation import (
    OVERFITTING_TESTS,
    TRIAL_FILLS,
    TRIAL_JUDGEMENTS,
    TRIAL_RETURNS,
    TRIAL_TARGETS,
    TRIAL_TESTS,
    TRIALS,
)
from pm.tables.vocabulary import RunKind, RunScope, RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from pm.pipeline.request import Request
    from pm.pipeline.watch_list import Rows

__all__ = ["STAGE", "has_sample", "outlived_since"]

_NAMED = 5
"""Maximum number of tickers that are named when the sample is removed."""

_RAW = (RAW_BARS, RAW_ACTIONS, RAW_BATCHES)
_CHECKED = check.STAGE.writes
"""Tables that the next check fills anew, from the raw rows that are left."""
_OF_VENDORS = {RAW_TEXTS, FETCHES, TEXT_FETCHES, SPLICES, FOLDERS}
"""Tables in which nothing is of the sample."""
_AUDITED = {
    *(*CHAINED_TABLES, LIMIT_EVENTS),
    *(TRIALS, TRIAL_JUDGEMENTS, TRIAL_RETURNS, TRIAL_FILLS, TRIAL_TARGETS, TRIAL_TESTS, OVERFITTING_TESTS),
}
"""Tables of the ledger and of trials, and what their chains of hashes cover besides: nothing of them is ever deleted.
Every trial counts, whatever it was run on."""
_KEPT = {*_RAW, *_CHECKED, *_OF_VENDORS, *_AUDITED, UNIVERSE, UNIVERSE_CHANGES, RUNS, STAGE_EVENTS}
_RESULTS = tuple(table for table in TABLES.values() if "run_id" in table.polars_schema and table not in _KEPT)
"""Tables of what was computed from bars."""

_SAMPLE = """
SELECT 1 AS found
WHERE EXISTS (FROM raw.batches WHERE origin = ?) OR EXISTS (FROM universe WHERE source = ?)
"""

_SINCE = """
SELECT min(landed_at) AS since, arg_min(origin, landed_at) AS origin
FROM raw.batches
WHERE list_contains(?, origin) AND batch_id IN (
    SELECT batch_id FROM raw.bars WHERE ticker <> '' AND date <= ? AND close > 0 AND isfinite(close)
)
"""

_ASKED = """
SELECT 1 AS found
FROM universe
WHERE source = ?
    -- What was put on the list with or after a vendor's ticker was asked for beside it, though its bars came later.
    AND added_at >= least(?, (SELECT min(added_at) FROM universe WHERE list_contains(?, source)))
LIMIT 1
"""

_TICKERS = "SELECT DISTINCT ticker FROM raw.bars JOIN raw.batches a USING (batch_id) WHERE a.origin = ? ORDER BY ticker"

_TOLD = """
WITH last AS (
    SELECT arg_max_null(a.value, b.landed_at) AS value -- null if it was taken back
    FROM raw.actions AS a
    JOIN raw.batches AS b USING (batch_id)
    WHERE b.origin = ? AND b.landed_at < ?
    GROUP BY a.ticker, a.date, a.kind
)
SELECT count(value) AS actions FROM last
"""

_BATCHES_OF_SAMPLE = """
SELECT batch_id FROM raw.batches WHERE origin = ?
-- Dividends and splits that the user told before there were other bars are those of the sample.
UNION SELECT batch_id FROM raw.batches WHERE origin = ? AND landed_at < ?
"""

_OWN_TICKERS = """
SELECT ticker FROM raw.bars JOIN raw.batches a USING (batch_id) WHERE a.origin <> ? AND ticker IS NOT NULL
UNION SELECT ticker FROM universe WHERE source <> ?
"""

_RUNS_OF_SAMPLE = """
SELECT run_id FROM stage_events WHERE status = 'done' AND finished_at < ?
UNION SELECT run_id FROM runs WHERE source = ?
"""


def has_sample(rows: Rows) -> bool:
    """Return whether the lake has rows of the sample, or the watch list a ticker whose bars are to come from it."""
    return bool(rows(_SAMPLE, [SAMPLE, SAMPLE]))


def outlived_since(rows: Rows, request: Request) -> datetime | None:
    """Return when the first usable bar of a file or a vendor landed if that ends the sample, and None if nothing does.

    Parameters
    ----------
    rows
        Returns the rows of a query.
    request
        What the run is asked to do: to use the sample, for one.
    """
    if request.source == SAMPLE or not has_sample(rows):
        return None
    since: datetime | None = _first_own(rows)["since"]
    if since is None or rows(_ASKED, [SAMPLE, since, list(VENDOR_NAMES)]):
        return None
    return since


def _first_own(rows: Rows) -> dict[str, Any]:
    """Return when the first usable bar landed that is not of the sample, and its origin; None where there is none."""
    return rows(_SINCE, [[FILES, *VENDOR_NAMES], utc_today()])[0]


def _compute(context: Context) -> Result:
    since = outlived_since(context.rows, context.request)
    if since is None:
        return Result([], "the sample stays")
    tickers = [row["ticker"] for row in context.rows(_TICKERS, [SAMPLE])]
    watched = context.rows("SELECT ticker FROM universe WHERE source = ?", [SAMPLE])
    parts = []
    if tickers:
        named = ", ".join(tickers[:_NAMED]) + (" …" if len(tickers) > _NAMED else "")
        parts.append(f"the bars of {named}, and what was computed from them")
    told = context.rows(_TOLD, [USER, since])[0]["actions"]
    if told:
        parts.append(f"{plural(told, 'dividend or split', 'dividends and splits')} that you told of them")
    if watched:
        parts.append(f"{plural(len(watched), 'ticker')} of the watch list")
    origin = _first_own(context.rows)["origin"]
    ends = "Your own files end" if origin == FILES else f"Your bars from {origin!r} end"
    context.notify(f"{ends} the embedded sample: {'; '.join(parts)} will be removed.")
    return Result(_writes(context, since), f"{plural(len(tickers), 'ticker')} of the sample removed")


def _writes(context: Context, since: datetime) -> list[Write]:
    batches = context.query(_BATCHES_OF_SAMPLE, [SAMPLE, USER, since])
    of_sample = context.query(_RUNS_OF_SAMPLE, [since, SAMPLE])
    own = context.query(_OWN_TICKERS, [SAMPLE, SAMPLE])
    ended = context.read(
        RUNS,
        "kind = ? AND status = ? AND (finished_at < ? OR source = ?)",
        [RunKind.RUN.value, RunStatus.DONE.value, since, SAMPLE],
    )
    writes: list[Write] = [Delete(table, "batch_id IN (FROM batches)", frames={"batches": batches}) for table in _RAW]
    watched = [row["ticker"] for row in context.rows("SELECT ticker FROM universe WHERE source = ?", [SAMPLE])]
    writes.append(Delete(UNIVERSE_CHANGES, "list_contains(?, ticker)", [watched]))
    writes.append(Delete(UNIVERSE, "source = ?", [SAMPLE]))
    writes += [Delete(table) for table in _CHECKED]
    for table in _RESULTS:
        where = "run_id IN (FROM of_sample)"
        if "ticker" in table.polars_schema:
            where += " OR ticker NOT IN (FROM own)"
        writes.append(Delete(table, where, frames={"of_sample": of_sample, "own": own}))
    writes.append(Merge(RUNS, ended.with_columns(scope=pl.lit(RunScope.SAMPLE.value))))
    return writes


STAGE = Stage(
    "sample",
    _compute,
    writes=(*_RAW, UNIVERSE, UNIVERSE_CHANGES, *_CHECKED, *_RESULTS, RUNS, STAGE_EVENTS),
    depends=lambda _: None,
)
"""Remove the sample, unless it is asked for or there are no usable bars of files or vendors; the check follows it."""
