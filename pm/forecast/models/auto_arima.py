"""ARIMA, its order chosen among the small ones, with features known ahead where they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pm.forecast.models.univariate import History, forecast_each

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from pm.forecast.arima_order import Order
    from pm.forecast.base import Forecasts, Panel
    from pm.typing import FloatArray

__all__ = ["AutoArimaForecaster", "FittedArima", "fit_arima"]

_CLOSEST, _WITHIN = 3, 3.0
"""The orders fitted exactly: the first, and those of the first three whose criterion is this near. What is kept so was
the best of the first eight, all fitted exactly, on 336 of 340 windows, real and simulated."""

_GRADIENT_TOLERANCE = 1e-5
"""Of minus the mean log-likelihood of changes in units of their size; derivatives by differences end about there."""


@dataclass(frozen=True)
class FittedArima:
    """An ARMA on the changes of a series, and what it takes to forecast from it.

    Attributes
    ----------
    order
        (p, 1, q).
    mean
        Whether the changes have a mean: a drift of the series.
    criterion
        −2·log-likelihood of the changes in units of `scale`, exact, and the order's `penalty`.
    scale
        Root mean square of the changes fitted to.
    used
        Which columns of the features vary in the bars fitted to; the others have no coefficient.
    coefficients
        Mean, if any, and a coefficient for each feature used: all there is of (0, 1, 0).
    arma
        statsforecast's fitted model of the changes in units of `scale`; None for (0, 1, 0), which has a closed form.
    """

    order: tuple[int, int, int]
    mean: bool
    criterion: float
    scale: float
    used: NDArray[np.bool_]
    coefficients: FloatArray
    arma: dict[str, Any] | None

    def forecast(self, log_prices: FloatArray, features: FloatArray, horizon: int) -> FloatArray:
        """Give the means of the `horizon` sessions after a series, shape (horizon,); no parameter is estimated.

        Parameters
        ----------
        log_prices
            Shape (bars,).
        features
            Shape (bars + horizon or more, features).

        Raises
        ------
        ValueError
            Features end before the horizon does.
        """
        bars = log_prices.size
        if features.shape[0] < bars + horizon:
            raise ValueError(f"features are known for {features.shape[0] - bars} of {horizon} sessions to come")
        future = features[bars : bars + horizon, self.used]
        if self.arma is None:
            changes = _regressors(future, mean=self.mean) @ self.coefficients
        else:
            library = _library()
            seen, ahead = (features[1:bars, self.used], future) if self.used.any() else (None, None)
            state = library.forward_arima(self.arma, np.diff(log_prices) / self.scale, xreg=seen)
            changes = library.forecast_arima(state, h=horizon, xreg=ahead)["mean"]
        return np.asarray(log_prices[-1] + self.scale * np.cumsum(changes))


def fit_arima(log_prices: FloatArray, features: FloatArray) -> FittedArima:
    """Fit the ARIMA(p, 1, q) that the criterion of `arima_order` prefers, p and q at most 2, with drift or without.

    Orders are ranked by conditional least squares. The first is fitted by exact maximum likelihood, with those that run
    close to it, and the best is kept. The likelihood is that of the changes: a diffuse start of the level
    would add nothing but rounding, in which an optimiser's differences drown.

    Parameters
    ----------
    log_prices
        Shape (bars,), finite, not all equal.
    features
        Shape (bars or more, features): regressors of the *changes*, the row of a session explaining the change up to
        it. With features there always is a mean.
    """
    from pm.forecast.arima_order import rank_orders

    changes = np.diff(log_prices)
    scale = float(np.sqrt(np.mean(changes**2)))
    changes = changes / scale
    seen = features[1 : log_prices.size]
    used = np.ptp(seen, axis=0) > 0
    seen = seen[:, used]
    if used.any():
        design = _regressors(seen, mean=True)
        residuals = changes - design @ np.linalg.lstsq(design, changes, rcond=None)[0]
        ranked = rank_orders(residuals, means=(False,))
    else:
        ranked = rank_orders(changes)
    close = sum(order.criterion <= ranked[0].criterion + _WITHIN for order in ranked[:_CLOSEST])
    found: list[FittedArima] = []
    for place, order in enumerate(ranked):
        if found and place >= close:
            break
        fitted = _fit_order(changes, seen, used, order, scale)
        if fitted is not None:
            found.append(fitted)
    return min(found, key=lambda fitted: fitted.criterion)


def _library() -> Any:  # noqa: ANN401 - the library is untyped
    from statsforecast import arima  # takes 2 s to import

    return arima


def _regressors(features: FloatArray, *, mean: bool) -> FloatArray:
    return np.column_stack([np.ones((len(features), int(mean))), features])


def _fit_order(
    changes: FloatArray, features: FloatArray, used: NDArray[np.bool_], order: Order, scale: float
) -> FittedArima | None:
    """Fit one order exactly; give None where the estimates are not admissible or the library finds none."""
    from pm.forecast.arima_order import is_admissible, penalty

    n = changes.size
    cost = penalty(order.ar + order.ma, n, mean=order.mean)
    mean = order.mean or bool(used.any())
    shape = (order.ar, 1, order.ma)
    if order.ar == order.ma == 0:
        design = _regressors(features, mean=mean)
        coefficients = np.linalg.lstsq(design, changes, rcond=None)[0].astype(np.float64)
        variance = float(np.mean((changes - design @ coefficients) ** 2))
        criterion = float(n * (np.log(2 * np.pi * variance) + 1)) + cost
        return FittedArima(shape, mean, criterion, scale, used, coefficients, None)

    start = np.concatenate([order.phi, order.theta, [order.mu] * order.mean])
    if used.any():  # NaN: start from the regression
        start = np.concatenate([start, np.full(1 + features.shape[1], np.nan)])
    try:
        arma = _library().Arima(
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
    return FittedArima(shape, mean, cost - 2.0 * float(arma["loglik"]), scale, used, rest, arma)


def _roll(history: History) -> FloatArray:
    first = history.origins[0]
    fitted = fit_arima(history.log_prices[: first + 1], history.features)
    return np.array(
        [
            fitted.forecast(history.log_prices[: origin + 1], history.features, history.horizon)
            for origin in history.origins
        ]
    )


@dataclass(frozen=True)
class AutoArimaForecaster:
    """ARIMA(p, 1, q) on the log price with p, q ≤ 2, with or without drift; exact maximum likelihood.

    Features of the panel known ahead become regressors of the log return (a regression with ARMA errors). Needs 250
    bars, a year: with fewer, what the first origin of cross-validation can support is a random walk.

    References
    ----------
    Hyndman and Khandakar (2008), Automatic time series forecasting: the forecast package for R, J. Stat. Software
    27(3): the search over all orders that this one stands in for. `pm.forecast.arima_order` has how it differs.
    """

    name: str = "auto_arima"
    min_observations: int = 250

    def forecast(self, panel: Panel, origins: pl.DataFrame, horizon: int) -> Forecasts:
        """Fit at each ticker's first origin and carry forward; see `Forecaster.forecast`."""
        return forecast_each(panel, origins, horizon, _roll)
