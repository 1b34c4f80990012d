"""Show where the numbers come from: models, quality of the data, what was left out, and the time of the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.report.frames import Row, rows_of
from pm.tables.vocabulary import Verdict

if TYPE_CHECKING:
    from pm.report.data import ReportData

__all__ = ["provenance"]


_ROWS = 60
"""Largest number of tickers in the tables of models and of quality: those with an edge, or with a fault, come first."""


def provenance(data: ReportData, limit: int) -> Row:
    """Return what the last section shows, at most `limit` rows of each table, and 60 of those with a row a ticker."""
    limit = min(limit, _ROWS)
    faulty = pl.col("quarantined").fill_null(0) + pl.col("flagged").fill_null(0) > 0
    flags = data.flags.sort("date", "ticker", descending=[True, False])
    return {
        "weights": _weights(data.weights, limit),
        "quality": data.quality.sort(~faulty, "ticker").head(limit).to_dicts(),
        "quality_total": data.quality.height,
        "flags": flags.head(limit).to_dicts(),
        "flags_total": flags.height,
        "reconciliation": _reconciliation(data.reconciliation),
        "exclusions": data.exclusions.sort("stage", "reason", "ticker").head(limit).to_dicts(),
        "exclusions_total": data.exclusions.height,
        "timings": _timings(data.timings),
        "sources": _SOURCES,
    }


def _weights(weights: pl.DataFrame, limit: int) -> Row:
    """Return the names of the models, and for each ticker their weights and its verdict."""
    weights = weights.filter(pl.col("model") != "ensemble")
    models = weights.group_by("model").agg(pl.col("weight").mean())
    # Naive comes first, since the others are compared with it; then by decreasing mean weight.
    names = models.sort(pl.col("model") == "naive", "weight", "model", descending=[True, True, False])[
        "model"
    ].to_list()
    table = []
    shown = weights.sort(pl.col("verdict") != Verdict.EDGE.value, "ticker").partition_by(
        "ticker", as_dict=True, maintain_order=True
    )
    for (ticker,), part in list(shown.items())[:limit]:
        by_model = {row["model"]: row for row in part.to_dicts()}
        verdict = part["verdict"][0]
        table.append({"ticker": ticker, "verdict": verdict, "cells": [by_model.get(name) for name in names]})
    reasons = weights.filter(pl.col("reason").is_not_null()).sort("ticker", "model").head(limit).to_dicts()
    return {"models": names, "rows": table, "total": len(shown), "reasons": reasons}


def _reconciliation(batches: pl.DataFrame) -> Row:
    parts = ("inserted", "updated", "unchanged", "quarantined")
    totals: Row = {name: int(batches[name].sum()) for name in ("landed", *parts)}
    return totals | {"batches": batches.height, "missing": totals["landed"] - sum(totals[name] for name in parts)}


def _timings(events: pl.DataFrame) -> list[Row]:
    longest = events["seconds"].max() or 1.0
    return rows_of(events.with_columns(share=(pl.col("seconds") / longest * 100).round(1).fill_null(0)))


_SOURCES = (
    ("Weights of the models", "SELECT * FROM latest_weights"),
    ("Quality by ticker", "SELECT * FROM ticker_quality"),
    ("Flags", "SELECT * FROM bar_flags ORDER BY date DESC"),
    ("Refused rows", "SELECT * FROM quarantine"),
    ("Batches", "SELECT * FROM batch_accounts ORDER BY landed_at DESC"),
    ("Left out", "SELECT * FROM latest_exclusions"),
    ("Stages", "SELECT * FROM stage_events ORDER BY finished_at DESC"),
)
