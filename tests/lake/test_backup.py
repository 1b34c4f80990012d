"""A backup that is made while others write is a lake of one moment, and brings a lost one back."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import pm as package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

TABLES = ["raw.bars", "bars", "signals", "forecasts", "runs", "stage_events", "quarantine"]


def rows(folder: Path) -> dict[str, object]:
    with package.open(folder) as lake:
        return {name: lake.sql(f"SELECT * FROM {name} ORDER BY ALL").rows() for name in TABLES}


def test_a_lost_lake_is_brought_back_as_it_was(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    before = rows(finished_copy)
    made = pm(finished_copy, "lake", "backup", tmp_path / "backup")
    assert (made.returncode, made.stderr) == (0, "")
    assert "All of them are whole." in made.stdout
    again = pm(finished_copy, "lake", "backup", tmp_path / "backup")
    assert " 0 of them copied now" in again.stdout

    shutil.rmtree(finished_copy / "lake")
    restored = pm(finished_copy, "lake", "restore", tmp_path / "backup")

    assert (restored.returncode, restored.stderr) == (0, "")
    assert pm(finished_copy, "lake", "verify").returncode == 0
    assert rows(finished_copy) == before


@pytest.mark.posix
def test_a_backup_made_while_another_process_writes_is_of_one_moment(
    finished_copy: Path, tmp_path: Path, pm: Pm, command: list[str], environment: dict[str, str]
) -> None:
    for number in range(3):
        lines = [f"T{number},2013-01-{day:02d},{day + number}" for day in range(1, 29)]
        (finished_copy / f"t{number}.csv").write_text("\n".join(["ticker,date,close", *lines]) + "\n")
    writers = " && ".join(f"{' '.join(command)} import t{number}.csv" for number in range(3))
    with subprocess.Popen(
        ["sh", "-c", writers], cwd=finished_copy, env=environment, stdout=subprocess.DEVNULL
    ) as writer:
        backups = 0
        while writer.poll() is None or backups == 0:
            made = pm(finished_copy, "lake", "backup", tmp_path / "backup")
            assert (made.returncode, made.stderr) == (0, "")
            backups += 1
    copy = tmp_path / "copy"
    assert pm(tmp_path, "init", "copy").returncode == 0
    assert pm(copy, "lake", "restore", tmp_path / "backup").returncode == 0
    assert pm(copy, "lake", "verify").returncode == 0
    with package.open(copy) as lake:  # of each import all rows or none
        counts = lake.sql("SELECT ticker, count(*) AS n FROM raw.bars WHERE ticker LIKE 'T_' GROUP BY ticker")["n"]
    assert set(counts) <= {28}


def test_damage_is_found_and_no_other_folder_is_touched(finished_copy: Path, tmp_path: Path, pm: Pm) -> None:
    file = max((finished_copy / "lake" / "data").rglob("*.parquet"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damaged = pm(finished_copy, "lake", "backup", tmp_path / "backup")
    assert (damaged.returncode, file.name in damaged.stderr) == (8, True)
    assert not (tmp_path / "backup" / "catalog.sqlite").exists()

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("x")
    for target, code in ((tmp_path / "other", 5), (finished_copy / "lake" / "x", 5), (finished_copy, 5), ("", 5)):
        assert pm(finished_copy, "lake", "backup", target).returncode == code
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine.txt"]
    shutil.rmtree(finished_copy / "lake")
    assert pm(finished_copy, "lake", "restore", tmp_path / "other").returncode == 5
    assert pm(finished_copy, "lake", "backup", tmp_path / "backup").returncode == 8
