"""Read what the joint model of a run's tickers is made of: for the stages that need scenarios of their returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.pipeline.compiling import compile_ahead
from pm.pipeline.watch_list import WATCH_LIST_TABLES, judged_bars, watch_list
from pm.prices import log_returns
from pm.tables.quality import BARS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from pm.pipeline.stage import Context
    from pm.risk.joint import JointModel

__all__ = ["JOINT_SECTIONS", "JOINT_TABLES", "JointInputs", "joint_inputs"]

JOINT_TABLES = (*WATCH_LIST_TABLES, VOLATILITY, VOLATILITY_FITS)
"""Tables that `joint_inputs` reads: a stage that calls it declares them."""
JOINT_SECTIONS = ("risk", "volatility.windows", "forecast.window")
"""Settings that `joint_inputs` depends on."""


@dataclass(frozen=True)
class JointInputs:
    """The joint model of a run, and the bars that it was made from.

    Attributes
    ----------
    model
        The joint model of all tickers of the run that have a volatility.
    bars
        All bars of the run's tickers up to its day: ticker, date, close, adj_factor, volume, by ticker and date.
    as_of
        Day of the run.
    """

    model: JointModel
    bars: pl.DataFrame
    as_of: date


def joint_inputs(context: Context) -> JointInputs:
    """Return the joint model of a run's tickers, from the volatility that the run computed.

    Every stage that calls it gets the same model, and so the same scenarios for a seed.
    """
    from pm.risk.joint import joint_model
    from pm.risk.warm_up import warm_up
    from pm.volatility.series import usable_returns

    compile_ahead(context, "pm.risk", warm_up)
    watched = watch_list(context)
    settings = context.settings
    bars = context.read(
        BARS,
        "date <= ?",
        [watched.as_of],
        among={"ticker": watched.tickers},
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
    return JointInputs(model, bars, watched.as_of)
