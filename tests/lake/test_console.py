from __future__ import annotations

import hashlib
import shutil
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import LakeError, QueryError
from pm.lake import Lake
from pm.lake.console import Console
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def workspace(pristine: Path, settings: LakeSettings, rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(pristine, tmp_path_factory.mktemp("console") / "lake")
    bars = [
        {"ticker": ticker, "date": date(2020, 1, day), "close": float(day), "batch_id": "b", "row": day}
        for ticker in ("AAPL", "IBM")
        for day in range(1, 4)
    ]
    with Lake(root, settings, TABLES) as lake:
        lake.commit("bars", lambda tx: tx.append(BARS, rows("bars", *bars)))
        lake.commit("raw", lambda tx: tx.append(RAW_BARS, rows("raw.bars", *bars)))
        lake.commit("late", lambda tx: tx.merge(BARS, rows("bars", {**bars[0], "close": 99.0})))
    (root / "data" / "planted.csv").write_text("secret\n1\n")
    pl.DataFrame({"secret": [1]}).write_parquet(root / "data" / "planted.parquet")
    return root


@pytest.fixture(scope="module")
def console(workspace: Path) -> Iterator[Console]:
    with Console(workspace) as opened:
        opened.query("SELECT count(*) FROM bars")
        yield opened


def _state(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


WORKS = {
    "SELECT count(*) FROM bars": [(6,)],
    "select max(close) from raw.bars;": [(3.0,)],
    "FROM bars SELECT count(*)": [(6,)],
    "WITH x AS (SELECT 1 AS a) SELECT a FROM x": [(1,)],
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT sum(n) FROM t": [(6,)],
    "VALUES (1, 'a'), (2, 'b')": [(1, "a"), (2, "b")],
    "SELECT count(*) FROM lake.main.bars": [(6,)],
    "SELECT count(*) FROM bars AS a JOIN bars AS b USING (ticker, date)": [(6,)],
    "SELECT count(*) FROM adjusted_bars": [(6,)],
    "SELECT n FROM range(2) AS t(n), LATERAL (SELECT 1) ORDER BY n": [(0,), (1,)],
    "SELECT unnest([1, 2])": [(1,), (2,)],
    "PIVOT (SELECT ticker, close FROM bars) ON ticker IN ('AAPL', 'IBM') USING min(close)": [(2.0, 1.0)],
    "SELECT * FROM (SELECT ticker, close FROM bars) PIVOT (count(close) FOR ticker IN ('AAPL', 'IBM'))": [(3, 3)],
    "-- a remark; with a semicolon\nSELECT 1 /* and ; another */": [(1,)],
    "SELECT 'COPY bars TO ''x.csv'''": [("COPY bars TO 'x.csv'",)],
    "SELECT INTERVAL 36 HOUR AS i, 1 AS i": [(timedelta(hours=36), 1)],
    "SELECT [INTERVAL 1 HOUR], union_value(a := 2), {'i': 7::BIGNUM}": [("['01:00:00']", "2", "{'i': 7}")],
    "SELECT NULL::INTERVAL, 7::BIGNUM, '101'::BIT": [(None, "7", "101")],
    "SELECT count(*) > 5 FROM lake.snapshots()": [(True,)],
    "SELECT count(*) > 5 FROM __ducklake_metadata_lake.ducklake_snapshot": [(True,)],
}


def test_statements_that_read_are_run(console: Console) -> None:
    found = {sql: console.query(sql).rows() for sql in WORKS}
    assert {sql: rows for sql, rows in found.items() if rows != WORKS[sql]} == {}


def test_statements_about_tables_and_plans_are_run(console: Console) -> None:
    columns = [
        ("DESCRIBE bars", "column_name"), ("DESCRIBE SELECT 1 AS a", "column_name"), ("SHOW TABLES", "name"),
        ("SHOW ALL TABLES", "name"), ("SUMMARIZE bars", "column_name"), ("EXPLAIN SELECT 1", "explain_value"),
        ("EXPLAIN ANALYZE SELECT * FROM bars", "explain_value"), ("EXPLAIN (FORMAT json) SELECT 1", "explain_value"),
        ("EXPLAIN (SELECT 1)", "explain_value"),
        ("FROM bars LIMIT 0", "ticker"), ("TABLE bars", "ticker"),
        ("FROM lake.table_changes('bars', 1, 3)", "change_type"),
        ("FROM duckdb_tables()", "table_name"), ("FROM information_schema.tables", "table_name"),
    ]  # fmt: skip
    found = {sql: console.query(sql).columns for sql, _ in columns}
    assert {sql: found[sql] for sql, column in columns if column not in found[sql]} == {}


def test_a_past_snapshot_can_be_read(console: Console, workspace: Path) -> None:
    first = console.query("SELECT min(snapshot_id) FROM lake.snapshots() WHERE commit_message = 'raw'").item()
    asked = "SELECT close FROM bars{} WHERE ticker = 'AAPL' AND date = DATE '2020-01-01'"
    assert console.query(asked.format("")).item() == 99.0
    assert console.query(asked.format(f" AT (VERSION => {first})")).item() == 1.0
    with Console(workspace, at=first) as then:
        assert then.query(asked.format("")).item() == 1.0
    with pytest.raises(LakeError, match="no such snapshot"):
        Console(workspace, at=9999)


ATTACKS = """\
COPY bars TO '{root}/out.csv'
COPY bars TO '{root}/data/out.parquet'
COPY (SELECT 1) TO '{root}/catalog.sqlite'
COPY bars FROM '{root}/data/planted.csv'
EXPORT DATABASE '{root}/data/all'
IMPORT DATABASE '{root}/data'
EXPLAIN ANALYZE COPY bars TO '{root}/data/out.csv'
EXPLAIN COPY bars TO '{root}/data/out.csv'
/* SELECT */ COPY bars TO '{root}/data/out.csv'
EXPLAIN /* */ ANALYZE COPY bars TO '{root}/data/out.csv'
EXPLAIN (ANALYZE) COPY bars TO '{root}/data/out.csv'
/* EXPLAIN */ EXPLAIN ANALYZE COPY bars TO '{root}/data/out.csv'
/* EXPLAIN (FORMAT */ EXPLAIN ANALYZE COPY (SELECT 1 AS x) TO '{root}/data/out.csv' --*/ SELECT 1
EXPLAIN (FORMAT json /*) SELECT 1 --*/, ANALYZE) COPY (SELECT 1) TO '{root}/data/out.csv'
FROM "{root}/data/raw/bars/x"."parquet"
FROM pg_settings
FROM pragma_database_list
SELECT write_log('x')
SELECT 1; COPY bars TO '{root}/data/out.csv'
SELECT 1;;COPY bars TO '{root}/data/out.csv';
INSERT INTO bars SELECT * FROM bars
UPDATE bars SET close = 0
DELETE FROM bars
TRUNCATE bars
DROP TABLE bars
MERGE INTO bars USING bars AS b ON true WHEN MATCHED THEN DELETE
ALTER TABLE bars DROP COLUMN close
WITH gone AS (DELETE FROM bars RETURNING *) SELECT * FROM gone
DROP SCHEMA raw CASCADE
CREATE TABLE mine (a INT)
CREATE TEMP TABLE mine AS SELECT 1
CREATE VIEW mine AS SELECT 1
CREATE MACRO mine() AS TABLE SELECT * FROM read_csv('/etc/passwd')
CREATE TEMP MACRO mine(a) AS a
CREATE SECRET s (TYPE s3)
CREATE SCHEMA mine
CREATE SEQUENCE s
CREATE TYPE t AS ENUM ('a')
COMMENT ON TABLE bars IS 'x'
SELECT * INTO mine FROM bars
ATTACH '{root}/data/new.db' AS new
ATTACH '{root}/catalog.sqlite' AS c (TYPE sqlite)
DETACH lake
USE memory
INSTALL httpfs
LOAD httpfs
FORCE INSTALL httpfs
UPDATE EXTENSIONS
SET enable_external_access = true
RESET enable_external_access
SET GLOBAL lock_configuration = false
SET allowed_directories = ['/']
PRAGMA enable_external_access
PRAGMA database_list
PRAGMA table_info('bars')
SET VARIABLE x = 1
SET s3_region = 'x'
SET temp_directory = '/tmp'
SET home_directory = '/'
SET python_enable_replacements = true
FROM '/etc/passwd'
FROM 'planted.csv'
FROM '{root}/data/planted.parquet'
FROM "{root}/data/planted.csv"
FROM 'https://example.com/x.parquet'
FROM 's3://bucket/x.parquet'
FROM read_csv('{root}/data/planted.csv')
FROM read_csv_auto('/etc/passwd')
FROM read_text('/etc/passwd')
FROM read_blob('/etc/passwd')
FROM read_json('/etc/passwd')
FROM read_json_objects('/etc/passwd')
FROM read_ndjson('/etc/passwd')
FROM read_parquet('{root}/data/planted.parquet')
FROM parquet_scan('{root}/data/planted.parquet')
FROM parquet_metadata('{root}/data/planted.parquet')
FROM parquet_schema('{root}/data/planted.parquet')
FROM sniff_csv('{root}/data/planted.csv')
FROM glob('/**')
FROM read_duckdb('{root}/x.db')
FROM sqlite_scan('{root}/catalog.sqlite', 'ducklake_table')
FROM sqlite_query('c', 'DROP TABLE x')
CALL sqlite_attach('{root}/catalog.sqlite')
FROM sqlite_attach('{root}/catalog.sqlite')
WITH a AS (FROM read_text('/etc/passwd')) FROM a
SELECT (SELECT content FROM read_text('/etc/passwd'))
SELECT * FROM bars WHERE ticker IN (SELECT content FROM read_text('/etc/passwd'))
SELECT * FROM bars, LATERAL (SELECT * FROM glob(bars.ticker))
SELECT 1 UNION ALL SELECT content FROM read_text('/etc/passwd')
EXPLAIN ANALYZE FROM read_text('/etc/passwd')
SUMMARIZE FROM read_csv('/etc/passwd')
DESCRIBE FROM read_csv('/etc/passwd')
SUMMARIZE '/etc/passwd'
DESCRIBE '{root}/data/planted.csv'
SELECT list_transform([1], x -> (SELECT count(*) FROM read_text('/etc/passwd')))
SELECT * FROM bars ORDER BY (SELECT content FROM read_text('/etc/passwd'))
SELECT count(*) FILTER (WHERE EXISTS (FROM read_text('/etc/passwd'))) FROM bars
PIVOT (FROM read_csv('/etc/passwd')) ON a IN (1) USING count(*)
FROM query('COPY bars TO ''{root}/data/out.csv''')
FROM query('FROM read_text(''/etc/passwd'')')
FROM query_table('bars')
FROM query_table(['/etc/passwd'])
CALL pragma_version()
FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))
PREPARE p AS SELECT 1
EXECUTE p
SELECT getenv('HOME')
FROM duckdb_secrets()
FROM duckdb_settings()
FROM frame
FROM planted
FROM console
CALL ducklake_expire_snapshots('lake', older_than => now())
FROM ducklake_expire_snapshots('lake', versions => [1])
CALL ducklake_cleanup_old_files('lake', cleanup_all => true)
FROM ducklake_delete_orphaned_files('lake', cleanup_all => true)
FROM ducklake_merge_adjacent_files('lake')
CALL lake.set_option('data_inlining_row_limit', 9)
FROM lake.set_option('a', 'b')
CALL lake.set_commit_message('a', 'b')
FROM ducklake_add_data_files('lake', 'bars', '{root}/data/planted.parquet')
FROM ducklake_flush_inlined_data('lake')
FROM ducklake_rewrite_data_files('lake')
CHECKPOINT
FORCE CHECKPOINT lake
FROM checkpoint()
VACUUM
ANALYZE
BEGIN
COMMIT
ROLLBACK
CALL force_checkpoint()
;
-- nothing
SELEC 1
SELECT
SELECT 1; SELECT 2
EXPLAIN
EXPLAIN EXPLAIN SELECT 1
SELECT ?
SELECT $a
PIVOT bars ON ticker USING max(close)
.tables
""".splitlines()

ODD = ["-- SELECT\nCOPY bars TO '{root}/data/out.csv'", "", "\x00", "SELECT 1\x00; COPY bars TO '{root}/data/out.csv'"]


def test_every_other_statement_is_refused_and_changes_nothing(console: Console, workspace: Path) -> None:
    frame = pl.DataFrame({"a": [1]})  # a name that DuckDB could find in Python
    before = _state(workspace)
    offenders = []
    for sql in ATTACKS + ODD:
        try:
            console.query(sql.replace("{root}", str(workspace)))
        except QueryError:
            pass
        else:
            offenders.append((sql, "was run"))
        if _state(workspace) != before:
            offenders.append((sql, "changed a file"))
            before = _state(workspace)
        if console.query("SELECT count(*) FROM bars").item() != 6:
            offenders.append((sql, "changed the rows"))
    assert offenders == []
    assert frame.height == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT closse FROM bars", "closse"),
        ('SELECT footer, "no magic bytes" FROM bars', "footer"),
        ("FROM barz", "barz"),
        ("FROM read_csv('x.csv')", "table function read_csv"),
        ("DROP TABLE bars", "DROP is refused"),
        ("SELECT 1; SELECT 2", "One statement at a time, not 2"),
        ("PIVOT bars ON ticker USING max(close)", "must name its columns"),
        ("SELECT 'x'::INTEGER", "Could not convert"),
    ],
)
def test_a_refusal_names_its_reason_and_a_remedy(console: Console, sql: str, says: str) -> None:
    with pytest.raises(QueryError, match=says) as refused:
        console.query(sql)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("sql", "what", "word"),
    [
        ("SELECT * FROM baars", 'Table with name baars does not exist! Did you mean "bars"?', "baars"),
        ("SELECT 1;\nSELEC 2", 'syntax error at or near "SELEC"', "SELEC"),
        ("SELECT ticker,\n  clos FROM bars", 'Referenced column "clos" not found in FROM clause! Candidate', "clos"),
    ],
)
def test_an_error_of_the_statement_is_marked_at_its_place(console: Console, sql: str, what: str, word: str) -> None:
    with pytest.raises(QueryError) as caught:
        console.query(sql)
    assert caught.value.what.startswith(what)
    assert "\n" not in caught.value.what
    line, mark = str(caught.value).split("where: ")[1].splitlines()[:2]
    assert ("  where: " + line).index(word) == mark.index("^")


def test_an_empty_statement_is_an_error(console: Console) -> None:
    for sql in ("", " ", "-- nothing", ";"):
        with pytest.raises(QueryError, match="The statement is empty"):
            console.query(sql)


def test_a_folder_without_a_lake_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake here yet"):
        Console(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_damaged_data_are_an_error_of_the_lake_and_not_of_the_statement(
    pristine: Path, settings: LakeSettings, rows: Rows, tmp_path: Path
) -> None:
    root = shutil.copytree(pristine, tmp_path / "lake")
    with Lake(root, settings, TABLES) as lake:
        lake.commit("raw", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "A"})))
    for file in (root / "data" / "raw").rglob("*.parquet"):
        file.unlink()
    with Console(root) as console, pytest.raises(LakeError, match="damaged") as refused:
        console.query("FROM raw.bars")
    assert "backup" in refused.value.hint
