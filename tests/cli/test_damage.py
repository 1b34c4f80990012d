"""Damaged data files are found, named and repaired, and nothing is computed from them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]


def file_of(folder: Path, table: str) -> Path:
    """Return the largest data file of a table."""
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        largest = max(lake.files([table], current=True), key=lambda file: file.bytes)
    return folder / "lake" / "data" / largest.path


def flip(file: Path) -> None:
    """Flip a bit in the middle of a file, among the numbers of a page."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def test_a_whole_lake_is_verified(finished: Path, pm: Pm) -> None:
    done = pm(finished, "lake", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("files verified: none is damaged.\n")


@pytest.mark.parametrize(
    ("table", "later"),
    [("raw.bars", ("import", "NEW.csv")), ("bars", ("run", "--source", "sample", "--as-of", "2012-06-01"))],
    ids=["import", "run"],
)
def test_a_run_computes_nothing_from_damaged_bars_and_a_backup_repairs_them(
    finished: Path, finished_copy: Path, pm: Pm, table: str, later: tuple[str, ...]
) -> None:
    (finished_copy / "NEW.csv").write_text("ticker,date,close\nBAD,2013-01-07,6\n", encoding="utf-8")
    file = file_of(finished_copy, table)
    flip(file)
    counts = "SELECT (SELECT count(*) FROM forecasts) AS a, (SELECT count(*) FROM bars) AS b"
    before = pm(finished_copy, "sql", counts, "--format", "csv").stdout
    refused = pm(finished_copy, *later)
    assert refused.returncode == 8
    assert f"a data file of table {table} has changed since it was written" in refused.stderr
    assert str(file) in refused.stderr
    assert "pm lake verify" in refused.stderr
    assert pm(finished_copy, "sql", counts, "--format", "csv").stdout == before

    found = pm(finished_copy, "lake", "verify")
    assert found.returncode == 8
    (line,) = (line for line in found.stdout.splitlines() if file.name in line)
    assert line.split()[0] == table
    assert "pm lake restore DIR" in found.stdout

    restored = pm(finished_copy, "lake", "restore", finished)
    assert (restored.returncode, restored.stdout) == (0, "Restored 1 file.\n")
    assert pm(finished_copy, "lake", "verify").returncode == 0
    assert pm(finished_copy, *later).returncode == 0


def test_a_run_whose_stages_read_no_landed_bars_finds_their_damage_too(
    finished: Path, finished_copy: Path, pm: Pm
) -> None:
    look = ("run", "--source", "sample", "--as-of", "2012-06-01")
    file = file_of(finished_copy, "raw.bars")
    flip(file)
    refused = pm(finished_copy, *look)
    assert refused.returncode == 8
    assert "check      skipped" in refused.stderr
    assert "a data file of table raw.bars has changed since it was written" in refused.stderr
    assert pm(finished_copy, "lake", "restore", finished).returncode == 0
    assert pm(finished_copy, *look).returncode == 0


@pytest.mark.parametrize("lost", ["missing", "garbage"])
def test_without_a_catalog_neither_verify_nor_restore_sends_to_the_other(
    finished: Path, finished_copy: Path, pm: Pm, lost: str
) -> None:
    for file in (finished_copy / "lake").glob("catalog.sqlite*"):
        file.unlink()
    if lost == "garbage":
        (finished_copy / "lake" / "catalog.sqlite").write_bytes(b"not a database" * 1000)
    # Where there is no catalog at all, restore brings back the whole lake: tests/lake/test_backup.py.
    for words in (("verify",), *([("restore", str(finished))] if lost == "garbage" else [])):
        refused = pm(finished_copy, "lake", *words)
        assert refused.returncode == 8
        assert "replace the whole folder lake, catalog.sqlite and data together, by that of a backup" in refused.stderr
        assert "pm lake" not in refused.stderr
    shutil.rmtree(finished_copy / "lake")
    shutil.copytree(finished / "lake", finished_copy / "lake")
    assert pm(finished_copy, "lake", "verify").returncode == 0


def test_a_lake_that_is_a_file_is_one_message_for_readers_and_writers(workspace: Path, pm: Pm) -> None:
    shutil.rmtree(workspace / "lake")
    (workspace / "lake").write_text("a file")
    told = set()
    for words in (("sql", "FROM bars"), ("tables",), ("run",), ("lake", "verify")):
        refused = pm(workspace, *words)
        assert refused.returncode == 10, words
        told.add(refused.stderr)
    (message,) = told
    assert "The lake must be a folder, and this is none." in message
    assert "move it away" in message


def test_commands_that_read_name_the_damage(finished_copy: Path, pm: Pm) -> None:
    file = file_of(finished_copy, "forecasts")
    file.write_bytes(b"PAR1" + bytes(file.stat().st_size - 4))
    for command in (("sql", "SELECT sum(mean) FROM forecasts"), ("forecast", "AAPL")):
        done = pm(finished_copy, *command)
        assert done.returncode == 8, command
        assert "The lake is damaged: a data file of table forecasts" in done.stderr
        assert str(file) in done.stderr
        assert "pm lake verify" in done.stderr


def test_a_backup_that_cannot_help_is_told(finished_copy: Path, pm: Pm, tmp_path: Path) -> None:
    file_of(finished_copy, "bars").unlink()
    empty = tmp_path / "empty"
    empty.mkdir()
    done = pm(finished_copy, "lake", "restore", empty)
    assert done.returncode == 8
    assert "no whole copy of 1 file" in done.stdout
    assert pm(finished_copy, "lake", "restore", tmp_path / "nowhere").returncode == 5
    assert pm(finished_copy, "lake", "restore", "").returncode == 5


def test_without_a_backup_the_sample_is_fetched_again(finished: Path, finished_copy: Path, pm: Pm) -> None:
    """What `pm lake verify` advises gives the bars that there were."""
    query = "SELECT ticker, date, close FROM bars WHERE ticker <> 'BAD' ORDER BY ALL"
    wanted = pm(finished, "sql", query, "--format", "csv").stdout
    shutil.rmtree(finished_copy / "lake")
    assert pm(finished_copy, "run", "--source", "sample").returncode == 0
    assert pm(finished_copy, "sql", query, "--format", "csv").stdout == wanted


def test_an_older_lake_is_told_to_record_its_checksums(finished_copy: Path, pm: Pm) -> None:
    with Lake(finished_copy / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("as an older version", lambda tx: tx.delete(TABLES["file_checksums"], "true"))
    told = pm(finished_copy, "lake", "verify")
    assert told.returncode == 0
    assert "without a checksum" in told.stdout
    assert "pm lake verify --record" in told.stdout
    assert "Recorded the checksums" in pm(finished_copy, "lake", "verify", "--record").stdout
    assert "without a checksum" not in pm(finished_copy, "lake", "verify").stdout


def test_a_compaction_says_when_nothing_is_won(finished_copy: Path, pm: Pm) -> None:
    first = pm(finished_copy, "lake", "compact")
    assert first.returncode == 0, first.stderr
    before, after = (int(word.replace(",", "")) for word in first.stdout.splitlines()[1].split() if word[0].isdigit())
    assert after <= before
    assert "Nothing to merge or delete" in pm(finished_copy, "lake", "compact").stdout
