"""Compute the rows of tables `portfolio_risk` and `risk_contributions` of a portfolio."""

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

Row = dict[str, object]


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
    drawdowns: bool = True,
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
        Simple returns of today's weights on past sessions, oldest first, from which the benchmarks are computed; None
        for no benchmarks.
    ewma_lambda
        Decay of the benchmark with exponentially weighted variance.
    drawdowns
        Whether the largest drawdown over the longest horizon is computed too.
    """
    horizons = [horizon for horizon in settings.horizons if horizon in scenarios]
    rows: list[Row] = []
    parts: list[pl.DataFrame] = []
    for horizon in horizons:
        rows += _joint_rows(scenarios[horizon], weights, settings)
        parts += _contributions(model.tickers, scenarios[horizon], weights, settings.levels)
        if past_returns is not None:
            rows += _benchmark_rows(past_returns, horizon, settings, ewma_lambda)
    if drawdowns and max(horizons, default=1) > 1 and weights.any():
        rows += _drawdown_rows(model, weights, max(horizons), settings)
    named = {"portfolio": portfolio, "origin_date": model.dates[-1].item()}
    constants = [pl.lit(value).alias(name) for name, value in named.items()]
    schema = RISK_CONTRIBUTIONS.unstamped_schema
    return Assessment(
        pl.DataFrame([row | named for row in rows], schema=PORTFOLIO_RISK.unstamped_schema),
        pl.concat(parts).with_columns(*constants).select(pl.col(name).cast(kind) for name, kind in schema.items())
        if parts
        else schema.to_frame(),
    )


def _joint_rows(drawn: Scenarios, weights: FloatArray, settings: RiskSettings) -> list[Row]:
    """Return the rows of joint scenarios, and of a tail fitted to them."""
    losses = portfolio_losses(drawn, weights)
    common = {
        "horizon": drawn.horizon,
        "seed": None if drawn.horizon == 1 else settings.seed,
        "scenarios": len(losses),
    }
    rows: list[Row] = []
    for level in settings.levels:
        found = risk_measure(losses, drawn.probabilities, level)
        rows.append(
            common
            | {
                "method": RiskMethod.JOINT.value,
                "level": level,
                "var": found.var,
                "es": found.es,
                "se_var": found.se_var,
                "se_es": found.se_es,
            }
        )
    tail_levels, threshold = settings.tail_levels, settings.tail_threshold
    if tail_levels and weights.any():
        tail = fit_tail(losses, drawn.probabilities, level=threshold)
        for level in tail_levels:
            var, es = tail.value_at_risk(level), tail.expected_shortfall(level)
            rows.append(common | {"method": RiskMethod.TAIL.value, "level": level, "var": var, "es": es})
    return rows


def _benchmark_rows(past: FloatArray, horizon: int, settings: RiskSettings, ewma_lambda: float) -> list[Row]:
    """Return the rows of the benchmarks that can be computed."""
    recent = past[-settings.window :]
    rows: list[Row] = []
    for level in settings.levels:
        for method, returns, found in (
            (RiskMethod.NORMAL, past, normal_risk(past, horizon, level, decay=ewma_lambda)),
            (RiskMethod.HISTORICAL, recent, historical_risk(recent, horizon, level)),
        ):
            if found is not None:
                common = {"horizon": horizon, "level": level, "method": method.value, "scenarios": len(returns)}
                rows.append(common | {"var": found[0], "es": found[1]})
    return rows


def _drawdown_rows(model: JointModel, weights: FloatArray, horizon: int, settings: RiskSettings) -> list[Row]:
    """Return the rows of the largest drawdown."""
    drawdowns = largest_drawdowns(model, weights, horizon, paths=settings.paths, seed=settings.seed)
    equal = np.full(len(drawdowns), 1.0 / len(drawdowns))
    rows: list[Row] = []
    for level in settings.levels:
        found = risk_measure(drawdowns, equal, level)
        rows.append(
            {
                "horizon": horizon,
                "level": level,
                "method": RiskMethod.DRAWDOWN.value,
                "var": found.var,
                "es": found.es,
                "se_var": found.se_var,
                "se_es": found.se_es,
                "seed": settings.seed,
                "scenarios": len(drawdowns),
            }
        )
    return rows


def _contributions(
    tickers: Sequence[str], drawn: Scenarios, weights: FloatArray, levels: Sequence[float]
) -> list[pl.DataFrame]:
    """Return what each ticker adds to the expected shortfall, a frame for each level."""
    held = np.flatnonzero(weights).tolist()
    alone = standalone_es(drawn.returns, drawn.probabilities, weights, levels)
    parts = []
    for level in levels:
        components = component_es(drawn, weights, level)[held]
        total = float(components.sum())
        shares = components / total if total > 0.0 else np.full(len(held), np.nan)
        parts.append(
            pl.DataFrame(
                {
                    "ticker": [tickers[place] for place in held],
                    "weight": weights[held],
                    "component_es": components,
                    "share": shares,
                    "standalone_es": alone[level][held],
                }
            ).with_columns(pl.col("share").fill_nan(None), horizon=pl.lit(drawn.horizon), level=pl.lit(level))
        )
    return parts


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
