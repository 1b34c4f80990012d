"""Stage `risk`: what each account can lose, what adds to that, how it would do in stress, and what it moves with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.exclusions import Exclusion, exclusions_frame
from pm.pipeline.holdable import holdable_tickers, rates_needed
from pm.pipeline.holdings import HELD_TABLES, HELD_VIEWS, accounts_held, held_tickers, held_version
from pm.pipeline.joint import JOINT_SECTIONS, JOINT_TABLES, in_currency, joint_inputs, joint_risk
from pm.pipeline.stage import Context, Stage
from pm.pipeline.watch_list import scope
from pm.pipeline.writes import Append, Result
from pm.plural import plural
from pm.tables.pipeline import EXCLUSIONS
from pm.tables.risk import (
    EXPOSURES,
    FACTOR_RETURNS,
    LIMIT_EVENTS,
    MODEL_PORTFOLIO,
    PORTFOLIO_RISK,
    RISK_CONTRIBUTIONS,
    STRESS_RESULTS,
)
from pm.tables.vocabulary import Reason, RiskMethod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.portfolio.held import Held
    from pm.risk.joint_inputs import JointInputs
    from pm.risk.portfolio_tables import RiskInputs
    from pm.settings import RiskSettings
    from pm.typing import FloatArray

__all__ = ["STAGE"]


@dataclass(frozen=True)
class _Portfolio:
    """A portfolio whose risk is computed: its weights in the model's tickers, and the inputs in its currency."""

    name: str
    weights: FloatArray
    inputs: RiskInputs


def _compute(context: Context) -> Result:
    from pm.risk.factor_tables import principal_tables, published_tables
    from pm.risk.portfolio_tables import portfolio_tables

    settings = context.settings.risk
    accounts = accounts_held(context)
    joint = joint_inputs(context, held_tickers(accounts) | rates_needed(context, accounts))
    model = joint.model
    excluded = _exclusions(joint)
    if not model.tickers:
        none = Append(EXCLUSIONS, context.stamp(exclusions_frame(context.stage.name, excluded), cutoff=joint.as_of))
        return Result([none], "no ticker has a volatility, from which risk is computed")
    inputs = joint_risk(context, joint)
    portfolios, summaries = _portfolios(context, accounts, inputs, excluded)
    found = [portfolio_tables(own.name, own.weights, own.inputs) for own in portfolios]
    frames = {
        table: table.together(one[table] for one in found)
        for table in (PORTFOLIO_RISK, RISK_CONTRIBUTIONS, STRESS_RESULTS, LIMIT_EVENTS)
    }
    entities = {f"portfolio {own.name}": own.weights for own in portfolios}
    principal = principal_tables(model, inputs.dates, inputs.returns, entities, count=settings.factors)
    published = published_tables(
        joint.bars, model.tickers, entities, context.workspace.root, factor_file=settings.factor_file
    )
    for place, table in enumerate((FACTOR_RETURNS, EXPOSURES)):
        frames[table] = pl.concat([principal[place], published[place]])
    frames[EXCLUSIONS] = exclusions_frame(context.stage.name, excluded).unique(
        ["ticker", "reason"], maintain_order=True
    )
    summaries += [_summary(own.name, frames[PORTFOLIO_RISK], settings) for own in portfolios]
    writes = [Append(table, context.stamp(frame, cutoff=joint.as_of)) for table, frame in frames.items()]
    return Result(writes, "; ".join(summaries))


def _portfolios(
    context: Context, accounts: Sequence[Held], inputs: RiskInputs, excluded: list[tuple[str, Exclusion]]
) -> tuple[list[_Portfolio], list[str]]:
    """Return what accounts hold, or the model portfolio where there is none, and why an account is left out.

    Held tickers whose risk is not known are added to `excluded`.
    """
    tickers = inputs.model.tickers
    if not accounts:
        return _model_portfolio(context, inputs, excluded)
    portfolios, left_out = [], []
    for held in accounts:
        if held.problem is not None:
            left_out.append(f"account {held.portfolio}: its risk is not known, since {held.problem}")
            continue
        holdable = holdable_tickers(context, tickers, held.currency, [held])
        unknown = sorted(set(held.weights) - set(holdable.tickers))
        excluded += [
            (ticker, Exclusion(Reason.NOT_IN_RISK, f"account {held.portfolio} holds {ticker}: its risk is not known"))
            for ticker in unknown
        ]
        known = {ticker: weight for ticker, weight in held.weights.items() if ticker not in unknown}
        if not known:
            what = "nothing whose risk is known" if held.weights else "cash alone"
            left_out.append(f"account {held.portfolio} holds {what}")
            continue
        weights = np.array([known.get(ticker, 0.0) for ticker in tickers], dtype=np.float64)
        portfolios.append(_Portfolio(held.portfolio, weights, in_currency(inputs, holdable.rates)))
    return portfolios, left_out


def _model_portfolio(
    context: Context, inputs: RiskInputs, excluded: list[tuple[str, Exclusion]]
) -> tuple[list[_Portfolio], list[str]]:
    """Return equal weights in all tickers that can be held, in the currency of the settings."""
    currency = context.settings.portfolio.currency
    holdable = holdable_tickers(context, inputs.model.tickers, currency)
    excluded += holdable.exclusions
    if not holdable.tickers:
        return [], [f"no ticker can be held in {currency}"]
    weights = np.array([ticker in holdable.tickers for ticker in inputs.model.tickers]) / len(holdable.tickers)
    return [_Portfolio(MODEL_PORTFOLIO, weights, in_currency(inputs, holdable.rates))], []


def _exclusions(joint: JointInputs) -> list[tuple[str, Exclusion]]:
    """Return the tickers that lacked residuals, each with on how many of the dates, and those that have a stand-in."""
    model = joint.model
    dates = plural(len(model.dates), "joint date")
    return [
        (ticker, Exclusion(Reason.RESIDUALS_FILLED, f"risk: no return on {count:,} of the {dates}"))
        for ticker, count in sorted(model.filled.items())
        if ticker not in joint.stand_ins
    ] + [(ticker, Exclusion(Reason.STAND_IN, detail)) for ticker, detail in sorted(joint.stand_ins.items())]


def _summary(portfolio: str, risk: pl.DataFrame, settings: RiskSettings) -> str:
    """Return the expected shortfall at the highest level over the longest horizon, in a sentence."""
    horizon, level = max(settings.horizons), max(settings.levels)
    found = risk.filter(
        (pl.col("portfolio") == portfolio)
        & (pl.col("method") == RiskMethod.JOINT)
        & (pl.col("horizon") == horizon)
        & (pl.col("level") == level)
    ).row(0, named=True)
    tail = f"{100.0 * (1.0 - level):.4g}%"
    whose = "model portfolio of equal weights" if portfolio == MODEL_PORTFOLIO else f"account {portfolio}"
    return f"{whose}: in the worst {tail} of cases it loses {found['es']:.1%} over {plural(horizon, 'session')}"


STAGE = Stage(
    "risk",
    _compute,
    reads=JOINT_TABLES,
    past=HELD_TABLES,
    writes=(
        PORTFOLIO_RISK,
        RISK_CONTRIBUTIONS,
        STRESS_RESULTS,
        LIMIT_EVENTS,
        FACTOR_RETURNS,
        EXPOSURES,
        EXCLUSIONS,
    ),
    views=HELD_VIEWS,
    sections=(*JOINT_SECTIONS, "portfolio.currency"),
    depends=lambda context: [scope(context), held_version(context)],
)
"""Compute the risk of what accounts hold; without an account, of equal weights in all tickers of the run."""
