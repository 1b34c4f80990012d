"""Stage `volatility`: fit each ticker's conditional variance and the distribution of its return over the horizon."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from pm.parallel import chunked
from pm.pipeline.chunks import serve
from pm.pipeline.stage import Context, Outcome, Stage
from pm.pipeline.universe import OF_SOURCE, asked_for, log_returns, newest_bars, universe
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from pm.lake import Transaction

__all__ = ["STAGE"]


def _run(context: Context) -> Outcome:
    from pm.volatility import fit_volatility

    chosen = universe(context)
    settings = context.settings.volatility
    chunks = [
        (log_returns(newest_bars(context, tickers, chosen.as_of, max(settings.windows) + 1)),)
        for tickers in chunked(chosen.tickers, context.settings.run.chunk_size)
    ]
    fit = partial(fit_volatility, settings=settings, horizon=context.settings.forecast.horizon)
    served = serve(context, "volatility", fit, chunks)
    path = context.stamp(pl.concat(fitted.paths for fitted in served.results), cutoff=chosen.as_of)
    fits = context.stamp(pl.concat(fitted.fits for fitted in served.results), cutoff=chosen.as_of)
    excluded = context.stamp(
        pl.concat([*(fitted.exclusions for fitted in served.results), served.exclusions, _refused(context)]),
        cutoff=chosen.as_of,
    )

    def write(transaction: Transaction) -> int:
        return (
            transaction.append(VOLATILITY, path)
            + transaction.append(VOLATILITY_FITS, fits)
            + transaction.append(EXCLUSIONS, excluded)
        )

    models = path.filter(pl.col("step") == 1).group_by("model").len().sort("model")
    said = ", ".join(f"{count:,} by {model}" for model, count in models.iter_rows()) or "no ticker could be fitted"
    return Outcome(write, lambda: f"{said}{served}")


def _refused(context: Context) -> pl.DataFrame:
    """Say of the tickers whose every row was refused that they have no price."""
    return context.lake.query(
        "SELECT 'volatility' AS stage, ticker, 'no_prices' AS reason, "  # noqa: S608 - constants
        "count(*) || ' rows, all refused; see pm quarantine' AS detail "
        f"FROM quarantine WHERE {OF_SOURCE} AND ticker IS NOT NULL "
        f"AND ticker NOT IN (SELECT ticker FROM bars WHERE {OF_SOURCE}) "
        "AND (? IS NULL OR list_contains(?, ticker)) GROUP BY ticker ORDER BY ticker",
        [context.request.source, context.request.source, context.request.tickers, context.request.tickers],
    )


STAGE = Stage(
    "volatility",
    _run,
    reads=("bars", "raw.batches", "quarantine"),
    sections=("volatility", "forecast.horizon"),
    rooms=("volatility", "tables", "pipeline/chunks.py", "pipeline/universe.py"),
    libraries=("arch", "numba", "numpy", "polars", "scipy"),
    asks=asked_for,
)
"""Fit volatility to the returns up to the run's day."""
