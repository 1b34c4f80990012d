from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pm.errors import LakeBusyError
from pm.lake import Lake
from pm.lake.connection import retried
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.lake import Transaction
    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

PRELUDE = """
import sys
from pathlib import Path

import polars as pl
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS
root, name = Path(sys.argv[1]), sys.argv[2]
settings = load_settings().lake.model_copy(update=dict(retry_attempts=20, retry_base_seconds=0.01))
schema = RAW_BARS.polars_schema
def frame(start, count):
    rows = [{**dict.fromkeys(schema), "ticker": name, "batch_id": name, "row": start + i} for i in range(count)]
    return pl.DataFrame(rows, schema=schema)
"""
WRITER = f"""{PRELUDE}
with Lake(root, settings, TABLES) as lake:
    for k in range(8):
        def write(tx):
            tx.append(RAW_BARS, frame(100 * k, 30))
            tx.merge(RAW_BARS, frame(100 * k + 25, 10))
        lake.commit(f"{{name}} {{k}}", write)
"""
KILLED = f"""{PRELUDE}
lake = Lake(root, settings, TABLES)
print("open", flush=True)
for k in range(10_000):
    lake.commit("two", lambda tx: (tx.append(RAW_BARS, frame(100 * k, 40)), tx.append(BARS, pl.DataFrame(
        {{"ticker": [name], "row": [k]}}).with_columns(pl.lit(None, t).alias(n)
        for n, t in BARS.polars_schema.items() if n not in ("ticker", "row")))))
"""


def _start(program: str, root: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(root), name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_concurrent_writers_lose_and_duplicate_no_row(tmp_path: Path, settings: LakeSettings) -> None:
    root = tmp_path / "lake"  # not there yet: they meet while making it, too
    writers = [_start(WRITER, root, f"w{number}") for number in range(3)]
    for writer in writers:
        _, complaint = writer.communicate(timeout=120)
        assert writer.returncode == 0, complaint
    with Lake(root, settings, TABLES, read_only=True) as lake:
        found = lake.read(RAW_BARS).select("batch_id", "row")
    wanted = [(f"w{number}", 100 * k + i) for number in range(3) for k in range(8) for i in range(35)]
    assert sorted(found.iter_rows()) == wanted


def test_a_writer_killed_anywhere_leaves_whole_commits(root: Path, settings: LakeSettings) -> None:
    for wait in (0.05, 0.13, 0.29):
        writer = _start(KILLED, root, f"k{wait}")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        time.sleep(wait)
        writer.kill()
        writer.communicate()
        with Lake(root, settings, TABLES) as lake:
            raw = lake.query("SELECT ticker, count(*) AS rows FROM raw.bars GROUP BY ALL ORDER BY ALL")
            derived = lake.query("SELECT ticker, count(*) * 40 AS rows FROM bars GROUP BY ALL ORDER BY ALL")
            assert raw.rows() == derived.rows()


def test_readers_are_not_blocked_and_see_whole_commits(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as writer, Lake(root, settings, TABLES, read_only=True) as reader:
        writer.commit("one", lambda tx: tx.append(BARS, rows("bars", {"ticker": "A"})))

        def write(transaction: Transaction) -> None:
            transaction.append(BARS, rows("bars", {"ticker": "B"}))
            assert reader.read(BARS)["ticker"].to_list() == ["A"]
            transaction.append(RAW_BARS, rows("raw.bars", *({"ticker": "B", "row": n} for n in range(50))))
            with Lake(root, settings, TABLES, read_only=True) as late:
                assert late.read(BARS)["ticker"].to_list() == ["A"]
                assert late.read(RAW_BARS).is_empty()

        writer.commit("two", write)
        assert reader.read(BARS)["ticker"].to_list() == ["A", "B"]
        assert reader.read(RAW_BARS).height == 50


def test_a_lasting_conflict_is_an_error_and_a_passing_one_is_not(
    root: Path, settings: LakeSettings, rows: Rows
) -> None:
    """The other writer deletes the very rows each attempt deletes, before that attempt commits."""
    row = rows("raw.bars", *({"ticker": "A", "row": n} for n in range(30)))
    patient = settings.model_copy(update={"retry_attempts": 3, "retry_base_seconds": 0.001})
    attempts = 0

    def contend(transaction: Transaction, until: int) -> None:
        nonlocal attempts
        attempts += 1
        transaction.delete(RAW_BARS, "row % 2 = 0")
        if attempts <= until:
            other.commit("first", lambda tx: tx.delete(RAW_BARS, "row < 20"))
            other.commit("again", lambda tx: tx.append(RAW_BARS, row))

    with Lake(root, patient, TABLES) as lake, Lake(root, settings, TABLES) as other:
        other.commit("rows", lambda tx: tx.append(RAW_BARS, row))
        before = len(lake.read(RAW_BARS).filter(lake.read(RAW_BARS)["row"] % 2 == 1))
        with pytest.raises(LakeBusyError, match="locked by another writer") as refused:
            lake.commit("contend", lambda tx: contend(tx, until=99))
        assert attempts == 3
        assert refused.value.exit_code == 9
        assert before > 0
        attempts = 0
        lake.commit("contend", lambda tx: contend(tx, until=2))
        assert attempts == 3
        assert not lake.read(RAW_BARS, "row % 2 = 0").height


def test_only_a_commit_to_a_busy_lake_is_repeated(settings: LakeSettings) -> None:
    calls = []

    def fails() -> None:
        calls.append(1)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        retried(fails, settings)
    assert len(calls) == 1
