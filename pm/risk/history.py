"""Risk as it would have been forecast on past dates, from what was known on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.exclusions import Exclusion
from pm.risk.joint import JointModel, dynamics_of
from pm.risk.residuals import aged_probabilities, complete_residuals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pm.settings import RiskSettings, VolatilitySettings
    from pm.typing import DateArray, FloatArray

__all__ = ["PastModel", "past_models"]

_PARAMETERS = 5
"""Number of parameters μ, ω, α, γ, β of a fit."""


@dataclass(frozen=True)
class PastModel:
    """The joint model of a past date.

    Attributes
    ----------
    row
        Row of the first return after the date.
    model
        The model, from returns before that row.
    """

    row: int
    model: JointModel


def past_models(
    returns: FloatArray,
    dates: DateArray,
    tickers: Sequence[str],
    rows: Sequence[int],
    *,
    volatility: VolatilitySettings,
    settings: RiskSettings,
    refit: int,
) -> Iterator[PastModel]:
    """Yield the joint model of all tickers before each of some rows.

    Volatility models are fitted anew every `refit` rows, and filter the returns in between with the parameters that
    were last fitted. A model for a row uses no return of that row or of later ones.

    Parameters
    ----------
    returns
        Log returns, of shape (dates, tickers), oldest first; NaN where a ticker has none.
    dates
        Date of each row.
    tickers
        Names of the columns.
    rows
        Rows to model, ascending.
    volatility
        Models and windows of the pool, and the decay for tickers to which none can be fitted.
    settings
        Section `risk`: the maximum number of joint dates, their probabilities, and the seed of what is filled in.
    refit
        Number of rows between fits.
    """
    fits: list[FloatArray | None] = []
    fitted_at = -1
    for row in rows:
        if fitted_at < 0 or row - fitted_at >= refit:
            fits, fitted_at = _fits(returns[:row], volatility), row
        usable = [place for place, own in enumerate(fits) if own is not None]
        matrix = np.full((min(settings.window, row), len(usable)), np.nan)
        dynamics = np.empty((_PARAMETERS, len(usable)))
        for column, place in enumerate(usable):
            own = fits[place]
            assert own is not None  # noqa: S101 - of those that are usable
            past = returns[max(0, row - max(*volatility.windows, settings.window)) : row, place]
            known = np.isfinite(past)
            filtered = dynamics_of(past[known], own)
            residuals = np.full(len(past), np.nan)
            residuals[known] = filtered.residuals
            matrix[-min(len(past), len(matrix)) :, column] = residuals[-len(matrix) :]
            dynamics[:, column] = [
                filtered.next_variance, filtered.omega, filtered.alpha, filtered.gamma, filtered.beta,
            ]  # fmt: skip
        names = tuple(tickers[place] for place in usable)
        complete = complete_residuals(matrix, names, seed=settings.seed)
        probabilities = aged_probabilities(len(matrix), settings.decay)
        yield PastModel(
            row,
            JointModel(
                names, dates[row - len(matrix) : row], probabilities, complete.residuals, dynamics, complete.filled
            ),
        )


def _fits(returns: FloatArray, settings: VolatilitySettings) -> list[FloatArray | None]:
    """Return the parameters of the fits of each column's pool, shape (fits, 5); None if it cannot be modelled."""
    from pm.volatility.ewma import EwmaModel
    from pm.volatility.garch import garch_model
    from pm.volatility.pool import fit_pools

    series = {str(place): own[np.isfinite(own)] for place, own in enumerate(returns.T)}
    enough = {place: own for place, own in series.items() if len(own) >= settings.min_observations}
    pools = fit_pools(
        enough,
        [garch_model(name) for name in settings.models],
        settings.windows,
        refit_sessions=settings.refit_sessions,
        calibration_sessions=0,
        min_returns=settings.min_observations,
    )
    pooled = {place: own[0].models for place, own in pools.items()}
    others = {place: own for place, own in series.items() if not pooled.get(place)}
    fallbacks = EwmaModel(settings.ewma_lambda).fit(others)
    found: list[FloatArray | None] = []
    for place in series:
        models = pooled.get(place, ())
        fallback = fallbacks.get(place)
        if models:
            estimates = [model.estimate for model in models]
        elif fallback is not None and not isinstance(fallback, Exclusion):
            estimates = [fallback]
        else:
            found.append(None)
            continue
        found.append(np.array([[fit.mu, fit.omega, fit.alpha, fit.gamma, fit.beta] for fit in estimates]))
    return found
