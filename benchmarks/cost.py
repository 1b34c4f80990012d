"""What the whole ensemble costs a ticker, and where that goes: `python benchmarks/cost.py [--tickers 100]`.

Volatility and forecast of simulated tickers as one chunk, in this process, on one thread, with the packaged settings
but for the horizon (30 sessions): models, their cross-validation, weights, intervals. Prints milliseconds of processor
time a ticker. What a model costs is told by forecasting with it and naive, and taking off what naive alone costs; a
model of groups (samossa, mssa_cp) is given the groups that a night would form. The lake's reading and writing, which
this leaves out, is in benchmarks/scale.py.
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
"""Milliseconds a ticker."""


def seconds(work: Callable[[], object]) -> float:
    """Give the processor time of a piece of work."""
    start = process_time()
    work()
    return process_time() - start


def main() -> None:
    """Print the table."""
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
    tested = forecasting.origins * forecasting.origin_step + chosen.horizon
    before = returns.filter(pl.int_range(pl.len()).over("ticker") < chosen.bars - tested)
    groups = related_groups(before, correlation=forecasting.group_correlation, size=forecasting.group_size)
    as_of = known["date"].max()
    assert isinstance(as_of, type(known["date"][0]))  # noqa: S101 - there are bars

    def fitted() -> pl.DataFrame:
        return fit_volatility(returns, settings=settings.volatility, horizon=chosen.horizon).paths

    def forecast(models: list[str]) -> None:
        of_models = forecasting.model_copy(update={"models": models})
        result = forecast_tickers(known, paths, later, groups, settings=of_models, as_of=as_of)
        join_results([result], of_models)

    with threadpool_limits(1):
        paths = fitted()
        forecast(forecasting.models)  # compiled and imported before the clock starts
        spent = {"volatility": seconds(fitted), "alone": seconds(lambda: forecast([NAIVE]))}
        others = [model for model in forecasting.models if model != NAIVE]
        spent |= {model: seconds(lambda model=model: forecast([NAIVE, model])) for model in others}  # type: ignore[misc]
        whole = spent["volatility"] + seconds(lambda: forecast(forecasting.models))
    print(f"{chosen.tickers} tickers of {chosen.bars} bars, {chosen.horizon} sessions, {len(groups)} of them in groups")
    print("milliseconds of one core a ticker:")
    cost = {part: 1000.0 * taken / chosen.tickers for part, taken in spent.items()}
    print(f"  {'volatility':<28}{cost['volatility']:>8.1f}")
    print(f"  {'naive, weights, intervals':<28}{cost['alone']:>8.1f}")
    for model in others:
        print(f"  {model:<28}{cost[model] - cost['alone']:>8.1f}")
    print(f"  {'the whole at once':<28}{1000.0 * whole / chosen.tickers:>8.1f}   target {TARGET:.0f}")


if __name__ == "__main__":
    main()
