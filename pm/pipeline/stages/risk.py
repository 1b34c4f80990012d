"""Stage `risk`: what the portfolio can lose, what adds to that, how it would do in stress, and what it moves with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.joint import JOINT_SECTIONS, JOINT_TABLES, JointInputs, joint_inputs
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import scope
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.prices import log_returns
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.risk import EXPOSURES, FACTOR_RETURNS, LIMIT_EVENTS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS
from pm.tables.vocabulary import LimitName, Reason, RiskMethod

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.risk.scenarios import Scenarios
    from pm.risk.stress import StressResult
    from pm.settings import RiskSettings
    from pm.tables.declaration import Table
    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["MODEL_PORTFOLIO", "STAGE"]

MODEL_PORTFOLIO = "model"
"""Name of the portfolio of equal weights that stands in while nothing is held."""
_OF_WEIGHTS = {
    LimitName.MAX_WEIGHT, LimitName.GROUP, LimitName.NET, LimitName.BETA, LimitName.ES, LimitName.GROSS,
}  # fmt: skip
"""Limits of weights and of the risk of these."""
_EVERY_RETURN = 1_000_000
"""Window that no history fills: stress tests look at all of it."""


@dataclass(frozen=True)
class _Portfolio:
    """A portfolio of the model's tickers.

    Attributes
    ----------
    name
        Name of the portfolio.
    weights
        Share of its value in each ticker of the model.
    """

    name: str
    weights: FloatArray


def _compute(context: Context) -> Result:
    settings = context.settings.risk
    inputs = joint_inputs(context)
    model = inputs.model
    excluded = [
        (
            ticker,
            Exclusion(
                Reason.RESIDUALS_FILLED, f"risk: no return on {count:,} of the {plural(len(model.dates), 'joint date')}"
            ),
        )
        for ticker, count in sorted(model.filled.items())
    ]
    writes = [Append(EXCLUSIONS, context.stamp(exclusions_frame(context.stage.name, excluded), cutoff=inputs.as_of))]
    if not model.tickers:
        return Result(writes, "no ticker has a volatility, from which risk is computed")
    held = _portfolio(model)
    frames, history = _assess(context, inputs, held)
    frames[FACTOR_RETURNS], frames[EXPOSURES] = _factors(context, inputs, held, history)
    writes += [Append(table, context.stamp(frame, cutoff=inputs.as_of)) for table, frame in frames.items()]
    return Result(writes, _summary(held, frames[PORTFOLIO_RISK], settings))


def _portfolio(model: JointModel) -> _Portfolio:
    """Return the model portfolio: equal weights of all tickers."""
    count = len(model.tickers)
    return _Portfolio(MODEL_PORTFOLIO, np.full(count, 1.0 / count))


def _summary(portfolio: _Portfolio, risk: pl.DataFrame, settings: RiskSettings) -> str:
    """Return the expected shortfall at the highest level over the longest horizon, in a sentence."""
    horizon, level = max(settings.horizons), max(settings.levels)
    found = risk.filter(
        (pl.col("method") == RiskMethod.JOINT) & (pl.col("horizon") == horizon) & (pl.col("level") == level)
    ).row(0, named=True)
    named = "model portfolio of equal weights" if portfolio.name == MODEL_PORTFOLIO else f"portfolio {portfolio.name}"
    tail = f"{100.0 * (1.0 - level):.4g}%"
    return f"{named}: in the worst {tail} of cases it loses {found['es']:.1%} over {plural(horizon, 'session')}"


def _assess(
    context: Context, inputs: JointInputs, portfolio: _Portfolio
) -> tuple[dict[Table, pl.DataFrame], tuple[DateArray, FloatArray]]:
    """Return the rows of the tables about the portfolio without their stamp, and the history of returns."""
    from pm.risk.assess import assess
    from pm.risk.history_matrix import return_matrix, weighted_returns
    from pm.volatility.series import usable_returns

    settings, model = context.settings.risk, inputs.model
    series: dict[str, ReturnSeries] = usable_returns(log_returns(inputs.bars), _EVERY_RETURN)
    dates, returns = return_matrix(series, model.tickers)
    past = weighted_returns(np.expm1(returns), portfolio.weights)
    horizons = [*settings.horizons, settings.limit_horizon]
    scenarios = model.scenarios(horizons, paths=settings.paths, seed=settings.seed)
    found = assess(
        portfolio.name,
        portfolio.weights,
        model,
        scenarios,
        settings=settings,
        past_returns=past[np.isfinite(past)],
        ewma_lambda=context.settings.volatility.ewma_lambda,
    )
    frames = {
        PORTFOLIO_RISK: found.risk,
        RISK_CONTRIBUTIONS: found.contributions,
        STRESS_RESULTS: _stress(portfolio, model, dates, returns, settings),
        LIMIT_EVENTS: _warnings(portfolio, model, scenarios[settings.limit_horizon], settings),
    }
    return frames, (dates, returns)


def _warnings(portfolio: _Portfolio, model: JointModel, scenarios: Scenarios, settings: RiskSettings) -> pl.DataFrame:
    """Return the rows of table `limit_events`: the limits of weights and risk that the portfolio does not keep.

    Limits of trades, of liquidity and of the drawdown are for accounts, not for a model.
    """
    from pm.risk.factors import relative_betas
    from pm.risk.limit_values import LimitState
    from pm.risk.limits import limit_events_frame, limit_warnings

    state = LimitState(
        model.tickers,
        weights=portfolio.weights,
        previous=portfolio.weights,
        equity=1.0,
        drawdown=0.0,
        scenarios=scenarios,
        level=settings.limit_level,
        betas=relative_betas(model),
        groups=settings.groups,
    )
    limits = {name: limit for name, limit in settings.limits.items() if name in _OF_WEIGHTS}
    return limit_events_frame(portfolio.name, limit_warnings(state, limits))


def _stress(
    portfolio: _Portfolio, model: JointModel, dates: DateArray, returns: FloatArray, settings: RiskSettings
) -> pl.DataFrame:
    """Return the rows of table `stress_results` without their stamp."""
    from pm.risk.stress import alike_loss, factor_shock, period_losses, worst_sessions

    weights, sigmas = portfolio.weights, settings.stress_sigmas
    results: list[StressResult] = [
        *worst_sessions(returns, dates, weights, settings.stress_sessions),
        *period_losses(returns, dates, weights, settings.stress_periods),
    ]
    for sessions in sorted({1, max(settings.horizons)}):
        results.append(factor_shock(model, weights, sigmas=sigmas, sessions=sessions))
        results.append(alike_loss(model, weights, sigmas=sigmas, sessions=sessions))
    return pl.DataFrame(
        [
            {
                "portfolio": portfolio.name,
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


def _factors(
    context: Context, inputs: JointInputs, portfolio: _Portfolio, history: tuple[DateArray, FloatArray]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of tables `factor_returns` and `exposures` without their stamp."""
    from pm.risk.factor_tables import principal_tables, published_tables

    model, settings = inputs.model, context.settings.risk
    entities = {f"portfolio {portfolio.name}": portfolio.weights}
    principal = principal_tables(model, *history, entities, count=settings.factors)
    published = published_tables(
        inputs.bars, model.tickers, entities, context.workspace.root, factor_file=settings.factor_file
    )
    returns, exposed = zip(principal, published, strict=True)
    return pl.concat(returns), pl.concat(exposed)


STAGE = Stage(
    "risk",
    _compute,
    reads=JOINT_TABLES,
    writes=(PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, LIMIT_EVENTS, FACTOR_RETURNS, EXPOSURES, EXCLUSIONS),
    sections=JOINT_SECTIONS,
    depends=scope,
)
"""Compute the risk of what is held; of a model portfolio while nothing is."""
