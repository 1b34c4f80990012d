"""Compute the rows of tables `factor_returns` and `exposures`, for principal components and for published factors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.risk.factor_files import RISK_FREE, default_factors, read_factors
from pm.risk.factors import EXPOSURES_SCHEMA, exposure_rows, monthly_returns, principal_factors
from pm.risk.history_matrix import weighted_returns
from pm.risk.scenarios import simple_returns
from pm.tables.risk import EXPOSURES, FACTOR_RETURNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.risk.joint import JointModel
    from pm.tables.declaration import Table
    from pm.typing import DateArray, FloatArray

__all__ = ["principal_tables", "published_tables"]

Tables = tuple[pl.DataFrame, pl.DataFrame]
"""Tables `factor_returns` and `exposures` without their stamps."""


def principal_tables(
    model: JointModel, dates: DateArray, returns: FloatArray, portfolios: Mapping[str, FloatArray], *, count: int
) -> Tables:
    """Return the principal components of the residuals, and the exposures of tickers and portfolios to them.

    Parameters
    ----------
    dates, returns
        Dates and log returns, of shape (dates, tickers of the model); NaN where there is none.
    portfolios
        Weights of each portfolio, by the name of its entity.
    count
        Number of components.
    """
    found = principal_factors(model, count)
    names = [f"pc{number}" for number in range(1, found.values.shape[1] + 1)]
    days = found.dates.tolist()
    rows = pl.concat(
        [
            pl.DataFrame({"source": "principal", "factor": name, "date": days, "value": found.values[:, place]})
            for place, name in enumerate(names)
        ]
        or [FACTOR_RETURNS.unstamped_schema.to_frame()]
    )
    aligned = np.full((len(found.dates), len(model.tickers)), np.nan)
    shared = np.isin(found.dates, dates)
    aligned[shared] = simple_returns(returns[np.searchsorted(dates, found.dates[shared])])
    entities = {ticker: aligned[:, place] for place, ticker in enumerate(model.tickers)}
    entities |= {name: weighted_returns(aligned, weights) for name, weights in portfolios.items()}
    return _conformed(rows, FACTOR_RETURNS), _exposures("principal", entities, found.values, names)


def published_tables(
    bars: pl.DataFrame,
    tickers: Sequence[str],
    portfolios: Mapping[str, FloatArray],
    workspace: Path,
    *,
    factor_file: str | None,
) -> Tables:
    """Return the published monthly factors of months in which a ticker has a return, and the exposures to them.

    Returns are those above the risk-free rate, if the factors have one.

    Parameters
    ----------
    bars
        Columns ticker, date, close, adj_factor; each ticker's rows in order of date.
    tickers
        Tickers, in the order of the portfolios' weights.
    portfolios
        Weights of each portfolio, by the name of its entity. See `weighted_returns` for months without some returns.
    workspace
        Folder that a relative `factor_file` is in.
    factor_file
        File of factors; None for those of package `arch`.

    Raises
    ------
    InputError
        The file cannot be read, or has no monthly factors.
    """
    factors = default_factors() if factor_file is None else read_factors(workspace / Path(factor_file).expanduser())
    monthly = monthly_returns(bars.filter(pl.col("ticker").is_in(tickers)))
    used = factors.join(monthly.select("month").unique(), on="month", how="semi")
    names = sorted(set(used["factor"]) - {RISK_FREE})
    rows = used.select(pl.lit("published").alias("source"), "factor", pl.col("month").alias("date"), "value")
    if used.is_empty() or not names:
        return FACTOR_RETURNS.unstamped_schema.to_frame(), EXPOSURES.unstamped_schema.to_frame()
    wide = used.pivot("factor", index="month", values="value").sort("month")
    own = wide.select("month").join(monthly.pivot("ticker", index="month", values="return"), on="month", how="left")
    matrix = np.column_stack(
        [
            own[ticker].fill_null(float("nan")).to_numpy() if ticker in own.columns else np.full(own.height, np.nan)
            for ticker in tickers
        ]
    )
    free = wide[RISK_FREE].to_numpy() if RISK_FREE in wide.columns else np.zeros(wide.height)
    entities = {ticker: matrix[:, place] - free for place, ticker in enumerate(tickers)}
    entities |= {name: weighted_returns(matrix, weights) - free for name, weights in portfolios.items()}
    values = wide.select(names).fill_null(float("nan")).to_numpy()
    return _conformed(rows, FACTOR_RETURNS), _exposures("published", entities, values, names)


def _exposures(
    source: str, entities: Mapping[str, FloatArray], factors: FloatArray, names: Sequence[str]
) -> pl.DataFrame:
    """Return the exposures of each entity, sorted by entity and factor."""
    rows = [
        (source, entity, *row)
        for entity, returns in sorted(entities.items())
        for row in exposure_rows(returns, factors, names)
    ]
    columns = ["source", "entity", *EXPOSURES_SCHEMA]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns), orient="row", infer_schema_length=None)
    return _conformed(frame, EXPOSURES)


def _conformed(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the frame with the columns of a table without its stamp."""
    return frame.select(pl.col(name).cast(dtype) for name, dtype in table.unstamped_schema.items())
