"""Stage `opinions`: ask the language model for a second opinion about each ticker."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.errors import PmError
from pm.llm.opinions import FEATURES_READ, facts_in_words, opinions
from pm.pipeline.model_in_stage import Opening, chosen, opened, recorder
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.tables.features import FEATURES
from pm.tables.llm import LLM_CALLS
from pm.tables.texts import LLM_OPINIONS
from pm.tables.vocabulary import Action

if TYPE_CHECKING:
    from pm.llm.record import Recorder

__all__ = ["STAGE", "asking"]

_NEWEST = f"""
SELECT ticker, date, {", ".join(FEATURES_READ)}
FROM features
WHERE date <= ? AND ticker IN (SELECT unnest(?::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) = 1
ORDER BY ticker
"""  # noqa: S608 - a constant


def asking(opening: Opening) -> Stage:
    """Return the stage, with what opens the model."""
    return Stage(
        "opinions",
        partial(_compute, opening=opening),
        reads=(*WATCH_LIST_TABLES, FEATURES),
        past=(LLM_CALLS,),
        writes=(LLM_OPINIONS, LLM_CALLS),
        sections=("llm.time_series_primary", "signals.threshold", "forecast.horizon"),
        depends=_depends,
        idle=lambda context: chosen(context).problem,
    )


def _depends(context: Context) -> list[object] | None:
    """Return what the opinions depend on; None without a model: then there is nothing to do, and `idle` says why."""
    model = chosen(context)
    return None if model.problem is not None else [*scope(context), model.identity]


def _compute(context: Context, *, opening: Opening) -> Result:
    as_of = watch_list(context).as_of
    try:
        with opening(context) as model:
            asked = recorder(context, model, ("opinion",))
            found = _opinions(context, asked)
    except PmError as error:  # no failure of a model is one of the run
        return Result([], f"language model failed: {error.what}")
    counts = dict(found.group_by("action").len().iter_rows())
    writes = [Append(LLM_OPINIONS, context.stamp(found, cutoff=as_of))]
    calls = asked.rows()
    if calls.height:
        writes.append(Append(LLM_CALLS, context.stamp(calls, cutoff=as_of)))
    told = ", ".join(f"{counts.get(action, 0)} {action}" for action in (Action.BUY, Action.SELL, Action.HOLD))
    return Result(writes, f"{told}, by {asked.model.info.name}; no signals")


def _opinions(context: Context, asked: Recorder) -> pl.DataFrame:
    settings, watched, info = context.settings, watch_list(context), asked.model.info
    newest = context.query(_NEWEST, [watched.as_of, list(watched.tickers)]).to_dicts()
    for row in newest:
        row["facts"] = facts_in_words(row)
    threshold = settings.signals.threshold
    said = opinions(
        asked,
        [row["facts"] for row in newest],
        threshold=threshold,
        deadline_seconds=settings.llm.bound_seconds,
    )
    rows = [
        {
            "ticker": row["ticker"],
            "origin_date": row["date"],
            "horizon": settings.forecast.horizon,
            "action": opinion.action.value,
            "probability_up": opinion.probability_up,
            "score": opinion.score,
            "noise": opinion.noise,
            "threshold": threshold,
            "facts": row["facts"],
            "reason": opinion.reason,
            "time_series_primary": settings.llm.time_series_primary,
            "model": info.name,
            "model_sha256": info.sha256,
        }
        for row in newest
        if (opinion := said.get(row["facts"])) is not None
    ]
    return pl.DataFrame(rows, schema=LLM_OPINIONS.unstamped_schema)


STAGE = asking(opened)
"""Write the opinions. They are never signals; view signal_routing says where one counts."""
