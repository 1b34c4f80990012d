"""Cut the tickers of a run into chunks for the forecast room, related tickers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.forecast.groups import chunks_of_groups, related_groups
from pm.prices import log_returns
from pm.volatility.jumps import clean_returns

if TYPE_CHECKING:
    from pm.settings import ForecastSettings

__all__ = ["Chunk", "grouped_chunks"]


@dataclass(frozen=True)
class Chunk:
    """Some tickers, and the groups among them (columns ticker, group): all or none of the tickers of a group."""

    tickers: list[str]
    groups: pl.DataFrame


def grouped_chunks(prices: pl.DataFrame, settings: ForecastSettings, size: int) -> list[Chunk]:
    """Return chunks of about `size` tickers that keep groups of related tickers whole.

    Groups are made from the returns before cross-validation begins, so that later data cannot decide who is related.
    Unadjusted splits and wrong quotes among them are left out, as in the panel of prices (`clean_returns`).

    Parameters
    ----------
    prices
        Columns ticker, date, close, adj_factor: the bars that the forecast will read, by ticker and date. Bars before
        the last `settings.window` only help to find changes of units.
    """
    tested = settings.origins * settings.origin_step + settings.horizon
    after = pl.len().over("ticker").cast(pl.Int64) - pl.int_range(pl.len()).over("ticker")
    before = prices.select("ticker", "date").filter(after > tested, after < settings.window)
    returns = _without_unit_changes(log_returns(prices)).join(
        before, on=["ticker", "date"], how="semi", maintain_order="left"
    )
    groups = related_groups(returns, correlation=settings.group_correlation, size=settings.group_size)
    tickers = prices["ticker"].unique(maintain_order=True).to_list()
    return [
        Chunk(chunk, groups.filter(pl.col("ticker").is_in(chunk)))
        for chunk in chunks_of_groups(tickers, dict(groups.iter_rows()), size)
    ]


def _without_unit_changes(returns: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of log returns, by ticker and date, that are not changes of units."""
    series = returns.partition_by("ticker", maintain_order=True)
    changes = [clean_returns(own["log_return"].to_numpy()).changes for own in series]
    return returns.filter(~np.concatenate(changes)) if changes else returns
