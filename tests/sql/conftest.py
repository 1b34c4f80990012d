from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pm.lake import Lake
from pm.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CSV = """ticker,date,open,high,low,close,volume
KITE,2023-01-03,10,11,9,10,100
KITE,2023-01-04,10,11,9,11,100
KITE,2023-01-05,10,11,12,11,100
KITE,2023-01-06,11,12,10,12,100
"""
LATER = """ticker,date,open,high,low,close,volume
KITE,2023-01-06,11,12,10,11.5,100
KITE,2023-01-09,11,12,10,12,100
"""


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a workspace with two files imported and the sample run as of 30 sessions early, in full, and evaluated."""
    root = tmp_path_factory.mktemp("desk")
    (root / "kite.csv").write_text(CSV)
    (root / "later.csv").write_text(LATER)
    for command in (
        ["import", "kite.csv"], ["import", "later.csv"],
        ["run", "--source", "sample", "--as-of", "2013-01-15", "--jobs", "1"],
        ["run", "--source", "sample", "--tickers", "AAPL,FB", "--jobs", "1"],
        ["evaluate", "--tickers", "IBM,MSFT", "--origins", "3", "--horizon", "1,5", "--source", "sample"],
    ):  # fmt: skip
        subprocess.run(
            [str(Path(sysconfig.get_path("scripts")) / "pm"), *command], cwd=root, check=True, capture_output=True
        )
    return root


@pytest.fixture(scope="session")
def lake(workspace: Path) -> Iterator[Lake]:
    with Lake(workspace / "lake", load_settings().lake, read_only=True) as opened:
        yield opened
