"""Joint scenarios of the returns of several tickers: what the risk of a portfolio, and its weights, are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["Scenarios"]


@dataclass(frozen=True)
class Scenarios:
    """Scenarios of the simple returns of several tickers over the same sessions.

    Attributes
    ----------
    tickers
        The tickers, in the order of the columns.
    horizon
        Number of sessions that the returns are over.
    returns
        Simple returns, of shape (scenarios, tickers).
    probabilities
        Probability of each scenario, of shape (scenarios,); they sum to 1.
    """

    tickers: tuple[str, ...]
    horizon: int
    returns: FloatArray
    probabilities: FloatArray
