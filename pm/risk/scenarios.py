"""Joint scenarios of the returns of several tickers, from which risk and weights of a portfolio are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.typing import FloatArray

__all__ = ["Scenarios", "simple_returns"]

_LARGEST = 40.0
"""Largest size of a log return that is told from a larger one; beyond e^700 a simple return is no number at all."""


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

    def of(self, tickers: tuple[str, ...]) -> Scenarios:
        """Return the same scenarios of some of the tickers, in the order given.

        Raises
        ------
        KeyError
            There are no scenarios of a ticker.
        """
        if tickers == self.tickers:
            return self
        place_of = {ticker: place for place, ticker in enumerate(self.tickers)}
        places = [place_of[ticker] for ticker in tickers]
        return Scenarios(tickers, self.horizon, self.returns[:, places], self.probabilities)


def simple_returns(log_returns: FloatArray, out: FloatArray | None = None) -> FloatArray:
    """Return e^r − 1 of log returns r, which is finite for all that are: a wrong price can make them any size.

    Parameters
    ----------
    log_returns
        Of any shape; NaN stays NaN.
    out
        Array to write to, such as `log_returns` itself.
    """
    return np.asarray(np.expm1(np.clip(log_returns, -_LARGEST, _LARGEST, out=out), out=out))
