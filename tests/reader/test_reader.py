"""`pm.open`: what a program reads is what the tables hold."""

from __future__ import annotations

import doctest
import subprocess
import sys
from contextlib import chdir
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

import pm as package
import pm.reader
from pm.errors import InputError, LakeError, NoResultsError, QueryError, UnknownTickerError, WorkspaceError
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.reader import Reader

    Pm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lake(finished: Path) -> Reader:
    return package.open(finished)


def files(folder: Path) -> dict[Path, bytes]:
    """Return every file but what SQLite keeps while a catalog is open."""
    kept = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {path: path.read_bytes() for path in kept}


@pytest.mark.parametrize("module", [package, pm.reader], ids=["pm", "pm.reader"])
def test_the_examples_are_right(finished: Path, module: object) -> None:
    with chdir(finished):
        result = doctest.testmod(module)  # type: ignore[arg-type]
    assert (result.failed, result.attempted > 1) == (0, True)


def test_frames_are_the_rows_of_the_tables(lake: Reader) -> None:
    bars = lake.bars(["IBM", "AAPL"], date(2013, 2, 1), "2013-02-28")
    assert bars.equals(
        lake.sql(
            "FROM adjusted_bars WHERE ticker IN ('AAPL', 'IBM') AND date BETWEEN '2013-02-01' AND '2013-02-28' "
            "ORDER BY ticker, date"
        )
    )
    assert lake.bars(adjusted=False).equals(lake.sql("FROM bars ORDER BY ticker, date"))
    assert lake.signals().equals(lake.sql("FROM latest_signals ORDER BY ticker"))
    every = lake.forecasts(model=None)
    assert every.equals(lake.sql("FROM latest_forecasts ORDER BY ticker, model, step"))
    assert lake.forecasts(["IBM"]).equals(every.filter(ticker="IBM", model="ensemble"))
    assert lake.positions().is_empty()


def test_a_past_state_has_what_was_known_then(lake: Reader) -> None:
    before = int(lake.sql("SELECT min(snapshot_id) AS n FROM stage_events WHERE stage = 'check'")["n"].item())
    assert lake.bars(at=before).is_empty()
    assert lake.sql("FROM bars", at=before).is_empty()
    with pytest.raises(NoResultsError):
        lake.signals(at=before)
    assert lake.bars(at=lake.snapshot).equals(lake.bars())


def test_nothing_is_changed(finished_copy: Path) -> None:
    before = files(finished_copy)
    with package.open(finished_copy) as lake:
        lake.bars()
        lake.signals()
        for statement in (
            "DELETE FROM bars",
            "COPY bars TO 'x.csv'",
            "ATTACH 'x'",
            "SELECT * FROM read_csv('BAD.csv')",
        ):
            with pytest.raises(QueryError):
                lake.sql(statement)
    assert files(finished_copy) == before


def test_what_is_wrong_is_said(lake: Reader, tmp_path: Path) -> None:
    with pytest.raises(UnknownTickerError, match="Did you mean 'AAPL'"):
        lake.bars("AAPLE")
    with pytest.raises(UnknownTickerError, match="IBN"):
        lake.signals(["IBM", "IBN"])
    with pytest.raises(InputError, match="no date"):
        lake.bars("IBM", "last week")
    with pytest.raises(InputError, match="has no signals"):
        lake.signals(run="../../etc")
    with pytest.raises(WorkspaceError):
        package.open(tmp_path)
    init_workspace(tmp_path)
    with pytest.raises(LakeError):
        package.open(tmp_path)
    assert isinstance(lake.bars("IBM"), pl.DataFrame)


def test_python_m_pm_is_the_command(pm_process: Pm, tmp_path: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pm", "--version"],
        cwd=tmp_path, env={"PYTHONPATH": str(Path(command[1]).parent)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == pm_process(tmp_path, "--version").stdout == f"pm {package.__version__}\n"
