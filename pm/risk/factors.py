"""Principal components of returns, and how much a ticker or a portfolio moves with a factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.prices import adjusted_close
from pm.risk.residuals import first_factor
from pm.statistics.regression import newey_west_lags, regress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.risk.joint import JointModel
    from pm.typing import DateArray, FloatArray

__all__ = [
    "EXPOSURES_SCHEMA",
    "PrincipalFactors",
    "exposure_rows",
    "exposures",
    "monthly_returns",
    "principal_factors",
    "relative_betas",
]

EXPOSURES_SCHEMA = pl.Schema(
    {
        "factor": pl.String,
        "beta": pl.Float64,
        "se": pl.Float64,
        "variance_share": pl.Float64,
        "specific_share": pl.Float64,
        "observations": pl.Int64,
    }
)
"""Columns of what `exposures` returns."""


@dataclass(frozen=True)
class PrincipalFactors:
    """Principal components of the tickers' residuals.

    Attributes
    ----------
    dates
        Date of each row.
    values
        Shape (dates, factors); each column has mean 0 and variance 1, and the sign in which most tickers rise with it.
    shares
        Share of the residuals' variance that each factor explains.
    """

    dates: DateArray
    values: FloatArray
    shares: FloatArray


def principal_factors(model: JointModel, count: int) -> PrincipalFactors:
    """Return the first principal components of the residuals, weighted by the probabilities of their dates.

    Parameters
    ----------
    count
        Number of factors; no more are returned than there are tickers or dates.
    """
    residuals, probabilities = model.residuals, model.probabilities
    centred = residuals - probabilities @ residuals
    weighted = centred * np.sqrt(probabilities)[:, np.newaxis]
    _, sizes, loadings = np.linalg.svd(weighted, full_matrices=False)
    kept = min(count, int(np.sum(sizes > 1e-9 * sizes[0])) if len(sizes) else 0)
    sign = np.where(loadings[:kept].sum(axis=1) < 0.0, -1.0, 1.0)
    values = centred @ (loadings[:kept] * sign[:, np.newaxis]).T
    deviations = np.sqrt(probabilities @ values**2)
    total = float(np.sum(sizes**2))
    return PrincipalFactors(model.dates, values / deviations, sizes[:kept] ** 2 / total)


def relative_betas(model: JointModel) -> FloatArray:
    """Return the beta of each ticker's next return to the first factor, as a multiple of that of equal weights.

    The betas are the slopes of the residuals on the factor times the volatilities; their mean is 1. They are all 0 if
    equal weights do not move with the factor.
    """
    _, slopes = first_factor(model.residuals)
    betas = slopes * model.sigmas
    mean = float(betas.mean())
    return np.asarray(betas / mean if abs(mean) > 0.0 else np.zeros(len(betas)))


def exposures(
    returns: FloatArray, factors: FloatArray, names: Sequence[str], *, lags: int | None = None
) -> pl.DataFrame:
    """Return the betas of a return on factors, with errors, and the share of its variance that is due to each.

    The share of a factor is beta × covariance of the factor and the return / variance of the return; the shares and
    that of the specific part sum to 1.

    Parameters
    ----------
    returns
        Returns, NaN where there is none.
    factors
        Shape (rows, factors), NaN where there is none.
    names
        Names of the factors.
    lags
        Number of lags of the Newey-West errors; by default `newey_west_lags`.

    Returns
    -------
    pl.DataFrame
        Columns EXPOSURES_SCHEMA, a row for each factor; no row if fewer than twice as many rows are complete as there
        are coefficients.
    """
    rows = exposure_rows(returns, factors, names, lags=lags)
    return pl.DataFrame(rows, schema=EXPOSURES_SCHEMA, orient="row")


def exposure_rows(
    returns: FloatArray, factors: FloatArray, names: Sequence[str], *, lags: int | None = None
) -> list[tuple[str, float, float, float, float, int]]:
    """Return the rows of `exposures`: a frame for each of many tickers takes longer than their regressions."""
    known = np.isfinite(returns) & np.isfinite(factors).all(axis=1)
    if known.sum() < 2 * (len(names) + 1):
        return []
    y, x = returns[known], factors[known]
    fitted = regress(y, x, lags=newey_west_lags(len(y)) if lags is None else lags)
    variance = float(np.var(y))
    betas = fitted.coefficients[1:]
    covariances = (x - x.mean(axis=0)).T @ (y - y.mean()) / len(y)
    shares = betas * covariances / variance if variance > 0.0 else np.zeros(len(betas))
    specific = 1.0 - float(shares.sum())
    return [
        (name, beta, error, share, specific, fitted.observations)
        for name, beta, error, share in zip(
            names, betas.tolist(), fitted.errors[1:].tolist(), shares.tolist(), strict=True
        )
    ]


def monthly_returns(prices: pl.DataFrame) -> pl.DataFrame:
    """Return the simple returns of each ticker from month to month, of the last adjusted close of each.

    Parameters
    ----------
    prices
        Columns ticker, date, close (as traded), adj_factor; each ticker's rows in order of date.

    Returns
    -------
    pl.DataFrame
        Columns ticker, month (its first day), return; the first month of a ticker and months after a gap have none.
    """
    month = pl.col("date").dt.truncate("1mo").alias("month")
    closes = prices.group_by("ticker", month, maintain_order=True).agg(adjusted_close().last().alias("price"))
    before = pl.col("month").shift(1).over("ticker")
    change = pl.col("price") / pl.col("price").shift(1).over("ticker") - 1.0
    return (
        closes.with_columns(pl.when(before.dt.offset_by("1mo") == pl.col("month")).then(change).alias("return"))
        .drop_nulls("return")
        .select("ticker", "month", "return")
    )
