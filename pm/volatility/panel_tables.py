"""The panel model as rows of tables `panel_fits` and `panel_market`, and from them."""

from __future__ import annotations

import numpy as np
import polars as pl

from pm.tables.volatility import PANEL_FITS, PANEL_MARKET
from pm.volatility.panel import TERMS, PanelModel
from pm.volatility.panel_series import NODES
from pm.volatility.shipped_panel import SHAPE_LEVELS

__all__ = ["FITTED_BY_RUN", "panel_fits_frame", "panel_from_tables", "panel_market_frame"]

FITTED_BY_RUN = "run"
"""Value of column `source` of table `panel_fits` where the run fitted the model itself."""

_SCALE = "scale"
_SHAPE_TERMS = tuple(f"q{level:g}" for level in SHAPE_LEVELS)


def panel_fits_frame(model: PanelModel, source: str) -> pl.DataFrame:
    """Return the rows of table `panel_fits` without their stamp.

    Parameters
    ----------
    model
        The model.
    source
        `FITTED_BY_RUN`, or the run that fitted it.
    """
    terms = [*TERMS, _SCALE, *_SHAPE_TERMS]
    values = np.column_stack([model.coefficients, model.scales, model.shape])
    rows = [
        {"step": step, "term": term, "value": value, "rows": int(count), "tickers": model.tickers, "source": source}
        for step, own, count in zip(NODES, values, model.rows, strict=True)
        for term, value in zip(terms, own.tolist(), strict=True)
    ]
    return pl.DataFrame(rows, schema=PANEL_FITS.unstamped_schema)


def panel_market_frame(model: PanelModel) -> pl.DataFrame:
    """Return the rows of table `panel_market` without their stamp."""
    dates = pl.Series(model.market_days, dtype=pl.Int32).cast(pl.Date)
    return pl.DataFrame({"date": dates, "value": model.market}, schema=PANEL_MARKET.unstamped_schema)


def panel_from_tables(fits: pl.DataFrame, market: pl.DataFrame) -> PanelModel:
    """Return the model that rows of both tables, of one run and cutoff, describe; it is equal to the last bit.

    Parameters
    ----------
    fits, market
        Rows of tables `panel_fits` and `panel_market`.
    """
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
