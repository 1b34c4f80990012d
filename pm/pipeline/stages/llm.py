"""Stage `llm`: say in words what the tables say about each ticker, and how risky it is."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.llm.analyst import assess_risks, comment
from pm.llm.available import Unavailable, model_to_use, opened_model
from pm.llm.gathering import FactTables, gather_facts
from pm.llm.prose import may_write
from pm.llm.record import KNOWN, Recorder
from pm.llm.rows import commentary_frames
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.commentary import COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS
from pm.tables.features import FEATURES
from pm.tables.forecast import MODEL_WEIGHTS
from pm.tables.llm import LLM_CALLS
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import BAR_FLAGS
from pm.tables.signals import SIGNALS
from pm.tables.vocabulary import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import polars as pl

    from pm.llm.available import ChosenModel
    from pm.llm.base import LanguageModel
    from pm.llm.facts import FactSheet
    from pm.llm.rows import CommentaryFrames
    from pm.settings import Settings
    from pm.workspace import Workspace

    Opening = Callable[
        [Workspace, Settings, Callable[[str], None]], AbstractContextManager[LanguageModel | Unavailable]
    ]
    Choice = Callable[[Workspace, Settings], ChosenModel | None]

__all__ = ["STAGE", "commenting", "read_fact_tables"]

_SESSIONS = 250
"""Number of sessions before the newest one that its volatility is compared with: a year."""

_STANDING = f"""
WITH recent AS (
    SELECT ticker, date, volatility_20, drawdown_250
    FROM features
    WHERE date <= ? AND ticker IN (SELECT unnest(?::VARCHAR[]))
    QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) <= {_SESSIONS + 1}
),
newest AS (
    SELECT * FROM recent QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) = 1
)
SELECT
    n.ticker, n.date, n.volatility_20, n.drawdown_250,
    min(p.date) AS first_date,
    count(p.volatility_20) FILTER (n.volatility_20 IS NOT NULL) AS sessions,
    avg((p.volatility_20 < n.volatility_20)::INTEGER) AS rank
FROM newest AS n
LEFT JOIN recent AS p ON p.ticker = n.ticker AND p.date < n.date
GROUP BY ALL
ORDER BY n.ticker
"""  # noqa: S608 - a constant


def commenting(opening: Opening, choice: Choice) -> Stage:
    """Return the stage, with what opens the model.

    Parameters
    ----------
    opening
        Opens the model for the block of a `with`, or gives why there is none.
    choice
        Returns the model that would be opened, without loading it; None if there is none.
    """
    return Stage(
        "llm",
        partial(_compute, opening=opening),
        reads=(*WATCH_LIST_TABLES, SIGNALS, MODEL_WEIGHTS, EXCLUSIONS, BAR_FLAGS, FEATURES),
        past=(LLM_CALLS,),
        writes=(COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS, LLM_CALLS),
        sections=("llm",),
        depends=partial(_depends, choice=choice),
    )


def _depends(context: Context, *, choice: Choice) -> list[object]:
    chosen = choice(context.workspace, context.settings)
    if chosen is None:
        return [*scope(context), None, False]
    writes = chosen.sha256 is not None and may_write(context.workspace.models, chosen.sha256)
    return [*scope(context), chosen.identity, writes]


def _compute(context: Context, *, opening: Opening) -> Result:
    as_of = watch_list(context).as_of
    frames, calls, summary = _spoken(context, gather_facts(read_fact_tables(context)), opening)
    return Result(
        [
            Append(COMMENTARY, context.stamp(frames.commentary, cutoff=as_of)),
            Append(COMMENTARY_CELLS, context.stamp(frames.cells, cutoff=as_of)),
            Append(RISK_ASSESSMENTS, context.stamp(frames.assessments, cutoff=as_of)),
            Append(RISK_CONCERNS, context.stamp(frames.concerns, cutoff=as_of)),
            *([Append(LLM_CALLS, context.stamp(calls, cutoff=as_of))] if calls is not None else []),
        ],
        summary,
    )


def read_fact_tables(context: Context) -> FactTables:
    """Return what the tables say of the tickers of a run, those that were left out included."""
    watched = watch_list(context)
    signals, exclusions = context.read_outputs(SIGNALS), context.read_outputs(EXCLUSIONS)
    tickers = sorted({*watched.tickers, *signals["ticker"], *exclusions["ticker"]})
    return FactTables(
        tickers=tickers,
        as_of=watched.as_of,
        snapshot=context.snapshot,
        signals=signals,
        weights=context.read_outputs(MODEL_WEIGHTS),
        exclusions=exclusions,
        flags=context.read(BAR_FLAGS, "date <= ?", [watched.as_of], among={"ticker": tickers}),
        standing=context.query(_STANDING, [watched.as_of, tickers]),
    )


def _spoken(
    context: Context, sheets: Sequence[FactSheet], opening: Opening
) -> tuple[CommentaryFrames, pl.DataFrame | None, str]:
    """Return what is said about the tickers, the calls of the model, and the result of the stage in one line.

    No failure of a model is one of the run: what code says is always there.
    """
    try:
        with opening(context.workspace, context.settings, context.notify) as model:
            if not isinstance(model, Unavailable):
                return _said(context, sheets, model)
            absent = model.reason
    except PmError as error:
        absent = f"language model failed: {error.what}"
    return _said(context, sheets, None, absent)


def _said(
    context: Context, sheets: Sequence[FactSheet], model: LanguageModel | None, absent: str = ""
) -> tuple[CommentaryFrames, pl.DataFrame | None, str]:
    info = None if model is None else model.info
    recorder = None
    if model is not None and info is not None:
        known = context.read(LLM_CALLS, "model_sha256 = ?", [info.sha256], columns=KNOWN)
        recorder = Recorder(model, known)
    writes = info is not None and may_write(context.workspace.models, info.sha256)
    seconds = context.settings.llm.bound_seconds
    analyst, assessor = (None if recorder is None else recorder.as_role(role) for role in ("analyst", "assessor"))
    said = comment(sheets, analyst, may_write=writes, call_seconds=seconds, absent=absent)
    risks = assess_risks(sheets, assessor, call_seconds=seconds, absent=absent)
    words = {Writer.MODEL: "written by {}", Writer.ORDERED: "ordered by {}", Writer.CODE: "by code"}
    name = "" if info is None else info.name
    counts = Counter(one.writer for one in said)
    parts = [f"{counts[writer]:,} {text.format(name)}" for writer, text in words.items() if counts[writer]]
    summary = f"{plural(len(said), 'ticker')}: {', '.join(parts)}"
    if info is not None and not counts.keys() & {Writer.MODEL, Writer.ORDERED}:
        summary += f"; {name} was asked"
    if model is not None and model.restarts:
        summary += f"; incomplete: {name} died {plural(model.restarts, 'time')}"
    calls = None if recorder is None else recorder.rows()
    return commentary_frames(said, risks, info), calls, f"{summary}; {absent}" if absent else summary


STAGE = commenting(opened_model, model_to_use)
"""Write what the tables say about each ticker, and its risk level; no number of a signal depends on it."""
