"""Which of the distributions of an evaluation are among the best: the combined volatility, its members, and GARCH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.base import NAIVE
from pm.prices import adjusted_close
from pm.seeding import ticker_generator
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE, model_confidence_set
from pm.statistics.scores import crps_quantiles
from pm.tables.forecast import MEMBER_SETS
from pm.tables.quantiles import QUANTILES, quantile_column

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MEMBERS", "MIN_DATES", "member_sets"]

MEMBERS = (NAIVE, "garch_pool", "panel", "garch_hs")
"""Models that forecast no change with one of the distributions; that of 'naive' is combined."""

MIN_DATES = 8
"""Minimum number of dates for a confidence set."""

_SAMPLES, _SEED = 1000, 0


def member_sets(forecasts: pl.DataFrame, bars: pl.DataFrame, steps: Sequence[int]) -> pl.DataFrame:
    """Return the CRPS of each distribution at each step, and the model confidence set (Hansen, Lunde and Nason 2011).

    Tickers move together, so that the mean over the tickers of a date counts as one observation. The CRPS is in units
    of the combined distribution's sigma, so that no ticker dominates. Only tickers and dates that all distributions
    have are compared.

    Parameters
    ----------
    forecasts
        Columns ticker, model, cutoff, origin_date, origin_close, step, sigma and the quantiles, of `MEMBERS`.
    bars
        Columns ticker, date, close, adj_factor, by ticker and date.
    steps
        Steps, in sessions.

    Returns
    -------
    Rows of table `member_sets` without their stamp; p-values are null with fewer than MIN_DATES dates.
    """
    level = adjusted_close().log()
    quantiles = [quantile_column("q", p) for p in QUANTILES]
    rows = []
    for step in steps:
        outcome = (level.shift(-step) - level).over("ticker")
        ahead = bars.select("ticker", pl.col("date").alias("origin_date"), outcome=outcome).drop_nulls()
        own = forecasts.filter(pl.col("step") == step).join(ahead, on=["ticker", "origin_date"])
        own = own.filter(pl.col("model").n_unique().over("ticker", "cutoff") == len(MEMBERS))
        if own.is_empty():
            continue
        scored = np.log(own.select(quantiles).to_numpy() / own["origin_close"].to_numpy()[:, np.newaxis])
        crps = crps_quantiles(scored, own["outcome"].to_numpy(), QUANTILES)
        scale = pl.col("sigma").filter(pl.col("model") == NAIVE).first().over("ticker", "cutoff")
        wide = (
            own.with_columns(loss=pl.Series(crps) / own.select(scale).to_series())
            .sort("ticker")
            .group_by("cutoff", "model", maintain_order=True)
            .agg(pl.col("loss").mean())
            .pivot("model", index="cutoff", values="loss")
            .sort("cutoff")
        )
        losses = wide.select(MEMBERS).to_numpy()
        p_values = [None] * len(MEMBERS)
        if len(losses) >= MIN_DATES:
            apart = np.median(np.diff(wide["cutoff"].to_numpy()).astype(np.int64)) * 5 / 7
            block = max(1.0, np.ceil(step / max(apart, 1.0)))
            drawn = stationary_bootstrap(
                len(losses), block=block, reps=_SAMPLES, generator=ticker_generator(_SEED, str(step))
            )
            p_values = model_confidence_set(losses, drawn).tolist()
        for model, mean, p_value in zip(MEMBERS, losses.mean(axis=0).tolist(), p_values, strict=True):
            in_set = None if p_value is None else p_value > CONFIDENCE_SET_SIZE
            row = {"step": step, "model": model, "dates": len(losses), "forecasts": own.height // len(MEMBERS)}
            rows.append(row | {"scaled_crps": mean, "mcs_p_value": p_value, "in_confidence_set": in_set})
    return pl.DataFrame(rows, schema=MEMBER_SETS.unstamped_schema)
