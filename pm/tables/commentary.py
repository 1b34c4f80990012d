"""Declare the tables of what is said about each ticker, of its risk level, and of the cells behind every number."""

from __future__ import annotations

from pm.tables.declaration import INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = ["COMMENTARY", "COMMENTARY_CELLS", "RISK_ASSESSMENTS", "RISK_CONCERNS"]

_MODEL = (
    Column("model", TEXT, "Language model that chose, ordered or wrote; null if code did so alone."),
    Column("model_sha256", TEXT, "SHA-256 of the model's file; null if code did so alone."),
)

COMMENTARY = Table(
    "main",
    "commentary",
    "What the tables say about a ticker, in words. Every number in it has a row in commentary_cells.",
    ("run_id", "ticker", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("text", TEXT, "The text, one to four sentences, or what a model wrote."),
        Column("writer", TEXT, "'code', 'ordered' or 'model'; see docs/vocabulary.md."),
        Column(
            "clauses",
            TEXT,
            "Kinds of the clauses that code made of the facts, in their order, separated by commas; null for a text "
            "that a model wrote.",
        ),
        *_MODEL,
        Column(
            "reason",
            TEXT,
            "Why code ordered the clauses, why a model's text was refused, or what it was not told; null if not.",
        ),
        *STAMP,
    ),
)

COMMENTARY_CELLS = Table(
    "main",
    "commentary_cells",
    "A number or a word in the text of a commentary or a concern, and the cell of the lake that it comes from.",
    ("run_id", "ticker", "cutoff", "part", "place"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("part", TEXT, "'commentary', or the concern whose text it is in; see risk_concerns."),
        Column("place", INTEGER, "Position among the cells of the text, from 1; numbers in their order come first."),
        Column("text_start", INTEGER, "Position of the number in the text, from 0; null for a word that it rests on."),
        Column("text", TEXT, "The number as the text has it; of a word, the word that the cell holds."),
        Column("quantity", TEXT, "What the cell holds, such as 'probability of a gain'."),
        Column("unit", TEXT, "'share', 'price', 'ratio', 'count', 'date' or 'word'."),
        Column("number", REAL, "Value of the cell; null for dates and words."),
        Column("table_name", TEXT, "Table of the cell."),
        Column("key", TEXT, "Key of the cell's row as JSON. A list of two dates is a range: from the first to before."),
        Column("column_name", TEXT, "Column of the cell."),
        Column("query", TEXT, "Query that shows the cell."),
        *STAMP,
    ),
)

RISK_ASSESSMENTS = Table(
    "main",
    "risk_assessments",
    "The risk level of a ticker, by the rubric of docs/llm.md. No language model can change it.",
    ("run_id", "ticker", "cutoff"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("level", TEXT, "'low', 'moderate' or 'high'; see docs/vocabulary.md."),
        Column("points", INTEGER, "Sum of the points of the concerns that hold."),
        Column("writer", TEXT, "'code' or 'ordered': who ordered the concerns."),
        *_MODEL,
        Column("reason", TEXT, "Why code ordered the concerns; null if a model did."),
        *STAMP,
    ),
)

RISK_CONCERNS = Table(
    "main",
    "risk_concerns",
    "A concern about a ticker that holds, in the order of their weight. Its numbers have rows in commentary_cells.",
    ("run_id", "ticker", "cutoff", "concern"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("place", INTEGER, "Position among the ticker's concerns, from 1."),
        Column("concern", TEXT, "The concern, in one word; see docs/vocabulary.md."),
        Column("points", INTEGER, "Points that it adds: 1, or 2 where it is severe."),
        Column("text", TEXT, "The concern in a sentence, with its numbers."),
        *STAMP,
    ),
)
