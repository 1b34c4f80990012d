"""Cut the tickers of a run into chunks for the forecast room, those that move together in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.forecast.groups import chunks_of_groups, related_groups
from pm.pipeline.universe import log_returns

if TYPE_CHECKING:
    from pm.settings import ForecastSettings

__all__ = ["Chunk", "grouped_chunks"]


@dataclass(frozen=True)
class Chunk:
    """Some tickers, and those of their groups (columns ticker, group) that are among them: all or none of a group."""

    tickers: list[str]
    groups: pl.DataFrame


def grouped_chunks(prices: pl.DataFrame, settings: ForecastSettings, size: int) -> list[Chunk]:
    """Give chunks of about `size` tickers, groups whole.

    Groups are made by the returns before cross-validation begins: what came later must not tell who belongs together.

    Parameters
    ----------
    prices
        Columns ticker, date, close, adj_factor: the bars that the forecast will see, by ticker and date.
    """
    tested = settings.origins * settings.origin_step + settings.horizon
    before = prices.filter(pl.int_range(pl.len()).over("ticker") < pl.len().over("ticker").cast(pl.Int64) - tested)
    groups = related_groups(log_returns(before), correlation=settings.group_correlation, size=settings.group_size)
    tickers = prices["ticker"].unique(maintain_order=True).to_list()
    return [
        Chunk(chunk, groups.filter(pl.col("ticker").is_in(chunk)))
        for chunk in chunks_of_groups(tickers, dict(groups.iter_rows()), size)
    ]
