from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[str]]

CSV = """ticker,date,open,high,low,close,volume
KITE,2023-01-03,10,11,9,10,100
KITE,2023-01-04,10,11,9,11,100
KITE,2023-01-05,10,11,9,-11,100
KITE,2023-01-06,11,12,10,12,100
"""
LATER = """ticker,date,open,high,low,close,volume
KITE,2023-01-06,11,12,10,11,100
KITE,2023-01-09,11,12,10,12,100
"""


def mixed() -> str:
    """Return bars of three tickers, of which LATE has none on Fridays, so that it is forecast from an older bar."""
    rng, day, rows = np.random.default_rng(4), date(2020, 1, 6), []
    closes = dict.fromkeys(("EARLY", "LATE", "TIMELY"), 100.0)
    while day <= date(2022, 1, 7):
        for ticker in closes if day.weekday() < 5 else ():
            closes[ticker] *= float(np.exp(rng.normal(0, 0.01)))
            if ticker != "LATE" or day.weekday() != 4:
                rows.append(f"{ticker},{day},{closes[ticker]}")
        day += timedelta(days=1)
    return "\n".join(["ticker,date,close", *rows])


@pytest.fixture(scope="session")
def workspace(build_once: Build, pm: Pm) -> Path:
    """Return a workspace with imported files, their evaluation, a run before the newest of their bars were imported,
    two looks at the sample, of which one is at the past, and its evaluation.
    """

    def build(root: Path) -> None:
        header, *rows = mixed().splitlines()
        early = [row for row in rows if row.split(",")[1] <= "2021-12-17"]
        (root / "early.csv").write_text("\n".join([header, *early]))
        (root / "mixed.csv").write_text(mixed())
        (root / "kite.csv").write_text(CSV)
        (root / "later.csv").write_text(LATER)
        for command in (
            ["import", "early.csv"], ["run", "--tickers", "EARLY,TIMELY"],
            ["import", "kite.csv"], ["import", "later.csv"], ["import", "mixed.csv"],
            ["evaluate", "--tickers", "EARLY,LATE,TIMELY", "--origins", "4", "--horizon", "5"],
            ["run", "--source", "sample", "--as-of", "2013-01-15", "--jobs", "1"],
            ["run", "--source", "sample", "--tickers", "AAPL,FB", "--jobs", "1"],
            ["evaluate", "--tickers", "IBM,MSFT", "--origins", "3", "--horizon", "1,5", "--source", "sample"],
        ):  # fmt: skip
            done = pm(root, *command)
            assert done.returncode == 0, done.stderr

    return build_once("sql_workspace", build)


@pytest.fixture(scope="session")
def lake(workspace: Path) -> Iterator[Lake]:
    with Lake(workspace / "lake", load_settings().lake, TABLES, read_only=True) as opened:
        yield opened
