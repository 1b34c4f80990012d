"""Writers of a shared lake that are killed at any moment leave it whole, and no key twice: a long proof."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pm.lake import Lake
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from pm.lake.location import LakeLocation
    from pm.settings import LakeSettings
    from tests.lake.shared.conftest import Server

KILLS = 50
RAW, UNIVERSE = TABLES["raw.batches"], TABLES["universe"]
WORKER = """
import sys, time
from pathlib import Path
import polars as pl
from pm.pipeline import open_lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

root, first, last = Path(sys.argv[1]), *map(int, sys.argv[2:4])
universe, raw = TABLES["universe"], TABLES["raw.batches"]

def frame(table, key, names):
    rows = [dict.fromkeys(table.polars_schema) | {key: name} for name in names]
    return pl.DataFrame(rows, schema=table.polars_schema)

def work(to):
    to.merge(universe, frame(universe, "ticker", [f"T{n}" for n in range(first, last)]))
    to.append(raw, frame(raw, "batch_id", [f"{root.name}-{time.time_ns()}"] * 2))

while True:
    with open_lake(Workspace(root), load_settings(), wait_seconds=300) as lake:
        lake.commit("round", work)
"""


@pytest.mark.slow
def test_writers_that_are_killed(
    location: LakeLocation, shared: LakeSettings, tmp_path: Path, variables: dict[str, str], postgres: Server
) -> None:
    """Kill one of three writers again and again; every commit is there whole, or not at all."""
    Lake(location.folder, shared, TABLES, views=[sql_dir()]).close()
    environment = os.environ | variables | {"PM_LAKE__THREADS": "1"}
    chance = random.Random(7)  # noqa: S311 - it only chooses moments

    def start(number: int) -> subprocess.Popen[bytes]:
        folder = tmp_path / f"w{number}"
        folder.mkdir(exist_ok=True)
        bounds = [str(number * 20), str(number * 20 + 40)]
        return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), *bounds], env=environment)

    workers = [start(number) for number in range(3)]
    time.sleep(8)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 2.0))
        number = chance.randrange(3)
        assert workers[number].poll() is None
        workers[number].kill()
        workers[number].wait()
        workers[number] = start(number)
    until = time.monotonic() + 120  # for a writer that was killed whenever its turn came
    with Lake(location.folder, shared, TABLES, read_only=True) as lake:
        while lake.scalar("SELECT count(*) FROM universe") < 80 and time.monotonic() < until:
            time.sleep(0.5)
    for worker in workers:
        assert worker.poll() is None
        worker.kill()
        worker.wait()
    with Lake(location.folder, shared, TABLES) as lake:
        tickers = lake.read(UNIVERSE)["ticker"]
        assert sorted(tickers) == sorted(f"T{n}" for n in range(80))
        rounds = sum(message == "round" for message in lake.snapshots()["message"])
        batches = lake.rows("SELECT batch_id, count(*) AS n FROM raw.batches GROUP BY ALL")
        assert {row["n"] for row in batches} == {2}
        assert len(batches) == rounds > KILLS / 2
        assert lake.verify(lake.files()) == []
    assert not postgres.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")
