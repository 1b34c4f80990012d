"""Which runs are looks at a part or at the past, and that a look never replaces the newest whole run."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.clock import utc_today
from pm.lake import Lake
from pm.pipeline import Request, add_to_universe, open_lake
from pm.pipeline.run_scope import is_newest, run_scope
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS
from pm.tables.vocabulary import RunScope
from pm.workspace import Workspace, init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Transaction
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]

EVERY = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
NEWEST = date(2013, 3, 1)
"""Day of the sample's newest bar."""


def shown(folder: Path, ask: Read) -> dict[str, Any]:
    """Return all that is shown as the newest."""
    views = ("latest_run", "latest_signals", "latest_forecasts", "latest_volatility", "latest_weights")
    frames = {view: sorted(ask(folder, f"SELECT DISTINCT run_id FROM {view}")["run_id"]) for view in views}
    return frames | {"latest.html": (folder / "reports" / "latest.html").read_bytes()}


def test_a_look_at_the_past_or_at_a_part_never_replaces_the_newest_run(
    run_copy: Path, run_pipeline: Run, ask: Read
) -> None:
    before = shown(run_copy, ask)
    past = run_pipeline(run_copy, as_of=date(2012, 3, 1), tickers=("IBM",))
    part = run_pipeline(run_copy, tickers=("IBM", "MSFT"))
    assert shown(run_copy, ask) == before
    scopes = dict(ask(run_copy, "SELECT run_id, scope FROM runs").iter_rows())
    assert (scopes[past.run_id], scopes[part.run_id]) == ("past", "part")
    for look in (past, part):
        assert "A look at" in (run_copy / "reports" / f"{look.run_id}.html").read_text("utf-8")[:40_000]
    whole = run_pipeline(run_copy)
    assert not whole.worked, "nothing is new after a look"
    assert scopes | {whole.run_id: "whole"} == dict(ask(run_copy, "SELECT run_id, scope FROM runs").iter_rows())


@pytest.mark.parametrize(
    ("request_", "scope"),
    [
        (Request(), "whole"),
        (Request(tickers=EVERY), "whole"),
        (Request(source="sample"), "whole"),
        (Request(as_of=NEWEST), "whole"),
        (Request(as_of=utc_today()), "whole"),
        (Request(as_of=NEWEST, tickers=EVERY, source="sample", jobs=3), "whole"),
        (Request(tickers=EVERY[1:]), "part"),
        (Request(as_of=NEWEST, tickers=("IBM",)), "part"),
        (Request(as_of=date(2013, 2, 28)), "past"),
        (Request(as_of=date(2014, 1, 1)), "past"),
        (Request(as_of=date(2012, 1, 3), tickers=("IBM",)), "past"),
    ],
    ids=str,
)
def test_what_the_options_select_decides_and_not_that_they_were_given(
    first_run: Path, request_: Request, scope: str
) -> None:
    with Lake(Workspace(first_run).lake, load_settings().lake, TABLES, read_only=True) as lake:
        assert run_scope(lake.known_rows, request_) == scope


def test_the_watch_list_decides_what_is_whole(run_copy: Path) -> None:
    workspace, settings = init_workspace(run_copy), load_settings()
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=["AAPL", "IBM"], source="sample")
        assert run_scope(lake.known_rows, Request(tickers=("AAPL", "IBM"))) is RunScope.WHOLE
        for tickers in (("AAPL",), ("AAPL", "IBM", "MSFT"), EVERY):
            assert run_scope(lake.known_rows, Request(tickers=tickers)) is RunScope.PART


def replace_runs(lake: Lake, rows: pl.DataFrame) -> None:
    def write(transaction: Transaction) -> None:
        transaction.delete(RUNS, "true")
        transaction.append(RUNS, rows)

    lake.commit("test", write)


def test_a_look_stands_in_while_there_is_no_whole_run(run_copy: Path) -> None:
    with Lake(Workspace(run_copy).lake, load_settings().lake, TABLES) as lake:
        run = lake.read(RUNS)
        later = pl.concat(
            [
                run.with_columns(
                    run_id=pl.lit(name), scope=pl.lit(scope), finished_at=pl.col("finished_at").dt.offset_by(by)
                )
                for name, scope, by in (("a", "past", "1h"), ("b", "part", "2h"))
            ]
        )
        assert not is_newest(lake.rows, RunScope.PART)
        replace_runs(lake, later)
        assert is_newest(lake.rows, RunScope.PART)
        assert lake.scalar("SELECT run_id FROM latest_run") == "b"


@pytest.mark.parametrize(("tickers", "newest"), [(None, "old"), ("IBM", "look")])
def test_a_run_of_an_older_version_counts_as_whole_unless_it_was_of_some_tickers(
    run_copy: Path, tickers: str | None, newest: str
) -> None:
    with Lake(Workspace(run_copy).lake, load_settings().lake, TABLES) as lake:
        run = lake.read(RUNS)
        old = run.with_columns(run_id=pl.lit("old"), scope=pl.lit(None, pl.String), tickers=pl.lit(tickers, pl.String))
        look = run.with_columns(
            run_id=pl.lit("look"), scope=pl.lit("part"), finished_at=pl.col("finished_at").dt.offset_by("1h")
        )
        rows = pl.concat([old, look])
        replace_runs(lake, rows)
        assert lake.scalar("SELECT run_id FROM latest_run") == newest
        assert is_newest(lake.rows, RunScope.PART) is (newest == "look")
