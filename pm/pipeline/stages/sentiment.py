"""Stage `sentiment`: read the texts about the tickers of a run that were not read before."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from pm.errors import ModelError, PmError
from pm.llm.duplicates import Text, first_of_each
from pm.llm.sentiment import calibrated, headlines, readable, scores_of
from pm.pipeline.model_in_stage import Choice, Opening, failure, opened, recorder, usable, wanted
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import WATCH_LIST_TABLES, watch_list
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.sessions import next_open
from pm.tables.llm import LLM_CALLS
from pm.tables.sources import RAW_TEXTS
from pm.tables.texts import TEXT_SENTIMENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from pm.llm.record import Recorder
    from pm.llm.sentiment import Calibration

__all__ = ["STAGE", "reading"]

_ROLES = ("calibration", "sentiment")
_WEEK = timedelta(days=7)
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - in UTC, as the lake has times
"""First moment that there is, so that no week is before it."""
_EVERY_DAY = timedelta(days=1)

_UNREAD = """
SELECT r.ticker, r.source, r.source_id, r.published_at, r.headline, r.text
FROM raw.texts AS r
WHERE r.published_at < ? AND r.ticker IN (SELECT unnest(?::VARCHAR[])) AND NOT EXISTS (
    FROM text_sentiment AS s
    WHERE s.ticker = r.ticker AND s.source = r.source AND s.source_id = r.source_id AND s.model_sha256 = ?
)
ORDER BY r.published_at DESC, r.ticker, r.source, r.source_id
LIMIT ?
"""
_COUNTED = """
SELECT DISTINCT s.ticker, s.source, s.source_id, s.published_at, s.words
FROM text_sentiment AS s
WHERE s.duplicate_of IS NULL AND s.ticker IN (SELECT unnest(?::VARCHAR[])) AND s.published_at BETWEEN ? AND ?
    AND s.model_sha256 = ?
"""


def reading(opening: Opening, choice: Choice, now: Choice) -> Stage:
    """Return the stage, with what chooses and what opens the model.

    Parameters
    ----------
    choice
        Returns the model that the settings choose, however much memory is free.
    now
        Returns the model that would be loaded now.
    """
    return Stage(
        "sentiment",
        partial(_compute, opening=opening),
        reads=(*WATCH_LIST_TABLES, RAW_TEXTS),
        past=(TEXT_SENTIMENT, LLM_CALLS),
        writes=(TEXT_SENTIMENT, LLM_CALLS),
        depends=lambda _: None,
        idle=partial(_idle, choice=choice, now=now),
    )


def _idle(context: Context, *, choice: Choice, now: Choice) -> str | None:
    """Return why no text is read; the model is not loaded."""
    if context.settings.llm.texts_per_run == 0:
        return "no texts are read (llm.texts_per_run is 0)"
    if not context.rows("SELECT 1 AS found FROM raw.texts LIMIT 1"):
        return "no texts"
    model = choice(context)
    if model.problem is not None:
        return model.problem
    if (fits := now(context)).problem is None:
        model = fits  # otherwise the stage says what is in the way, if there is anything to read
    watched = watch_list(context)
    return None if _unread(context, watched.tickers, watched.as_of, model.sha256 or "", 1) else "no new texts"


def _unread(context: Context, tickers: Sequence[str], as_of: date, sha256: str, count: int) -> list[dict[str, Any]]:
    """Return texts that a model has not read, published up to the end of a day in UTC, the newest first."""
    return context.rows(_UNREAD, [as_of + _EVERY_DAY, list(tickers), sha256, count])


def _compute(context: Context, *, opening: Opening) -> Result:
    as_of = watch_list(context).as_of
    try:
        model = opening(context)
    except PmError as error:  # no failure of a model is one of the run
        return Result([], "no texts were read", failure(error))
    reader = recorder(context, model, _ROLES)
    sentiment, summary, degraded = TEXT_SENTIMENT.polars_schema.to_frame(), "no texts were read", None
    try:
        sentiment, summary, degraded = _read(context, reader)
    except ModelError as error:
        degraded = failure(error)
    calls = context.stamp(reader.rows(), cutoff=as_of)
    writes = [Append(table, rows) for table, rows in ((TEXT_SENTIMENT, sentiment), (LLM_CALLS, calls)) if rows.height]
    return Result(writes, summary, degraded)


def _read(context: Context, reader: Recorder) -> tuple[pl.DataFrame, str, str | None]:
    """Return the rows of texts that are read now, the summary of the stage, and what is missing."""
    settings, watched, info = context.settings.llm, watch_list(context), reader.model.info
    nothing = TEXT_SENTIMENT.polars_schema.to_frame()
    texts = _unread(context, watched.tickers, watched.as_of, info.sha256, settings.texts_per_run)
    if not texts:
        return nothing, "no new texts", None
    if not reader.knows("calibration"):
        context.notify(
            f"sentiment: model {info.name} reads {len(headlines('fit'))} labelled headlines first, once; it can take a "
            "minute"
        )
    line = calibrated(reader, deadline_seconds=settings.bound_seconds)
    if line is None:
        return nothing, "no texts were read", "the labelled headlines were not read in time"
    for text in texts:
        text["words"] = readable(text["headline"] or text["text"])
    repeats = _repeats(context, texts, info.sha256)
    fresh = [text for text in texts if _name(text) not in repeats]
    scores = scores_of(reader, "sentiment", [text["words"] for text in fresh], deadline_seconds=settings.bound_seconds)
    by_name = {_name(text): score for text, score in zip(fresh, scores, strict=True)}
    rows = []
    for text in texts:
        name = _name(text)
        score = by_name.get(name)
        if score is None and name not in repeats and text["words"]:
            continue  # not reached in time: it is asked for again
        session, opens_at = next_open(watched.exchanges.get(text["ticker"]), text["published_at"])
        rows.append(
            {key: text[key] for key in ("ticker", "source", "source_id", "published_at", "words")}
            | {
                "session": session,
                "opens_at": opens_at,
                "duplicate_of": repeats.get(name),
                "cutoff": text["published_at"].date(),
            }
            | _verdict(line, score, is_duplicate=name in repeats)
            | {"model": info.name, "model_sha256": info.sha256}
        )
    late = len(texts) - len(rows)
    told = [plural(len(rows), "text"), *([plural(len(repeats), "duplicate")] if repeats else [])]
    degraded = f"{plural(late, 'text')} not reached in time" if late else None
    schema = pl.Schema({**TEXT_SENTIMENT.unstamped_schema, "cutoff": pl.Date()})
    summary = f"{', '.join(told)}, read by model {info.name}"
    return context.stamp(pl.DataFrame(rows, schema=schema)), summary, degraded


def _verdict(line: Calibration, score: float | None, *, is_duplicate: bool) -> dict[str, object]:
    known: dict[str, object] = {"score": score, "intercept": line.intercept, "slope": line.slope, "noise": line.noise}
    if is_duplicate:
        return known | {"probability_positive": None, "sentiment": None}
    if score is None:
        return known | {"probability_positive": 0.5, "sentiment": "unclear"}
    return known | {"probability_positive": line.probability(score), "sentiment": line.sentiment(score).value}


def _repeats(context: Context, texts: Sequence[dict[str, Any]], sha256: str) -> dict[str, str]:
    """Return for each text that repeats another one the name of that one.

    Of texts that are read now the first counts. One that was read before counts in any case, although it was published
    later: the newest texts are read first.
    """
    tickers = sorted({text["ticker"] for text in texts})
    published: list[datetime] = [text["published_at"] for text in texts]
    first = min(published) - min(_WEEK, min(published) - _FIRST)
    counted = context.rows(_COUNTED, [tickers, first, max(published) + _WEEK, sha256])
    found: dict[str, str] = {}
    for ticker in tickers:
        own, before = (
            sorted(
                (_words(text) for text in some if text["ticker"] == ticker),
                key=lambda one: (one.published_at, one.name),
            )
            for some in (texts, counted)
        )
        found |= first_of_each(own, before)
    return {name: other.partition("\t")[2] for name, other in found.items()}


def _words(text: dict[str, Any]) -> Text:
    return Text(_name(text), text["published_at"], text["words"])


def _name(text: dict[str, Any]) -> str:
    return f"{text['ticker']}\t{text['source']}:{text['source_id']}"


STAGE = reading(opened, wanted, usable)
"""Read the new texts. No number of a forecast or a signal depends on what is read, and no failure fails a run."""
