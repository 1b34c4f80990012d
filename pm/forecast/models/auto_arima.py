"""ARIMA with automatic order selection, optionally with regressors that are known ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pm.forecast.models.univariate import ForecastTask, forecast_each

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from pm.forecast.arima_order import Order
    from pm.forecast.base import Forecasts, Panel
    from pm.typing import FloatArray

__all__ = ["AutoArimaForecaster", "FittedArima", "fit_arima"]

_MAX_EXACT_FITS = 3
"""Maximum number of orders that are fitted by exact maximum likelihood."""

_CRITERION_MARGIN = 3.0
"""Maximum difference of an order's criterion from the best one's at which it is fitted exactly too.

On 336 of 340 windows, real and simulated, the order chosen so was the best of the first eight, all fitted exactly.
"""

_GRADIENT_TOLERANCE = 1e-5
"""Gradient of minus the mean log-likelihood, of changes scaled to unit size, at which the maximisation ends.

Numerical derivatives are not more accurate than about this.
"""


@dataclass(frozen=True)
class FittedArima:
    """A fitted ARIMA(p, 1, q).

    Attributes
    ----------
    order
        (p, 1, q).
    mean
        Whether the changes have a mean, that is, the series a drift.
    criterion
        Exact −2·log-likelihood of the changes in units of `scale`, plus the order's `penalty`.
    scale
        Root mean square of the changes that the model was fitted to.
    used
        Whether each feature varies over the bars that the model was fitted to; the others have no coefficient.
    coefficients
        Mean, if any, and the coefficient of each feature used.
    arma
        Model of the changes in units of `scale`, fitted by statsforecast; None for (0, 1, 0), which has a closed form.
    """

    order: tuple[int, int, int]
    mean: bool
    criterion: float
    scale: float
    used: NDArray[np.bool_]
    coefficients: FloatArray
    arma: dict[str, Any] | None

    def forecast(self, log_prices: FloatArray, features: FloatArray, horizon: int) -> FloatArray:
        """Forecast the `horizon` sessions after a series with the fitted parameters; shape (horizon,).

        Parameters
        ----------
        log_prices
            Shape (bars,).
        features
            Shape (bars + horizon or more, features).

        Raises
        ------
        ValueError
            The features do not cover the horizon.
        """
        bars = log_prices.size
        if features.shape[0] < bars + horizon:
            raise ValueError(f"features are known for {features.shape[0] - bars} of the {horizon} sessions to forecast")
        future = features[bars : bars + horizon, self.used]
        if self.arma is None:
            changes = _regressors(future, mean=self.mean) @ self.coefficients
        else:
            library = _statsforecast_arima()
            past, ahead = (features[1:bars, self.used], future) if self.used.any() else (None, None)
            state = library.forward_arima(self.arma, np.diff(log_prices) / self.scale, xreg=past)
            changes = library.forecast_arima(state, h=horizon, xreg=ahead)["mean"]
        return np.asarray(log_prices[-1] + self.scale * np.cumsum(changes))


def fit_arima(log_prices: FloatArray, features: FloatArray) -> FittedArima:
    """Fit an ARIMA(p, 1, q) with or without drift; p, q ≤ 2 are chosen by the criterion of `arima_order`.

    Orders are ranked by conditional least squares. The best one, and those whose criterion is close to it, are fitted
    by exact maximum likelihood, and the best of these is returned. The likelihood is that of the changes. That of the
    levels with a diffuse initial state would differ only by rounding errors, which disturb numerical derivatives.

    Parameters
    ----------
    log_prices
        Shape (bars,), finite, not all equal.
    features
        Regressors of the *changes*, shape (bars or more, features): the row of a session belongs to the change from the
        session before. With features the changes always have a mean.
    """
    from pm.forecast.arima_order import rank_orders

    changes = np.diff(log_prices)
    scale = float(np.sqrt(np.mean(changes**2)))
    changes = changes / scale
    past = features[1 : log_prices.size]
    used = np.ptp(past, axis=0) > 0
    past = past[:, used]
    if used.any():
        design = _regressors(past, mean=True)
        residuals = changes - design @ np.linalg.lstsq(design, changes, rcond=None)[0]
        ranked = rank_orders(residuals, means=(False,))
    else:
        ranked = rank_orders(changes)
    close = sum(order.criterion <= ranked[0].criterion + _CRITERION_MARGIN for order in ranked[:_MAX_EXACT_FITS])
    candidates: list[FittedArima] = []
    for rank, order in enumerate(ranked):
        if candidates and rank >= close:
            break
        fitted = _fit_order(changes, past, used, order, scale)
        if fitted is not None:
            candidates.append(fitted)
    return min(candidates, key=lambda fitted: fitted.criterion)


def _statsforecast_arima() -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast import arima  # takes 2 s to import

    return arima


def _regressors(features: FloatArray, *, mean: bool) -> FloatArray:
    return np.column_stack([np.ones((len(features), int(mean))), features])


def _fit_order(
    changes: FloatArray, features: FloatArray, used: NDArray[np.bool_], order: Order, scale: float
) -> FittedArima | None:
    """Fit an order by exact maximum likelihood; return None if that fails or the estimates are not admissible."""
    from pm.forecast.arima_order import is_admissible, penalty

    n = changes.size
    order_penalty = penalty(order.ar + order.ma, n, mean=order.mean)
    mean = order.mean or bool(used.any())
    shape = (order.ar, 1, order.ma)
    if order.ar == order.ma == 0:
        design = _regressors(features, mean=mean)
        coefficients = np.linalg.lstsq(design, changes, rcond=None)[0].astype(np.float64)
        variance = float(np.mean((changes - design @ coefficients) ** 2))
        criterion = float(n * (np.log(2 * np.pi * variance) + 1)) + order_penalty
        return FittedArima(shape, mean, criterion, scale, used, coefficients, None)

    start = np.concatenate([order.phi, order.theta, [order.mu] * order.mean])
    if used.any():  # NaN: statsforecast starts from a regression
        start = np.concatenate([start, np.full(1 + features.shape[1], np.nan)])
    try:
        arma = _statsforecast_arima().Arima(
            changes,
            order=(order.ar, 0, order.ma),
            include_mean=mean,
            xreg=features if used.any() else None,
            method="ML",
            init=start,
            transform_pars=False,
            tol=_GRADIENT_TOLERANCE,
        )
    except (ValueError, np.linalg.LinAlgError):
        return None
    estimates = np.array(list(arma["coef"].values()))
    phi, theta, rest = np.split(estimates, [order.ar, order.ar + order.ma])
    if not (np.isfinite(arma["loglik"]) and is_admissible(phi, theta)):
        return None
    return FittedArima(shape, mean, order_penalty - 2.0 * float(arma["loglik"]), scale, used, rest, arma)


def _forecast(task: ForecastTask) -> FloatArray:
    first = task.origins[0]
    fitted = fit_arima(task.log_prices[: first + 1], task.features)
    return np.array(
        [fitted.forecast(task.log_prices[: origin + 1], task.features, task.horizon) for origin in task.origins]
    )


@dataclass(frozen=True)
class AutoArimaForecaster:
    """ARIMA(p, 1, q) of the log price with p, q ≤ 2, with or without drift, fitted by exact maximum likelihood.

    The panel's features that are known ahead are regressors of the log return (a regression with ARMA errors). At least
    250 bars (one year) are needed: with fewer, the bars up to the first origin of the cross-validation support no more
    than a random walk.

    References
    ----------
    Hyndman and Khandakar (2008), Automatic time series forecasting: the forecast package for R, J. Stat. Software
    27(3). Their search covers more orders; `pm.forecast.arima_order` describes the differences.
    """

    name: str = "auto_arima"
    min_observations: int = 250

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and forecast from all of them; see `Forecaster.forecast`."""
        return forecast_each(panel, origins, horizon, _forecast)
