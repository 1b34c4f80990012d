"""Stage `risk`: what the portfolio can lose, what adds to that, how it would do in stress, and what it moves with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.joint import JOINT_SECTIONS, JOINT_TABLES, joint_inputs
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import scope
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.prices import log_returns
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.risk import (
    EXPOSURES,
    FACTOR_RETURNS,
    LIMIT_EVENTS,
    PORTFOLIO_RISK,
    RISK_CONTRIBUTIONS,
    STRESS_RESULTS,
)
from pm.tables.vocabulary import Reason, RiskMethod

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.settings import RiskSettings

__all__ = ["MODEL_PORTFOLIO", "STAGE"]

MODEL_PORTFOLIO = "model"
"""Name of the portfolio of equal weights that stands in while nothing is held."""
_EVERY_RETURN = 1_000_000
"""Window that no history fills: stress tests look at all of it."""


def _compute(context: Context) -> Result:
    from pm.risk.factor_tables import principal_tables, published_tables
    from pm.risk.history_matrix import return_matrix
    from pm.risk.portfolio_tables import portfolio_tables, risk_inputs
    from pm.volatility.series import usable_returns

    settings = context.settings.risk
    joint = joint_inputs(context)
    model = joint.model
    excluded = exclusions_frame(context.stage.name, _exclusions(model))
    writes = [Append(EXCLUSIONS, context.stamp(excluded, cutoff=joint.as_of))]
    if not model.tickers:
        return Result(writes, "no ticker has a volatility, from which risk is computed")
    dates, returns = return_matrix(usable_returns(log_returns(joint.bars), _EVERY_RETURN), model.tickers)
    weights = np.full(len(model.tickers), 1.0 / len(model.tickers))
    inputs = risk_inputs(model, dates, returns, settings=settings, ewma_lambda=context.settings.volatility.ewma_lambda)
    frames = portfolio_tables(MODEL_PORTFOLIO, weights, inputs)
    entities = {f"portfolio {MODEL_PORTFOLIO}": weights}
    principal = principal_tables(model, dates, returns, entities, count=settings.factors)
    published = published_tables(
        joint.bars, model.tickers, entities, context.workspace.root, factor_file=settings.factor_file
    )
    for place, table in enumerate((FACTOR_RETURNS, EXPOSURES)):
        frames[table] = pl.concat([principal[place], published[place]])
    writes += [Append(table, context.stamp(frame, cutoff=joint.as_of)) for table, frame in frames.items()]
    return Result(writes, _summary(frames[PORTFOLIO_RISK], settings))


def _exclusions(model: JointModel) -> list[tuple[str, Exclusion]]:
    """Return the tickers that lacked residuals, each with on how many of the dates."""
    dates = plural(len(model.dates), "joint date")
    return [
        (ticker, Exclusion(Reason.RESIDUALS_FILLED, f"risk: no return on {count:,} of the {dates}"))
        for ticker, count in sorted(model.filled.items())
    ]


def _summary(risk: pl.DataFrame, settings: RiskSettings) -> str:
    """Return the expected shortfall at the highest level over the longest horizon, in a sentence."""
    horizon, level = max(settings.horizons), max(settings.levels)
    found = risk.filter(
        (pl.col("method") == RiskMethod.JOINT) & (pl.col("horizon") == horizon) & (pl.col("level") == level)
    ).row(0, named=True)
    tail = f"{100.0 * (1.0 - level):.4g}%"
    return (
        f"model portfolio of equal weights: in the worst {tail} of cases it loses {found['es']:.1%} over "
        f"{plural(horizon, 'session')}"
    )


STAGE = Stage(
    "risk",
    _compute,
    reads=JOINT_TABLES,
    writes=(
        PORTFOLIO_RISK,
        RISK_CONTRIBUTIONS,
        STRESS_RESULTS,
        LIMIT_EVENTS,
        FACTOR_RETURNS,
        EXPOSURES,
        EXCLUSIONS,
    ),
    sections=(*JOINT_SECTIONS, "volatility.ewma_lambda"),
    depends=scope,
)
"""Compute the risk of a model portfolio of equal weights in all tickers of the run."""
