"""Count the nights with a false discovery among many tickers: `python benchmarks/discoveries.py`.

Each night has its own random walks, by default 431, so that any discovery is false. They are cross-validated with the
packaged settings, and their p-values adjusted together, as stage `signals` does. At a false discovery rate of 10%, a
night has a false discovery with a probability of at most 10% where no ticker has an edge. Prints the share of nights
with one, and the share of single tests that claim an edge.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pm.forecast.cross_validation import backtests, outcomes, rolling_origins, window_overlap
from pm.forecast.model_run import run_model
from pm.forecast.models import forecaster
from pm.forecast.panel import build_panel
from pm.forecast.weights import combine_models, model_weights
from pm.settings import load_settings
from pm.signals import edge_discoveries
from pm.statistics.proportions import wilson

if TYPE_CHECKING:
    from datetime import date

    from pm.settings import ForecastSettings

__all__ = ["night"]

BATCH = 60
"""Number of series that are forecast together, to bound memory."""


def walks(seed: int, count: int, sessions: int) -> pl.DataFrame:
    """Simulate random walks of the log price without drift, of volatilities from 0.5% to 4% a day."""
    rng = np.random.default_rng(seed)
    days = pl.date_range(pl.date(2000, 1, 1), pl.date(2000, 1, 1) + pl.duration(days=sessions - 1), eager=True)
    return pl.concat(
        pl.DataFrame(
            {
                "ticker": f"RW{place:03d}",
                "date": days,
                "close": np.exp(4.6 + np.cumsum(rng.normal(0, rng.uniform(0.005, 0.04), sessions))),
                "adj_factor": 1.0,
            }
        )
        for place in range(count)
    )


def night(prices: pl.DataFrame, settings: ForecastSettings, rate: float) -> pl.DataFrame:
    """Return whether each ticker's edge is a discovery, from `edge_discoveries`."""
    as_of: date = prices["date"].max()  # type: ignore[assignment]
    names = prices["ticker"].unique(maintain_order=True).to_list()
    weights = []
    for start in range(0, len(names), BATCH):
        batch = prices.filter(pl.col("ticker").is_in(names[start : start + BATCH]))
        priced = build_panel(
            batch, as_of=as_of, window=settings.window, horizon=settings.horizon, max_age_days=10**6, min_bars=60
        )
        panel, origins = priced.panel, rolling_origins(priced.panel, settings)
        models = [forecaster(name) for name in settings.models]
        runs = {model.name: run_model(model, panel, priced.last, origins, settings) for model in models}
        tests = backtests(
            panel, pl.concat(run.cross_validated for run in runs.values()), outcomes(panel, origins, settings.horizon)
        )
        ensembles = combine_models(tests, overlap=window_overlap(settings))
        weights.append(model_weights(panel.bar_counts(), ensembles, {name: run.reasons for name, run in runs.items()}))
    return edge_discoveries(pl.concat(weights), rate)


def main() -> None:
    """Run the measurement and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=100, help="number of nights")
    parser.add_argument("--tickers", type=int, default=431, help="number of random walks of a night")
    parser.add_argument("--models", nargs="+", help="models to combine; default: those of the settings")
    chosen = parser.parse_args()
    settings = load_settings()
    forecast = settings.forecast
    if chosen.models:
        forecast = forecast.model_copy(update={"models": chosen.models})
    rate = settings.signals.false_discovery_rate
    found = claimed = 0
    start = time.process_time()
    with threadpool_limits(1):
        for seed in range(chosen.nights):
            edges = night(walks(seed, chosen.tickers, forecast.window), forecast, rate)
            found += edges["discovered"].any()
            claimed += int((edges["edge_p_value"] < 0.05).sum())
    lower, upper = wilson(found, chosen.nights)
    print(
        f"{chosen.nights:,} nights of {chosen.tickers:,} random walks, models {', '.join(forecast.models)}: a false "
        f"discovery on {found / chosen.nights:.1%} of nights (95% interval {lower:.1%} to {upper:.1%}; at most "
        f"{rate:.0%} allowed); p < 5% in {claimed / (chosen.nights * chosen.tickers):.2%} of tests; "
        f"{time.process_time() - start:,.0f} s of processor time"
    )


if __name__ == "__main__":
    main()
