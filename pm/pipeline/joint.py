"""Read what the joint model of a run's tickers is made of: for the stages that need scenarios of their returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pm.pipeline.compiling import compile_ahead
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars, watch_list
from pm.prices import log_returns
from pm.tables.quality import BARS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date

    from pm.currencies import RatePath
    from pm.pipeline.stage import Context
    from pm.risk.joint import JointModel
    from pm.risk.portfolio_tables import RiskInputs

__all__ = ["JOINT_SECTIONS", "JOINT_TABLES", "JointInputs", "in_currency", "joint_inputs", "joint_risk"]

JOINT_TABLES = (*WATCH_LIST_TABLES, VOLATILITY, VOLATILITY_FITS)
"""Tables that `joint_inputs` reads: a stage that calls it declares them."""
JOINT_SECTIONS = ("risk", "volatility.windows", "volatility.ewma_lambda", "forecast.window")
"""Settings that `joint_inputs` and `joint_risk` depend on."""
_EVERY_RETURN = 1_000_000
"""Window that no history fills: stress tests look at all of it."""


@dataclass(frozen=True)
class JointInputs:
    """The joint model of a run, and the bars that it was made from.

    Attributes
    ----------
    model
        The joint model of all tickers of the run that have a volatility.
    bars
        All bars of these tickers up to its day: ticker, date, close, adj_factor, volume, by ticker and date.
    as_of
        Day of the run.
    stand_ins
        The held tickers without a fitted volatility that the model has all the same, each with how their risk was
        found; see `with_stand_ins`.
    """

    model: JointModel
    bars: pl.DataFrame
    as_of: date
    stand_ins: Mapping[str, str]


def joint_inputs(context: Context, held: Collection[str] = ()) -> JointInputs:
    """Return the joint model of a run's tickers, from the volatility that the run computed, and of those held.

    Every stage that calls it gets the same model, and so the same scenarios for a seed. What is held adds tickers, and
    changes nothing of the others.

    Parameters
    ----------
    held
        Tickers that are held, on the watch list or not.
    """
    from pm.risk.joint import joint_model
    from pm.risk.stand_ins import with_stand_ins
    from pm.volatility.series import usable_returns

    compile_ahead(context, "pm.risk")
    watched = watch_list(context)
    settings = context.settings
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": sorted({*watched.tickers, *held})},
        columns=("ticker", "date", "close", "adj_factor", "volume"),
    )
    newest = bars.group_by("ticker", maintain_order=True).tail(judged_bars(settings))
    model = joint_model(
        usable_returns(log_returns(newest), max(settings.volatility.windows)),
        context.read_outputs(VOLATILITY, "step = 1"),
        context.read_outputs(VOLATILITY_FITS),
        window=settings.risk.window,
        decay=settings.risk.decay,
        seed=settings.risk.seed,
    )
    others = bars.filter(pl.col("ticker").is_in(sorted(set(held) - set(model.tickers))))
    moves = {ticker: (np.empty(0, dtype="datetime64[D]"), np.empty(0)) for ticker in others["ticker"].unique()}
    for (ticker,), rows in log_returns(others).group_by("ticker", maintain_order=True):
        moves[str(ticker)] = rows["date"].to_numpy(), rows["log_return"].to_numpy()
    model, stand_ins = with_stand_ins(model, moves, seed=settings.risk.seed)
    return JointInputs(model, bars, watched.as_of, stand_ins)


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
