"""Groups of tickers whose returns are correlated, which multivariate models fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from pm.typing import FloatArray

__all__ = ["GROUPS_SCHEMA", "chunks_of_groups", "related_groups"]

GROUPS_SCHEMA = pl.Schema({"ticker": pl.String, "group": pl.String})

_MIN_COMMON_SESSIONS = 60
"""Minimum number of sessions that two tickers have in common; with fewer their correlation counts as 0."""

_BLOCK_SIZE = 2000
"""Number of tickers, in order of their names, that are compared with one another.

The correlations of 10,000 tickers would take gigabytes of memory.
"""


def related_groups(returns: pl.DataFrame, *, correlation: float, size: int) -> pl.DataFrame:
    """Return groups of two to `size` tickers whose returns are correlated; tickers without a group have no row.

    Tickers are clustered with average linkage on the distance 1 − ρ, and the tree is cut at 1 − `correlation`. A group
    that is too large is split at the top of its tree until no group is.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return. Before a cross-validation, only sessions before its first origin.
    correlation
        Minimum mean correlation within a group.
    size
        Maximum number of tickers in a group; 1 for no groups.

    Returns
    -------
    Columns ticker and group (the name of its first ticker); sorted by ticker.
    """
    tickers = sorted(returns["ticker"].unique().to_list())
    rows: list[tuple[str, str]] = []
    for start in range(0, len(tickers) if size > 1 else 0, _BLOCK_SIZE):
        block = tickers[start : start + _BLOCK_SIZE]
        distance = 1.0 - _correlations(returns.filter(pl.col("ticker").is_in(block)), block)
        for members in _clusters(distance, np.arange(len(block)), 1.0 - correlation, size):
            rows += [(block[member], block[members[0]]) for member in members if len(members) > 1]
    return pl.DataFrame(rows, schema=GROUPS_SCHEMA, orient="row").sort("ticker")


def chunks_of_groups(tickers: Sequence[str], groups: Mapping[str, str], size: int) -> list[list[str]]:
    """Divide tickers, but no group, into chunks of about `size`, in the order of each group's first ticker."""
    units: dict[str, list[str]] = {}
    for ticker in tickers:
        units.setdefault(groups.get(ticker, f"alone {ticker}"), []).append(ticker)
    chunks: list[list[str]] = [[]]
    for unit in units.values():
        if chunks[-1] and len(chunks[-1]) + len(unit) > size:
            chunks.append([])
        chunks[-1] += unit
    return [chunk for chunk in chunks if chunk]


def _correlations(returns: pl.DataFrame, tickers: Iterable[str]) -> FloatArray:
    """Return the correlation of every pair over the sessions that both have, or 0 where these are too few."""
    wide = returns.pivot("ticker", index="date", values="log_return").sort("date").select(tickers)
    values = wide.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values, 0.0)
    centred = np.where(known, values - centred.sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    standard = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    common = known.astype(np.float64).T @ known
    correlation = np.divide(
        standard.T @ standard, common, out=np.zeros_like(common), where=common >= _MIN_COMMON_SESSIONS
    )
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(np.clip(correlation, -1.0, 1.0))


def _clusters(
    distance: FloatArray, members: NDArray[np.intp], max_distance: float, size: int
) -> list[NDArray[np.intp]]:
    """Return the clusters of some tickers, given as ascending positions; see `related_groups`."""
    from scipy.cluster.hierarchy import fcluster, linkage  # scipy.cluster takes 0.2 s to import
    from scipy.spatial.distance import squareform

    if len(members) < 2:
        return [members]
    own = distance[np.ix_(members, members)]
    tree = linkage(squareform(np.maximum(own, 0.0), checks=False), method="average")
    labels = fcluster(tree, max_distance, criterion="distance")
    if labels.max() == 1 and len(members) > size:
        labels = fcluster(tree, 2, criterion="maxclust")
        if labels.max() == 1:  # all distances are equal: any division is as good as another
            labels = np.arange(len(members)) // size
    elif labels.max() == 1:
        return [members]
    found = []
    for label in np.unique(labels):
        found += _clusters(distance, members[labels == label], max_distance, size)
    return sorted(found, key=lambda cluster: int(cluster[0]))
