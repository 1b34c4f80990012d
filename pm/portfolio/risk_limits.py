"""Apply the limits of risk to weights that are about to be traded to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.portfolio.propose import Acted
from pm.risk.limit_values import LimitState
from pm.risk.limits import apply_limits
from pm.tables.vocabulary import LimitAction, LimitName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.portfolio.held import Held
    from pm.risk.limits import LimitEvent
    from pm.risk.scenarios import Scenarios
    from pm.settings import Limit, RiskSettings
    from pm.typing import FloatArray

__all__ = ["SESSIONS_TRADED", "RiskLimits", "traded_values"]

SESSIONS_TRADED = 20
"""Number of newest bars whose mean value traded says how liquid a ticker is."""


@dataclass
class RiskLimits:
    """Limits of risk of a portfolio, what they are applied to, and what they did.

    Attributes
    ----------
    settings
        Section `risk`.
    held
        The portfolio before trading.
    drawdown
        Its fall from its highest value, as a share of that; NaN if it is not known.
    scenarios
        Scenarios of all tickers of the joint model over the horizon of the limits.
    betas
        Beta of each of them to the first factor, in units of that of equal weights.
    traded_values
        Mean value of each that is traded per session, in the currency of the portfolio; NaN if not known.
    events
        What was done by the last call.
    """

    settings: RiskSettings
    held: Held
    drawdown: float
    scenarios: Scenarios
    betas: FloatArray
    traded_values: FloatArray
    events: tuple[LimitEvent, ...] = field(default=())

    def act(self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray) -> Acted:
        """Return the weights that may be traded to, and keep what was done."""
        return self._acted(tickers, weights, before, self.settings.limits)

    def stop(self, tickers: tuple[str, ...], weights: FloatArray) -> None:
        """Keep what limits that stop trading say of weights that are not going to be traded anyway."""
        stops = {LimitAction.BLOCK, LimitAction.HALT}
        limits = {name: limit for name, limit in self.settings.limits.items() if limit.action in stops}
        self._acted(tickers, weights, weights, limits)

    def keeps(self, tickers: tuple[str, ...], weights: FloatArray) -> bool:
        """Return whether weights keep the limits that make positions smaller."""
        smaller = {LimitAction.SCALE, LimitAction.DROP}
        limits = {
            name: limit
            for name, limit in self.settings.limits.items()
            if limit.action in smaller and name != LimitName.TURNOVER
        }
        events = apply_limits(self._state(tickers, weights, weights), limits).events
        return not any(event.action in smaller for event in events)

    def _acted(
        self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray, limits: Mapping[str, Limit]
    ) -> Acted:
        limited = apply_limits(self._state(tickers, weights, before), limits)
        self.events = limited.events
        if not limited.blocked:
            return Acted(limited.weights)
        stops = {LimitAction.BLOCK, LimitAction.HALT}
        why = " ".join(event.detail for event in limited.events if event.action in stops)
        return Acted(limited.weights, why.rstrip(".") or "a weight is not a number after the limits of risk have acted")

    def _state(self, tickers: tuple[str, ...], weights: FloatArray, before: FloatArray) -> LimitState:
        place_of = {ticker: place for place, ticker in enumerate(self.scenarios.tickers)}
        places = [place_of[ticker] for ticker in tickers]
        return LimitState(
            tickers,
            weights=weights,
            previous=before,
            equity=self.held.equity,
            drawdown=self.drawdown,
            scenarios=self.scenarios.of(tickers),
            level=self.settings.limit_level,
            betas=self.betas[places],
            traded_values=self.traded_values[places],
            groups=self.settings.groups,
            fixed=frozenset(self.held.stays),
        )


def traded_values(bars: pl.DataFrame, prices: Mapping[str, float], tickers: Sequence[str]) -> FloatArray:
    """Return the mean value of each ticker that is traded per session, over its newest bars; NaN if not known.

    Parameters
    ----------
    bars
        Columns ticker, date, close and volume, by ticker and date.
    prices
        Newest price of each ticker in the currency of the values.
    tickers
        Tickers to value.
    """
    newest = bars.group_by("ticker", maintain_order=True).tail(SESSIONS_TRADED)
    traded = newest.group_by("ticker", maintain_order=True).agg(
        (pl.col("close") * pl.col("volume")).mean().alias("traded"), pl.col("close").last()
    )
    known = {ticker: (value, close) for ticker, value, close in traded.iter_rows() if value is not None}
    values = [
        known[ticker][0] * prices[ticker] / known[ticker][1] if ticker in known and ticker in prices else np.nan
        for ticker in tickers
    ]
    return np.array(values, dtype=np.float64)
