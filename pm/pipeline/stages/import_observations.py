"""Stage `import_observations`: numbers about tickers that are no prices, from a file of the user."""

from __future__ import annotations

from functools import partial

import polars as pl

from pm.clock import utc_now
from pm.errors import InputError
from pm.pipeline.stage import Context, Stage
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.observations import OBSERVATIONS

__all__ = ["importing"]

_KNOWN = """
SELECT source, ticker, date, name, known_at, o.value AS value, s.value AS sent
FROM observations AS o
JOIN sent AS s USING (source, ticker, date, name, known_at)
"""


def importing(observations: pl.DataFrame, where: str) -> Stage:
    """Return the stage that lands observations, those that are in the lake already left out.

    Parameters
    ----------
    observations
        Columns of `pm.sources.observation_import.OBSERVATIONS_SCHEMA`.
    where
        Where they come from, for error messages.
    """
    return Stage(
        "import_observations",
        partial(_compute, observations=observations, where=where),
        past=(OBSERVATIONS,),
        writes=(OBSERVATIONS,),
        depends=lambda _: None,
    )


def _compute(context: Context, *, observations: pl.DataFrame, where: str) -> Result:
    keys = ["source", "ticker", "date", "name", "known_at"]
    known = context.query(_KNOWN, sent=observations)
    changed = known.filter(pl.col("value") != pl.col("sent"))
    if not changed.is_empty():
        row = changed.sort(keys).row(0, named=True)
        raise InputError(
            f"The lake has another value of {row['name']} for {row['ticker']} on {row['date']}, known at the same "
            f"time: {row['value']:g}, and the file {row['sent']:g}.",
            where=where,
            hint="a revision has a later known_at; nothing that was known can be changed",
        )
    new = observations.join(known.select(keys), on=keys, how="anti", maintain_order="left")
    stored = new.with_columns(
        fetched_at=pl.lit(utc_now(), OBSERVATIONS.polars_schema["fetched_at"]), run_id=pl.lit(context.run_id)
    )
    told = f"{plural(new.height, 'observation')} of {plural(new['ticker'].n_unique(), 'ticker')}"
    if known.height:
        told += f"; {plural(known.height, 'observation')} known already"
    return Result([Append(OBSERVATIONS, stored)] if stored.height else [], told)
