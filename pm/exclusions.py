"""Why a ticker was left out, or computed from less than usual: a reason, and its detail in words."""

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
"""Columns of table `exclusions` without its stamp."""


@dataclass(frozen=True)
class Exclusion:
    """Why a ticker was left out, or computed from less than usual.

    Parameters
    ----------
    reason
        One of the known reasons.
    detail
        The reason in words, with its numbers.
    """

    reason: Reason
    detail: str


def exclusions_frame(stage: str, exclusions: Iterable[tuple[str, Exclusion]]) -> pl.DataFrame:
    """Return rows of table `exclusions` without its stamp, in the order given.

    Parameters
    ----------
    stage
        Name of the stage that the tickers were excluded from.
    exclusions
        Pairs of ticker and exclusion.
    """
    rows = [(stage, ticker, exclusion.reason.value, exclusion.detail) for ticker, exclusion in exclusions]
    return pl.DataFrame(rows, schema=EXCLUSIONS_SCHEMA, orient="row")
