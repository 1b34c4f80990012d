"""How the forecasts would have done: `python benchmarks/forecast.py`.

Walks through the embedded sample and arch's S&P 500 and NASDAQ, and through simulated random walks, and at each origin
makes the forecast a night's run would have made from the bars up to it. Prints how often intervals held the close that
came, each model's error relative to naive's, what the signals said and what followed, and seconds a ticker. Origins of
one series are a horizon apart, so that the windows forecast do not overlap.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from time import perf_counter

import numpy as np
import polars as pl

from pm.forecast import forecast_tickers
from pm.settings import Settings, load_settings
from pm.signals import decide
from pm.volatility import fit_volatility

STEPS = (1, 5, 10, 20)
LEVELS = {"50%": ("q25", "q75"), "80%": ("q10", "q90"), "90%": ("q05", "q95")}


def real() -> pl.DataFrame:
    """Give the sample's and arch's series: ticker, date, close, adj_factor."""
    from arch.data import nasdaq, sp500

    sample = pl.read_csv(
        (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes(), try_parse_dates=True
    ).select(ticker="Ticker", date="Date", close="Close", adj_factor=pl.col("Adj Close") / pl.col("Close"))
    indices = [
        pl.from_pandas(module.load().reset_index()).select(
            ticker=pl.lit(name), date=pl.col("Date").cast(pl.Date), close="Adj Close", adj_factor=pl.lit(1.0)
        )
        for name, module in (("SP500", sp500), ("NASDAQ", nasdaq))
    ]
    frames: list[pl.DataFrame] = [sample, *indices]
    return pl.concat(frames)


def random_walks(count: int, sessions: int) -> pl.DataFrame:
    """Give geometric random walks without drift, 1.5% a day."""
    rng = np.random.default_rng(7)
    days = pl.date_range(pl.date(2000, 1, 3), pl.date(2000, 1, 3) + pl.duration(days=sessions - 1), eager=True)
    return pl.concat(
        pl.DataFrame(
            {"ticker": f"RW{n:03d}", "date": days, "close": 100 * np.exp(np.cumsum(rng.normal(0, 0.015, sessions)))}
        )
        for n in range(count)
    ).with_columns(adj_factor=pl.lit(1.0))


def walk(prices: pl.DataFrame, settings: Settings, first: int) -> tuple[pl.DataFrame, pl.DataFrame, float]:
    """Forecast each series from every horizon-th bar after the first; give forecasts, signals, seconds an origin."""
    horizon = settings.forecast.horizon
    forecasts, signals = [], []
    served, seconds = 0, 0.0
    for (ticker,), series in prices.sort("date").group_by("ticker", maintain_order=True):
        for origin in range(first - 1, series.height - horizon, horizon):
            past = series.head(origin + 1)
            targets = series.slice(origin + 1, horizon).select(
                "ticker", target_date="date", step=pl.int_range(1, horizon + 1)
            )
            returns = past.select(
                "ticker", "date", log_return=(pl.col("close") * pl.col("adj_factor")).log().diff()
            ).tail(max(settings.volatility.windows))
            start = perf_counter()
            fitted = fit_volatility(returns, settings=settings.volatility, horizon=horizon)
            result = forecast_tickers(
                past.tail(settings.forecast.window),
                fitted.paths,
                targets,
                settings=settings.forecast,
                as_of=past["date"][-1],
            )
            seconds, served = seconds + perf_counter() - start, served + 1
            stamp = {"run_id": pl.lit(str(ticker)), "snapshot_id": pl.lit(0), "cutoff": pl.lit(past["date"][-1])}
            forecasts.append(result.forecasts)
            signals.append(
                decide(
                    result.forecasts.filter(pl.col("model") == "ensemble").with_columns(**stamp),
                    fitted.paths.with_columns(**stamp),
                    settings=settings.signals,
                ).signals
            )
    return pl.concat(forecasts), pl.concat(signals), seconds / max(served, 1)


def with_outcomes(frame: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Add what came: log_outcome, the total log return from the origin to the target date."""
    level = prices.select("ticker", "date", level=(pl.col("close") * pl.col("adj_factor")).log())
    origin = level.rename({"date": "origin_date", "level": "start"})
    target = level.rename({"date": "target_date", "level": "end"})
    return (
        frame.join(origin, on=["ticker", "origin_date"])
        .join(target, on=["ticker", "target_date"])
        .with_columns(log_outcome=pl.col("end") - pl.col("start"))
    )


def report(title: str, prices: pl.DataFrame, settings: Settings, first: int) -> None:
    """Walk and print."""
    forecasts, signals, seconds = walk(prices, settings, first)
    came = with_outcomes(forecasts, prices).with_columns(
        price=pl.col("origin_close") * pl.col("log_outcome").exp(),
        squared=(pl.col("log_outcome") - pl.col("mean_log_return")) ** 2,
    )
    ensemble = came.filter(pl.col("model") == "ensemble")
    print(f"\n{title}: {prices['ticker'].n_unique()} series, {signals.height} origins, {seconds:.3f} s an origin")
    print(f"  {'step':>4}  {'n':>5}  " + "  ".join(f"inside {level}" for level in LEVELS))
    for step in STEPS:
        at = ensemble.filter(pl.col("step") == step)
        shares = [at["price"].is_between(at[low], at[high]).to_numpy().mean() for low, high in LEVELS.values()]
        print(f"  {step:>4}  {at.height:>5}  " + "  ".join(f"{share:>10.3f}" for share in shares))
    naive = came.filter(pl.col("model") == "naive").select("ticker", "origin_date", "step", base="squared")
    ratio = (
        came.join(naive, on=["ticker", "origin_date", "step"])
        .group_by("model")
        .agg(((pl.col("squared") / pl.col("step")).mean() / (pl.col("base") / pl.col("step")).mean()).sqrt())
        .sort("squared")
    )
    print("  RMSE / naive: " + ", ".join(f"{model} {value:.4f}" for model, value in ratio.iter_rows()))
    cost = settings.signals.round_trip_cost_bps / 10_000
    for (action,), part in with_outcomes(signals, prices).sort("action").group_by("action", maintain_order=True):
        gain = (part["log_outcome"].exp() - 1).to_numpy()
        up, down = (gain > cost).mean(), (gain < -cost).mean()
        tallied = f"beyond costs {up:.0%} up, {down:.0%} down"
        print(f"  {action!s:<4} {part.height:>5} times; mean return {gain.mean():+.2%}, {tallied}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--walks", type=int, default=200, help="random walks to simulate")
    arguments = parser.parse_args()
    settings = load_settings()
    report("Real series", real(), settings, first=1000)
    report("Random walks", random_walks(arguments.walks, 1000 + settings.forecast.horizon), settings, first=1000)


if __name__ == "__main__":
    main()
