"""Cut the tickers of a run into chunks for the forecast room, related tickers together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.groups import chunks_of_groups, related_groups
from pm.prices import log_returns

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

    Parameters
    ----------
    prices
        Columns ticker, date, close, adj_factor: the bars that the forecast will read, by ticker and date.
    """
    tested = settings.origins * settings.origin_step + settings.horizon
    before = prices.filter(pl.int_range(pl.len()).over("ticker") < pl.len().over("ticker").cast(pl.Int64) - tested)
    groups = related_groups(log_returns(before), correlation=settings.group_correlation, size=settings.group_size)
    tickers = prices["ticker"].unique(maintain_order=True).to_list()
    return [
        Chunk(chunk, groups.filter(pl.col("ticker").is_in(chunk)))
        for chunk in chunks_of_groups(tickers, dict(groups.iter_rows()), size)
    ]
