"""What ARIMA's short search costs against the full one: `python benchmarks/arima.py`.

Windows of real series (the embedded sample, arch's S&P 500 and NASDAQ, skfolio's 20 tickers) and of simulated ones,
whose changes are an ARMA with Student t shocks. On each, models are fitted to the first bars and rolled over six
origins, parameters held, 30 sessions ahead each time; forecasts of two windows do not overlap.

    full      AutoARIMA of statsforecast: stepwise over p, q ≤ 5, the corrected Akaike criterion
    schwarz   the same search by Schwarz's criterion: what the criterion alone makes
    ours      pm.forecast.models.auto_arima: p, q ≤ 2, Schwarz's price for lags, Hannan and Quinn's for a drift

A window's loss is its mean squared error, each step's divided by the step, over naive's there. Printed are root mean
losses, the ratio of ours to full, the p-value of Diebold and Mariano (corrected by Harvey, Leybourne and Newbold) that
the two are equally accurate, and milliseconds a fit, on one thread. Windows of different tickers share days, which
makes the p-value too small if anything.
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HORIZON, ORIGINS = 30, 6
STEPS = np.arange(1, HORIZON + 1)
NO_FEATURES = np.empty((100_000, 0))
SEARCHES = ("full", "schwarz", "ours")
SIMULATED: dict[str, tuple[list[float], list[float], float]] = {
    "random walk": ([], [], 0.0),
    "drift .1% a day": ([], [], 0.001),
    "MA −.1 (bounce)": ([], [-0.1], 0.0),
    "AR .3": ([0.3], [], 0.0),
    "ARMA .7, −.6": ([0.7], [-0.6], 0.0),
    "ARMA .5 .2, .3": ([0.5, 0.2], [0.3], 0.0),
}


def real() -> dict[str, Floats]:
    """Give log prices of the real series there are."""
    return {
        f"{ticker} of {market}": np.log(prices)
        for market, own in levels(known()).items()
        for ticker, prices in own.items()
    }


def windows(series: dict[str, Floats], fitted: int, count: int) -> list[Floats]:
    """Give `count` windows, spread over all there are: `fitted` bars and those that the origins forecast."""
    ahead = HORIZON * ORIGINS
    places = [(name, end) for name in sorted(series) for end in range(fitted + ahead, series[name].size + 1, ahead)]
    chosen = np.unique(np.linspace(0, len(places) - 1, count).astype(int))
    cut = [series[name][end - fitted - ahead : end] for name, end in (places[k] for k in chosen)]
    return [window - window[0] + np.log(100.0) for window in cut]


def simulated(phi: list[float], theta: list[float], drift: float, fitted: int, count: int) -> list[Floats]:
    """Give windows whose changes are an ARMA, 1.5% a day."""
    rng = np.random.default_rng(3)
    shocks = 0.015 * np.sqrt(3 / 5) * rng.standard_t(5, (count, fitted + HORIZON * ORIGINS + 200))
    changes = drift + lfilter([1.0, *theta], [1.0, *(-np.array(phi))], shocks, axis=1)[:, 200:]
    return list(np.log(100.0) + np.cumsum(changes, axis=1))


def roll_library(criterion: str) -> Callable[[Floats], Callable[[Floats], Floats]]:
    """Give a fit by statsforecast's search, which gives a forecast from the end of a series."""
    from statsforecast.models import AutoARIMA

    def fit(prices: Floats) -> Callable[[Floats], Floats]:
        model: Any = AutoARIMA(season_length=1, seasonal=False, max_d=1, ic=criterion).fit(prices)
        return lambda longer: np.asarray(model.forward(longer, HORIZON)["mean"])

    return fit


def roll_ours(prices: Floats) -> Callable[[Floats], Floats]:
    """Fit by our search; give what forecasts from the end of a series."""
    model = fit_arima(prices, NO_FEATURES)
    return lambda longer: model.forecast(longer, NO_FEATURES, HORIZON)


def measure(cut: list[Floats], fitted: int) -> tuple[dict[str, Floats], dict[str, float]]:
    """Give each search's losses, shape (windows,), and its seconds a fit."""
    fits = {"full": roll_library("aicc"), "schwarz": roll_library("bic"), "ours": roll_ours}
    origins = [fitted + HORIZON * k for k in range(ORIGINS)]
    losses: dict[str, list[float]] = {name: [] for name in SEARCHES}
    seconds = dict.fromkeys(SEARCHES, 0.0)
    for window in cut:
        came = np.array([window[origin : origin + HORIZON] for origin in origins])
        last = np.array([[window[origin - 1]] for origin in origins])
        naive = np.mean((came - last) ** 2 / STEPS)
        for name in SEARCHES:
            start = process_time()
            forecast = fits[name](window[:fitted])
            seconds[name] += process_time() - start
            means = np.array([forecast(window[:origin]) for origin in origins])
            losses[name].append(float(np.mean((came - means) ** 2 / STEPS) / naive))
    return {name: np.array(found) for name, found in losses.items()}, {n: s / len(cut) for n, s in seconds.items()}


def report(title: str, cut: list[Floats], fitted: int) -> None:
    """Measure and print one line."""
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
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=100, help="real windows of each length")
    parser.add_argument("--simulated", type=int, default=25, help="simulated windows of each kind")
    parser.add_argument("--bars", type=int, default=1000, help="bars fitted to")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the library's, of orders that it then discards
    series = real()
    heads = "  ".join(f"{name:>7}" for name in SEARCHES)
    print(f"{'':<24} {'n':>4}  {'RMSE / naive':<25}  {'ours/full':>9}  {'DM p':>5}  {'ms a fit':<25}  {'faster':>7}")
    print(f"{'':<24} {'':>4}  {heads}  {'':>9}  {'':>5}  {heads}")
    with threadpool_limits(limits=1):
        measure(windows(series, 300, 2), 300)  # libraries are imported and kernels compiled before the clock runs
        for bars in (arguments.bars, 300):
            report(f"real, {bars} bars", windows(series, bars, arguments.windows), bars)
        for name, (phi, theta, drift) in SIMULATED.items():
            report(name, simulated(phi, theta, drift, arguments.bars, arguments.simulated), arguments.bars)


if __name__ == "__main__":
    main()
