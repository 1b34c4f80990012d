"""Compute the rows of all tables about the risk of a portfolio: measures, contributions, stress, limits, factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.risk.assess import assess
from pm.risk.factors import relative_betas
from pm.risk.history_matrix import weighted_returns
from pm.risk.limit_values import LimitState
from pm.risk.limits import limit_events_frame, limit_warnings
from pm.risk.scenarios import simple_returns
from pm.risk.stress import alike_loss, factor_shock, period_losses, worst_sessions
from pm.tables.risk import LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS
from pm.tables.vocabulary import LimitName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.risk.joint import JointModel
    from pm.risk.scenarios import Scenarios
    from pm.settings import RiskSettings
    from pm.tables.declaration import Table
    from pm.typing import DateArray, FloatArray

__all__ = ["RiskInputs", "portfolio_tables", "risk_inputs"]

_OF_WEIGHTS = {
    LimitName.MAX_WEIGHT, LimitName.GROUP, LimitName.NET, LimitName.BETA, LimitName.ES, LimitName.GROSS,
}  # fmt: skip
"""Limits of weights and of the risk of these; those of trades and of the account's value need to know more."""


@dataclass(frozen=True)
class RiskInputs:
    """What the risk of any portfolio of a run is computed from.

    Attributes
    ----------
    model
        Joint model of the tickers.
    scenarios
        Scenarios of all of its tickers, by horizon: those of the settings, and that of limit `es`.
    dates, returns
        All dates of the bars and the log returns of the model's tickers on them, NaN where there is none.
    settings
        Section `risk`.
    ewma_lambda
        Decay of the benchmark with exponentially weighted variance.
    """

    model: JointModel
    scenarios: Mapping[int, Scenarios]
    dates: DateArray
    returns: FloatArray
    settings: RiskSettings
    ewma_lambda: float


def risk_inputs(
    model: JointModel,
    dates: DateArray,
    returns: FloatArray,
    *,
    settings: RiskSettings,
    ewma_lambda: float,
    horizons: Sequence[int] = (),
) -> RiskInputs:
    """Return the inputs, with scenarios of every horizon that the settings name, and of more; see `RiskInputs`."""
    horizons = [*settings.horizons, settings.limit_horizon, *horizons]
    scenarios = model.scenarios(horizons, paths=settings.paths, seed=settings.seed)
    return RiskInputs(model, scenarios, dates, returns, settings, ewma_lambda)


def portfolio_tables(portfolio: str, weights: FloatArray, inputs: RiskInputs) -> dict[Table, pl.DataFrame]:
    """Return the rows of tables `portfolio_risk`, `risk_contributions`, `stress_results` and `limit_events`.

    The limits are only said, not acted on: those that the weights do not keep, of the weights themselves and of their
    risk.

    Parameters
    ----------
    portfolio
        Name of the portfolio.
    weights
        Share of its value in each ticker of the model, negative for a short position; the rest is cash.

    Returns
    -------
    The rows without their stamps, by table.
    """
    past = weighted_returns(simple_returns(inputs.returns), weights)
    found = assess(
        portfolio,
        weights,
        inputs.model,
        inputs.scenarios,
        settings=inputs.settings,
        past_returns=past[np.isfinite(past)],
        ewma_lambda=inputs.ewma_lambda,
    )
    return {
        PORTFOLIO_RISK: found.risk,
        RISK_CONTRIBUTIONS: found.contributions,
        STRESS_RESULTS: _stress(portfolio, weights, inputs),
        LIMIT_EVENTS: _warnings(portfolio, weights, inputs),
    }


def _warnings(portfolio: str, weights: FloatArray, inputs: RiskInputs) -> pl.DataFrame:
    """Return the rows of table `limit_events`."""
    settings = inputs.settings
    state = LimitState(
        inputs.model.tickers,
        weights=weights,
        previous=weights,
        equity=1.0,
        drawdown=0.0,
        scenarios=inputs.scenarios[settings.limit_horizon],
        level=settings.limit_level,
        betas=relative_betas(inputs.model),
        groups=settings.groups,
    )
    limits = {name: limit for name, limit in settings.limits.items() if name in _OF_WEIGHTS}
    return limit_events_frame(portfolio, limit_warnings(state, limits))


def _stress(portfolio: str, weights: FloatArray, inputs: RiskInputs) -> pl.DataFrame:
    """Return the rows of table `stress_results`."""
    settings, model = inputs.settings, inputs.model
    results = [
        *worst_sessions(inputs.returns, inputs.dates, weights, settings.stress_sessions),
        *period_losses(inputs.returns, inputs.dates, weights, settings.stress_periods),
    ]
    for sessions in sorted({1, max(settings.horizons)}):
        results.append(factor_shock(model, weights, sigmas=settings.stress_sigmas, sessions=sessions))
        results.append(alike_loss(model, weights, sigmas=settings.stress_sigmas, sessions=sessions))
    return pl.DataFrame(
        [
            {
                "portfolio": portfolio,
                "kind": result.kind.value,
                "scenario": result.scenario,
                "sessions": result.sessions,
                "portfolio_return": result.portfolio_return,
                "covered": result.covered,
                "start_date": result.start_date,
                "end_date": result.end_date,
            }
            for result in results
        ],
        schema=STRESS_RESULTS.unstamped_schema,
    )
