"""How long `pm --help` and a run with nothing new take: `python benchmarks/startup.py [--times 9]`.

Each is a process of its own, imports included; the median of several is printed beside its target and beside Python's
own start.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

PM = str(Path(sysconfig.get_path("scripts")) / "pm")


def seconds(command: list[str], folder: Path) -> float:
    """Run a command in a folder; give its wall time."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--times", type=int, default=9)
    times = options.parse_args().times
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first = seconds([PM, "run"], folder)
        print(f"first run of an empty folder {first:6.2f} s   ({os.cpu_count()} cores)\n")
        print(f"{f'median of {times}':<24}{'seconds':>9}{'target':>9}{'of target':>11}")
        for name, command, target in (
            ("python -c pass", [sys.executable, "-c", "pass"], None),
            ("pm --help", [PM, "--help"], 0.3),
            ("pm run, nothing new", [PM, "run"], 1.0),
        ):
            taken = statistics.median(seconds(command, folder) for _ in range(times))
            against = f"{target:>7.1f} s{taken / target:>10.0%}" if target else ""
            print(f"{name:<24}{taken:>7.3f} s{against}")


if __name__ == "__main__":
    main()
