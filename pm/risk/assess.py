"""Compute the rows of tables `portfolio_risk` and `risk_contributions` of portfolios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.risk.benchmarks import historical_risk, normal_risk
from pm.risk.drawdowns import largest_drawdowns
from pm.risk.measures import component_es, portfolio_losses, risk_measure
from pm.risk.tails import fit_tail
from pm.tables.risk import PORTFOLIO_RISK, RISK_CONTRIBUTIONS
from pm.tables.vocabulary import RiskMethod

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.risk.joint import JointModel
    from pm.risk.scenarios import Scenarios
    from pm.settings import RiskSettings
    from pm.typing import FloatArray

__all__ = ["Assessment", "assess", "standalone_es"]


@dataclass(frozen=True)
class Assessment:
    """Risk of a portfolio.

    Attributes
    ----------
    risk
        Table `portfolio_risk` without its stamp.
    contributions
        Table `risk_contributions` without its stamp; tickers without a weight are left out.
    """

    risk: pl.DataFrame
    contributions: pl.DataFrame


def assess(
    portfolio: str,
    weights: FloatArray,
    model: JointModel,
    scenarios: Mapping[int, Scenarios],
    *,
    settings: RiskSettings,
    past_returns: FloatArray | None = None,
    ewma_lambda: float = 0.94,
) -> Assessment:
    """Return the risk of a portfolio at every horizon and level of the settings, and what each ticker adds to it.

    Parameters
    ----------
    portfolio
        Name of the portfolio.
    weights
        Share of its value in each ticker of the model, negative for a short position; the rest is cash.
    model
        Joint model of the tickers.
    scenarios
        Scenarios of the same tickers by horizon, from `JointModel.scenarios`; horizons that it lacks are left out.
    settings
        Section `risk`.
    past_returns
        Simple returns of today's weights on past sessions, oldest first, from which the benchmarks are computed; None for
        no benchmarks.
    ewma_lambda
        Decay of the benchmark with exponentially weighted variance.
    """
    origin = model.dates[-1].item()
    horizons = [horizon for horizon in settings.horizons if horizon in scenarios]
    rows: list[dict[str, object]] = []
    parts: list[pl.DataFrame] = []

    def add(horizon: int, level: float, method: RiskMethod, **values: object) -> None:
        rows.append(
            {"portfolio": portfolio, "horizon": horizon, "level": level, "method": method.value, "origin_date": origin}
            | values
        )

    held = np.flatnonzero(weights)
    for horizon in horizons:
        drawn = scenarios[horizon]
        losses = portfolio_losses(drawn, weights)
        seed = None if horizon == 1 else settings.seed
        alone = standalone_es(drawn.returns, drawn.probabilities, weights, settings.levels)
        for level in settings.levels:
            found = risk_measure(losses, drawn.probabilities, level)
            add(
                horizon, level, RiskMethod.JOINT, var=found.var, es=found.es, se_var=found.se_var, se_es=found.se_es,
                seed=seed, scenarios=len(losses),
            )  # fmt: skip
            components = component_es(drawn, weights, level)[held]
            parts.append(
                pl.DataFrame(
                    {
                        "portfolio": [portfolio] * len(held),
                        "ticker": [model.tickers[place] for place in held],
                        "horizon": [horizon] * len(held),
                        "level": [level] * len(held),
                        "origin_date": [origin] * len(held),
                        "weight": weights[held],
                        "component_es": components,
                        "share": components / found.es if found.es > 0.0 else np.full(len(held), None),
                        "standalone_es": alone[level][held],
                    },
                    schema=RISK_CONTRIBUTIONS.unstamped_schema,
                )
            )
        if settings.tail_levels:
            tail = fit_tail(losses, drawn.probabilities, level=settings.tail_threshold)
            for level in settings.tail_levels:
                add(
                    horizon, level, RiskMethod.TAIL, var=tail.value_at_risk(level), es=tail.expected_shortfall(level),
                    seed=seed, scenarios=len(losses),
                )  # fmt: skip
        if past_returns is not None:
            for level in settings.levels:
                for method, benchmark in (
                    (RiskMethod.NORMAL, normal_risk(past_returns, horizon, level, decay=ewma_lambda)),
                    (RiskMethod.HISTORICAL, historical_risk(past_returns[-settings.window :], horizon, level)),
                ):
                    if benchmark is not None:
                        add(horizon, level, method, var=benchmark[0], es=benchmark[1], scenarios=len(past_returns))
    if max(horizons, default=1) > 1 and len(held):
        horizon = max(horizons)
        drawdowns = largest_drawdowns(model, weights, horizon, paths=settings.paths, seed=settings.seed)
        equal = np.full(len(drawdowns), 1.0 / len(drawdowns))
        for level in settings.levels:
            found = risk_measure(drawdowns, equal, level)
            add(
                horizon, level, RiskMethod.DRAWDOWN, var=found.var, es=found.es, se_var=found.se_var,
                se_es=found.se_es, seed=settings.seed, scenarios=len(drawdowns),
            )  # fmt: skip
    empty = RISK_CONTRIBUTIONS.unstamped_schema.to_frame()
    return Assessment(
        pl.DataFrame(rows, schema=PORTFOLIO_RISK.unstamped_schema), pl.concat(parts) if parts else empty
    )


def standalone_es(
    returns: FloatArray, probabilities: FloatArray, weights: FloatArray, levels: Sequence[float]
) -> dict[float, FloatArray]:
    """Return the expected shortfall of each position alone, as a share of the portfolio's value, by level.

    Parameters
    ----------
    returns
        Simple returns, of shape (scenarios, tickers).
    probabilities
        Probability of each scenario.
    weights
        Share of the portfolio's value in each ticker.
    levels
        Levels of the expected shortfall.
    """
    found = {level: np.zeros(len(weights)) for level in levels}
    equal = np.ptp(probabilities) == 0.0
    # With equal probabilities only the largest losses are needed, which are found faster than all are sorted.
    kept = min(len(probabilities), int(np.ceil((1.0 - min(levels)) * len(probabilities))) + 1)
    for place in np.flatnonzero(weights).tolist():
        losses = -weights[place] * returns[:, place]
        order = np.argpartition(losses, len(losses) - kept)[-kept:] if equal else np.arange(len(losses))
        order = order[np.argsort(-losses[order])]
        ordered, mass = losses[order], np.cumsum(probabilities[order])
        for level in levels:
            tail = 1.0 - level
            shares = np.diff(np.minimum(mass, tail), prepend=0.0)
            found[level][place] = float(shares @ ordered) / tail
    return found
