"""Record which tickers a stage left out or simplified, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from pm.tables.pipeline import EXCLUSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pm.tables.vocabulary import Reason

__all__ = ["EXCLUSIONS_SCHEMA", "Exclusion", "exclusions_frame"]

EXCLUSIONS_SCHEMA = EXCLUSIONS.unstamped_schema
"""Columns of table `exclusions` without run_id, snapshot_id and cutoff."""


@dataclass(frozen=True)
class Exclusion:
    """Why a ticker was left out, or computed with a simpler model or from fewer returns.

    Parameters
    ----------
    reason
        The reason.
    detail
        The reason as a sentence with its numbers.
    """

    reason: Reason
    detail: str


def exclusions_frame(stage: str, exclusions: Iterable[tuple[str, Exclusion]]) -> pl.DataFrame:
    """Return exclusions as a frame with columns EXCLUSIONS_SCHEMA, in the order given.

    Parameters
    ----------
    stage
        Name of the stage that left the tickers out or simplified them.
    exclusions
        Pairs of ticker and exclusion.
    """
    rows = [(stage, ticker, exclusion.reason.value, exclusion.detail) for ticker, exclusion in exclusions]
    return pl.DataFrame(rows, schema=EXCLUSIONS_SCHEMA, orient="row")
