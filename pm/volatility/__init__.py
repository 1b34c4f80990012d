"""Volatility: a conditional variance per ticker, and the distribution of the return over each horizon it implies.

One protocol (`base`), a model a file (`garch`, `ewma`), one simulation for all of them (`simulate`), and the order in
which they are tried (`fit`).
"""

from __future__ import annotations

from pm.volatility.fit import VolatilityFit, fit_volatility

__all__ = ["VolatilityFit", "fit_volatility"]
