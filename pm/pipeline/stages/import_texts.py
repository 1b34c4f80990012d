"""Stage `import_texts`: texts about tickers that a user has in a file."""

from __future__ import annotations

from functools import partial

import polars as pl

from pm.clock import utc_now
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.sources import RAW_TEXTS

__all__ = ["importing"]

_KNOWN = "SELECT ticker, source, source_id FROM raw.texts SEMI JOIN sent USING (ticker, source, source_id)"


def importing(texts: pl.DataFrame) -> Stage:
    """Return the stage that lands texts, those that are in the lake already left out.

    Parameters
    ----------
    texts
        Columns of `pm.sources.texts.TEXTS_SCHEMA`.
    """
    return Stage("import_texts", partial(_compute, texts=texts), writes=(RAW_TEXTS,), depends=lambda _: None)


def _compute(context: Context, *, texts: pl.DataFrame) -> Result:
    keys = ["ticker", "source", "source_id"]
    known = context.query(_KNOWN, sent=texts.select(keys))
    new = texts.join(known, on=keys, how="anti", maintain_order="left")
    stored = new.with_columns(
        fetched_at=pl.lit(utc_now(), RAW_TEXTS.polars_schema["fetched_at"]), run_id=pl.lit(context.run_id)
    )
    told = f"{plural(new.height, 'text')} of {plural(new['ticker'].n_unique(), 'ticker')}"
    if known.height:
        told += f"; {plural(texts.height - new.height, 'text')} known already"
    return Result([Append(RAW_TEXTS, stored)] if stored.height else [], told)
