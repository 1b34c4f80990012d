"""Turn what a vendor replies, or fails to, into answers and failures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pm.errors import PmError
from pm.sources.base import Answer, Ask, Failure
from pm.sources.vendors.problems import VendorError
from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.sources.texts import TextAnswer
    from pm.sources.vendors.gate import Gate

    Found = TypeVar("Found", Answer, TextAnswer)

__all__ = ["answers", "failure", "outcome"]


def answers(gate: Gate, asks: Sequence[Ask], answer: Callable[[Ask], Found]) -> Iterator[Found | Failure]:
    """Ask for each ticker, some at a time, and yield what came, as it comes.

    Parameters
    ----------
    answer
        Function that asks for one ticker. It raises a `VendorError` where nothing can be had.
    """
    return gate.each(asks, lambda ask: [outcome(gate, ask, answer)])


def outcome(gate: Gate, ask: Ask, answer: Callable[[Ask], Found]) -> Found | Failure:
    """Return the answer for a ticker, with the time that it took, or why there is none."""
    began = gate.clock.elapsed()
    try:
        found = answer(ask)
    except PmError:  # the workspace's folder cannot be written
        raise
    except Exception as error:  # noqa: BLE001 - one odd reply must not end a night of 2,000 tickers
        return failure(ask, error, gate.clock.elapsed() - began)
    return replace(found, seconds=gate.clock.elapsed() - began)


def failure(ask: Ask, error: Exception, seconds: float) -> Failure:
    """Return the failure that an error means for a ticker.

    An error that is none of a vendor's is an error of this program in reading a reply. Its words are left out, since
    they may hold anything.
    """
    if isinstance(error, VendorError):
        return Failure(ask, error.reason, error.detail, retry_after=error.retry_after, seconds=seconds)
    detail = f"The reply could not be read ({type(error).__name__}); this is a bug in pm."
    return Failure(ask, FailureReason.INVALID_REPLY, detail, seconds=seconds)
