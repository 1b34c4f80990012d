"""Views about returns, from the forecasts of tickers whose edge is a discovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.portfolio.problem import Views

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["edge_views"]


def edge_views(forecasts: pl.DataFrame, discovered: Sequence[str], tickers: Sequence[str], horizon: int) -> Views:
    """Return the views of the tickers whose edge is a discovery.

    With m the mean and s the standard deviation of the log return over the horizon, the expected simple return is
    exp(m + s²/2) − exp(s²/2): what the edge adds to a ticker without one, whose log return has mean 0. Its variance is
    that of the simple return around the forecast, (exp(s²) − 1) exp(2m + s²), where s was widened by the errors that
    the forecasts of the ticker had out of sample.

    Parameters
    ----------
    forecasts
        Rows of table `forecasts` of model 'ensemble': columns ticker, step, mean_log_return, sigma.
    discovered
        Tickers whose edge is a discovery.
    tickers
        Tickers of the problem; others have no view.
    horizon
        Number of sessions of the problem's scenarios.
    """
    if not discovered:
        return Views()
    place_of = {ticker: place for place, ticker in enumerate(tickers)}
    rows = (
        forecasts.filter(
            pl.col("ticker").is_in(list(discovered))
            & pl.col("ticker").is_in(list(tickers))
            & (pl.col("step") == horizon)
            & (pl.col("mean_log_return") != 0)
            & pl.col("mean_log_return").is_finite()
            & pl.col("sigma").is_finite()
            & (pl.col("sigma") > 0)
        )
        .unique("ticker", keep="first", maintain_order=True)
        .sort("ticker")
    )
    mean, variance = rows["mean_log_return"].to_numpy(), rows["sigma"].to_numpy() ** 2
    return Views(
        tuple(place_of[ticker] for ticker in rows["ticker"]),
        np.exp(variance / 2) * np.expm1(mean),
        np.expm1(variance) * np.exp(2 * mean + variance),
    )
