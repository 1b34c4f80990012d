"""Declare the table of what a language model was asked and answered."""

from __future__ import annotations

from pm.tables.declaration import FLAG, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["LLM_CALLS"]

LLM_CALLS = Table(
    "main",
    "llm_calls",
    "A call of the language model: what it took, and what it answered. A call that was asked before is read from here.",
    ("run_id", "cutoff", "role", "call"),
    (
        Column(
            "role",
            TEXT,
            "What the call was for: 'calibration' or 'sentiment' (stage sentiment), 'opinion' (stage opinions), "
            "'analyst' or 'assessor' (stage llm).",
        ),
        Column("call", INTEGER, "Number of the call among those of its role in the run, from 1."),
        Column("model", TEXT, "Name of the model, as pm models list shows it."),
        Column("model_sha256", TEXT, "Hash of the model's file."),
        Column(
            "prompt_hash",
            TEXT,
            "Hash of the whole question, seed included: of equal questions to one model the answers are equal.",
        ),
        Column("seed", INTEGER, "Seed of what was drawn; null for scores, of which nothing is drawn."),
        Column("prompt_tokens", INTEGER, "Number of tokens read, those of a prefix that was read before left out."),
        Column("output_tokens", INTEGER, "Number of tokens written or scored."),
        Column("seconds_to_first", REAL, "Seconds from the call to the first token or score."),
        Column("seconds", REAL, "Seconds that the call took."),
        Column("processor_seconds", REAL, "Seconds that the model's process computed, all its threads together."),
        Column("memory_bytes", INTEGER, "Memory of the model's process at the end of the call, the model included."),
        Column("deadline_seconds", REAL, "Longest time that the call was given, in seconds."),
        Column("deadline_met", FLAG, "Whether the call ended before that; otherwise the output is what it had."),
        Column("valid", FLAG, "Whether the output was complete and passed the check of the part that asked."),
        Column(
            "output",
            TEXT,
            "The output as JSON: for each question a list of log-probabilities of the labels, or a text; null for one "
            "that was not reached in time.",
        ),
        *STAMP,
    ),
)
