"""Compare the short ARIMA order search with the full one, in accuracy and time: `python benchmarks/arima.py`.

Uses windows of real series (the embedded sample, the S&P 500 and NASDAQ indices, skfolio's 20 tickers) and of simulated
series, whose changes are an ARMA with Student t shocks. In each window, models are fitted to the first bars and
forecast 30 sessions from each of six origins, with the same parameters. Forecasts of two windows do not overlap.

    full      AutoARIMA of statsforecast: stepwise search over p, q ≤ 5 with the corrected Akaike criterion
    schwarz   the same search with Schwarz's criterion, which shows the effect of the criterion alone
    ours      pm.forecast.models.auto_arima: p, q ≤ 2, penalties of Schwarz for lags, of Hannan and Quinn for a drift

The loss of a window is its mean squared error, each step's divided by the step, relative to naive's. Prints the root of
the mean loss, the ratio of ours to full, the p-value of the Diebold-Mariano test of equal accuracy (corrected by
Harvey, Leybourne and Newbold), and milliseconds per fit in one thread. Windows of different tickers have common days,
so that the p-value can be too small.
"""

from __future__ import annotations

import argparse
import warnings
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
from markets import known, levels
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from pm.forecast.models.auto_arima import fit_arima
from pm.statistics.diebold_mariano import diebold_mariano
from pm.statistics.losses import step_scaled_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HORIZON, ORIGINS = 30, 6
NO_FEATURES = np.empty((100_000, 0))
SEARCHES = ("full", "schwarz", "ours")
SIMULATED: dict[str, tuple[list[float], list[float], float]] = {
    "random walk": ([], [], 0.0),
    "drift of 0.1% a day": ([], [], 0.001),
    "MA −0.1": ([], [-0.1], 0.0),
    "AR 0.3": ([0.3], [], 0.0),
    "ARMA 0.7, −0.6": ([0.7], [-0.6], 0.0),
    "ARMA 0.5 0.2, 0.3": ([0.5, 0.2], [0.3], 0.0),
}


def real() -> dict[str, Floats]:
    """Return log prices of all real series."""
    return {
        f"{ticker} of {market}": np.log(prices)
        for market, own in levels(known()).items()
        for ticker, prices in own.items()
    }


def windows(series: dict[str, Floats], fitted: int, count: int) -> list[Floats]:
    """Return `count` windows, spread evenly over all possible ones: `fitted` bars, and those that are forecast."""
    ahead = HORIZON * ORIGINS
    ends = [(name, end) for name in sorted(series) for end in range(fitted + ahead, series[name].size + 1, ahead)]
    chosen = np.unique(np.linspace(0, len(ends) - 1, count).astype(int))
    cut = [series[name][end - fitted - ahead : end] for name, end in (ends[k] for k in chosen)]
    return [window - window[0] + np.log(100.0) for window in cut]


def simulated(phi: list[float], theta: list[float], drift: float, fitted: int, count: int) -> list[Floats]:
    """Simulate windows whose changes are an ARMA with shocks of 1.5% a day."""
    rng = np.random.default_rng(3)
    shocks = 0.015 * np.sqrt(3 / 5) * rng.standard_t(5, (count, fitted + HORIZON * ORIGINS + 200))
    changes = drift + lfilter([1.0, *theta], [1.0, *(-np.array(phi))], shocks, axis=1)[:, 200:]
    return list(np.log(100.0) + np.cumsum(changes, axis=1))


def roll_library(criterion: str) -> Callable[[Floats], Callable[[Floats], Floats]]:
    """Return a function that fits with the search of statsforecast, and returns a function that forecasts."""
    from statsforecast.models import AutoARIMA

    def fit(prices: Floats) -> Callable[[Floats], Floats]:
        model: Any = AutoARIMA(season_length=1, seasonal=False, max_d=1, ic=criterion).fit(prices)
        return lambda longer: np.asarray(model.forward(longer, HORIZON)["mean"])

    return fit


def roll_ours(prices: Floats) -> Callable[[Floats], Floats]:
    """Fit with our search; return a function that forecasts from the end of a series."""
    model = fit_arima(prices, NO_FEATURES)
    return lambda longer: model.forecast(longer, NO_FEATURES, HORIZON)


def measure(cut: list[Floats], fitted: int) -> tuple[dict[str, Floats], dict[str, float]]:
    """Return each search's relative losses, shape (windows,), and its seconds per fit."""
    fits = {"full": roll_library("aicc"), "schwarz": roll_library("bic"), "ours": roll_ours}
    origins = [fitted + HORIZON * k for k in range(ORIGINS)]
    losses: dict[str, list[float]] = {name: [] for name in SEARCHES}
    seconds = dict.fromkeys(SEARCHES, 0.0)
    for window in cut:
        realised = np.array([window[origin : origin + HORIZON] for origin in origins])
        last = np.array([[window[origin - 1]] for origin in origins])
        naive = step_scaled_loss(realised - last).mean()
        for name in SEARCHES:
            start = process_time()
            forecast = fits[name](window[:fitted])
            seconds[name] += process_time() - start
            means = np.array([forecast(window[:origin]) for origin in origins])
            losses[name].append(float(step_scaled_loss(realised - means).mean() / naive))
    return {name: np.array(found) for name, found in losses.items()}, {n: s / len(cut) for n, s in seconds.items()}


def report(title: str, cut: list[Floats], fitted: int) -> None:
    """Run the measurements of some windows and print a line of the table."""
    losses, seconds = measure(cut, fitted)
    root = {name: float(np.sqrt(values.mean())) for name, values in losses.items()}
    test = diebold_mariano(losses["full"] - losses["ours"])
    print(
        f"{title:<24} {len(cut):>4}  "
        + "  ".join(f"{root[name]:>7.4f}" for name in SEARCHES)
        + f"  {root['ours'] / root['full']:>9.4f}  {test.p_value:>5.2f}  "
        + "  ".join(f"{1000 * seconds[name]:>7.1f}" for name in SEARCHES)
        + f"  {seconds['full'] / seconds['ours']:>6.1f}x"
    )


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=100, help="number of real windows of each length")
    parser.add_argument("--simulated", type=int, default=25, help="number of simulated windows of each kind")
    parser.add_argument("--bars", type=int, default=1000, help="number of bars to fit to")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # statsforecast warns of orders that it then discards
    series = real()
    heads = "  ".join(f"{name:>7}" for name in SEARCHES)
    print(f"{'':<24} {'n':>4}  {'RMSE / naive':<25}  {'ours/full':>9}  {'DM p':>5}  {'ms per fit':<25}  {'faster':>7}")
    print(f"{'':<24} {'':>4}  {heads}  {'':>9}  {'':>5}  {heads}")
    with threadpool_limits(limits=1):
        measure(windows(series, 300, 2), 300)  # imports and compiles everything before the measurement
        for bars in (arguments.bars, 300):
            report(f"real, {bars} bars", windows(series, bars, arguments.windows), bars)
        for name, (phi, theta, drift) in SIMULATED.items():
            report(name, simulated(phi, theta, drift, arguments.bars, arguments.simulated), arguments.bars)


if __name__ == "__main__":
    main()
