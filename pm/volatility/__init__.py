"""Volatility: a conditional variance per ticker, and the distribution of its return over each horizon.

`base` has what all models share; `garch` and `ewma` are the models; `likelihood`, `maximiser` and `estimation` are the
compiled fit of GARCH; `simulate` draws paths from any model; `conformal` corrects levels of quantiles; `fit` chooses
the models of each ticker.
"""

from __future__ import annotations

from pm.volatility.fit import VolatilityFit, finish_volatility, fit_tickers, fit_volatility, learnt_levels

__all__ = ["VolatilityFit", "finish_volatility", "fit_tickers", "fit_volatility", "learnt_levels"]
