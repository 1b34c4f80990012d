"""The panel model as rows of tables `panel_fits` and `panel_market`, and from them."""

from __future__ import annotations

import numpy as np
import polars as pl

from pm.tables.quantiles import QUANTILES
from pm.tables.volatility import PANEL_FITS, PANEL_MARKET
from pm.volatility.panel import TERMS, PanelModel
from pm.volatility.panel_series import KINDS, NODES
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
_ALL_KINDS = "all"
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
    values = np.concatenate([model.coefficients, model.scales[..., np.newaxis], model.shape], axis=2)
    of_run = {"tickers": model.tickers, "source": source}
    rows = [
        {"kind": kind, "step": step, "term": term, "value": value, "rows": int(count), **of_run}
        for kind, of_kind, counts in zip(KINDS, values, model.rows, strict=True)
        for step, own, count in zip(NODES, of_kind, counts, strict=True)
        for term, value in zip(terms, own.tolist(), strict=True)
    ]
    pooled = np.column_stack([levels.levels, levels.weight])
    rows += [
        {"kind": _ALL_KINDS, "step": step, "term": term, "value": value, "rows": None, **of_run}
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
    own = fits.filter(pl.col("kind") != _ALL_KINDS)
    order = ("kind", "step")
    wide = own.pivot("term", index=order, values="value").sort(order)
    counts = own.group_by(order).agg(pl.col("rows").first()).sort(order)
    days = market.sort("date")
    equations = (len(KINDS), len(NODES))
    return PanelModel(
        coefficients=wide.select(TERMS).to_numpy().reshape(*equations, -1),
        scales=wide[_SCALE].to_numpy().reshape(equations),
        shape=wide.select(_SHAPE_TERMS).to_numpy().reshape(*equations, -1),
        market_days=days["date"].to_physical().cast(pl.Int64).to_numpy(),
        market=days["value"].to_numpy(),
        rows=counts["rows"].to_numpy().reshape(equations),
        tickers=int(own["tickers"][0]),
    )
