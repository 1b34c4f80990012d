"""Several writers of one shared lake: one at a time, in line, and no key twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.errors import LakeBusyError, LakeError
from pm.lake import Lake
from pm.lake.advisory import AdvisoryLock, is_being_written
from pm.pipeline import Request, add_to_universe, open_lake, refresh_bars
from pm.resources import sql_dir
from pm.settings import load_settings, with_values
from pm.sources import OPENERS
from pm.tables.catalogue import TABLES
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.lake.location import LakeLocation
    from pm.settings import LakeSettings
    from tests.lake.shared.conftest import Server

sys.path.insert(0, str(Path(__file__).parents[2] / "market"))  # a script of the tests, which is no package
import market
from market import Market, evening

UNIVERSE = TABLES["universe"]
WORKER = """
import sys
from pathlib import Path
from pm.lake.location import LakeLocation
from pm.pipeline import open_lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace
import datetime, polars as pl

root, first, last, rounds = Path(sys.argv[1]), *map(int, sys.argv[2:5])
table = TABLES["universe"]
settings = load_settings()
settings = settings.model_copy(update={"lake": settings.lake.model_copy(update={"threads": 1})})
print("ready", flush=True)
sys.stdin.readline()
for number in range(rounds):
    rows = [{name: None for name in table.polars_schema} | {"ticker": f"T{n}"} for n in range(first, last)]
    frame = pl.DataFrame(rows, schema=table.polars_schema)
    with open_lake(Workspace(root), settings, wait_seconds=120) as lake:
        lake.commit(f"round {number}", lambda transaction: transaction.merge(table, frame))
"""
HOLDER = """
import sys
from pathlib import Path
from pm.pipeline import open_lake
from pm.settings import load_settings
from pm.workspace import Workspace
with open_lake(Workspace(Path(sys.argv[1])), load_settings(), wait_seconds=60):
    print("holds", flush=True)
    sys.stdin.readline()
"""


def frame(*tickers: str) -> pl.DataFrame:
    rows: list[dict[str, Any]] = [dict.fromkeys(UNIVERSE.polars_schema) | {"ticker": ticker} for ticker in tickers]
    return pl.DataFrame(rows, schema=UNIVERSE.polars_schema)


@pytest.fixture
def lake_of(location: LakeLocation, shared: LakeSettings) -> Callable[..., Lake]:
    """Function that opens the shared lake for writing, without any lock."""

    def opened(**options: Any) -> Lake:  # noqa: ANN401 - Lake's
        return Lake(location.folder, shared, TABLES, views=[sql_dir()], **options)

    opened().close()
    return opened


def popen(script: str, folder: Path, variables: dict[str, str], *words: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", script, str(folder), *map(str, words)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(line, text=True, env=os.environ | variables, **pipes)


def start(script: str, folder: Path, variables: dict[str, str], *words: object) -> subprocess.Popen[str]:
    """Start a process, and return it after its first line."""
    folder.mkdir(exist_ok=True)
    process = popen(script, folder, variables, *words)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said, process.communicate()[1]
    return process


def test_two_workers_with_overlapping_halves_give_one_workers_table(
    lake_of: Callable[..., Lake], tmp_path: Path, variables: dict[str, str]
) -> None:
    halves = [(0, 60), (40, 100)]
    workers = [start(WORKER, tmp_path / f"w{n}", variables, *half, 6) for n, half in enumerate(halves)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=300)
        assert worker.returncode == 0, errors
    with lake_of() as lake:
        found = lake.read(UNIVERSE)
        commits = lake.snapshots().filter(pl.col("message").str.starts_with("round"))
    assert sorted(found["ticker"]) == sorted(f"T{n}" for n in range(100))
    assert commits.height == 12


def test_two_that_make_a_new_lake_at_once_make_one(
    location: LakeLocation, shared: LakeSettings, tmp_path: Path, variables: dict[str, str]
) -> None:
    halves = [(0, 10), (5, 15)]
    workers = []
    for number, half in enumerate(halves):
        folder = tmp_path / f"w{number}"
        folder.mkdir()
        workers.append(popen(WORKER, folder, variables, *half, 1))
    for worker in workers:
        _, errors = worker.communicate("go\n", timeout=300)
        assert worker.returncode == 0, errors
    with Lake(location.folder, shared, TABLES, read_only=True) as lake:
        assert sorted(lake.read(UNIVERSE)["ticker"]) == sorted(f"T{n}" for n in range(15))


def test_without_a_lock_a_merge_from_an_old_snapshot_is_done_again(lake_of: Callable[..., Lake]) -> None:
    """The catalog itself refuses the second of two commits that saw the same rows, and the work is then repeated."""
    attempts: list[int] = []
    with lake_of() as first, lake_of() as second:

        def merge(transaction: Any) -> None:  # noqa: ANN401 - Transaction
            transaction.query("SELECT count(*) FROM universe")  # now it reads this snapshot
            attempts.append(len(attempts))
            if len(attempts) == 1:
                second.commit("meanwhile", lambda other: other.merge(UNIVERSE, frame("A", "B")))
            transaction.merge(UNIVERSE, frame("B", "C"))

        first.commit("slow", merge)
        assert list(first.read(UNIVERSE)["ticker"]) == ["A", "B", "C"]
    assert attempts == [0, 1]


def test_who_writes_is_told_and_waited_for(location: LakeLocation, lake_of: Callable[..., Lake]) -> None:
    del lake_of
    assert not is_being_written(location)
    heard: list[str] = []
    with AdvisoryLock(location, "pm run --tickers A"):
        assert is_being_written(location)
        with pytest.raises(LakeBusyError) as refused, AdvisoryLock(location, "pm import"):
            pass
        assert "`pm run --tickers A` of user postgres from 127.0.0.1" in refused.value.what
        with (
            pytest.raises(LakeBusyError),
            AdvisoryLock(location, "pm import", wait_seconds=0.2, on_wait=heard.append),
        ):
            pass
    assert len(heard) == 1
    assert heard[0].startswith("Waiting up to 0.2 s for another command")
    assert not is_being_written(location)


def test_those_who_wait_are_served_in_the_order_in_which_they_came(
    location: LakeLocation, lake_of: Callable[..., Lake]
) -> None:
    del lake_of
    served: list[str] = []
    waiting: list[threading.Thread] = []

    def take(name: str, waits: threading.Event) -> None:
        with AdvisoryLock(location, name, wait_seconds=60, on_wait=lambda _: waits.set()):
            served.append(name)

    with AdvisoryLock(location, "first"):
        for name in ("second", "third", "fourth"):
            waits = threading.Event()
            waiting.append(threading.Thread(target=take, args=(name, waits)))
            waiting[-1].start()
            assert waits.wait(60)
            time.sleep(0.3)  # until the server has it in line
    for thread in waiting:
        thread.join(60)
    assert served == ["second", "third", "fourth"]


def test_locks_of_two_lakes_in_one_database_are_two(location: LakeLocation, postgres: Server) -> None:
    other = type(location)(location.folder, postgres.url(schema="another"), location.data)
    with AdvisoryLock(location, "a"), AdvisoryLock(other, "b"):
        pass


def test_a_process_that_is_killed_gives_the_lock_back(
    location: LakeLocation, lake_of: Callable[..., Lake], tmp_path: Path, variables: dict[str, str]
) -> None:
    del lake_of
    holder = start(HOLDER, tmp_path / "holder", variables)
    with pytest.raises(LakeBusyError), AdvisoryLock(location, "pm run"):
        pass
    holder.kill()
    holder.communicate()
    with AdvisoryLock(location, "pm run", wait_seconds=60):
        pass


def terminate(postgres: Server, name: str) -> None:
    """End the connections of a name, as a server that restarts does."""
    assert postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", name)


@pytest.mark.parametrize("moment", ["before the commit", "inside the commit"])
def test_a_lock_that_was_lost_is_noticed_before_anything_is_committed(
    moment: str, location: LakeLocation, lake_of: Callable[..., Lake], postgres: Server
) -> None:
    with AdvisoryLock(location, "pm loses") as lock, lake_of(lock=lock) as lake:
        before = lake.snapshot
        if moment == "before the commit":
            terminate(postgres, "pm loses")

        def work(transaction: Any) -> None:  # noqa: ANN401 - Transaction
            transaction.merge(UNIVERSE, frame("A"))
            if moment == "inside the commit":
                terminate(postgres, "pm loses")
                with AdvisoryLock(location, "pm takes over", wait_seconds=60):
                    pass

        with pytest.raises(LakeError, match="the right to write") as lost:
            lake.commit("never", work)
        assert not isinstance(lost.value, LakeBusyError)  # it is not tried again: what was read can be old
        assert lake.snapshot == before
        assert lake.read(UNIVERSE).is_empty()


def test_two_refreshes_take_turns_though_one_lands_in_pieces(
    place: dict[str, str], location: LakeLocation, lake_of: Callable[..., Lake], tmp_path: Path
) -> None:
    """No other command writes between the pieces and the check of a refresh: each bar is there once."""
    lake_of().close()
    settings = with_values(load_settings(), "lake", place, where="")
    settings = with_values(settings, "refresh", {"tickers_per_commit": 1}, where="")
    one, other = (init_workspace(tmp_path / name) for name in ("one", "other"))
    openers, clock = dict(OPENERS), market.running_clock()
    vendor = Market("yahoo", begin=date(2023, 12, 1))
    heard: list[str] = []

    def try_to_write(_: object) -> None:
        try:
            with open_lake(other, settings) as lake:
                refresh_bars(lake, other, settings, lambda _: None, request=Request())
        except LakeBusyError:
            heard.append("busy")

    market.install(vendor)
    try:
        market.stop_clock(evening(date(2024, 1, 8)))
        with open_lake(one, settings) as lake:
            add_to_universe(lake, one, settings, lambda _: None, tickers=["A", "B", "C"])
            refresh_bars(lake, one, settings, lambda _: None, request=Request())
        market.stop_clock(evening(date(2024, 1, 9)))
        vendor.before_answer = try_to_write
        with open_lake(one, settings) as lake:
            refresh_bars(lake, one, settings, lambda _: None, request=Request())
        vendor.before_answer = lambda _: None
        with open_lake(other, settings) as lake:
            assert not refresh_bars(lake, other, settings, lambda _: None, request=Request()).worked
            found = lake.rows("SELECT count(*) AS n, count(DISTINCT (ticker, date)) AS days FROM bars")
            assert found == [{"n": 3 * 28, "days": 3 * 28}]
    finally:
        OPENERS.clear()
        OPENERS.update(openers)
        market.start_clock(clock)
    assert heard == ["busy"] * 3
    assert not is_being_written(location)
