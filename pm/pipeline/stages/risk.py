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
from pm.tables.risk import EXPOSURES, FACTOR_RETURNS, PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS
from pm.tables.vocabulary import Reason, RiskMethod

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.risk.stress import StressResult
    from pm.settings import RiskSettings
    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["MODEL_PORTFOLIO", "STAGE"]

MODEL_PORTFOLIO = "model"
"""Name of the portfolio of equal weights that stands in while nothing is held."""
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
    risk, contributions, stress, history = _assess(context, inputs, held)
    returns, exposed = _factors(context, inputs, held, history)
    for table, frame in (
        (PORTFOLIO_RISK, risk),
        (RISK_CONTRIBUTIONS, contributions),
        (STRESS_RESULTS, stress),
        (FACTOR_RETURNS, returns),
        (EXPOSURES, exposed),
    ):
        writes.append(Append(table, context.stamp(frame, cutoff=inputs.as_of)))
    return Result(writes, _summary(held, risk, settings))


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
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, tuple[DateArray, FloatArray]]:
    """Return the risk, the contributions to it, the results of stress tests, and the history of returns."""
    from pm.risk.assess import assess
    from pm.risk.history_matrix import return_matrix, weighted_returns
    from pm.volatility.series import usable_returns

    settings, model = context.settings.risk, inputs.model
    series: dict[str, ReturnSeries] = usable_returns(log_returns(inputs.bars), _EVERY_RETURN)
    dates, returns = return_matrix(series, model.tickers)
    past = weighted_returns(np.expm1(returns), portfolio.weights)
    scenarios = model.scenarios(settings.horizons, paths=settings.paths, seed=settings.seed)
    found = assess(
        portfolio.name,
        portfolio.weights,
        model,
        scenarios,
        settings=settings,
        past_returns=past[np.isfinite(past)],
        ewma_lambda=context.settings.volatility.ewma_lambda,
    )
    return found.risk, found.contributions, _stress(portfolio, model, dates, returns, settings), (dates, returns)


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
    writes=(PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, FACTOR_RETURNS, EXPOSURES, EXCLUSIONS),
    sections=JOINT_SECTIONS,
    depends=scope,
)
"""Compute the risk of what is held; of a model portfolio while nothing is."""
