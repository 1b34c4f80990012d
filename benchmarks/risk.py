"""Backtest joint value at risk and expected shortfall on 20 American shares, 1990 to 2022: `python benchmarks/risk.py`.

Risk is forecast before each session from what was known then, and over 5 and 20 sessions before every fifth and
twentieth. Then the same is done with scenarios that take each residual from another date: independent marginals,
which must fail. The shares are those that skfolio ships (extra `bench`).

Options: --every N takes every N-th date only; --horizons 1,5,20; --decay chooses the ratio of the dates' probabilities.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pm.risk.backtests import christoffersen, kupiec, z2
from pm.risk.history import past_models
from pm.risk.measures import portfolio_losses, risk_measure
from pm.risk.scenarios import Scenarios
from pm.settings import load_settings

if TYPE_CHECKING:
    from pm.risk.joint import JointModel
    from pm.typing import DateArray, FloatArray

LEVELS = (0.99, 0.975, 0.95)
FIRST = 1000
"""Number of sessions before the first forecast."""
REFIT = 250
"""Number of sessions between fits of the volatility models."""
LARGEST_DRAWS = 4_000
"""Number of scenarios of independent marginals."""


@dataclass
class Cell:
    """Forecasts of one portfolio, horizon and level, with the losses that followed."""

    losses: list[float]
    var: list[float]
    es: list[float]

    def judged(self, level: float) -> tuple[float, float, float, float]:
        """Return the share of exceptions, the p-values of Kupiec and of independence, and Z2."""
        losses, var, es = (np.asarray(values) for values in (self.losses, self.var, self.es))
        hits = losses > var
        return (
            float(hits.mean()),
            kupiec(int(hits.sum()), len(hits), 1.0 - level).p_value,
            christoffersen(hits, 1.0 - level).independence.p_value,
            z2(losses, var, es, 1.0 - level),
        )


def shares() -> tuple[list[str], DateArray, FloatArray]:
    """Return the tickers, dates and log returns of the shares."""
    from skfolio.datasets import load_sp500_dataset

    prices = load_sp500_dataset()
    returns = np.diff(np.log(prices.to_numpy()), axis=0)
    return list(prices.columns), prices.index.to_numpy().astype("datetime64[D]")[1:], returns


def portfolios(model: JointModel) -> dict[str, FloatArray]:
    """Return the weights of four portfolios: equal, inverse volatility, long against short, and four shares only."""
    count = len(model.tickers)
    places = np.arange(count)
    inverse = 1.0 / model.sigmas
    return {
        "equal": np.full(count, 1.0 / count),
        "inverse volatility": inverse / inverse.sum(),
        "long 10, short 10": np.where(places < count // 2, 2.0 / count, -2.0 / count),
        "first four": np.where(places < 4, 0.25, 0.0),
    }


def independent(model: JointModel) -> Scenarios:
    """Return scenarios of one session in which each ticker's residual is of another date."""
    generator = np.random.default_rng(1)
    count = len(model.probabilities)
    drawn = np.column_stack(
        [
            model.residuals[generator.choice(count, LARGEST_DRAWS, p=model.probabilities), place]
            for place in range(len(model.tickers))
        ]
    )
    equal = np.full(LARGEST_DRAWS, 1.0 / LARGEST_DRAWS)
    return Scenarios(model.tickers, 1, np.expm1(drawn * model.sigmas), equal)


def backtest(horizon: int, *, every: int, decay: float, twin: bool) -> dict[str, dict[tuple[str, float], Cell]]:
    """Return the cells of joint scenarios, and of independent marginals if asked for."""
    tickers, dates, returns = shares()
    settings = load_settings()
    risk = settings.risk.model_copy(update={"decay": decay})
    rows = range(FIRST, len(returns) - horizon + 1, horizon * every)
    found: dict[str, dict[tuple[str, float], Cell]] = {"joint": {}, **({"independent": {}} if twin else {})}
    models = past_models(returns, dates, tickers, rows, volatility=settings.volatility, settings=risk, refit=REFIT)
    for past in models:
        outcome = np.expm1(returns[past.row : past.row + horizon].sum(axis=0))
        drawn = {"joint": past.model.scenarios([horizon], paths=risk.paths, seed=risk.seed)[horizon]}
        if twin:
            drawn["independent"] = independent(past.model)
        for name, scenarios in drawn.items():
            for portfolio, weights in portfolios(past.model).items():
                losses = portfolio_losses(scenarios, weights)
                for level in LEVELS:
                    measure = risk_measure(losses, scenarios.probabilities, level)
                    cell = found[name].setdefault((portfolio, level), Cell([], [], []))
                    cell.losses.append(-float(outcome @ weights))
                    cell.var.append(measure.var)
                    cell.es.append(measure.es)
    return found


def main() -> None:
    """Print a table for each horizon."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--horizons", default="1,5,20")
    parser.add_argument("--decay", type=float, default=load_settings().risk.decay)
    options = parser.parse_args()
    for horizon in map(int, options.horizons.split(",")):
        start = time.perf_counter()
        found = backtest(horizon, every=options.every, decay=options.decay, twin=horizon == 1)
        for name, cells in found.items():
            print(f"\n{horizon} session(s), {name}, decay {options.decay}")
            print("portfolio            level  forecasts  exceeded  Kupiec p  independence p     Z2")
            passed = [0, 0, 0]
            for (portfolio, level), cell in cells.items():
                share, kupiec_p, independence_p, statistic = cell.judged(level)
                passed = [
                    count + held
                    for count, held in zip(
                        passed, (kupiec_p > 0.05, independence_p > 0.01, abs(statistic) < 0.15), strict=True
                    )
                ]
                print(
                    f"{portfolio:20} {level:6.3f} {len(cell.losses):10,} {share:9.2%} {kupiec_p:9.3f} "
                    f"{independence_p:15.4f} {statistic:6.2f}"
                )
            print(
                f"of {len(cells)} cells: Kupiec p > .05 {passed[0]}, independence p > .01 {passed[1]}, "
                f"|Z2| < .15 {passed[2]}"
            )
        print(f"{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
