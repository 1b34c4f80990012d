"""Evaluate past forecasts of real and simulated series: `python benchmarks/forecast.py`.

Real series are the embedded sample, the indices that arch ships, and skfolio's 20 US shares; with `--only unseen`, they
are others that no choice was based on. At every 60th session after the first 1,000, each series is forecast as a run of
it alone on that day would have done, from the bars up to it: the volatility is that of its pool of GARCH models and of
the panel model, whose shipped coefficients one ticker hardly moves. Prints the coverage of the intervals, also for each
series' most volatile third of origins; the CRPS relative to that of a random walk with the constant volatility of the
last 1,000 sessions, and to that of GARCH(1,1) with historical simulation; errors relative to naive's; how often the
ensemble was in the model confidence set; and the signals with the returns that followed. Simulated series have a known
distribution: GARCH with Student's t, random walks, and series with structure.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import polars as pl
from markets import known, unseen

from pm.forecast import forecast_tickers
from pm.parallel import Workers
from pm.seeding import ticker_generator
from pm.settings import Settings, load_settings
from pm.signals import decide
from pm.statistics.bootstrap import stationary_bootstrap
from pm.statistics.confidence_set import CONFIDENCE_SET_SIZE, model_confidence_set
from pm.statistics.diebold_mariano import DieboldMariano, diebold_mariano
from pm.statistics.scores import crps_quantiles
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility import fit_volatility
from pm.volatility.base import VolatilityEstimate
from pm.volatility.fit import sum_panel
from pm.volatility.garch import GARCH_MODELS
from pm.volatility.panel import fit_panel
from pm.volatility.session_variance import returns_and_ranges
from pm.volatility.simulate import latin_hypercube, simulate_cumulative_returns

STEPS = (1, 5, 20)
LEVELS = {"50%": ("q25", "q75"), "80%": ("q10", "q90"), "90%": ("q05", "q95"), "95%": ("q025", "q975")}
GARCH_HS = "garch_hs"
QUANTILE_COLUMNS = [quantile_column("q", level) for level in QUANTILES]


def _frame(name: str, log_prices: np.ndarray) -> pl.DataFrame:
    days = pl.date_range(pl.date(2000, 1, 3), pl.date(2000, 1, 3) + pl.duration(days=len(log_prices) - 1), eager=True)
    return pl.DataFrame({"ticker": name, "date": days, "close": np.exp(log_prices), "adj_factor": 1.0})


def garch_t(count: int, sessions: int) -> pl.DataFrame:
    """Simulate GARCH(1,1) with Student's t of 6 degrees of freedom and a volatility of about 1.5% a day."""
    rng = np.random.default_rng(11)
    frames = []
    for n in range(count):
        h, returns = 2.25e-4, np.empty(sessions + 500)
        for t in range(len(returns)):
            returns[t] = np.sqrt(h) * rng.standard_t(6) / np.sqrt(1.5)
            h = 4.5e-6 + 0.08 * returns[t] ** 2 + 0.9 * h
        frames.append(_frame(f"G{n:03d}", 4.6 + np.cumsum(returns[500:])))
    return pl.concat(frames)


def random_walks(count: int, sessions: int) -> pl.DataFrame:
    """Simulate random walks of the log price without drift, with a volatility of 1.5% a day."""
    rng = np.random.default_rng(7)
    return pl.concat(_frame(f"RW{n:03d}", 4.6 + np.cumsum(rng.normal(0, 0.015, sessions))) for n in range(count))


def structured(sessions: int) -> pl.DataFrame:
    """Simulate log prices with waves and autoregressive noise, a season, and trends that break often or rarely."""
    rng, t = np.random.default_rng(5), np.arange(sessions)
    frames = []
    for n in range(8):
        noise = np.zeros(sessions)
        for k in range(1, sessions):
            noise[k] = 0.6 * noise[k - 1] + rng.normal(0, 0.01)
        waves = 0.10 * np.sin(2 * np.pi * t / (29 + 3 * n)) + 0.05 * np.cos(2 * np.pi * t / (73 + 5 * n))
        season = 0.08 * np.sin(2 * np.pi * t / 63 + n) + 0.04 * np.sin(4 * np.pi * t / 63)
        slopes = np.repeat(rng.normal(0, 0.004, sessions // 150 + 1), 150)[:sessions]
        frames += [
            _frame(f"{n} of waves", 4.6 + waves + noise),
            _frame(f"{n} of seasons", 4.6 + season + noise),
            _frame(f"{n} of breaks", 4.6 + np.cumsum(slopes) + noise),
        ]
        breaks = np.sort(rng.choice(np.arange(150, sessions - 100), 3, replace=False))
        steep = rng.choice([-1, 1], 4) * rng.uniform(0.003, 0.008, 4)
        frames.append(_frame(f"{n} of turns", 4.6 + np.cumsum(steep[np.searchsorted(breaks, t, side="right")]) + noise))
    return pl.concat(frames)


def forecast_series(
    series: pl.DataFrame, *, settings: Settings, first: int, every: int
) -> tuple[pl.DataFrame, pl.DataFrame, float]:
    """Forecast one series from every `every`-th session; return forecasts, signals, and seconds per origin."""
    horizon = settings.forecast.horizon
    forecasts, signals, seconds = [], [], 0.0
    ticker = series["ticker"][0]
    missing = [pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low") if name not in series.columns]
    series = series.with_columns(missing)
    origins = range(first - 1, series.height - horizon, every)
    for origin in origins:
        past = series.slice(0, origin + 1)
        targets = series.slice(origin + 1, horizon).select(
            "ticker", target_date="date", step=pl.int_range(1, horizon + 1)
        )
        returns = returns_and_ranges(past.tail(max(settings.volatility.windows) + 1))
        start = perf_counter()
        panel = fit_panel(sum_panel(returns, settings=settings.volatility, as_of=past["date"][-1]))
        fitted = fit_volatility(returns, settings=settings.volatility, horizon=horizon, panel=panel)
        result = forecast_tickers(
            past.tail(settings.forecast.window),
            fitted.paths,
            targets,
            settings=settings.forecast,
            as_of=past["date"][-1],
        )
        seconds += perf_counter() - start
        stamp = {"run_id": pl.lit(str(ticker)), "snapshot_id": pl.lit(0), "cutoff": pl.lit(past["date"][-1])}
        if result.forecasts.is_empty():
            continue
        verdict = result.weights.filter(model="ensemble").select("ticker", "verdict", "in_confidence_set")
        forecasts.append(
            pl.concat([result.forecasts, garch_hs(returns, result.forecasts)])
            .filter(pl.col("step").is_in(STEPS) | (pl.col("model") == "ensemble"))
            .join(verdict, on="ticker")
        )
        signals.append(
            decide(
                result.forecasts.filter(model="ensemble").with_columns(**stamp),
                fitted.paths.with_columns(**stamp),
                settings=settings.signals,
            ).signals
        )
    if not forecasts:
        return pl.DataFrame(), pl.DataFrame(), 0.0
    return (
        with_outcomes(pl.concat(forecasts), series),
        with_outcomes(pl.concat(signals), series),
        seconds / len(origins),
    )


def garch_hs(returns: pl.DataFrame, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return forecasts by GARCH(1,1) of the last 1,000 returns with filtered historical simulation and no drift."""
    own = forecasts.filter(model="martingale")
    values = returns["log_return"].drop_nulls().tail(1000).to_numpy()
    fit = GARCH_MODELS["garch"].fit({"": values})[""]
    if not isinstance(fit, VolatilityEstimate):
        return own.with_columns(model=pl.lit(GARCH_HS))
    paths = simulate_cumulative_returns([fit], latin_hypercube(own.height, 5000, ticker_generator(1, own["ticker"][0])))
    quantiles = np.exp(np.quantile(paths, QUANTILES, axis=1)) * own["origin_close"][0]
    columns = {name: quantiles[i] for i, name in enumerate(QUANTILE_COLUMNS)}
    return own.with_columns(model=pl.lit(GARCH_HS), **{name: pl.Series(column) for name, column in columns.items()})


def with_outcomes(frame: pl.DataFrame, prices: pl.DataFrame) -> pl.DataFrame:
    """Add columns `outcome`, the log return from the origin to the target date, and `trailing`, a past volatility."""
    level = prices.select("ticker", "date", level=(pl.col("close") * pl.col("adj_factor")).log())
    trailing = level.with_columns(trailing=pl.col("level").diff().rolling_std(20).over("ticker"))
    origin = trailing.rename({"date": "origin_date", "level": "start"})
    target = level.rename({"date": "target_date", "level": "end"})
    return (
        frame.join(origin, on=["ticker", "origin_date"])
        .join(target, on=["ticker", "target_date"])
        .with_columns(outcome=pl.col("end") - pl.col("start"))
    )


def evaluate(prices: pl.DataFrame, settings: Settings, *, first: int, every: int) -> Evaluation:
    """Forecast all series with one process per core."""
    series = prices.sort("ticker", "date").partition_by("ticker", maintain_order=True)
    long = [own for own in series if own.height >= first + settings.forecast.horizon]
    with Workers("local") as workers:
        parts = list(workers.map(partial(forecast_series, settings=settings, first=first, every=every), long))
    scored = pl.concat(part[0] for part in parts if part[0].height)
    quantiles = np.log(scored.select(QUANTILE_COLUMNS).to_numpy() / scored["origin_close"].to_numpy()[:, None])
    crps = crps_quantiles(quantiles, scored["outcome"].to_numpy(), QUANTILES)
    constant = scored.filter(model="martingale", step=1).select("ticker", "origin_date", constant="sigma")
    return Evaluation(
        scored.with_columns(crps=pl.Series(crps), error=pl.col("mean_log_return") - pl.col("outcome")).join(
            constant, on=["ticker", "origin_date"]
        ),
        pl.concat(part[1] for part in parts if part[1].height),
        float(np.mean([part[2] for part in parts])),
    )


def inside(frame: pl.DataFrame, level: str) -> np.ndarray:
    """Return for each forecast whether its interval contains the realised price."""
    low, high = LEVELS[level]
    price = pl.col("origin_close") * pl.col("outcome").exp()
    return frame.select(price.is_between(low, high)).to_series().to_numpy()


def coverage(ensemble: pl.DataFrame, steps: tuple[int, ...] = STEPS) -> None:
    """Print the coverage of the intervals, and that of the most volatile third of origins, if there are many."""
    several = ensemble.filter(step=1).height >= 3 * ensemble["ticker"].n_unique()
    top = ensemble.with_columns(volatile=(pl.col("trailing") > pl.col("trailing").quantile(2 / 3)).over("ticker"))
    print(f"  {'step':>4}  {'n':>5}  " + "  ".join(f"inside {level}" for level in LEVELS), end="")
    print("   most volatile third: 90%    95%" if several else "")
    for step in steps:
        at, volatile = top.filter(step=step), top.filter(step=step, volatile=True)
        shares = "  ".join(f"{inside(at, level).mean():>10.3f}" for level in LEVELS)
        last = f"{inside(volatile, '90%').mean():>25.3f}  {inside(volatile, '95%').mean():.3f}" if several else ""
        print(f"  {step:>4}  {at.height:>5}  {shares}  {last}".rstrip())


def relative_crps(scored: pl.DataFrame, model: str, step: int) -> tuple[float, DieboldMariano]:
    """Return the mean of the series' ratios of the ensemble's CRPS to another model's, and a test of the difference.

    Because series move together, the mean over the origins of a quarter counts as one observation in the test.
    """
    pair = (
        scored.filter(step=step, model="ensemble")
        .join(scored.filter(step=step, model=model), on=["ticker", "origin_date"], suffix="_base")
        .with_columns(gain=(pl.col("crps_base") - pl.col("crps")) / pl.col("constant"))
    )
    by_ticker = pair.group_by("ticker").agg(pl.col("crps").mean() / pl.col("crps_base").mean())
    by_quarter = pair.group_by(pl.col("origin_date").dt.truncate("1q")).agg(pl.col("gain").mean()).sort("origin_date")
    test = diebold_mariano(by_quarter["gain"].to_numpy(), overlap=1, alternative="greater")
    return float(by_ticker["crps"].to_numpy().mean()), test


@dataclass(frozen=True)
class Evaluation:
    """Forecasts and signals with realised returns, and the seconds per origin."""

    scored: pl.DataFrame
    signals: pl.DataFrame
    seconds: float

    def of(self, market: str) -> Evaluation:
        """Return the evaluation of one market."""
        own = pl.col("ticker").str.ends_with(f" of {market}")
        return Evaluation(self.scored.filter(own), self.signals.filter(own), self.seconds)


def report(title: str, evaluation: Evaluation, settings: Settings, steps: tuple[int, ...] = STEPS) -> None:
    """Print the results of an evaluation."""
    scored = evaluation.scored
    ensemble = scored.filter(model="ensemble")
    origins = ensemble.filter(step=1)
    series = origins["ticker"].n_unique()
    print(
        f"\n{title}: {series:,} series, {origins.height:,} origins, {evaluation.seconds:.3f} s per origin", flush=True
    )
    coverage(ensemble, steps)
    for step in STEPS:
        for model, name in (("martingale", "random walk"), (GARCH_HS, "GARCH with historical simulation")):
            ratio, test = relative_crps(scored, model, step)
            tested = "" if np.isnan(test.statistic) else f"; DM {test.statistic:+.1f}, p = {test.p_value:.3f}"
            print(f"  CRPS at step {step:>2} relative to {name}: {ratio - 1:+.1%}{tested}")
    standard = (pl.col("error") / pl.col("constant")) ** 2 / pl.col("step")
    by_ticker = scored.filter(pl.col("step").is_in(STEPS)).group_by("model", "ticker").agg(rmse=standard.mean().sqrt())
    naive = by_ticker.filter(model="naive").select("ticker", base="rmse")
    ratios = by_ticker.join(naive, on="ticker").group_by("model").agg((pl.col("rmse") / pl.col("base")).median())
    shown = ratios.filter(~pl.col("model").is_in([GARCH_HS, "martingale"])).sort("rmse", "model")
    print("  median of RMSE / naive: " + ", ".join(f"{model} {value:.4f}" for model, value in shown.iter_rows()))
    edge = origins.select((pl.col("verdict") == "edge").mean()).item()
    claimed = scored.filter(pl.col("step").is_in(STEPS), verdict="edge").group_by("model").agg(standard.mean())
    squares = dict(claimed.iter_rows())
    kept = origins.select(pl.col("in_confidence_set").cast(pl.Float64).mean()).item()
    print(f"  edge claimed at {edge:.1%} of origins; ensemble in the 10% confidence set at {kept:.1%} of them")
    if squares:
        print(f"  RMSE / naive at origins with an edge: {np.sqrt(squares['ensemble'] / squares['naive']):.4f}")
    if origins.height >= 8 * series:
        shares = ", ".join(f"{in_confidence_set(scored, step):.1%} at step {step}" for step in STEPS)
        print(f"  share of series with the ensemble in the 10% confidence set of realised errors: {shares}")
    cost = settings.signals.round_trip_cost
    for action in ("BUY", "SELL", "HOLD"):
        gain = evaluation.signals.filter(action=action).select(pl.col("outcome").exp() - 1).to_series().to_numpy()
        if len(gain):
            up, down = np.mean(gain > cost), np.mean(gain < -cost)
            shares = f"{up:.0%} gained and {down:.0%} lost more than the costs"
            print(f"  {action:<4} {len(gain):>5}; mean return {gain.mean():+.2%}; {shares}")


def in_confidence_set(scored: pl.DataFrame, step: int) -> float:
    """Return the share of series whose ensemble is in the model confidence set of squared errors at a step."""
    found = []
    own = scored.filter(step=step).filter(~pl.col("model").is_in([GARCH_HS, "martingale"]))
    for rows in own.partition_by("ticker", maintain_order=True):
        loss = rows.with_columns(loss=(pl.col("error") / pl.col("constant")) ** 2)
        losses = loss.pivot("model", index="origin_date", values="loss").drop_nulls().drop("origin_date")
        draws = stationary_bootstrap(losses.height, block=2, reps=1000, generator=np.random.default_rng(1))
        kept = model_confidence_set(losses.to_numpy(), draws)
        found.append(bool(kept[losses.columns.index("ensemble")] > CONFIDENCE_SET_SIZE))
    return float(np.mean(found))


def main() -> None:
    """Run the evaluations and print their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=60, help="number of sessions between two origins of a real series")
    parser.add_argument("--simulated", type=int, default=200, help="number of simulated series of each kind")
    parser.add_argument("--only", choices=["real", "unseen", "simulated"], help="evaluate only these series")
    arguments = parser.parse_args()
    settings = load_settings()
    if arguments.only != "simulated":
        markets = unseen() if arguments.only == "unseen" else known()
        named = [rows.with_columns(pl.col("ticker") + f" of {market}") for market, rows in markets.items()]
        evaluation = evaluate(pl.concat(named), settings, first=1000, every=arguments.every)
        report("All real series", evaluation, settings)
        for market in markets:
            report(market.capitalize(), evaluation.of(market), settings)
    if arguments.only in (None, "simulated"):
        count = arguments.simulated
        longer = settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"horizon": 30})})
        evaluation = evaluate(garch_t(count, 1530), longer, first=1500, every=30)
        report("GARCH with Student's t", evaluation, longer, steps=(1, 5, 10, 20, 30))
        report("Random walks", evaluate(random_walks(count, 1030), settings, first=1000, every=30), settings)
        structure = evaluate(structured(1100), settings, first=1000, every=20)
        report("Structured series", structure, settings)
        for kind in ("waves", "seasons", "breaks", "turns"):
            report(kind.capitalize(), structure.of(kind), settings)


if __name__ == "__main__":
    main()
