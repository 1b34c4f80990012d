"""Stage `llm`: say in words what the tables say about each ticker, and how risky it is."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from pm.errors import PmError
from pm.llm.analyst import assess_risks, comment
from pm.llm.choosing import LATE
from pm.llm.gathering import FactTables, gather_facts
from pm.llm.prose import may_write
from pm.llm.rows import commentary_frames
from pm.pipeline.model_in_stage import Choice, Opening, failure, opened, recorder, wanted
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
    from collections.abc import Sequence

    from pm.llm.analyst import Commentary
    from pm.llm.base import LanguageModel, ModelInfo
    from pm.llm.facts import FactSheet

__all__ = ["STAGE", "commenting", "read_fact_tables"]

_ROLES = ("analyst", "assessor")
"""Roles of the calls: who comments, and who orders concerns."""
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
    """Return the stage, with what chooses and what opens the model."""
    return Stage(
        "llm",
        partial(_compute, opening=opening, choice=choice),
        reads=(*WATCH_LIST_TABLES, SIGNALS, MODEL_WEIGHTS, EXCLUSIONS, BAR_FLAGS, FEATURES),
        past=(LLM_CALLS,),
        writes=(COMMENTARY, COMMENTARY_CELLS, RISK_ASSESSMENTS, RISK_CONCERNS, LLM_CALLS),
        depends=partial(_depends, choice=choice),
    )


def _depends(context: Context, *, choice: Choice) -> list[object]:
    """Return what the words depend on: of the settings only which model there is, and whether it may write."""
    chosen = choice(context)
    writes = chosen.sha256 is not None and may_write(context.workspace.models, chosen.sha256)
    return [*scope(context), chosen.identity, writes]


def _compute(context: Context, *, opening: Opening, choice: Choice) -> Result:
    sheets = gather_facts(read_fact_tables(context))
    absent = choice(context).problem
    if absent is not None:
        return _said(context, sheets, None, absent)
    try:
        model = opening(context)
    except PmError as error:
        return _said(context, sheets, None, failure(error), is_degraded=True)
    return _said(context, sheets, model)


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


def _said(
    context: Context,
    sheets: Sequence[FactSheet],
    model: LanguageModel | None,
    absent: str = "",
    *,
    is_degraded: bool = False,
) -> Result:
    """Return what is said about the tickers; what code says is always there.

    Parameters
    ----------
    absent
        Why there is no model, if there is none.
    is_degraded
        Whether there should be one.
    """
    as_of, seconds = watch_list(context).as_of, context.settings.llm.bound_seconds
    asked = None if model is None else recorder(context, model, _ROLES)
    info = None if model is None else model.info
    writes = info is not None and may_write(context.workspace.models, info.sha256)
    analyst, assessor = (None if asked is None else asked.as_role(role) for role in _ROLES)
    said = comment(sheets, analyst, may_write=writes, call_seconds=seconds, absent=absent)
    risks = assess_risks(sheets, assessor, call_seconds=seconds, absent=absent)
    frames = commentary_frames(said, risks, info)
    calls = LLM_CALLS.unstamped_schema.to_frame() if asked is None else asked.rows()
    degraded = absent if is_degraded else None
    if asked is not None and asked.failed is not None:
        degraded = failure(asked.failed)
    elif LATE in {*(one.reason for one in said), *(one.reason for one in risks)}:
        degraded = LATE
    summary = _counted(said, info)
    return Result(
        [
            Append(COMMENTARY, context.stamp(frames.commentary, cutoff=as_of)),
            Append(COMMENTARY_CELLS, context.stamp(frames.cells, cutoff=as_of)),
            Append(RISK_ASSESSMENTS, context.stamp(frames.assessments, cutoff=as_of)),
            Append(RISK_CONCERNS, context.stamp(frames.concerns, cutoff=as_of)),
            *([Append(LLM_CALLS, context.stamp(calls, cutoff=as_of))] if calls.height else []),
        ],
        f"{summary}; {absent}" if absent and degraded is None else summary,
        degraded,
    )


def _counted(said: Sequence[Commentary], info: ModelInfo | None) -> str:
    """Return in words how many texts are by whom."""
    name = "no model" if info is None else f"model {info.name}"
    words = {Writer.MODEL: f"written by {name}", Writer.ORDERED: f"ordered by {name}", Writer.CODE: "by code"}
    counts = Counter(one.writer for one in said)
    parts = [f"{counts[writer]:,} {text}" for writer, text in words.items() if counts[writer]]
    summary = f"words about {plural(len(said), 'ticker')}: {', '.join(parts)}"
    return summary if info is None or counts.keys() & {Writer.MODEL, Writer.ORDERED} else f"{summary}; {name} was asked"


STAGE = commenting(opened, wanted)
"""Write what the tables say about each ticker, and its risk level; no number of a signal depends on it."""
