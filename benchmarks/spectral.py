"""Measure the accuracy of SAMoSSA on several families of series: `python benchmarks/spectral.py`.

Uses windows of 1,000 bars, with eight origins at the end of each, 20 sessions apart, and a horizon of 20 sessions.
Parameters are estimated at the first origin, as in cross-validation. Prints, for each family of series, the root of the
step-scaled loss relative to naive's: on log returns, on log returns with a window twice as long, on log prices about a
line, on the representation that the forecaster chose, and for all series of the family as one group; then the number
of series for which the line was chosen, and milliseconds per ticker. The last line is the example of the paper.
"""

from __future__ import annotations

from datetime import date
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from markets import known, levels
from threadpoolctl import threadpool_limits

from pm.forecast.base import Panel
from pm.forecast.models.samossa import SamossaForecaster
from pm.forecast.spectral import fit_stack
from pm.forecast.spectral.detrending import LineRemoval
from pm.forecast.spectral.prices import LINE, RETURNS, PriceHistory, fit_prices, fit_representation
from pm.statistics.losses import step_scaled_loss

if TYPE_CHECKING:
    from pm.forecast.spectral.prices import Representation
    from pm.typing import FloatArray

WINDOW, HORIZON, SEEDS = 1000, 20, 8
ORIGINS = np.arange(WINDOW - 1 - 8 * HORIZON, WINDOW - HORIZON, HORIZON)
STEPS = np.arange(1, HORIZON + 1)
DAYS = pl.date_range(date(2000, 1, 3), interval="1d", end=date(2010, 1, 1), eager=True)[:WINDOW]

Family = dict[str, "FloatArray"]


def autoregressive(rng: np.random.Generator, phi: float, sigma: float) -> FloatArray:
    """Simulate a window of AR(1) noise."""
    values = np.zeros(WINDOW + 100)
    for t, shock in enumerate(rng.normal(0, sigma, values.size)):
        values[t] = phi * values[t - 1] + shock
    return values[100:]


def simulated() -> dict[str, Family]:
    """Simulate families of log prices with and without structure."""
    families: dict[str, Family] = {}
    t = np.arange(WINDOW)
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        phase = rng.uniform(0, 2 * np.pi, 2)
        month, week = rng.normal(0, 0.03, 21), rng.normal(0, 0.03, 5)
        slopes = 0.003 * rng.choice([-1, 1]) * (-1.0) ** np.searchsorted(np.sort(rng.integers(50, 780, 4)), t)
        long_wave = 0.05 * np.sin(2 * np.pi * t / 61 + phase[1])
        members = {
            "waves 23, 61 + AR(0.6)": 0.1 * np.sin(2 * np.pi * t / 23 + phase[0])
            + long_wave
            + autoregressive(rng, 0.6, 0.01),
            "waves 20, 61 + trend + AR(0.8)": 0.1 * np.sin(2 * np.pi * t / 20 + phase[0])
            + long_wave
            + 0.0005 * t
            + autoregressive(rng, 0.8, 0.01),
            "season 5 + trend + AR(0.5)": week[t % 5] + 0.0003 * t + autoregressive(rng, 0.5, 0.01),
            "season 21 + trend + noise": month[t % 21] + 0.0003 * t + rng.normal(0, 0.01, WINDOW),
            "trend breaks + AR(0.5)": np.cumsum(slopes) + autoregressive(rng, 0.5, 0.005),
            "random walks": np.cumsum(rng.normal(0, 0.015, WINDOW)),
            "random walks, t(3)": np.cumsum(0.01 * rng.standard_t(3, WINDOW)),
        }
        for family, values in members.items():
            families.setdefault(family, {})[f"S{seed}"] = 4.6 + values
    return families


def real() -> dict[str, Family]:
    """Return families of real log prices, divided into windows from the end."""
    return {
        market: {
            f"{ticker}-{end}": np.log(prices[end - WINDOW : end])
            for ticker, prices in members.items()
            for end in range(prices.size, WINDOW - 1, -WINDOW)
        }
        for market, members in levels(known()).items()
    }


def losses(values: FloatArray, forecast: FloatArray) -> tuple[float, float]:
    """Return the step-scaled losses of a forecast and of naive."""
    actual = values[ORIGINS[:, None] + STEPS]
    changes = actual - values[ORIGINS][:, None]
    return float(step_scaled_loss(actual - forecast).mean()), float(step_scaled_loss(changes).mean())


def ratio(pairs: list[tuple[float, float]]) -> float:
    """Return the root of a family's loss relative to naive's."""
    ours, naive = np.mean(pairs, axis=0)
    return float(np.sqrt(ours / naive))


def with_representation(family: Family, representation: Representation) -> float:
    """Return the relative error with one representation."""
    dates, pairs = DAYS.to_numpy(), []
    for ticker, values in family.items():
        first = ORIGINS[0] + 1
        fitted = fit_representation({ticker: PriceHistory(dates[:first], values[:first])}, representation)
        pairs.append(losses(values, fitted.forecast(ticker, values, ORIGINS, HORIZON)))
    return ratio(pairs)


def line_chosen(family: Family) -> int:
    """Return the number of series for which the line is chosen."""
    dates, first = DAYS.to_numpy(), ORIGINS[0] + 1
    fits = [fit_prices({name: PriceHistory(dates[:first], values[:first])}, HORIZON) for name, values in family.items()]
    return sum(isinstance(fitted.detrendings[0], LineRemoval) for fitted in fits)


def with_forecaster(family: Family, *, grouped: bool) -> tuple[float, float]:
    """Return the forecaster's relative error, and its milliseconds per ticker."""
    bars = pl.concat(
        pl.DataFrame({"ticker": [name] * WINDOW, "date": DAYS, "bar": np.arange(WINDOW), "log_price": values})
        for name, values in sorted(family.items())
    )
    groups = {name: "all" for name in family if grouped}
    origins = bars.filter(pl.col("bar").is_in(ORIGINS.tolist())).select("ticker", origin_date="date")
    start = perf_counter()
    forecasts = SamossaForecaster().forecast(Panel(bars, groups), origins, HORIZON)
    seconds = perf_counter() - start
    if forecasts.failures:
        raise SystemExit(str(forecasts.failures))
    shape = (ORIGINS.size, HORIZON)
    pairs = [
        losses(family[str(key[0])], rows["mean"].to_numpy().reshape(shape))
        for key, rows in forecasts.means.group_by("ticker")
    ]
    return ratio(pairs), 1000 * seconds / len(family)


def main() -> None:
    """Run the measurements and print the table."""
    heads = ("series", "returns", "longer", "line", "chosen", "grouped", "line chosen", "ms")
    print(f"{'':<30}" + "".join(f"{head:>12}" for head in heads))
    with threadpool_limits(1):
        for name, family in (simulated() | real()).items():
            chosen, cost = with_forecaster(family, grouped=False)
            together, _ = with_forecaster(family, grouped=True)
            ratios = [with_representation(family, each) for each in (*RETURNS, LINE)] + [chosen, together]
            print(
                f"{name:<30}{len(family):>12}"
                + "".join(f"{value:>12.3f}" for value in ratios)
                + f"{line_chosen(family):>12}{cost:>12.1f}"
            )
    t = np.arange(240.0)
    pair = [np.sin(2 * np.pi * t / 23), 2 * np.cos(2 * np.pi * t / 23) + 0.01 * t]
    fitted = fit_stack([values[:200] for values in pair], rank=4, lags=19)
    largest = max(
        float(np.abs(fitted.forecast(i, values, np.array([199]), 40)[0] - values[200:]).max())
        for i, values in enumerate(pair)
    )
    print(f"Two waves and a trend, 200 bars, horizon 40, 19 lags, rank 4: largest error {largest:.1e}")


if __name__ == "__main__":
    main()
