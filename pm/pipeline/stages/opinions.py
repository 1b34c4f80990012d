"""Stage `opinions`: ask the language model for a second opinion about each ticker."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.errors import ModelError, PmError
from pm.llm.opinions import FEATURES_READ, facts_in_words, opinions
from pm.pipeline.coming_sessions import learnt_markets, sessions_ahead
from pm.pipeline.model_in_stage import Choice, Opening, failure, opened, recorder, wanted
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.features import FEATURES
from pm.tables.llm import LLM_CALLS
from pm.tables.texts import LLM_OPINIONS
from pm.tables.vocabulary import Action

if TYPE_CHECKING:
    from pm.llm.base import ModelInfo
    from pm.llm.opinions import Opinion

__all__ = ["STAGE", "asking"]

_NEWEST = f"""
SELECT ticker, date, {", ".join(FEATURES_READ)}
FROM features
WHERE date <= ? AND ticker IN (SELECT unnest(?::VARCHAR[]))
QUALIFY row_number() OVER (PARTITION BY ticker ORDER BY date DESC) = 1
ORDER BY ticker
"""  # noqa: S608 - a constant


def asking(opening: Opening, choice: Choice) -> Stage:
    """Return the stage, with what chooses and what opens the model."""
    return Stage(
        "opinions",
        partial(_compute, opening=opening),
        reads=(*WATCH_LIST_TABLES, FEATURES),
        past=(LLM_CALLS,),
        writes=(LLM_OPINIONS, LLM_CALLS),
        sections=("llm.time_series_primary", "signals.threshold", "forecast.horizon", "sources.exchanges"),
        depends=partial(_depends, choice=choice),
        idle=lambda context: choice(context).problem,
    )


def _depends(context: Context, *, choice: Choice) -> list[object] | None:
    """Return what the opinions depend on; None without a model: then there is nothing to do, and `idle` says why."""
    model = choice(context)
    return None if model.problem is not None else [*scope(context), model.identity]


def _compute(context: Context, *, opening: Opening) -> Result:
    as_of = watch_list(context).as_of
    try:
        model = opening(context)
    except PmError as error:  # no failure of a model is one of the run
        return Result([], "no opinions", failure(error))
    asked = recorder(context, model, ("opinion",))
    newest = _newest(context)
    degraded = None
    try:
        said = opinions(
            asked,
            [row["facts"] for row in newest],
            threshold=context.settings.signals.threshold,
            deadline_seconds=context.settings.llm.bound_seconds,
        )
    except ModelError as error:
        said, degraded = {}, failure(error)
    found, calls = _rows(context, asked.model.info, newest, said), asked.rows()
    writes = [
        Append(table, context.stamp(rows, cutoff=as_of))
        for table, rows in ((LLM_OPINIONS, found), (LLM_CALLS, calls))
        if rows.height
    ]
    if degraded is None and (late := len(newest) - found.height):
        degraded = f"{plural(late, 'ticker')} not reached in time"
    if found.is_empty():
        return Result(writes, "no opinions", degraded)
    counts = dict(found.group_by("action").len().iter_rows())
    told = ", ".join(f"{counts.get(action, 0)} {action}" for action in (Action.BUY, Action.SELL, Action.HOLD))
    return Result(writes, f"model {asked.model.info.name} would say {told}; these are no signals", degraded)


def _newest(context: Context) -> list[dict[str, Any]]:
    """Return the newest features of each ticker, the words for them in `facts`, and the session after their date."""
    watched = watch_list(context)
    newest = context.query(_NEWEST, [watched.as_of, list(watched.tickers)])
    ahead = sessions_ahead(newest, watched.exchanges, learnt_markets(context, watched), 1)
    following = dict(ahead.select("ticker", "target_date").iter_rows())
    return [row | {"facts": facts_in_words(row), "next_session": following[row["ticker"]]} for row in newest.to_dicts()]


def _rows(context: Context, info: ModelInfo, newest: list[dict[str, Any]], said: dict[str, Opinion]) -> pl.DataFrame:
    settings = context.settings
    rows = [
        {
            "ticker": row["ticker"],
            "origin_date": row["date"],
            "next_session": row["next_session"],
            "horizon": settings.forecast.horizon,
            "action": opinion.action.value,
            "probability_up": opinion.probability_up,
            "score": opinion.score,
            "noise": opinion.noise,
            "threshold": settings.signals.threshold,
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


STAGE = asking(opened, wanted)
"""Write the opinions. They are never signals; view signal_routing says where one counts."""
