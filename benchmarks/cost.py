"""Measure the processor time of the ensemble per ticker, by model: `python benchmarks/cost.py [--tickers 100]`.

Estimates the volatility of simulated tickers and forecasts them as one chunk, in one thread of this process, with the
packaged settings except for the horizon (30 sessions): models, cross-validation, weights and intervals. Prints
milliseconds of processor time per ticker. The cost of a model is that of forecasts with it and naive minus that of
naive alone. Models of related tickers (samossa, mssa_cp) get the groups that a run would form. Reading from and writing
to the lake is not included; see benchmarks/scale.py.
"""

from __future__ import annotations

import argparse
from time import process_time
from typing import TYPE_CHECKING

import polars as pl
from scale import simulated
from threadpoolctl import threadpool_limits

from pm.forecast import forecast_tickers, join_results
from pm.forecast.base import NAIVE
from pm.forecast.groups import related_groups
from pm.prices import log_returns
from pm.settings import load_settings
from pm.volatility import fit_volatility

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = 250.0
"""Target for the processor time, in milliseconds per ticker."""


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a function, in seconds."""
    start = process_time()
    work()
    return process_time() - start


def main() -> None:
    """Run the measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tickers", type=int, default=100)
    parser.add_argument("--bars", type=int, default=1000)
    parser.add_argument("--horizon", type=int, default=30)
    chosen = parser.parse_args()
    settings = load_settings()
    forecasting = settings.forecast.model_copy(update={"horizon": chosen.horizon})
    prices = simulated(chosen.tickers, chosen.bars + chosen.horizon).with_columns(adj_factor=pl.lit(1.0))
    number = pl.int_range(pl.len()).over("ticker")
    known = prices.filter(number < chosen.bars)
    later = prices.filter(number >= chosen.bars).select(
        "ticker", target_date="date", step=pl.int_range(1, pl.len() + 1).over("ticker")
    )
    returns = log_returns(known)
    cross_validated = forecasting.origins * forecasting.origin_step + chosen.horizon
    before = returns.filter(pl.int_range(pl.len()).over("ticker") < chosen.bars - cross_validated)
    groups = related_groups(before, correlation=forecasting.group_correlation, size=forecasting.group_size)
    as_of = known["date"].max()
    assert isinstance(as_of, type(known["date"][0]))  # noqa: S101 - there are bars

    def estimate_volatility() -> pl.DataFrame:
        return fit_volatility(returns, settings=settings.volatility, horizon=chosen.horizon).paths

    def forecast(models: list[str]) -> None:
        of_models = forecasting.model_copy(update={"models": models})
        result = forecast_tickers(known, paths, later, groups, settings=of_models, as_of=as_of)
        join_results([result], of_models)

    with threadpool_limits(1):
        paths = estimate_volatility()
        forecast(forecasting.models)  # compiles and imports everything before the measurement
        spent = {"volatility": seconds(estimate_volatility), "alone": seconds(lambda: forecast([NAIVE]))}
        others = [model for model in forecasting.models if model != NAIVE]
        spent |= {model: seconds(lambda model=model: forecast([NAIVE, model])) for model in others}  # type: ignore[misc]
        whole = spent["volatility"] + seconds(lambda: forecast(forecasting.models))
    print(
        f"{chosen.tickers:,} tickers with {chosen.bars:,} bars, {len(groups):,} of them in groups; "
        f"horizon of {chosen.horizon} sessions"
    )
    print("Processor time in milliseconds per ticker:")
    cost = {part: 1000.0 * taken / chosen.tickers for part, taken in spent.items()}
    print(f"  {'volatility':<28}{cost['volatility']:>8.1f}")
    print(f"  {'naive, weights, intervals':<28}{cost['alone']:>8.1f}")
    for model in others:
        print(f"  {model:<28}{cost[model] - cost['alone']:>8.1f}")
    print(f"  {'everything together':<28}{1000.0 * whole / chosen.tickers:>8.1f}   target {TARGET:.0f}")


if __name__ == "__main__":
    main()
