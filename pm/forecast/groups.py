"""Which tickers move together: groups that a multivariate model may stack."""

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

_LEAST_COMMON = 60
"""Sessions two tickers must share for their correlation to count."""
_BLOCK = 2000
"""Tickers compared with one another, by the order of their names: all pairs of 10,000 would take gigabytes."""


def related_groups(returns: pl.DataFrame, *, correlation: float, size: int) -> pl.DataFrame:
    """Give groups of two to `size` tickers whose returns are correlated; the others stand alone and have no row.

    Agglomerative clustering with average linkage on 1 − ρ, cut at 1 − `correlation`; a group that is too large is cut
    in two where its parts are furthest from each other, until none is.

    Parameters
    ----------
    returns
        Columns ticker, date, log_return; for a cross-validation, of sessions before its first origin alone.
    correlation
        Mean correlation that holds a group together.
    size
        Most tickers of a group; 1 for no groups.

    Returns
    -------
    Columns ticker and group, which is named after its first ticker; sorted by ticker.
    """
    tickers = sorted(returns["ticker"].unique().to_list())
    rows: list[tuple[str, str]] = []
    for start in range(0, len(tickers) if size > 1 else 0, _BLOCK):
        block = tickers[start : start + _BLOCK]
        distance = 1.0 - _correlations(returns.filter(pl.col("ticker").is_in(block)), block)
        for members in _clusters(distance, np.arange(len(block)), 1.0 - correlation, size):
            rows += [(block[member], block[members[0]]) for member in members if len(members) > 1]
    return pl.DataFrame(rows, schema=GROUPS_SCHEMA, orient="row").sort("ticker")


def chunks_of_groups(tickers: Sequence[str], groups: Mapping[str, str], size: int) -> list[list[str]]:
    """Cut tickers into chunks of about `size`, such that no group is in two, in the order of groups' first tickers."""
    gathered: dict[str, list[str]] = {}
    for ticker in tickers:
        gathered.setdefault(groups.get(ticker, f"alone {ticker}"), []).append(ticker)
    chunks: list[list[str]] = [[]]
    for members in gathered.values():
        if chunks[-1] and len(chunks[-1]) + len(members) > size:
            chunks.append([])
        chunks[-1] += members
    return [chunk for chunk in chunks if chunk]


def _correlations(returns: pl.DataFrame, tickers: Iterable[str]) -> FloatArray:
    """Give the correlations of every pair over the sessions both have, 0 where those are too few."""
    wide = returns.pivot("ticker", index="date", values="log_return").sort("date").select(tickers)
    values = wide.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values, 0.0)
    centred = np.where(known, values - centred.sum(axis=0) / count, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    standard = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)
    common = known.astype(np.float64).T @ known
    correlation = np.divide(standard.T @ standard, common, out=np.zeros_like(common), where=common >= _LEAST_COMMON)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(np.clip(correlation, -1.0, 1.0))


def _clusters(distance: FloatArray, members: NDArray[np.intp], furthest: float, size: int) -> list[NDArray[np.intp]]:
    """Give the clusters of some tickers, each ascending."""
    from scipy.cluster.hierarchy import fcluster, linkage  # scipy.cluster takes 0.2 s to import
    from scipy.spatial.distance import squareform

    if len(members) < 2:
        return [members]
    own = distance[np.ix_(members, members)]
    tree = linkage(squareform(np.maximum(own, 0.0), checks=False), method="average")
    labels = fcluster(tree, furthest, criterion="distance")
    if labels.max() == 1 and len(members) > size:
        labels = fcluster(tree, 2, criterion="maxclust")
        if labels.max() == 1:  # all equally far: no cut is better than another
            labels = np.arange(len(members)) // size
    elif labels.max() == 1:
        return [members]
    found = []
    for label in np.unique(labels):
        found += _clusters(distance, members[labels == label], furthest, size)
    return sorted(found, key=lambda cluster: int(cluster[0]))
