"""Decide what to hold on a past date, from what was known then, by the rules of the nightly stages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from pm.portfolio.held import Held
from pm.portfolio.holdable import holdable_of, last_prices
from pm.portfolio.market import market_of, without_tickers
from pm.portfolio.propose import propose
from pm.portfolio.risk_limits import SESSIONS_TRADED, RiskLimits, traded_values
from pm.portfolio.tradable import not_traded
from pm.risk.joint_inputs import JointInputs, model_of
from pm.tables.risk import MODEL_PORTFOLIO

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    import polars as pl

    from pm.portfolio.propose import Proposal
    from pm.settings import Settings
    from pm.typing import FloatArray
    from pm.validation.past_bars import PastBars
    from pm.validation.simulation import Positions

__all__ = ["DayForecasts", "decide_on", "held_before"]

_SHARE_DIGITS = 9
"""Number of decimals to which numbers of shares are rounded: those of a decimal column of the ledger."""


@dataclass(frozen=True)
class DayForecasts:
    """What was forecast from a date.

    Attributes
    ----------
    volatility
        Rows of table `volatility` of step 1.
    fits
        Rows of table `volatility_fits`.
    forecasts, weights
        Rows of tables `forecasts` and `model_weights` of model 'ensemble'.
    run_id
        Run that computed them.
    """

    volatility: pl.DataFrame
    fits: pl.DataFrame
    forecasts: pl.DataFrame
    weights: pl.DataFrame
    run_id: str

    def of(self, tickers: Collection[str]) -> DayForecasts:
        """Return what was forecast of some tickers."""
        names = sorted(tickers)
        frames = (self.volatility, self.fits, self.forecasts, self.weights)
        volatility, fits, forecasts, weights = (frame.filter(frame["ticker"].is_in(names)) for frame in frames)
        return DayForecasts(volatility, fits, forecasts, weights, self.run_id)


def held_before(positions: Positions, tickers: tuple[str, ...], factors: FloatArray, settings: Settings) -> Held:
    """Return what a simulated portfolio holds, as the nightly rules want to be told it.

    Parameters
    ----------
    positions
        What is held, in adjusted shares.
    tickers
        Tickers of the positions.
    factors
        Adjusted price for one unit of the price as traded of each, shape (tickers,).
    """
    equity = positions.equity
    own = np.flatnonzero(positions.shares)
    weights = {tickers[place]: float(positions.shares[place] * positions.prices[place] / equity) for place in own}
    shares = {
        tickers[place]: Decimal(repr(round(float(positions.shares[place] * factors[place]), _SHARE_DIGITS)))
        for place in own
    }
    return Held(MODEL_PORTFOLIO, settings.portfolio.currency, equity, weights, shares)


def decide_on(
    day: date,
    past: PastBars,
    known: DayForecasts,
    held: Held,
    *,
    currencies: Mapping[str, str],
    newest: int,
    settings: Settings,
) -> Proposal:
    """Return what stage `portfolio` would have proposed on a date for a portfolio that holds this.

    Nobody resumes trading after a halt in the past, so that the limit on the drawdown finds none, as in the model
    portfolio of a run. Whether a ticker is delisted today is not known then: one without a recent bar is not traded.

    Parameters
    ----------
    day
        The date.
    past
        Bars: ticker, date, close, adj_factor, volume. Nothing after the date is read.
    known
        What was forecast from the date.
    held
        What is held at the closes of the date.
    currencies
        Code of the currency of the tickers' prices, where it is known.
    newest
        Number of newest bars of each ticker that the volatility was fitted to.
    """
    model, stand_ins = model_of(
        past.usable(day, newest, max(settings.volatility.windows)),
        known.volatility,
        known.fits,
        held=sorted({*held.weights, *held.shares}),
        moves=lambda tickers: past.moves(day, tickers),
        settings=settings.risk,
    )
    joint = JointInputs(model, past.up_to(day, SESSIONS_TRADED), day, stand_ins)
    cost = settings.signals.round_trip_cost / 2
    if not joint.model.tickers:
        return propose(
            without_tickers(settings.forecast.horizon), held, settings.portfolio, cost=cost, with_compared=False
        )
    return _proposal(joint, known, held, currencies=currencies, cost=cost, settings=settings)


def _proposal(
    joint: JointInputs,
    known: DayForecasts,
    held: Held,
    *,
    currencies: Mapping[str, str],
    cost: float,
    settings: Settings,
) -> Proposal:
    from pm.portfolio.currencies import in_base_currency
    from pm.risk.factors import relative_betas
    from pm.signals import edge_discoveries

    model, risk, horizon = joint.model, settings.risk, settings.forecast.horizon
    holdable = holdable_of(currencies, model.tickers, settings.portfolio.currency)
    drawn = {
        step: in_base_currency(own, holdable.rates)
        for step, own in model.scenarios([horizon, risk.limit_horizon], paths=risk.paths, seed=risk.seed).items()
    }
    left_out = not_traded(joint, (), max_age_days=settings.forecast.max_age_days)
    tradable = tuple(ticker for ticker in holdable.tickers if ticker not in left_out)
    found = edge_discoveries(known.weights, settings.signals.false_discovery_rate)
    prices = last_prices(joint.bars, holdable)
    market = market_of(
        model,
        drawn[horizon],
        tradable,
        prices=prices,
        rates=holdable.rates,
        forecasts=known.forecasts,
        discovered=found["ticker"].filter(found["discovered"]).to_list(),
    )
    staying = replace(held, stays=({*held.weights, *held.shares} - set(tradable)) & set(model.tickers))
    limits = RiskLimits(
        risk,
        staying,
        0.0,
        drawn[risk.limit_horizon],
        relative_betas(model),
        traded_values(joint.bars, prices, model.tickers),
    )
    return propose(
        market, staying, settings.portfolio, cost=cost, act=limits.act, keeps=limits.keeps, with_compared=False
    )
