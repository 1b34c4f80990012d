"""Make the joint model of a day from its bars and volatility: the one that risk and weights are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pm.prices import log_returns
from pm.risk.joint import joint_model
from pm.risk.stand_ins import with_stand_ins

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date

    import polars as pl

    from pm.risk.joint import JointModel
    from pm.settings import RiskSettings, Settings
    from pm.typing import DateArray, FloatArray
    from pm.volatility.series import ReturnSeries

__all__ = ["JointInputs", "Moves", "joint_of", "model_of"]

Moves: TypeAlias = "tuple[DateArray, FloatArray]"
"""Dates and log returns of a ticker, oldest first."""


@dataclass(frozen=True)
class JointInputs:
    """The joint model of a run, and the bars that it was made from.

    Attributes
    ----------
    model
        The joint model of all tickers of the run that have a volatility.
    bars
        Bars of the tickers up to its day, at least the newest ones: ticker, date, close, adj_factor, volume, by ticker
        and date.
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

    recent = bars.group_by("ticker", maintain_order=True).tail(newest)
    series = usable_returns(log_returns(recent), max(settings.volatility.windows))

    def moves(tickers: Collection[str]) -> dict[str, Moves]:
        others = bars.filter(pl.col("ticker").is_in(tickers))
        found = {ticker: (np.empty(0, dtype="datetime64[D]"), np.empty(0)) for ticker in others["ticker"].unique()}
        for (ticker,), rows in log_returns(others).group_by("ticker", maintain_order=True):
            found[str(ticker)] = rows["date"].to_numpy(), rows["log_return"].to_numpy()
        return found

    model, stand_ins = model_of(series, volatility, fits, held=held, moves=moves, settings=settings.risk)
    return JointInputs(model, bars, as_of, stand_ins)


def model_of(
    series: Mapping[str, ReturnSeries],
    volatility: pl.DataFrame,
    fits: pl.DataFrame,
    *,
    held: Collection[str],
    moves: Callable[[Collection[str]], Mapping[str, Moves]],
    settings: RiskSettings,
) -> tuple[JointModel, Mapping[str, str]]:
    """Return the joint model, and how the risk of held tickers without a volatility was found; see `with_stand_ins`.

    Parameters
    ----------
    series
        Returns that the volatility was fitted to, by ticker; see `pm.volatility.series.usable_returns`.
    volatility, fits
        Rows of tables `volatility` (of step 1) and `volatility_fits` of the day.
    held
        Tickers that are held. They add tickers to the model, and change nothing of the others.
    moves
        Returns dates and log returns of those of some tickers that have bars, all of them, oldest first.
    settings
        Section `risk`.
    """
    model = joint_model(series, volatility, fits, window=settings.window, decay=settings.decay, seed=settings.seed)
    missing = sorted(set(held) - set(model.tickers))
    return with_stand_ins(model, moves(missing), seed=settings.seed) if missing else (model, {})
