"""Compare the measures of returns with those of empyrical and quantstats, in an environment of their own.

    python benchmarks/performance.py ENV/bin/python    ENV has empyrical-reloaded and quantstats

Series: the S&P 500 that package arch contains, and 200 random ones of 30 to 3,000 returns with tails and drift.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from arch.data import sp500

from pm.statistics.performance import performance
from pm.statistics.sharpe import probabilistic_sharpe, sharpe_of

if TYPE_CHECKING:
    from pm.typing import FloatArray

OTHERS = """
import sys, warnings
warnings.filterwarnings("ignore")
import empyrical, numpy as np, pandas as pd, quantstats
from importlib.metadata import version
given = np.load(sys.argv[1])
rows = []
for own in np.split(given["returns"], np.cumsum(given["lengths"])[:-1]):
    returns = pd.Series(own, index=pd.bdate_range("2000-01-03", periods=len(own)))
    e, q = empyrical, quantstats.stats
    rows.append([
        e.cum_returns_final(returns), e.annual_return(returns), e.annual_volatility(returns), e.sharpe_ratio(returns),
        e.sortino_ratio(returns), e.downside_risk(returns), e.max_drawdown(returns), e.calmar_ratio(returns),
        e.omega_ratio(returns), e.tail_ratio(returns),
        q.comp(returns), np.nan, q.volatility(returns), q.sharpe(returns), q.sortino(returns), np.nan,
        q.max_drawdown(returns), np.nan, q.omega(returns), q.tail_ratio(returns), q.ulcer_index(returns),
        q.probabilistic_sharpe_ratio(returns),
    ])
np.savez(sys.argv[2], values=np.array(rows, dtype=float))
print("empyrical-reloaded", version("empyrical-reloaded"), "quantstats", version("quantstats"))
"""

SHARED = (
    *("total_return", "annual_return", "annual_volatility", "sharpe", "sortino"),
    *("downside", "max_drawdown", "calmar", "omega", "tail_ratio"),
)
"""Measures that empyrical has, and quantstats most of."""


def main() -> None:
    """Print the largest difference of each measure from either package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path, help="Python of an environment with empyrical-reloaded and quantstats")
    python = parser.parse_args().python
    series = all_series()
    own = np.array([measures(returns) for returns in series])
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, returns=np.concatenate(series), lengths=[len(returns) for returns in series])
        subprocess.run([python, "-c", OTHERS, given, found], check=True)
        other = np.load(found)["values"]
    print(f"{len(series)} series; largest difference, relative to the larger of 1 and the value:")
    for place, name in enumerate(SHARED):
        empyrical, quantstats = (difference(own[:, place], other[:, place + shift]) for shift in (0, len(SHARED)))
        print(f"  {name:18} empyrical {empyrical:8.1e}   quantstats {quantstats:8.1e}")
    print(f"  {'ulcer':18} quantstats {difference(own[:, -2], other[:, -2]):.1e}, its definition made ours")
    print(f"  {'probabilistic':18} quantstats {difference(own[:, -1], other[:, -1]):.1e}")


def all_series() -> list[FloatArray]:
    """Return the returns of the index and of random series."""
    closes = sp500.load()["Adj Close"].to_numpy()
    series = [closes[1:] / closes[:-1] - 1]
    generator = np.random.default_rng(9)
    for _ in range(200):
        length = int(generator.integers(30, 3000))
        drift, size = generator.normal(0, 0.001), generator.uniform(0.002, 0.03)
        drawn = generator.standard_t(generator.uniform(3, 20), length)
        series.append(np.maximum(drift + size * drawn, -0.5))
    return series


def measures(returns: FloatArray) -> list[float]:
    """Return our measures in the order of SHARED, the ulcer index as quantstats defines it, and the probability."""
    found = performance(returns)
    n = len(returns)
    ulcer = found.ulcer * math.sqrt((n + 1) / (n - 1))  # quantstats divides by one less than the number of returns
    return [*(float(getattr(found, name)) for name in SHARED), ulcer, probabilistic_sharpe(sharpe_of(returns))]


def difference(own: FloatArray, other: FloatArray) -> float:
    """Return the largest difference of two rows of values, of those that both have; NaN if the other has none."""
    known = np.isfinite(other)
    if not known.any():
        return math.nan
    return float((np.abs(own - other) / np.maximum(1.0, np.abs(other)))[known].max())


if __name__ == "__main__":
    main()
