"""Stage `volatility`: fit each ticker's conditional variance and the distribution of its return over the horizon."""

from __future__ import annotations

from functools import partial

import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.chunks import map_chunks
from pm.pipeline.compiling import compile_ahead
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import (
    WATCH_LIST_TABLES,
    judged_bars,
    newest_bars,
    scope,
    watch_list,
    watched_sources,
)
from pm.pipeline.writes import Append, Result
from pm.prices import log_returns
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.quality import QUARANTINE
from pm.tables.vocabulary import Reason
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

__all__ = ["STAGE"]

_WITHOUT_PRICES = """
WITH refused AS (
    SELECT q.ticker, a.origin, count(*) AS rows
    FROM quarantine q JOIN raw.batches a USING (batch_id)
    WHERE q.ticker IS NOT NULL
    GROUP BY ALL
),
watched AS (
    SELECT ticker FROM universe WHERE ? IS NULL OR source = ?
    UNION
    SELECT ticker FROM refused WHERE NOT EXISTS (FROM universe) AND list_contains(?, origin)
)
SELECT w.ticker, coalesce(sum(r.rows), 0)::BIGINT AS rows
FROM watched w LEFT JOIN refused r USING (ticker)
WHERE w.ticker NOT IN (SELECT ticker FROM bars) AND (? IS NULL OR list_contains(?, w.ticker))
GROUP BY w.ticker
ORDER BY w.ticker
"""


def _compute(context: Context) -> Result:
    from pm.volatility import fit_volatility

    watched = watch_list(context)
    settings = context.settings.volatility
    compile_ahead(context, "pm.volatility")
    size = context.settings.run.chunk_size
    chunks = [
        (
            log_returns(
                newest_bars(
                    context, watched.tickers[start : start + size], watched.as_of, judged_bars(context.settings)
                )
            ),
        )
        for start in range(0, len(watched.tickers), size)
    ]
    fit = partial(fit_volatility, settings=settings, horizon=context.settings.forecast.horizon)
    fitted = map_chunks(context, fit, chunks)
    paths = pl.concat(part.paths for part in fitted.results)
    fits = pl.concat(part.fits for part in fitted.results)
    excluded = pl.concat([*(part.exclusions for part in fitted.results), fitted.exclusions, _without_prices(context)])
    models = paths.filter(pl.col("step") == 1).group_by("model").len().sort("model")
    counted = ", ".join(f"{count:,} by {model}" for model, count in models.iter_rows())
    return Result(
        [
            Append(VOLATILITY, context.stamp(paths, cutoff=watched.as_of)),
            Append(VOLATILITY_FITS, context.stamp(fits, cutoff=watched.as_of)),
            Append(EXCLUSIONS, context.stamp(excluded, cutoff=watched.as_of)),
        ],
        f"{counted or 'no ticker could be fitted'}{fitted.failures}",
    )


def _without_prices(context: Context) -> pl.DataFrame:
    """Return the exclusions of watched tickers without a usable bar: every row was refused, or there are none."""
    request = context.request
    named = list(request.tickers) if request.tickers is not None else None
    sources = watched_sources(context.known_rows, request)
    found = context.rows(_WITHOUT_PRICES, [request.source, request.source, sources, named, named])
    excluded = []
    for row in found:
        detail = f"{row['rows']} rows, all refused; see pm quarantine" if row["rows"] else "no bars in the lake"
        excluded.append((row["ticker"], Exclusion(Reason.NO_PRICES, detail)))
    return exclusions_frame(context.stage.name, excluded)


STAGE = Stage(
    "volatility",
    _compute,
    reads=(*WATCH_LIST_TABLES, QUARANTINE),
    writes=(VOLATILITY, VOLATILITY_FITS, EXCLUSIONS),
    sections=("volatility", "forecast.horizon", "forecast.window"),
    depends=scope,
)
"""Fit volatility to the returns up to the run's day."""
