"""Find the tickers whose edge survives control of false discoveries over all tickers of a night."""

from __future__ import annotations

import numpy as np
import polars as pl

from pm.statistics.discoveries import q_values
from pm.tables.vocabulary import Evidence, Verdict

__all__ = ["DISCOVERIES_SCHEMA", "edge_discoveries"]

DISCOVERIES_SCHEMA = pl.Schema(
    {"ticker": pl.String, "edge_p_value": pl.Float64, "edge_q_value": pl.Float64, "discovered": pl.Boolean}
)

_POOLED_LEVEL = 0.05
"""Level of the one test over all tickers' errors that a pooled verdict rests on."""
_TOGETHER = frozenset({Evidence.POOLED.value, Evidence.RELATIVE.value})
"""Evidence that all tickers share."""


def edge_discoveries(weights: pl.DataFrame, rate: float) -> pl.DataFrame:
    """Return for each ticker whether its edge is a discovery.

    An edge is claimed where a test at 5% says so. Of many tickers without any edge, one in twenty passes such a test by
    chance. So the p-values of all tickers of the night are adjusted together (Benjamini and Hochberg), and an edge
    counts only if its adjusted p-value is at most `rate`.

    Parameters
    ----------
    weights
        Rows of table `model_weights` of one run and one cutoff; only those of model 'ensemble' are used. Columns
        ticker, model, verdict, evidence, dm_p_value.
    rate
        Largest expected share of false discoveries among all discoveries.

    Returns
    -------
    pl.DataFrame
        Columns of DISCOVERIES_SCHEMA, one row per ticker, sorted by ticker. Tickers whose evidence is pooled, or that
        of the model of relative returns, share one test over the errors of all of them, and have no p-value of their
        own: they are discovered if it found an edge and its level of 5% is at most `rate`.
    """
    # Lists, since expressions over a frame of a few rows take longer than the mathematics.
    columns = (weights[name].to_list() for name in ("ticker", "model", "verdict", "evidence", "dm_p_value"))
    rows = sorted((row for row in zip(*columns, strict=True) if row[1] == "ensemble"), key=lambda row: row[0])
    p_values = np.array([np.nan if row[4] is None else row[4] for row in rows], dtype=np.float64)
    tested = np.isfinite(p_values)
    adjusted = np.full(len(rows), np.nan)
    adjusted[tested] = q_values(p_values[tested])
    found = [
        (
            ticker,
            p_value,
            None if np.isnan(q_value) else q_value,
            verdict == Verdict.EDGE.value
            and (rate >= _POOLED_LEVEL if evidence in _TOGETHER else bool(q_value <= rate)),
        )
        for (ticker, _, verdict, evidence, p_value), q_value in zip(rows, adjusted.tolist(), strict=True)
    ]
    return pl.DataFrame(found, schema=DISCOVERIES_SCHEMA, orient="row")
