"""The panel model as rows of tables `panel_fits` and `panel_market`, and from them."""

from __future__ import annotations

import numpy as np
import polars as pl

from pm.tables.quantiles import QUANTILES
from pm.tables.volatility import PANEL_FITS, PANEL_MARKET
from pm.volatility.panel import TERMS, PanelModel
from pm.volatility.panel_series import NODES
from pm.volatility.pooled_levels import PooledLevels
from pm.volatility.shipped_panel import SHAPE_LEVELS

__all__ = [
    "FITTED_TO_ALL",
    "FITTED_TO_NAMED",
    "levels_from_table",
    "panel_fits_frame",
    "panel_from_tables",
    "panel_market_frame",
]

FITTED_TO_ALL = "run"
"""Value of column `source` of table `panel_fits` where the run fitted the model to all of its tickers."""
FITTED_TO_NAMED = "named"
"""Value where it fitted the model to the tickers that it was asked to name, since there was no other to read."""

_SCALE = "scale"
_WEIGHT = "level_weight"
_SHAPE_TERMS = tuple(f"q{level:g}" for level in SHAPE_LEVELS)
_LEVEL_TERMS = tuple(f"u{level:g}" for level in QUANTILES)


def panel_fits_frame(model: PanelModel, levels: PooledLevels, source: str) -> pl.DataFrame:
    """Return the rows of table `panel_fits` without their stamp.

    Parameters
    ----------
    model
        The model.
    levels
        Levels that all tickers learnt from each other's outcomes.
    source
        `FITTED_TO_ALL`, `FITTED_TO_NAMED`, or the run that fitted it.
    """
    terms = [*TERMS, _SCALE, *_SHAPE_TERMS]
    values = np.column_stack([model.coefficients, model.scales, model.shape])
    rows = [
        {"step": step, "term": term, "value": value, "rows": int(count), "tickers": model.tickers, "source": source}
        for step, own, count in zip(NODES, values, model.rows, strict=True)
        for term, value in zip(terms, own.tolist(), strict=True)
    ]
    pooled = np.column_stack([levels.levels, levels.weight])
    rows += [
        {"step": step, "term": term, "value": value, "tickers": model.tickers, "source": source}
        for step, own in enumerate(pooled, start=1)
        for term, value in zip([*_LEVEL_TERMS, _WEIGHT], own.tolist(), strict=True)
    ]
    return pl.DataFrame(rows, schema=PANEL_FITS.unstamped_schema)


def panel_market_frame(model: PanelModel) -> pl.DataFrame:
    """Return the rows of table `panel_market` without their stamp."""
    dates = pl.Series(model.market_days, dtype=pl.Int32).cast(pl.Date)
    return pl.DataFrame({"date": dates, "value": model.market}, schema=PANEL_MARKET.unstamped_schema)


def levels_from_table(fits: pl.DataFrame) -> PooledLevels:
    """Return the pooled levels that rows of table `panel_fits`, of one run and cutoff, describe.

    Parameters
    ----------
    fits
        Rows of table `panel_fits`.
    """
    wide = fits.filter(pl.col("term").is_in([*_LEVEL_TERMS, _WEIGHT])).pivot("term", index="step", values="value")
    wide = wide.sort("step")
    return PooledLevels(wide.select(_LEVEL_TERMS).to_numpy(), wide[_WEIGHT].to_numpy())


def panel_from_tables(fits: pl.DataFrame, market: pl.DataFrame) -> PanelModel:
    """Return the model that rows of both tables, of one run and cutoff, describe; it is equal to the last bit.

    Parameters
    ----------
    fits, market
        Rows of tables `panel_fits` and `panel_market`.
    """
    fits = fits.filter(pl.col("term").is_in([*TERMS, _SCALE, *_SHAPE_TERMS]))
    wide = fits.pivot("term", index="step", values="value").sort("step")
    days = market.sort("date")
    nodes = fits.group_by("step").agg(pl.col("rows").first(), pl.col("tickers").first()).sort("step")
    return PanelModel(
        coefficients=wide.select(TERMS).to_numpy(),
        scales=wide[_SCALE].to_numpy(),
        shape=wide.select(_SHAPE_TERMS).to_numpy(),
        market_days=days["date"].to_physical().cast(pl.Int64).to_numpy(),
        market=days["value"].to_numpy(),
        rows=nodes["rows"].to_numpy(),
        tickers=int(nodes["tickers"][0]),
    )
