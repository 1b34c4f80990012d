"""Every command works on a shared lake as it does on one in a workspace."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import polars as pl
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Pm
    from tests.lake.shared.conftest import Server, Stocked, Store

WORDS = [
    ["tables"], ["tables", "bars"], ["runs"], ["lake", "info"], ["lake", "snapshots"], ["lake", "verify"],
    ["lake", "verify", "--record"], ["quarantine"], ["sql", "FROM runs"],
]  # fmt: skip


def table(pm: Pm, folder: Path, sql: str, env: dict[str, str] | None = None) -> pl.DataFrame:
    done = pm(folder, "sql", sql, "--format", "parquet", "-o", folder / "out.parquet", env=env)
    assert done.returncode == 0, done.stderr
    return pl.read_parquet(folder / "out.parquet")


def test_its_tables_are_those_of_a_lake_in_a_workspace(
    stocked: Stocked, empty_workspace: Path, tmp_path: Path, pm: Pm
) -> None:
    local = shutil.copytree(empty_workspace, tmp_path / "local")
    assert pm(local, "import", *stocked.files).returncode == 0
    for name in ("bars", "adjusted_bars", "reconciliation", "raw.bars"):
        columns = [
            column
            for column in table(pm, local, f"FROM {name} LIMIT 0").columns
            if not column.endswith(("_id", "_at")) and column != "version"
        ]
        sql = f"SELECT {', '.join(columns)} FROM {name} ORDER BY ALL"
        there = table(pm, stocked.folder, sql, stocked.variables)
        assert there.equals(table(pm, local, sql))
        assert not there.is_empty()
    assert not (stocked.folder / "lake" / "catalog.sqlite").exists()
    assert not list((stocked.folder / "lake").rglob("*.parquet"))


def test_another_workspace_reads_and_adds_to_it(
    own: Stocked, tmp_path: Path, pm: Pm, write_bars: Callable[..., Path]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert pm(other, "init").returncode == 0
    done = pm(other, "import", write_bars("CCC"), env=own.variables)
    assert done.returncode == 0, done.stderr
    found = table(pm, own.folder, "SELECT ticker, count(*) AS n FROM bars GROUP BY ALL ORDER BY ALL", own.variables)
    assert found.rows() == [("AAA", 40), ("BBB", 40), ("CCC", 40)]


def test_two_imports_at_once_of_overlapping_halves_give_the_tables_of_one(
    place: dict[str, str],
    logins: dict[str, str],
    empty_workspace: Path,
    tmp_path: Path,
    pm: Pm,
    command: list[str],
    environment: dict[str, str],
    write_bars: Callable[..., Path],
) -> None:
    files = [write_bars(ticker) for ticker in ("AAA", "BBB", "CCC", "DDD")]
    variables = logins | {f"PM_LAKE__{name.upper()}": value for name, value in place.items()}
    imports = []
    for name, half in (("one", files[:3]), ("two", files[1:])):
        (tmp_path / name).mkdir()
        assert pm(tmp_path / name, "init").returncode == 0
        line = [*command, "import", *map(str, half)]
        imports.append(
            subprocess.Popen(line, cwd=tmp_path / name, env=environment | variables, stderr=subprocess.PIPE, text=True)
        )
    for process in imports:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    local = shutil.copytree(empty_workspace, tmp_path / "local")
    assert pm(local, "import", *files).returncode == 0
    sql = "SELECT ticker, date, open, high, low, close, volume, adj_factor, source FROM bars ORDER BY ALL"
    assert table(pm, tmp_path / "one", sql, variables).equals(table(pm, local, sql))
    landed = "SELECT ticker, count(*) AS n FROM raw.bars GROUP BY ALL ORDER BY ALL"
    assert table(pm, tmp_path / "two", landed, variables).equals(table(pm, local, landed))


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_commands_that_read_and_maintain(words: list[str], stocked: Stocked, pm: Pm) -> None:
    done = pm(stocked.folder, *words, env=stocked.variables)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_compaction_merges_files_and_keeps_rows(own: Stocked, pm: Pm, write_bars: Callable[..., Path]) -> None:
    for ticker in ("CCC", "DDD"):
        assert pm(own.folder, "import", write_bars(ticker), env=own.variables).returncode == 0
    before = table(pm, own.folder, "FROM bars ORDER BY ALL", own.variables)
    done = pm(own.folder, "lake", "compact", env=own.variables)
    assert done.returncode == 0, done.stderr
    assert "Files in use" in done.stdout
    assert table(pm, own.folder, "FROM bars ORDER BY ALL", own.variables).equals(before)
    assert "none is damaged" in pm(own.folder, "lake", "verify", env=own.variables).stdout


def test_a_dry_run_changes_nothing(stocked: Stocked, pm: Pm, write_bars: Callable[..., Path]) -> None:
    before = pm(stocked.folder, "lake", "snapshots", env=stocked.variables).stdout
    done = pm(stocked.folder, "import", "--dry-run", write_bars("EEE"), env=stocked.variables)
    assert done.returncode == 0, done.stderr
    assert "40" in done.stdout
    assert pm(stocked.folder, "lake", "snapshots", env=stocked.variables).stdout == before


def test_a_past_snapshot_can_be_read(stocked: Stocked, pm: Pm) -> None:
    newest = int(
        table(pm, stocked.folder, "SELECT max(snapshot_id) AS n FROM lake.snapshots()", stocked.variables).item()
    )
    before = pm(stocked.folder, "sql", "--as-of", "2", "SELECT count(*) FROM bars", env=stocked.variables)
    assert (before.returncode, before.stdout.split()[-1]) == (0, "0")
    now = pm(stocked.folder, "sql", "--as-of", str(newest), "SELECT count(*) FROM bars", env=stocked.variables)
    assert now.stdout.split()[-1] == "80"


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_damage_in_the_object_store_is_found_and_restored(own: Stocked, tmp_path: Path, pm: Pm, store: Store) -> None:
    prefix = own.variables["PM_LAKE__DATA"].removeprefix("s3://lake/") + "/"
    keys = [key for key in store.keys(prefix) if "/bars/" in key]
    backup = tmp_path / "backup"
    backup.mkdir()
    for key in keys:
        content = store.client.get_object(Bucket="lake", Key=key)["Body"].read()
        (backup / key.rpartition("/")[2]).write_bytes(content)
    changed, gone = keys
    whole = store.client.get_object(Bucket="lake", Key=changed)["Body"].read()
    store.client.put_object(Bucket="lake", Key=changed, Body=whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    store.client.delete_object(Bucket="lake", Key=gone)
    found = pm(own.folder, "lake", "verify", env=own.variables)
    assert found.returncode == 8
    assert "changed" in found.stdout
    assert "missing" in found.stdout
    restored = pm(own.folder, "lake", "restore", backup, env=own.variables)
    assert (restored.returncode, restored.stdout) == (0, "Restored 2 files.\n")
    assert pm(own.folder, "lake", "verify", env=own.variables).returncode == 0
    assert store.client.get_object(Bucket="lake", Key=changed)["Body"].read() == whole


@pytest.mark.parametrize("stocked", ["s3"], indirect=True)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT current_setting('s3_secret_access_key')",
        "SELECT current_setting('s3_access_key_id')",
        "FROM __ducklake_metadata_lake.public.passwords",
        "FROM __ducklake_metadata_lake.passwords",
        "FROM lake.public.passwords",
        "FROM postgres_query('__ducklake_metadata_lake', 'SELECT * FROM public.passwords')",
        "FROM duckdb_secrets()",
        "FROM duckdb_databases()",
        "FROM read_parquet('s3://lake/**/*.parquet')",
        "FROM 's3://lake/other/x.parquet'",
    ],
)
def test_sql_reads_nothing_but_the_lake(sql: str, stocked: Stocked, pm: Pm, postgres: Server) -> None:
    postgres.execute("CREATE TABLE IF NOT EXISTS public.passwords AS SELECT 'of another program' AS value")
    done = pm(stocked.folder, "sql", sql, env=stocked.variables)
    for secret in (
        "of another program",
        stocked.variables["AWS_SECRET_ACCESS_KEY"],
        stocked.variables["AWS_ACCESS_KEY_ID"],
    ):
        assert secret not in done.stdout + done.stderr
    if "current_setting" not in sql:
        assert done.returncode == 11
