"""Judge what a vendor answers for a ticker: whether it is what was asked for, and continues the bars of the lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pm.plural import plural
from pm.sources.base import Failure
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from pm.pipeline.asked import Asked
    from pm.quality.overlap import Agreement
    from pm.sources.base import Answer

__all__ = ["judged"]

_REWRITTEN = 0.02
"""Relative difference of all closes that a vendor sends again above which they are no corrections."""


def judged(
    asked: Asked, answer: Answer, sent: pl.DataFrame, rows: int, *, tolerance: float
) -> Failure | Agreement | None:
    """Return why an answer cannot be used, or how it agrees with the bars that it continues, if that is asked.

    Parameters
    ----------
    sent
        Its bars that keep the rules about a single row.
    rows
        Number of all its bars.
    tolerance
        Largest relative difference of two closes that agree.
    """
    from pm.quality.overlap import basis_change, unit_change

    member = asked.member
    if sent.is_empty() and rows:
        detail = f"{asked.vendor} sent {plural(rows, 'bar')} of {answer.ask.symbol}, and none can be used."
        return Failure(answer.ask, FailureReason.INVALID_REPLY, detail, seconds=answer.seconds)
    if sent.is_empty() and asked.ask.start is None:
        return Failure(answer.ask, FailureReason.GONE, f"{asked.vendor} has no bars of {answer.ask.symbol}.")
    move = f"To take all its bars from {asked.vendor}: pm universe move {member.ticker} --to {asked.vendor}"
    unit = unit_change(sent, asked.known)
    if unit is not None or (member.currency and answer.currency and member.currency != answer.currency):
        currencies = f"{member.currency or 'unknown'}, now {answer.currency or 'unknown'}"
        ratio = "" if unit is None else f"; the closes are {unit:g} times those of the lake"
        detail = f"The currency or its unit has changed: before {currencies}{ratio}. {move}"
        return Failure(answer.ask, FailureReason.OTHER_UNIT, detail, seconds=answer.seconds)
    if asked.ask.start is None:
        return None
    splits = answer.actions.filter(pl.col("kind") == "split").select("date", "value").rows()
    basis = None if asked.is_other else basis_change(sent, asked.known, splits)
    if basis is not None:
        detail = (
            f"{asked.vendor} sends closes that are {basis:g} times those of the same days before, though prices as "
            f"traded do not change: a split is probably half recorded, which passes. {move}"
        )
        return Failure(answer.ask, FailureReason.DISAGREES, detail, seconds=answer.seconds)
    return _continued(asked, answer, sent, move, tolerance)


def _continued(
    asked: Asked, answer: Answer, sent: pl.DataFrame, move: str, tolerance: float
) -> Failure | Agreement | None:
    """Return why the closes of an answer cannot continue those of the lake, or how they agree, if that is asked."""
    from pm.quality.overlap import COMMON_DATES, agreement

    found = agreement(sent, asked.known, tolerance=tolerance)
    if found.agrees:
        return found if asked.is_other else None
    if asked.is_other:
        detail = (
            f"{asked.vendor} cannot continue the bars: of {plural(found.dates, 'common date')} the closes differ "
            f"by up to {found.largest_difference:.3%}, and five dates that agree are needed. {move}"
        )
    elif found.dates >= COMMON_DATES and found.smallest_difference > max(_REWRITTEN, tolerance):
        detail = (
            f"{asked.vendor} has changed all of the last {found.dates} closes, by {found.smallest_difference:.1%} "
            f"to {found.largest_difference:.1%}, and told no split: a split may be half recorded, which passes, or "
            f"the symbol is another company's now. {move}"
        )
    else:
        return None
    return Failure(answer.ask, FailureReason.DISAGREES, detail, seconds=answer.seconds)
