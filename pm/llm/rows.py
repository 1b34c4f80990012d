"""Turn what is said about tickers into rows of the lake's tables, with the cell behind each number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.llm.clauses import Number
from pm.llm.quantities import Unit
from pm.llm.reading import FoundNumber
from pm.tables.commentary import COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS
from pm.tables.vocabulary import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.llm.analyst import Commentary, OrderedAssessment
    from pm.llm.base import ModelInfo
    from pm.llm.clauses import Clause
    from pm.llm.facts import Fact
    from pm.tables.declaration import Table

__all__ = ["CommentaryFrames", "commentary_frames", "placed_numbers"]

COMMENTARY_PART = "commentary"
"""Part of table `commentary_cells` that is about the text of table `commentary`; the others are concerns."""


@dataclass(frozen=True)
class CommentaryFrames:
    """Rows of tables `commentary`, `commentary_cells`, `risk_assessments` and `risk_concerns`, without their stamps."""

    commentary: pl.DataFrame
    cells: pl.DataFrame
    assessments: pl.DataFrame
    concerns: pl.DataFrame


def commentary_frames(
    commentaries: Sequence[Commentary], assessments: Sequence[OrderedAssessment], info: ModelInfo | None
) -> CommentaryFrames:
    """Return the rows of what is said about tickers.

    Parameters
    ----------
    info
        The model; None if there was none.
    """
    cells: list[dict[str, Any]] = []
    texts = []
    for said in commentaries:
        if said.prose is not None:
            numbers, rests_on = said.prose.numbers, said.prose.rests_on
        else:
            numbers, rests_on = placed_numbers(said.clauses), _rests_on(said.clauses)
        cells += _cells(said.ticker, COMMENTARY_PART, numbers, rests_on)
        kinds = ",".join(clause.kind for clause in said.clauses) or None
        texts.append(
            {"ticker": said.ticker, "text": said.text, "writer": said.writer.value, "clauses": kinds}
            | _model(said.writer, info)
            | {"reason": said.reason}
        )
    risks, concerns = [], []
    for ordered in assessments:
        assessment = ordered.assessment
        risks.append(
            {"ticker": assessment.ticker, "level": assessment.level.value, "points": assessment.points}
            | {"writer": ordered.writer.value, "reason": ordered.reason}
            | _model(ordered.writer, info)
        )
        for place, held in enumerate(assessment.concerns, start=1):
            concern = held.concern.value
            concerns.append(
                {"ticker": assessment.ticker, "place": place, "concern": concern, "points": held.points}
                | {"text": held.clause.text}
            )
            numbers, rests_on = placed_numbers([held.clause]), held.clause.rests_on
            cells += _cells(assessment.ticker, concern, numbers, rests_on)
    return CommentaryFrames(
        _frame(COMMENTARY, texts),
        _frame(COMMENTARY_CELLS, cells),
        _frame(RISK_ASSESSMENTS, risks),
        _frame(RISK_CONCERNS, concerns),
    )


def placed_numbers(clauses: Sequence[Clause]) -> tuple[FoundNumber, ...]:
    """Return the numbers of clauses, with their positions in the text that the clauses make, a space between two."""
    found = []
    start = 0
    for clause in clauses:
        for part in clause.parts:
            if isinstance(part, Number):
                found.append(FoundNumber(start, part.text, part.fact))
            start += len(part.text if isinstance(part, Number) else part)
        start += 1
    return tuple(found)


def _rests_on(clauses: Sequence[Clause]) -> tuple[Fact, ...]:
    return tuple(dict.fromkeys(fact for clause in clauses for fact in clause.rests_on))


def _model(writer: Writer, info: ModelInfo | None) -> dict[str, str | None]:
    if writer is Writer.CODE or info is None:
        return {"model": None, "model_sha256": None}
    return {"model": info.name, "model_sha256": info.sha256}


def _cells(
    ticker: str, part: str, numbers: Sequence[FoundNumber], rests_on: Sequence[Fact]
) -> Iterator[dict[str, Any]]:
    placed: list[tuple[int | None, str, Fact]] = [(number.start, number.text, number.fact) for number in numbers]
    placed += [(None, str(fact.value), fact) for fact in rests_on]
    for place, (start, text, fact) in enumerate(placed, start=1):
        is_number = fact.quantity.unit not in {Unit.DATE, Unit.WORD}
        yield {
            "ticker": ticker,
            "part": part,
            "place": place,
            "text_start": start,
            "text": text,
            "quantity": fact.quantity.value,
            "unit": fact.quantity.unit.value,
            "number": float(fact.value) if is_number else None,  # type: ignore[arg-type]  # by its unit
            "table_name": fact.cell.table,
            "key": fact.cell.key_json,
            "column_name": fact.cell.column,
            "query": fact.cell.query,
        }


def _frame(table: Table, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=table.unstamped_schema)
