"""Declare the tables of runs, of their stages, and of the tickers that a stage left out."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, TIME, Column, Table

__all__ = ["EXCLUSIONS", "RUNS", "STAGE_EVENTS"]

RUNS = Table(
    "main",
    "runs",
    "A run: of the whole pipeline, an import, an evaluation, the training of a policy, a change of the watch list or "
    "of the ledger, or the removal of the sample.",
    ("run_id",),
    (
        Column("run_id", TEXT, "Run; identifiers sort by time."),
        Column(
            "kind",
            TEXT,
            "'run', 'refresh', 'import', 'evaluate', 'policy', 'actions', 'universe', 'trade', 'sample' or "
            "'texts'; see docs/vocabulary.md.",
        ),
        Column("status", TEXT, "'running', 'done', 'failed' or 'abandoned'."),
        Column("started_at", TIME, "Start, in UTC."),
        Column("finished_at", TIME, "End, in UTC; null while running."),
        Column("source", TEXT, "Source that the run was restricted to; null for no restriction."),
        Column("tickers", TEXT, "Tickers that the run was asked for, separated by commas; null for all."),
        Column("as_of", DATE, "Day that the run took for today; no row it computed depends on later data."),
        Column(
            "scope",
            TEXT,
            "'whole' for the whole watch list as of now; 'part' or 'past' for a look, which never takes the place of "
            "the newest whole run; 'sample' for a run whose rows were removed with the sample. Null until the run "
            "ends, for other kinds of runs, and for runs of older versions.",
        ),
        Column("attempts", INTEGER, "Number of times the run was started: 1, and one more each time it was resumed."),
        Column("version", TEXT, "Version of Portfolio Maximizer."),
        Column("settings", TEXT, "Settings of the run, as JSON."),
        Column("error", TEXT, "Error message; null if nothing failed."),
    ),
)

STAGE_EVENTS = Table(
    "main",
    "stage_events",
    "A stage of a run: what it read and wrote, and the time and memory it took.",
    ("run_id", "stage", "attempt"),
    (
        Column("run_id", TEXT, "Run; see runs."),
        Column("stage", TEXT, "Stage of the pipeline."),
        Column("attempt", INTEGER, "Attempt of the run that the row is about, from 1."),
        Column("status", TEXT, "'done', 'skipped' (nothing that it depends on has changed) or 'failed'."),
        Column("started_at", TIME, "Start, in UTC."),
        Column("finished_at", TIME, "End, in UTC."),
        Column("seconds", REAL, "Elapsed time, in seconds."),
        Column("rows", INTEGER, "Number of rows written."),
        Column("peak_memory_mb", REAL, "Largest resident memory of the process and its workers, in MiB."),
        Column("snapshot_id", INTEGER, "Snapshot of the lake that the stage read."),
        Column(
            "fingerprint",
            TEXT,
            "Hash of everything the stage depends on: tables, settings, code, and what the run was asked for.",
        ),
        Column("code_hash", TEXT, "Hash of the stage's code, settings, libraries and table columns alone."),
        Column(
            "output_run_id",
            TEXT,
            "Run whose rows are this stage's result: this run, or an earlier run whose stage depended on equal data "
            "and code.",
        ),
        Column("summary", TEXT, "Result of the stage, in one line."),
        Column(
            "degraded",
            TEXT,
            "Why the result is less than it should be, such as that the language model failed: the next run does the "
            "stage again. Null if nothing is missing, and in rows of older versions.",
        ),
        Column("error", TEXT, "Error message; null if nothing failed."),
    ),
    inlined_rows=100,  # a run without news writes a row for each of its stages
)

EXCLUSIONS = Table(
    "main",
    "exclusions",
    "A ticker that a stage left out, or computed from less data or with a simpler model than usual, and why.",
    ("run_id", "stage", "ticker", "reason", "cutoff"),
    (
        Column("stage", TEXT, "Stage of the pipeline."),
        Column("ticker", TEXT, "Ticker."),
        Column("reason", TEXT, "Reason, in one word; see docs/vocabulary.md."),
        Column("detail", TEXT, "Reason in a sentence, with its numbers."),
        *STAMP,
    ),
)
