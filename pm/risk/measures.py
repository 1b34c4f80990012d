"""Value at risk and expected shortfall of a portfolio over scenarios, and what each ticker adds to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pm.risk.scenarios import Scenarios
    from pm.typing import FloatArray

__all__ = ["RiskMeasure", "component_es", "expected_shortfall", "portfolio_losses", "risk_measure", "tail_shares"]


@dataclass(frozen=True)
class RiskMeasure:
    """Value at risk and expected shortfall at a level, as shares of the portfolio's value; positive for a loss.

    Attributes
    ----------
    level
        Probability of a loss up to `var`.
    var
        Value at risk: the smallest loss that is not exceeded with a probability of `level`.
    es
        Expected shortfall: the mean loss in the worst 1 − `level` of the cases.
    se_var, se_es
        Standard errors that come from the limited number of scenarios, were they drawn independently. Those of a
        stratified sample are smaller.
    """

    level: float
    var: float
    es: float
    se_var: float
    se_es: float


def portfolio_losses(scenarios: Scenarios, weights: FloatArray) -> FloatArray:
    """Return the loss of a portfolio in each scenario, as a share of its value.

    Parameters
    ----------
    scenarios
        Scenarios of the tickers' returns.
    weights
        Share of the portfolio's value in each ticker, negative for a short position; the rest is cash.
    """
    return np.asarray(-(scenarios.returns @ weights))


def risk_measure(losses: FloatArray, probabilities: FloatArray, level: float) -> RiskMeasure:
    """Return value at risk, expected shortfall and their standard errors at a level.

    The error of the value at risk is half the distance between the quantiles one standard error of the level above and
    below; that of the expected shortfall is from its influence function, VaR + max(L − VaR, 0) / (1 − level) − ES.

    Parameters
    ----------
    losses
        Loss in each scenario.
    probabilities
        Probability of each scenario.
    level
        Probability of a loss up to the value at risk, such as 0.99.

    Raises
    ------
    ValueError
        A loss is not a finite number.

    References
    ----------
    Rockafellar and Uryasev (2002), Conditional value-at-risk for general loss distributions, J. Banking and Finance 26.
    """
    if not np.isfinite(losses).all():
        raise ValueError("a loss is not a finite number")
    order = np.argsort(losses, kind="stable")
    ordered, cumulative = losses[order], np.cumsum(probabilities[order])

    def quantile(probability: float) -> float:
        # The cumulated probabilities have rounding errors: 0.95 of 20 equal ones is reached at the 19th.
        place = int(np.searchsorted(cumulative, probability - 1e-12))
        return float(ordered[min(place, len(ordered) - 1)])

    tail = 1.0 - level
    var = quantile(level)
    es = var + float(probabilities @ np.maximum(losses - var, 0.0)) / tail
    squares = float(probabilities @ probabilities)
    step = float(np.sqrt(level * tail * squares))
    influence = var + np.maximum(losses - var, 0.0) / tail - es
    return RiskMeasure(
        level,
        var,
        es,
        (quantile(min(level + step, 1.0)) - quantile(max(level - step, 0.0))) / 2.0,
        float(np.sqrt(np.sum((probabilities * influence) ** 2))),
    )


def expected_shortfall(losses: FloatArray, probabilities: FloatArray, level: float) -> float:
    """Return the mean loss in the worst 1 − `level` of the cases; see `risk_measure`."""
    return float(tail_shares(losses, probabilities, level) @ losses)


def tail_shares(losses: FloatArray, probabilities: FloatArray, level: float) -> FloatArray:
    """Return for each scenario its share of the worst 1 − `level` of the cases; they sum to 1.

    Scenarios above the value at risk count whole; those that equal it share what is left of the tail.
    """
    tail = 1.0 - level
    var = risk_measure(losses, probabilities, level).var
    above, at = losses > var, losses == var
    left = tail - float(probabilities[above].sum())
    shares = np.where(above, probabilities, 0.0)
    mass = float(probabilities[at].sum())
    shares[at] = probabilities[at] * max(left, 0.0) / mass
    return np.asarray(shares / shares.sum())


def component_es(scenarios: Scenarios, weights: FloatArray, level: float) -> FloatArray:
    """Return the part of the expected shortfall that is due to each ticker; the parts sum to it.

    A part is the ticker's mean loss, times its weight, in the worst cases of the portfolio (Euler's allocation). It is
    negative for a position that reduces the risk.

    References
    ----------
    Tasche (2000), Risk contributions and performance measurement, working paper, TU München.
    """
    losses = portfolio_losses(scenarios, weights)
    shares = tail_shares(losses, scenarios.probabilities, level)
    return np.asarray(-(shares @ scenarios.returns) * weights)
