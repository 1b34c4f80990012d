"""Measure simulated portfolios, the tests of trials, and how often searches over noise are proven.

    python benchmarks/validation.py                              simulation and tests
    python benchmarks/validation.py --searches 400               searches over 100 strategies of noise each
    python benchmarks/validation.py --vectorbt ENV/bin/python    beside vectorbt, in an environment of its own

Times are processor seconds, the best of several: others may use the machine. vectorbt is compared on the same prices
and weights, with fractions of shares, which it has.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pm.statistics.overfitting import overfitting, overfitting_by_blocks
from pm.tables.vocabulary import Proof
from pm.validation.simulation import simulate_portfolio
from pm.validation.snooping import superior_ability
from pm.validation.verdicts import judge_trials

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.typing import FloatArray, IntArray

SESSIONS, TICKERS, EVERY = 1_500, 431, 20
CASH, COST = 1_000_000.0, 0.001

VECTORBT = """
import sys, time
import numpy as np, pandas as pd, vectorbt as vbt
given = np.load(sys.argv[1])
closes = pd.DataFrame(given["closes"])
size = np.full(closes.shape, np.nan)
size[given["rows"]] = given["weights"]
def run():
    return vbt.Portfolio.from_orders(
        closes, size=size, size_type="targetpercent", group_by=True, cash_sharing=True, call_seq="auto",
        fees=float(given["cost"]), init_cash=float(given["cash"]), freq="D",
    ).value()
begun = time.process_time(); run(); first = time.process_time() - begun
best = np.inf
for _ in range(5):
    begun = time.process_time(); value = run(); best = min(best, time.process_time() - begun)
np.savez(sys.argv[2], value=value.to_numpy(), first=first, best=best)
"""


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectorbt", type=Path, help="Python of an environment with vectorbt")
    parser.add_argument("--searches", type=int, default=0, help="number of searches over noise")
    arguments = parser.parse_args()
    if arguments.searches:
        search(arguments.searches)
        return
    simulate(arguments.vectorbt)
    judge()


def seconds(work: Callable[[], object], times: int = 7) -> float:
    """Return the smallest processor time of several calls, after one that compiles."""
    work()
    best = np.inf
    for _ in range(times):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return float(best)


def market() -> tuple[FloatArray, IntArray, FloatArray]:
    """Return closes, rows of decisions, and random weights that use all cash but 1%."""
    generator = np.random.default_rng(1)
    closes = 50 * np.exp(np.cumsum(generator.normal(0.0003, 0.02, (SESSIONS, TICKERS)), axis=0))
    rows = np.arange(0, SESSIONS, EVERY)
    weights = generator.random((len(rows), TICKERS))
    return closes, rows, 0.99 * weights / weights.sum(axis=1, keepdims=True)


def simulate(vectorbt: Path | None) -> None:
    """Print the time of the simulation, and how it compares with vectorbt."""
    closes, rows, weights = market()
    daily_rows = np.arange(SESSIONS)
    daily = np.repeat(weights, EVERY, axis=0)[:SESSIONS]
    print(f"{SESSIONS:,} sessions x {TICKERS} tickers, processor time:")
    for words, at, targets in ((f"every {EVERY} sessions", rows, weights), ("every session", daily_rows, daily)):
        for kind, lot in (("whole shares", 1.0), ("fractions", 0.0)):
            run = partial(simulate_portfolio, closes, closes, at, targets, start=CASH, cost=COST, lot=lot)
            taken = seconds(run)
            print(f"  {words}, {kind}: {1000 * taken:.1f} ms")
    if vectorbt is None:
        return
    own = simulate_portfolio(closes, closes, daily_rows, daily, start=CASH, cost=COST).equity
    taken = seconds(lambda: simulate_portfolio(closes, closes, daily_rows, daily, start=CASH, cost=COST))
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, closes=closes, rows=daily_rows, weights=daily, cost=COST, cash=CASH)
        subprocess.run([vectorbt, "-c", VECTORBT, given, found], check=True)
        other = np.load(found)
        difference = float(np.abs(own / other["value"] - 1).max())
        print(f"  vectorbt, every session, fractions: first {other['first']:.1f} s, then {1000 * other['best']:.1f} ms")
        print(
            f"  ours is {float(other['best']) / taken:.0f} times as fast; largest relative difference {difference:.1e}"
        )


def judge() -> None:
    """Print the times of the tests of trials."""
    noise = np.random.default_rng(2).normal(0, 0.01, (1_260, 100))
    print(f"CSCV of 100 trials, 1,260 returns, 16 blocks: {seconds(lambda: overfitting(noise, 16), 3):.3f} s")
    print(f"  for 4, 6, ... 16 blocks: {seconds(lambda: overfitting_by_blocks(noise), 3):.3f} s")
    many = np.random.default_rng(3).normal(0, 0.01, (SESSIONS, TICKERS))
    print(
        f"SPA of {TICKERS} strategies, {SESSIONS:,} returns: {seconds(lambda: superior_ability(many, seed=1), 1):.2f} s"
    )


def search(count: int) -> None:
    """Print how many searches over noise find a strategy that is proven."""
    proven, probabilistic, spreads = 0, 0, []
    for place in range(count):
        excess = np.random.default_rng([4, place]).normal(0, 0.01, (1_000, 100))
        best = int((excess.mean(axis=0) / excess.std(axis=0)).argmax())
        found = judge_trials(excess, [best], trials=100, reps=300, seed=place)
        proven += found.of[0].verdict is Proof.PROVEN
        probabilistic += found.of[0].probabilistic > 0.95
        spreads.append(found.median_overfitting)
    print(f"{count} searches over 100 strategies of noise, 1,000 returns each:")
    print(f"  proven {proven / count:.1%}; probabilistic Sharpe ratio above 95%: {probabilistic / count:.1%}")
    print(f"  median probability of overfitting: mean {np.mean(spreads):.2f}, standard deviation {np.std(spreads):.2f}")


if __name__ == "__main__":
    main()
