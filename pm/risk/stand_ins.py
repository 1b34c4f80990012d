"""Stand-ins for the risk of tickers that are held and have no fitted volatility: halted, stale, or too new."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pm.plural import plural
from pm.risk.residuals import first_factor
from pm.seeding import ticker_generator
from pm.statistics.robust import OUTLIER_SIGMAS
from pm.volatility.jumps import clean_returns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pm.risk.joint import JointModel
    from pm.typing import DateArray, FloatArray

__all__ = ["MIN_MOVES", "with_stand_ins"]

MIN_MOVES = 20
"""Minimum number of a ticker's own moves that its risk is computed from; with fewer it is that of the first factor."""
_HIGH = 0.9
"""Quantile of the fitted volatilities that a ticker with too few moves is given."""


def with_stand_ins(
    model: JointModel, moves: Mapping[str, tuple[DateArray, FloatArray]], *, seed: int
) -> tuple[JointModel, dict[str, str]]:
    """Return a model with further tickers, and how the risk of each was found, in words.

    A ticker with `MIN_MOVES` moves or more has a constant volatility, the root mean square of them: days on which the
    price did not move are left out, since a halt says nothing about what comes after it. Its residuals are those moves
    on their dates; on other dates its slope on the first factor of the model times the factor, plus what the factor
    left of its own moves on another date. A ticker with fewer moves is the first factor itself, with a volatility that
    nine of ten tickers of the model do not exceed: nothing of it is diversified away.

    The scenarios of the tickers that the model has stay the same.

    Parameters
    ----------
    model
        Joint model; if it has no tickers there is nothing to stand in from, and it is returned unchanged.
    moves
        Dates and log returns of each further ticker, oldest first.
    seed
        Seed of what is drawn.
    """
    if not model.tickers or not moves:
        return model, {}
    factor, slopes = first_factor(model.residuals)
    added = {
        ticker: _column(model, factor, float(slopes.mean()), *moves[ticker], seed=seed, ticker=ticker)
        for ticker in sorted(moves)
    }
    tickers = tuple(sorted([*model.tickers, *added]))
    columns = dict(zip(model.tickers, model.residuals.T, strict=True)) | {t: own[0] for t, own in added.items()}
    dynamics = dict(zip(model.tickers, model.dynamics.T, strict=True)) | {t: own[1] for t, own in added.items()}
    filled = dict(model.filled) | {ticker: own[2] for ticker, own in added.items() if own[2]}
    wider = replace(
        model,
        tickers=tickers,
        residuals=np.ascontiguousarray(np.column_stack([columns[ticker] for ticker in tickers])),
        dynamics=np.ascontiguousarray(np.column_stack([dynamics[ticker] for ticker in tickers])),
        filled=filled,
    )
    return wider, {ticker: own[3] for ticker, own in added.items()}


def _column(
    model: JointModel,
    factor: FloatArray,
    slope: float,
    dates: DateArray,
    returns: FloatArray,
    *,
    seed: int,
    ticker: str,
) -> tuple[FloatArray, FloatArray, int, str]:
    """Return residuals, dynamics, the number of residuals that were filled in, and how they were found."""
    clean = clean_returns(returns)
    usable = np.isfinite(returns) & ~clean.unknown & (returns != 0.0)
    days, own = dates[usable], clean.returns[usable]
    if len(own) < MIN_MOVES:
        sigma = float(np.quantile(model.sigmas, _HIGH))
        words = f"with {plural(len(own), 'move')} of its own, it is taken for the first factor, at {sigma:.1%} a day"
        return factor.copy(), _constant(sigma), 0, words
    sigma = float(np.sqrt(np.mean(own**2)))
    residuals = np.full(len(model.dates), np.nan)
    shared = np.isin(days, model.dates)
    values = own[shared] / sigma
    residuals[np.searchsorted(model.dates, days[shared])] = np.where(np.abs(values) <= OUTLIER_SIGMAS, values, np.nan)
    known = np.isfinite(residuals)
    if known.sum() >= MIN_MOVES:
        slope = float(factor[known] @ residuals[known] / max(float(factor[known] @ factor[known]), 1e-12))
    generator = ticker_generator(seed, ticker)
    gaps = int((~known).sum())
    if known.sum() >= MIN_MOVES:
        rest = (residuals - slope * factor)[known]
        drawn = rest[generator.integers(0, len(rest), gaps)]
    else:
        drawn = generator.standard_normal(gaps) * np.sqrt(max(0.0, 1.0 - slope**2))
    residuals[~known] = slope * factor[~known] + drawn
    return (
        residuals,
        _constant(sigma),
        gaps,
        f"its risk is that of {plural(len(own), 'move')}, {sigma:.1%} a day",
    )


def _constant(sigma: float) -> FloatArray:
    """Return the dynamics of a variance that stays as it is."""
    return np.array([sigma**2, sigma**2, 0.0, 0.0, 0.0])
