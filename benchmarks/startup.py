"""Measure the seconds that `pm --help` and a run with nothing new take.

`python benchmarks/startup.py [--times 9] [--against CHECKOUT]` prints the median of several processes, with imports,
beside its target and beside the start of Python alone. With `--against`, each process of this checkout is followed by
one of the other, so that both meet the same load of the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
PM = [sys.executable, "-c", "import sys; from pm.cli import main; sys.exit(main())"]

MEASURED: tuple[tuple[str, list[str], float | None], ...] = (
    ("python -c pass", [sys.executable, "-c", "pass"], None),
    ("pm --help", [*PM, "--help"], 0.3),
    ("pm run, nothing new", [*PM, "run"], 1.0),
)
"""Name, command, and target in seconds."""


def seconds(command: list[str], folder: Path, checkout: Path) -> float:
    """Run a command in a folder, with the package of a checkout, and return its wall time in seconds."""
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    start = time.perf_counter()
    subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--times", type=int, default=9, help="number of processes of each kind")
    options.add_argument("--against", type=Path, help="another checkout to compare with")
    chosen = options.parse_args()
    checkouts = [HERE] + ([chosen.against.resolve()] if chosen.against else [])
    with tempfile.TemporaryDirectory() as temporary:
        folders = [Path(temporary) / str(place) for place in range(len(checkouts))]
        for folder, checkout in zip(folders, checkouts, strict=True):
            folder.mkdir()
            first = seconds([*PM, "run"], folder, checkout)
            print(f"first run of an empty folder {first:6.2f} s   ({os.cpu_count()} cores; {checkout})")
        other = f"{'other':>9}{'ratio':>8}" if chosen.against else ""
        print(f"\n{f'median of {chosen.times}':<24}{'seconds':>9}{'target':>9}{'of target':>11}{other}")
        for name, command, target in MEASURED:
            taken: list[list[float]] = [[] for _ in checkouts]
            for _ in range(chosen.times):
                for place, (folder, checkout) in enumerate(zip(folders, checkouts, strict=True)):
                    taken[place].append(seconds(command, folder, checkout))
            median = statistics.median(taken[0])
            line = f"{name:<24}{median:>7.3f} s"
            line += f"{target:>7.1f} s{median / target:>11.0%}" if target else " " * 20
            if chosen.against:
                ratios = [mine / theirs for mine, theirs in zip(*taken, strict=True)]
                line += f"{statistics.median(taken[1]):>7.3f} s{statistics.median(ratios):>8.2f}"
            print(line.rstrip())


if __name__ == "__main__":
    main()
