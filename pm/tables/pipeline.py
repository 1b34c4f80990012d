"""Runs, their stages, and the tickers that a stage left out."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = ["EXCLUSIONS", "RUNS", "STAGE_EVENTS"]

RUNS = Table(
    "main",
    "runs",
    "A run: of the whole pipeline, an import, an evaluation, a training, or a change of the watch list.",
    ("run_id",),
    (
        Column("run_id", TEXT, "Run; sorts by time."),
        Column("kind", TEXT, "What the run does: 'run', 'import', 'evaluate', 'policy' or 'universe'."),
        Column("status", TEXT, "'running', 'done', 'failed' or 'abandoned'."),
        Column("started_at", TIME, "UTC."),
        Column("finished_at", TIME, "UTC; null while running."),
        Column("source", TEXT, "Source that the run was restricted to; null for no restriction."),
        Column("tickers", TEXT, "Tickers asked for, comma-separated; null for all."),
        Column("as_of", DATE, "The day taken for today; the cutoff of what was derived."),
        Column("attempts", INTEGER, "1, and one more for each time it was resumed."),
        Column("version", TEXT, "Version of Portfolio Maximizer."),
        Column("settings", TEXT, "Every setting, as JSON."),
        Column("error", TEXT, "What failed; null if nothing did."),
    ),
)

STAGE_EVENTS = Table(
    "main",
    "stage_events",
    "A stage of a run: what it read, what it wrote, how long and how much memory it took.",
    ("run_id", "stage", "attempt"),
    (
        Column("run_id", TEXT, "Run."),
        Column("stage", TEXT, "Stage."),
        Column("attempt", INTEGER, "The run's attempt this belongs to."),
        Column("status", TEXT, "'done', 'skipped' (nothing it reads has changed) or 'failed'."),
        Column("started_at", TIME, "UTC."),
        Column("finished_at", TIME, "UTC."),
        Column("seconds", REAL, "Wall time."),
        Column("rows", INTEGER, "Rows written."),
        Column("peak_memory_mb", REAL, "Highest resident memory of the process and its workers, in MiB."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake it read."),
        Column("fingerprint", TEXT, "Hash of all it depends on: tables, settings, code, what it was asked."),
        Column("code_hash", TEXT, "Hash of its code, settings, libraries and the structure of its tables alone."),
        Column(
            "output_run_id",
            TEXT,
            "Run whose rows stand as this stage's result: its own, or that of an equal one.",
        ),
        Column("summary", TEXT, "One line of what came out."),
        Column("error", TEXT, "What failed; null if nothing did."),
    ),
)

EXCLUSIONS = Table(
    "main",
    "exclusions",
    "A ticker that a stage could not serve, or served in a lesser way, and why.",
    ("run_id", "stage", "ticker", "reason", "cutoff"),
    (
        Column("stage", TEXT, "Stage of the pipeline."),
        Column("ticker", TEXT, "Ticker."),
        Column("reason", TEXT, "Short name of the reason."),
        Column("detail", TEXT, "The reason in words, with its numbers."),
        *STAMP,
    ),
)
