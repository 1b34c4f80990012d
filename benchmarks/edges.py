"""Count the edges that the ensemble claims, and what they are worth: `python benchmarks/edges.py`.

Series are random walks (normal, and GARCH with Student's t), series with structure, and, as of every 60th session, the
real series of benchmarks/markets.py. Each is cross-validated with the packaged settings, and then forecast over the
next horizon. Prints the share of series with an edge (on random walks, a false one), the number of edges that the
ensemble's own row of table `model_weights` contradicts (a p-value of 5% or more, or an RMSE that chance could give),
and the RMSE of the next horizon relative to naive's where an edge was claimed. `--only unseen` takes real series that
nothing was chosen by.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from forecast import garch_t, random_walks, structured
from markets import known, unseen
from threadpoolctl import threadpool_limits

from pm.forecast.cross_validation import backtests, outcomes, rolling_origins, score_models, window_overlap
from pm.forecast.model_run import run_model
from pm.forecast.models import forecaster
from pm.forecast.panel import build_panel
from pm.forecast.stacking import SIGNIFICANCE, largest_relative_loss
from pm.forecast.weights import ENSEMBLE, combine_models
from pm.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from pm.settings import ForecastSettings

BATCH = 50
"""Number of series that are forecast together, to bound memory."""


def as_of_every(prices: pl.DataFrame, *, first: int, every: int, horizon: int) -> pl.DataFrame:
    """Return a series for every `every`-th session of each series, up to a horizon after it, named by its place."""
    parts = [
        own.slice(0, end + horizon)
        .tail(first + horizon)
        .with_columns(ticker=pl.format("{} at {}", "ticker", pl.lit(end)))
        for own in prices.sort("ticker", "date").partition_by("ticker", maintain_order=True)
        for end in range(first, own.height - horizon + 1, every)
    ]
    return pl.concat(parts)


def claims(prices: pl.DataFrame, settings: ForecastSettings) -> Iterator[tuple[bool, bool, float, float]]:
    """Yield for each series whether it has an edge, whether its row denies it, and squared errors: ours and naive's."""
    overlap, horizon = window_overlap(settings), settings.horizon
    number = pl.int_range(pl.len()).over("ticker")
    past, later = prices.filter(number < pl.len().over("ticker") - horizon), prices
    as_of: date = prices["date"].max()  # type: ignore[assignment]
    priced = build_panel(
        past, as_of=as_of, window=settings.window, horizon=horizon, max_age_days=10**6, min_bars=settings.window
    )
    origins = rolling_origins(priced.panel, settings)
    models = [forecaster(name, policy=None) for name in settings.models]
    runs = [run_model(model, priced.panel, priced.last, origins, settings) for model in models]
    tests = backtests(
        priced.panel, pl.concat(run.cross_validated for run in runs), outcomes(priced.panel, origins, horizon)
    )
    current = pl.concat(run.current for run in runs)
    for ticker, ensemble in combine_models(tests, overlap=overlap).items():
        own = score_models(ensemble.backtest, overlap=overlap)[ENSEMBLE]
        p_value, relative = own["dm_p_value"], own["relative_rmse"]
        largest = largest_relative_loss(len(ensemble.backtest.origin_dates) / overlap)
        denied = p_value is None or p_value >= SIGNIFICANCE or relative is None or relative**2 >= largest
        mean = np.zeros(horizon)
        for (model,), rows in current.filter(ticker=ticker).partition_by("model", as_dict=True).items():
            mean += ensemble.weights.get(str(model), 0.0) * rows.sort("step")["mean_log_return"].to_numpy()
        levels = later.filter(ticker=ticker).select((pl.col("close") * pl.col("adj_factor")).log())
        path = levels.to_series().to_numpy()[-horizon - 1 :]
        actual, steps = path[1:] - path[0], np.arange(1, horizon + 1)
        yield ensemble.edge, denied, float(((actual - mean) ** 2 / steps).mean()), float((actual**2 / steps).mean())


def report(title: str, prices: pl.DataFrame, settings: ForecastSettings) -> None:
    """Print the claims for some series."""
    names = prices["ticker"].unique(maintain_order=True).to_list()
    found = []
    for start in range(0, len(names), BATCH):
        batch = prices.filter(pl.col("ticker").is_in(names[start : start + BATCH]))
        found += list(claims(batch, settings))
    edge, denied, ours, naive = (np.array(column) for column in zip(*found, strict=True))
    worth = np.sqrt((ours[edge] / naive[edge]).mean()) if edge.any() else float("nan")
    error = np.sqrt(edge.mean() * (1 - edge.mean()) / len(edge))
    print(
        f"{title:<24} {len(edge):>6,} series; edge {edge.mean():>6.1%} ± {error:.1%}; "
        f"{(edge & denied).sum():>4} of {edge.sum():>4} edges denied by their row; next RMSE / naive {worth:.3f}",
        flush=True,
    )


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulated", type=int, default=500, help="number of random walks of each kind")
    parser.add_argument("--every", type=int, default=60, help="number of sessions between two dates of a real series")
    parser.add_argument("--models", nargs="+", help="models to combine; default: those of the settings")
    parser.add_argument("--only", choices=["unseen"], help="evaluate only these series")
    chosen = parser.parse_args()
    settings = load_settings().forecast
    if chosen.models:
        settings = settings.model_copy(update={"models": chosen.models})
    sessions = settings.window + settings.horizon
    dated = {"first": settings.window, "every": chosen.every, "horizon": settings.horizon}
    if chosen.only:
        with threadpool_limits(1):
            for market, prices in unseen().items():
                report(market.capitalize(), as_of_every(prices, **dated), settings)
        return
    with threadpool_limits(1):
        report("Structured", structured(sessions), settings)
        report("Random walks", random_walks(chosen.simulated, sessions), settings)
        report("GARCH with Student's t", garch_t(chosen.simulated, sessions), settings)
        report("Real series", as_of_every(pl.concat(known().values(), how="diagonal"), **dated), settings)


if __name__ == "__main__":
    main()
