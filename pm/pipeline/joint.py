"""Read what the joint model of a run's tickers is made of: for the stages that need scenarios of their returns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pm.pipeline.compiling import compile_ahead
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars, watch_list
from pm.prices import log_returns
from pm.tables.quality import BARS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pm.currencies import RatePath
    from pm.pipeline.stage import Context
    from pm.risk.joint_inputs import JointInputs
    from pm.risk.portfolio_tables import RiskInputs

__all__ = ["JOINT_SECTIONS", "JOINT_TABLES", "in_currency", "joint_inputs", "joint_risk"]

JOINT_TABLES = (*WATCH_LIST_TABLES, VOLATILITY, VOLATILITY_FITS)
"""Tables that `joint_inputs` reads: a stage that calls it declares them."""
JOINT_SECTIONS = ("risk", "volatility.windows", "volatility.ewma_lambda", "forecast.window")
"""Settings that `joint_inputs` and `joint_risk` depend on."""
_EVERY_RETURN = 1_000_000
"""Window that no history fills: stress tests look at all of it."""


def joint_inputs(context: Context, held: Collection[str] = ()) -> JointInputs:
    """Return the joint model of a run's tickers, from the volatility that the run computed, and of those held.

    Every stage that calls it gets the same model, and so the same scenarios for a seed. What is held adds tickers, and
    changes nothing of the others.

    Parameters
    ----------
    held
        Tickers that are held, on the watch list or not.
    """
    from pm.risk.joint_inputs import joint_of

    compile_ahead(context, "pm.risk")
    watched = watch_list(context)
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": sorted({*watched.tickers, *held})},
        columns=("ticker", "date", "close", "adj_factor", "volume"),
    )
    return joint_of(
        bars,
        context.read_outputs(VOLATILITY, "step = 1"),
        context.read_outputs(VOLATILITY_FITS),
        held=held,
        as_of=watched.as_of,
        newest=judged_bars(context.settings),
        settings=context.settings,
    )


def joint_risk(context: Context, joint: JointInputs, *, horizons: Sequence[int] = ()) -> RiskInputs:
    """Return what the risk of a portfolio of the run's tickers is computed from, each ticker in its own currency.

    Parameters
    ----------
    horizons
        Horizons of scenarios besides those of the settings of risk.
    """
    from pm.risk.history_matrix import return_matrix
    from pm.risk.portfolio_tables import risk_inputs
    from pm.volatility.series import usable_returns

    settings = context.settings
    dates, returns = return_matrix(usable_returns(log_returns(joint.bars), _EVERY_RETURN), joint.model.tickers)
    return risk_inputs(
        joint.model,
        dates,
        returns,
        settings=settings.risk,
        ewma_lambda=settings.volatility.ewma_lambda,
        horizons=horizons,
    )


def in_currency(inputs: RiskInputs, rates: Mapping[str, RatePath]) -> RiskInputs:
    """Return the inputs with scenarios and past returns in one currency: a rate's moves are part of the risk.

    The model itself, of which shocks and drawdowns are made, stays in the tickers' own currencies.

    Parameters
    ----------
    rates
        The rate of each ticker of another currency, among the tickers of the model.
    """
    from pm.portfolio.currencies import in_base_currency

    if not rates:
        return inputs
    place_of = {ticker: place for place, ticker in enumerate(inputs.model.tickers)}
    returns = inputs.returns.copy()
    for ticker, path in rates.items():
        for rate, inverted in path:
            moved = np.nan_to_num(inputs.returns[:, place_of[rate]])
            returns[:, place_of[ticker]] += -moved if inverted else moved
    scenarios = {horizon: in_base_currency(drawn, rates) for horizon, drawn in inputs.scenarios.items()}
    return replace(inputs, scenarios=scenarios, returns=returns)
