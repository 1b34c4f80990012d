"""What is known of the tickers that can be traded, from the joint model and the forecasts of a day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pm.portfolio.currencies import to_base_currency
from pm.portfolio.edges import edge_views
from pm.portfolio.problem import Views
from pm.risk.covariance import next_covariance
from pm.risk.scenarios import Scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from pm.currencies import RatePath
    from pm.risk.joint import JointModel
    from pm.typing import FloatArray

__all__ = ["Market", "market_of", "without_tickers"]


@dataclass(frozen=True)
class Market:
    """What is known of the tickers that can be traded.

    Attributes
    ----------
    scenarios
        Joint scenarios of their simple returns, in the currency of the portfolio.
    prices
        Price of one share in that currency, by ticker.
    views
        Views about their returns.
    covariance
        Covariance of the returns over the horizon; None to compute it from the scenarios.
    others
        The same scenarios of tickers that are not traded tonight; None for none.
    """

    scenarios: Scenarios
    prices: Mapping[str, float]
    views: Views = field(default_factory=Views)
    covariance: FloatArray | None = None
    others: Scenarios | None = None


def without_tickers(horizon: int) -> Market:
    """Return the market of a day on which no ticker has a volatility."""
    return Market(Scenarios((), horizon, np.empty((1, 0)), np.ones(1)), {})


def market_of(
    model: JointModel,
    drawn: Scenarios,
    tradable: Sequence[str],
    *,
    prices: Mapping[str, float],
    rates: Mapping[str, RatePath],
    forecasts: pl.DataFrame,
    discovered: Sequence[str],
) -> Market:
    """Return the scenarios, prices, covariance and views of the tickers that can be traded.

    Parameters
    ----------
    model
        Joint model of the day.
    drawn
        Scenarios of all of its tickers over the horizon of the forecasts, in the currency of the portfolio.
    tradable
        The tickers that can be traded, among those of the model.
    prices
        Price of one share in the currency of the portfolio, by ticker.
    rates
        The rate of each ticker of another currency.
    forecasts
        Rows of table `forecasts` of model 'ensemble'.
    discovered
        Tickers whose edge is a discovery.
    """
    places = [model.tickers.index(ticker) for ticker in tradable]
    turned = to_base_currency(model.tickers, rates)[places]
    covariance = drawn.horizon * turned @ next_covariance(model) @ turned.T
    others = tuple(ticker for ticker in drawn.tickers if ticker not in set(tradable))
    return Market(
        drawn.of(tuple(tradable)),
        prices,
        edge_views(forecasts, discovered, list(tradable), drawn.horizon),
        covariance,
        drawn.of(others) if others else None,
    )
