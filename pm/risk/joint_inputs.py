"""Make the joint model of a day from its bars and volatility: the one that risk and weights are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.prices import log_returns
from pm.risk.joint import joint_model
from pm.risk.stand_ins import with_stand_ins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import date

    import polars as pl

    from pm.risk.joint import JointModel
    from pm.settings import Settings

__all__ = ["JointInputs", "joint_of"]


@dataclass(frozen=True)
class JointInputs:
    """The joint model of a run, and the bars that it was made from.

    Attributes
    ----------
    model
        The joint model of all tickers of the run that have a volatility.
    bars
        Bars of these tickers up to its day: ticker, date, close, adj_factor, volume, by ticker and date.
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


def joint_of(
    bars: pl.DataFrame,
    volatility: pl.DataFrame,
    fits: pl.DataFrame,
    *,
    held: Collection[str],
    as_of: date,
    newest: int,
    settings: Settings,
) -> JointInputs:
    """Return the joint model of the tickers that have a volatility, and of those held.

    Parameters
    ----------
    bars
        Bars up to the day: ticker, date, close, adj_factor, volume, by ticker and date.
    volatility, fits
        Rows of tables `volatility` (of step 1) and `volatility_fits` of the day.
    held
        Tickers that are held. They add tickers to the model, and change nothing of the others.
    as_of
        The day.
    newest
        Number of newest bars of each ticker that the volatility was fitted to.
    """
    import polars as pl

    from pm.volatility.series import usable_returns

    risk = settings.risk
    recent = bars.group_by("ticker", maintain_order=True).tail(newest)
    model = joint_model(
        usable_returns(log_returns(recent), max(settings.volatility.windows)),
        volatility,
        fits,
        window=risk.window,
        decay=risk.decay,
        seed=risk.seed,
    )
    others = bars.filter(pl.col("ticker").is_in(sorted(set(held) - set(model.tickers))))
    moves = {ticker: (np.empty(0, dtype="datetime64[D]"), np.empty(0)) for ticker in others["ticker"].unique()}
    for (ticker,), rows in log_returns(others).group_by("ticker", maintain_order=True):
        moves[str(ticker)] = rows["date"].to_numpy(), rows["log_return"].to_numpy()
    model, stand_ins = with_stand_ins(model, moves, seed=risk.seed)
    return JointInputs(model, bars, as_of, stand_ins)
