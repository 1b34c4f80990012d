"""Make a sheet of facts for each ticker from rows of the lake's tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pm.llm.facts import Cell, Fact, FactSheet
from pm.llm.quantities import Quantity
from pm.tables.features import FEATURES
from pm.tables.forecast import MODEL_WEIGHTS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BAR_FLAGS
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import Reason, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from pm.tables.declaration import Table

__all__ = ["FactTables", "gather_facts"]

Row = dict[str, Any]

FLAG_DAYS = 365
"""Days before the day of the run within which a flag of a bar is told: one of longer ago moves no signal of today."""

_OF_SIGNALS = {
    Quantity.ACTION: "action",
    Quantity.ORIGIN_DATE: "origin_date",
    Quantity.RUN_DATE: "cutoff",
    Quantity.TARGET_DATE: "target_date",
    Quantity.HORIZON: "horizon",
    Quantity.CLOSE: "close",
    Quantity.MEDIAN_RETURN: "expected_return",
    Quantity.LOWER: "lower",
    Quantity.UPPER: "upper",
    Quantity.INTERVAL_LEVEL: "interval_level",
    Quantity.GAIN_PROBABILITY: "probability_gain",
    Quantity.LOSS_PROBABILITY: "probability_loss",
    Quantity.THRESHOLD: "threshold",
    Quantity.COST: "round_trip_cost",
    Quantity.SIZE: "size",
    Quantity.STOP: "stop",
    Quantity.TARGET: "target",
    Quantity.ANNUAL_VOLATILITY: "annual_volatility",
}
"""Column of table `signals` that holds each quantity."""

_RETURN_FLAGS = ("jump", "break")
"""Rules of flags whose value is a simple return."""

_SIMPLIFYING = {reason.value for reason in Reason if not reason.meaning.startswith("Left out")}
"""Reasons with which a ticker still has a result."""


@dataclass(frozen=True)
class FactTables:
    """Rows of the lake from which facts are gathered; any frame may be empty, and rows may be in any order.

    Attributes
    ----------
    tickers, as_of
        The tickers, and the day of the run.
    snapshot
        Snapshot of the lake at which tables without a run in their key were read.
    signals, weights, exclusions, flags
        Rows of the tables of these names (`model_weights`, `bar_flags`), all columns.
    standing
        ticker, date, volatility_20, drawdown_250: the newest row of table `features`; and first_date, sessions, rank:
        the date of the first of up to 250 rows before it, the number of those with a volatility_20, and the share of
        them whose volatility_20 is lower.
    """

    tickers: Sequence[str]
    as_of: date
    snapshot: int
    signals: pl.DataFrame
    weights: pl.DataFrame
    exclusions: pl.DataFrame
    flags: pl.DataFrame
    standing: pl.DataFrame


def gather_facts(tables: FactTables) -> list[FactSheet]:
    """Return a sheet of facts for each ticker, in the order of the tickers. What is null or not finite is left out."""
    signals, weights, exclusions, flags, standing = (
        _by_ticker(frame)
        for frame in (tables.signals, tables.weights, tables.exclusions, tables.flags, tables.standing)
    )
    sheets = []
    for ticker in tables.tickers:
        facts = [
            *_of_signal(signals.get(ticker, [])),
            *_of_features(standing.get(ticker, []), tables.snapshot),
            *_of_weights(weights.get(ticker, [])),
            *_of_flags(flags.get(ticker, []), tables),
            *_of_exclusions(exclusions.get(ticker, []), is_decided=ticker in signals),
        ]
        known = [fact for fact in facts if _is_known(fact.value)]
        sheets.append(FactSheet(ticker, tuple(known)))
    return sheets


def _by_ticker(frame: pl.DataFrame) -> dict[str, list[Row]]:
    parts = frame.partition_by("ticker", as_dict=True, maintain_order=True)
    return {str(ticker): part.to_dicts() for (ticker,), part in parts.items()}


def _is_known(value: Any) -> bool:  # noqa: ANN401 - whatever the table holds
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _cell(table: Table, row: Mapping[str, Any], column: str, snapshot: int | None = None) -> Cell:
    return Cell(table.qualified, column, tuple((name, row[name]) for name in table.key), snapshot)


def _of_signal(rows: Sequence[Row]) -> Iterator[Fact]:
    for row in rows[:1]:
        for quantity, column in _OF_SIGNALS.items():
            yield Fact(quantity, row[column], _cell(SIGNALS, row, column))


def _of_features(rows: Sequence[Row], snapshot: int) -> Iterator[Fact]:
    for row in rows[:1]:
        yield Fact(Quantity.DRAWDOWN, row["drawdown_250"], _cell(FEATURES, row, "drawdown_250", snapshot))
        if not row["sessions"]:
            continue
        ticker = ("ticker", row["ticker"])
        past = (ticker, ("date", (row["first_date"], row["date"])))
        lower = "avg((volatility_20 < ({other}))::INTEGER)"
        newest = _cell(FEATURES, row, "volatility_20", snapshot)
        rank = Cell(FEATURES.qualified, "volatility_20", past, snapshot, lower, newest)
        yield Fact(Quantity.VOLATILITY_RANK, row["rank"], rank)
        yield Fact(
            Quantity.VOLATILITY_SESSIONS,
            row["sessions"],
            Cell("features", "volatility_20", past, snapshot, "count(volatility_20)"),
        )


def _of_weights(rows: Sequence[Row]) -> Iterator[Fact]:
    for row in rows:
        if row["model"] != "ensemble":
            continue
        yield Fact(Quantity.VERDICT, row["verdict"], _cell(MODEL_WEIGHTS, row, "verdict"))
        if row["verdict"] == Verdict.EDGE:
            yield Fact(Quantity.RELATIVE_RMSE, row["relative_rmse"], _cell(MODEL_WEIGHTS, row, "relative_rmse"))
    weighted = [row for row in rows if row["model"] != "ensemble" and row["weight"]]
    for row in sorted(weighted, key=lambda row: (-row["weight"], row["model"]))[:1]:
        yield Fact(Quantity.MODEL, row["model"], _cell(MODEL_WEIGHTS, row, "model"))
        yield Fact(Quantity.WEIGHT, row["weight"], _cell(MODEL_WEIGHTS, row, "weight"))


def _of_flags(rows: Sequence[Row], tables: FactTables) -> Iterator[Fact]:
    since = tables.as_of - timedelta(days=FLAG_DAYS)
    recent = [row for row in rows if since < row["date"] <= tables.as_of]
    for row in sorted(recent, key=lambda row: (row["date"], row["rule"]), reverse=True)[:1]:
        yield Fact(Quantity.FLAG_RULE, row["rule"], _cell(BAR_FLAGS, row, "rule", tables.snapshot))
        yield Fact(Quantity.FLAG_DATE, row["date"], _cell(BAR_FLAGS, row, "date", tables.snapshot))
        if row["rule"] in _RETURN_FLAGS:
            yield Fact(Quantity.FLAG_RETURN, row["value"], _cell(BAR_FLAGS, row, "value", tables.snapshot))


def _of_exclusions(rows: Sequence[Row], *, is_decided: bool) -> Iterator[Fact]:
    """Return why a ticker was left out, or why it was simplified; the first stage that left it out is enough."""
    told: set[str] = set()
    left_out = [row for row in rows if _leaves_out(row["reason"])]
    if not is_decided:
        for row in left_out[:1]:
            yield Fact(Quantity.LEFT_OUT, row["reason"], _cell(EXCLUSIONS, row, "reason"))
    for row in rows:
        if row["reason"] not in told and not _leaves_out(row["reason"]):
            told.add(row["reason"])
            yield Fact(Quantity.SIMPLIFIED, row["reason"], _cell(EXCLUSIONS, row, "reason"))


def _leaves_out(reason: str) -> bool:
    return reason not in _SIMPLIFYING
