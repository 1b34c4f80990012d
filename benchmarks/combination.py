"""Compare the combined volatility with each of its members: `python benchmarks/combination.py`.

On some dates, the same for all series, every series is forecast as a run of all of them on that day would have done,
from the bars up to it: by the pool of GARCH models alone, by the panel model alone, and by their combination. Prints
the CRPS relative to that of a random walk with the constant volatility of the last 1,000 sessions, on the same series
and dates; the t statistic, over quarters of a year, of the gain over the pool; the coverage of the 90% interval, also
on the most volatile third of dates and for the tickers lowest in it; the share of outcomes below the median and above
the 95% quantile; and QLIKE against the variance from ranges. `--only unseen` takes other markets, `--folder` files of
bars (Parquet: ticker, date, open, high, low, close, adj_factor), and `--young` only histories of 60 to 249 returns.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import polars as pl
from markets import known, unseen

from pm.parallel import Workers
from pm.settings import Settings, load_settings
from pm.statistics.scores import crps_quantiles
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.volatility import fit_volatility
from pm.volatility.fit import sum_panel
from pm.volatility.panel import fit_panel
from pm.volatility.session_variance import returns_and_ranges

STEPS = (1, 5, 20)
COMBINED, POOL, PANEL, WALK = "combined", "garch_pool", "panel", "walk"
COLUMNS = [quantile_column("r", level) for level in QUANTILES]
NORMAL = [-1.959964, -1.644854, -1.281552, -0.6744898, 0.0, 0.6744898, 1.281552, 1.644854, 1.959964]
STALE = timedelta(days=10)


def forecasts_of(day: date, *, bars: pl.DataFrame, settings: Settings, young: bool) -> pl.DataFrame:
    """Return forecasts of all living series from a day: ticker, model, step, origin_date, sigma, the quantiles."""
    past = bars.filter(pl.col("date") <= day)
    length = pl.len().over("ticker")
    alive = pl.col("date").max().over("ticker") >= day - STALE
    past = past.filter(alive, length > 250 if not young else length > 60)
    if young:
        past = past.group_by("ticker", maintain_order=True).tail(60 + day.toordinal() % 190)
    past = past.group_by("ticker", maintain_order=True).tail(2501)
    if past.is_empty():
        return pl.DataFrame()
    moves = returns_and_ranges(past)
    panel = fit_panel(sum_panel(moves, settings=settings.volatility, as_of=day))
    fit = fit_volatility(moves, settings=settings.volatility, horizon=STEPS[-1], panel=panel)
    own = ["ticker", "step", "origin_date", "cumulative_sigma", *COLUMNS]
    combined = fit.paths.select(*own, "regime", model=pl.lit(COMBINED))
    members = fit.members.join(fit.paths.select("ticker", "step", "regime"), on=["ticker", "step"])
    if young:  # what a ticker has without the panel model
        simple = fit_volatility(moves, settings=settings.volatility, horizon=STEPS[-1]).paths
        members = simple.with_columns(member=pl.lit(POOL))
    return pl.concat([combined, members.select(*own, "regime", model="member")]).filter(pl.col("step").is_in(STEPS))


def with_outcomes(forecasts: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Add the outcome, the constant volatility before the origin, and the realised variance from ranges."""
    level = (pl.col("close") * pl.col("adj_factor")).log()
    moves = returns_and_ranges(bars).select("ticker", "date", "range_variance")
    facts = bars.with_columns(level=level, move=level.diff().over("ticker")).join(
        moves, on=["ticker", "date"], how="left"
    )
    squares = pl.col("move") ** 2
    facts = facts.with_columns(
        constant=squares.rolling_mean(1000, min_samples=20).sqrt().over("ticker"),
        variance=pl.col("range_variance").fill_null(squares),
    )
    parts = []
    for step in STEPS:
        ahead = facts.select(
            "ticker",
            "constant",
            origin_date="date",
            outcome=(pl.col("level").shift(-step) - pl.col("level")).over("ticker"),
            realised=pl.col("variance").rolling_sum(step).shift(-step).over("ticker"),
        )
        parts.append(forecasts.filter(step=step).join(ahead, on=["ticker", "origin_date"]))
    return pl.concat(parts).drop_nulls("outcome").filter(pl.col("constant") > 0)


def evaluate(bars: pl.DataFrame, settings: Settings, *, every: int, young: bool) -> pl.DataFrame:
    """Forecast from every `every`-th day and return the scored forecasts, those of the random walk among them."""
    bars = bars.sort("ticker", "date")
    needed = 80 if young else 270
    dates: list[date] = bars["date"].unique().sort().to_list()
    days = [dates[needed] + timedelta(days=n) for n in range(0, (dates[-1] - dates[needed]).days, every)]
    with Workers("local") as workers:
        compute = partial(forecasts_of, bars=bars, settings=settings, young=young)
        found = [part for part in workers.map(compute, days) if part.height]
    scored = with_outcomes(pl.concat(found), bars)
    scale = pl.col("constant") * pl.col("step").sqrt()
    walk = scored.filter(model=COMBINED).with_columns(
        model=pl.lit(WALK), **{name: scale * z for name, z in zip(COLUMNS, NORMAL, strict=True)}
    )
    scored = pl.concat([scored, walk])
    crps = crps_quantiles(scored.select(COLUMNS).to_numpy(), scored["outcome"].to_numpy(), QUANTILES)
    return scored.with_columns(crps=pl.Series(crps))


def report(title: str, scored: pl.DataFrame, *, ranged: bool) -> None:
    """Print the scores of one market."""
    both = scored.filter(model=POOL).select("ticker", "origin_date", "step")
    scored = scored.join(both, on=["ticker", "origin_date", "step"], how="semi")
    origins = both.filter(step=1).height
    print(f"\n{title}: {both['ticker'].n_unique()} series, {origins:,} origins", flush=True)
    print("  steps  model        gain   t to pool  90%   wild  low   <q50  >q95  QLIKE")
    key = ["ticker", "origin_date", "step"]
    pool = scored.filter(model=POOL).select(*key, pool_crps="crps")
    for step in STEPS:
        own = scored.filter(step=step).join(pool, on=key)
        walk = own.filter(model=WALK).group_by("ticker").agg(walk=pl.col("crps").mean())
        for model in (POOL, PANEL, COMBINED):
            rows = own.filter(model=model)
            if rows.is_empty():
                continue
            ratio = rows.group_by("ticker").agg(pl.col("crps").mean()).join(walk, on="ticker")
            gain = 1 - float((ratio["crps"] / ratio["walk"]).mean())  # type: ignore[arg-type]
            quarters = (
                rows.with_columns(gain=(pl.col("pool_crps") - pl.col("crps")) / pl.col("constant"))
                .group_by(pl.col("origin_date").dt.truncate("1q"))
                .agg(pl.col("gain").mean())["gain"]
                .to_numpy()
            )
            deviation = quarters.std(ddof=1) if len(quarters) > 1 else 0.0
            t = quarters.mean() / deviation * len(quarters) ** 0.5 if deviation else float("nan")
            inside = pl.col("outcome").is_between("r05", "r95")
            covered = rows.select(inside).to_series().mean()
            wild = rows.filter(regime="high").select(inside).to_series().mean()
            low = rows.group_by("ticker").agg(inside=inside.mean(), n=pl.len()).filter(pl.col("n") >= 20)["inside"]
            lowest = low.quantile(0.05) if len(low) else None
            below = rows.select((pl.col("outcome") < pl.col("r50")).mean()).item()
            above = rows.select((pl.col("outcome") > pl.col("r95")).mean()).item()
            variance = pl.col("cumulative_sigma") ** 2
            qlike = rows.select((variance.log() + pl.col("realised") / variance).mean()).item() if ranged else None
            cells = [f"{value:.3f}" if isinstance(value, float) else "   - " for value in (covered, wild, lowest)]
            print(
                f"  {step:>5}  {model:<11} {gain:>6.2%} {t:>9.1f}  "
                + " ".join(cells)
                + f"  {below:.2f}  {above:.3f}"
                + (f"  {qlike:.3f}" if qlike is not None else ""),
                flush=True,
            )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=84, help="number of calendar days between two origins")
    parser.add_argument("--only", choices=["known", "unseen"], default="known")
    parser.add_argument("--folder", type=Path, help="folder of Parquet files, one a market")
    parser.add_argument("--young", action="store_true", help="histories of 60 to 249 returns; the pool is then ewma")
    arguments = parser.parse_args()
    settings = load_settings()
    if arguments.folder:
        markets = {path.stem: pl.read_parquet(path) for path in sorted(arguments.folder.glob("*.parquet"))}
    else:
        markets = unseen() if arguments.only == "unseen" else known()
    for market, bars in markets.items():
        scored = evaluate(bars, settings, every=arguments.every, young=arguments.young)
        report(market, scored, ranged=bars["high"].null_count() < bars.height)


if __name__ == "__main__":
    main()
