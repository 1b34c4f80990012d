from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import LakeError
from pm.lake import Lake
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

READS = {
    "SELECT 1": set(),
    "FROM bars": {"bars"},
    "FROM BARS": {"bars"},
    'FROM "bars"': {"bars"},
    "FROM main.bars": {"bars"},
    "FROM lake.bars": {"bars"},
    "FROM lake.main.bars": {"bars"},
    "FROM raw.bars": {"raw.bars"},
    "FROM lake.raw.bars": {"raw.bars"},
    "FROM bars AS b JOIN raw.bars AS r USING (ticker, date)": {"bars", "raw.bars"},
    "FROM bars, signals": {"bars", "signals"},
    "FROM bars WHERE ticker = ? AND date > ?": {"bars"},
    "FROM bars AT (VERSION => 3)": {"bars"},
    "FROM raw.bars AT (TIMESTAMP => now())": {"raw.bars"},
    "SELECT ticker FROM bars UNION ALL SELECT ticker FROM signals": {"bars", "signals"},
    "SELECT (SELECT max(close) FROM bars) FROM runs": {"bars", "runs"},
    "SELECT * FROM runs WHERE EXISTS (FROM signals AS s WHERE s.run_id = runs.run_id)": {"runs", "signals"},
    "SELECT * FROM (SELECT * FROM (SELECT * FROM bars))": {"bars"},
    "SELECT * FROM runs, LATERAL (SELECT count(*) FROM bars WHERE cutoff < runs.as_of)": {"runs", "bars"},
    "SELECT count(*) FROM runs ORDER BY (SELECT max(close) FROM bars)": {"runs", "bars"},
    "SELECT count(*) FILTER (WHERE EXISTS (FROM bars)) FROM runs": {"runs", "bars"},
    "PIVOT (FROM bars) ON ticker IN ('A') USING count(*)": {"bars"},
    "DESCRIBE bars": {"bars"},
    "SUMMARIZE bars": {"bars"},
    "EXPLAIN": None,
    # Common table expressions
    "WITH x AS (SELECT 1 AS a) FROM x": set(),
    "WITH x AS (FROM bars) FROM x": {"bars"},
    "WITH X AS (SELECT 1), y AS (FROM x) FROM Y": set(),
    "WITH bars AS (SELECT 1 AS a) FROM bars": set(),
    "WITH bars AS (FROM bars) FROM bars": {"bars"},
    "WITH bars AS (SELECT 1 AS a) FROM bars, main.bars AS b": {"bars"},
    "SELECT * FROM (WITH bars AS (SELECT 1 AS a) FROM bars), bars": {"bars"},
    "WITH x AS (SELECT 1) SELECT * FROM runs WHERE EXISTS (FROM x)": {"runs"},
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t, bars) FROM t": {"bars"},
    "WITH a AS (FROM b), b AS (SELECT 1) FROM a": {"b"},
    # Views
    "FROM adjusted_bars": {"bars"},
    "FROM Adjusted_Bars": {"bars"},
    "FROM lake.adjusted_bars AS a JOIN runs USING (run_id)": {"bars", "runs"},
    "FROM returns": {"bars"},
    "FROM ticker_quality": {"bars", "quarantine", "bar_flags"},
    "FROM latest_signals": {"signals", "stage_events", "runs"},
    "WITH adjusted_bars AS (SELECT 1) FROM adjusted_bars": set(),
    # Functions
    "FROM range(3)": set(),
    "SELECT unnest([1, 2])": set(),
    "FROM lake.table_changes('bars', 1, 2)": {"bars"},
    "FROM lake.table_changes('bars', ?, ?)": {"bars"},
    "FROM lake.table_insertions('raw.bars', 1, 2)": {"raw.bars"},
    "FROM ducklake_table_changes('lake', 'raw', 'bars', 1, 2)": {"raw.bars"},
    "FROM ducklake_table_deletions('lake', 'main', 'bars', 1, 2)": {"bars"},
    "FROM query_table('bars')": {"bars"},
    "FROM query_table('adjusted_bars')": {"bars"},
    "FROM query_table(?)": {"query_table()"},
    "FROM query('FROM bars')": {"query()"},
    "FROM lake.snapshots()": {"snapshots()"},
    "FROM ducklake_table_info('lake')": {"ducklake_table_info()"},
    "FROM duckdb_tables()": {"duckdb_tables()"},
    "FROM read_parquet('x.parquet')": {"read_parquet()"},
    # Other names
    "FROM wanted JOIN bars USING (ticker)": {"wanted", "bars"},
    "FROM 'x.parquet'": {"x.parquet"},
    "FROM information_schema.tables": {"information_schema.tables"},
    "FROM __ducklake_metadata_lake.ducklake_table": {"__ducklake_metadata_lake.ducklake_table"},
    "SHOW TABLES": {"SHOW TABLES"},
    # What reads nothing by a SELECT
    "DELETE FROM bars": None,
    "INSERT INTO bars FROM bars": None,
    "SELEC 1": None,
    "": set(),
}
"""Statement, and the tables that it reads; None where the statement is refused."""


@pytest.fixture(scope="module")
def lake(pristine: Path, settings: LakeSettings) -> Iterator[Lake]:
    with Lake(pristine, settings, TABLES, read_only=True) as opened:
        yield opened


def _read_by(lake: Lake, sql: str) -> set[str] | None:
    try:
        return lake.tables_read_by(sql)
    except ValueError:
        return None


def test_the_tables_that_a_statement_reads_are_found(lake: Lake) -> None:
    found = {sql: _read_by(lake, sql) for sql in READS}
    assert {sql: tables for sql, tables in found.items() if tables != READS[sql]} == {}


def test_the_views_that_a_statement_reads_are_found(lake: Lake) -> None:
    wanted = {
        "FROM bars": set(),
        "FROM adjusted_bars": {"adjusted_bars"},
        "FROM RETURNS, runs": {"returns", "adjusted_bars"},
        "FROM latest_signals": {"latest_signals", "run_outputs", "latest_run"},
        "WITH returns AS (SELECT 1) FROM returns": set(),
    }
    assert {sql: lake.views_read_by(sql) for sql in wanted} == wanted


def test_every_packaged_view_reads_declared_tables_alone(lake: Lake) -> None:
    for file in sql_dir().glob("*.sql"):
        name = file.stem.partition("_")[2]
        assert lake.tables_read_by(f"FROM {name}") <= set(TABLES), name
        assert name in lake.views_read_by(f"FROM {name}")


def test_a_registered_frame_keeps_its_name(lake: Lake) -> None:
    sql = "SELECT count(*) FROM wanted LEFT JOIN bars USING (ticker)"
    assert lake.query(sql, wanted=pl.DataFrame({"ticker": ["A"]})).item() == 1
    assert lake.tables_read_by(sql) - set(TABLES) == {"wanted"}


def test_the_definition_of_a_view_is_its_select(lake: Lake) -> None:
    definitions = lake.view_definitions(["returns", "latest_bars"])
    assert list(definitions) == ["returns", "latest_bars"]
    for name, select in definitions.items():
        assert select.startswith("SELECT")
        assert lake.query(select).schema == lake.query(f"FROM {name}").schema
    with pytest.raises(LakeError, match=r"There is no view 'retunrs'\. Did you mean 'returns'\?"):
        lake.view_definitions(["retunrs"])
