"""Test the model of relative returns on real and simulated universes: `python benchmarks/relative.py`.

Each universe is judged as a run on its last day would judge it: by regressions that walk forward over past dates.
Prints the rank correlation (information coefficient) of forecast and realised relative returns with its t statistic,
the t statistic of Fama and MacBeth, the mean squared error relative to equal returns with its Diebold-Mariano p-value,
the weight that the ensembles would give the model, and the features by their importance. `--folder` takes files of bars
(Parquet: ticker, date, close, adj_factor, and where there are any open, high, low, volume), one a universe;
`--simulated` the number of universes of 20 random walks that share a factor, in which any weight is wrong.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import polars as pl
from markets import known

from pm.features import compute_features
from pm.forecast.relative.cross_section import REGRESSORS, cross_section_dates
from pm.forecast.relative.model import RelativeModel, relative_model
from pm.forecast.stacking import SIGNIFICANCE
from pm.settings import load_settings

__all__ = ["judge"]

SHOWN = 4
"""Number of features shown."""


def judge(bars: pl.DataFrame, horizon: int) -> RelativeModel:
    """Return the model of a universe on its last day."""
    missing = [pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "volume") if name not in bars]
    whole = bars.with_columns(missing).sort("ticker", "date")
    as_of = max(whole["date"].to_list())
    dates = cross_section_dates(whole, as_of)
    features = compute_features(whole).filter(pl.col("date").is_in(dates))
    return relative_model(features, whole, dates, as_of=as_of, horizon=horizon)


def walks(seed: int, tickers: int = 20, sessions: int = 2500) -> pl.DataFrame:
    """Simulate random walks that share a factor, of volatilities from 1% to 3%."""
    rng = np.random.default_rng(seed)
    days = pl.date_range(pl.date(2000, 1, 1), pl.date(2000, 1, 1) + pl.duration(days=sessions - 1), eager=True)
    common = rng.normal(0, 0.01, sessions)
    return pl.concat(
        pl.DataFrame(
            {
                "ticker": f"W{place:02d}",
                "date": days,
                "close": 100 * np.exp(np.cumsum(common + rng.uniform(0.01, 0.03) * rng.standard_t(5, sessions))),
                "adj_factor": 1.0,
            }
        )
        for place in range(tickers)
    )


def report(title: str, model: RelativeModel) -> None:
    """Print what the model of a universe was worth."""
    print(f"{title}: {len(model.tickers)} tickers; {model.reason}")
    if np.isnan(model.slope.t):
        return
    print(
        f"  rank correlation {model.rank_correlation.mean:+.3f} (t {model.rank_correlation.t:+.1f}), "
        f"Fama-MacBeth t {model.slope.t:+.1f}, Diebold-Mariano p {model.test.p_value:.3f}, weight {model.weight:.2f}"
    )
    order = np.argsort(-np.nan_to_num(np.abs(model.importance)))[:SHOWN]
    shown = (f"{REGRESSORS[n]} {model.importance[n]:.0%} (t {model.feature_slopes[n].t:+.1f})" for n in order)
    print("  " + ", ".join(shown), flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="folder of Parquet files, one a universe")
    parser.add_argument("--simulated", type=int, default=20, help="number of universes of random walks")
    arguments = parser.parse_args()
    horizon = load_settings().forecast.horizon
    if arguments.folder:
        universes = {path.stem: pl.read_parquet(path) for path in sorted(arguments.folder.glob("*.parquet"))}
    else:
        universes = known()
        universes["all of them"] = pl.concat(universes.values(), how="diagonal")
    start = time.process_time()
    for title, bars in universes.items():
        report(title.capitalize(), judge(bars, horizon))
    found = [judge(walks(seed), horizon) for seed in range(arguments.simulated)]
    weighted = sum(one.weight > 0 for one in found)
    passed = sum(one.test.p_value < SIGNIFICANCE for one in found)
    print(
        f"{len(found)} universes of random walks: p below 5% in {passed}, weight in {weighted}; "
        f"{time.process_time() - start:.0f} s of processor time"
    )


if __name__ == "__main__":
    main()
