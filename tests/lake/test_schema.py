from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from pm.errors import LakeError, SettingsError
from pm.lake import Lake
from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES
from pm.tables.lake import DICTIONARY, FILE_CHECKSUMS
from pm.tables.quality import BAR_FLAGS, BARS, RESTATEMENTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]


def _alter(root: Path, settings: LakeSettings, *statements: str) -> None:
    """Change a lake as if another version had made it."""
    with Lake(root, settings, TABLES, read_only=False) as lake:
        for statement in statements:
            lake._connection.execute(statement)


STALE = "COMMENT ON TABLE dictionary IS 'of another version'"


def test_every_table_view_and_column_is_described(lake: Lake) -> None:
    tables = lake.query(
        "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = 'lake' AND NOT internal"
    )
    assert tables.height == len(TABLES)
    assert tables["comment"].str.len_chars().min() > 10  # type: ignore[operator]
    columns = lake.query(
        "SELECT c.comment FROM duckdb_columns() c "
        "JOIN duckdb_tables() t USING (database_name, schema_name, table_name) "
        "WHERE database_name = 'lake' AND NOT c.internal"
    )
    assert columns.height == sum(len(item.columns) for item in TABLES.values())
    assert (columns["comment"].fill_null("").str.len_chars() > 0).all()
    views = lake.query("SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'lake' AND NOT internal")
    assert views.height == len(list(sql_dir().glob("*.sql")))
    assert (views["comment"].fill_null("").str.len_chars() > 10).all()


def test_the_dictionary_has_every_column_of_every_table_and_view(lake: Lake) -> None:
    names = [*TABLES, *(view.name for view in read_views([sql_dir()]))]
    wanted = [
        (name, column, kind)
        for name in names
        for column, kind, *_ in lake._fetch(f"DESCRIBE SELECT * FROM {name if '.' in name else f'lake.{name}'}")
    ]
    told = lake.read(DICTIONARY)
    assert sorted(told.select("table_name", "column_name", "type").iter_rows()) == sorted(wanted)
    silent = told.filter(told["comment"].fill_null("").str.strip_chars() == "")
    assert silent.select("table_name", "column_name").rows() == []


def test_a_current_lake_is_not_changed_by_opening(root: Path, settings: LakeSettings) -> None:
    with Lake(root, settings, TABLES, views=[sql_dir()]) as lake:
        before = lake.snapshot
    with Lake(root, settings, TABLES, views=[sql_dir()]) as lake:
        assert lake.snapshot == before


_STATISTICS = """
SELECT table_name, column_name, record_count, next_row_id, contains_null, min_value, max_value
FROM __ducklake_metadata_lake.ducklake_table t
    JOIN __ducklake_metadata_lake.ducklake_table_stats USING (table_id)
    JOIN __ducklake_metadata_lake.ducklake_table_column_stats s USING (table_id)
    JOIN __ducklake_metadata_lake.ducklake_column c USING (table_id, column_id)
WHERE t.end_snapshot IS NULL AND c.end_snapshot IS NULL AND table_name IN ('bars', 'bar_flags') AND record_count > 0
ORDER BY ALL
"""


def test_the_catalog_says_of_every_table_how_many_rows_it_has(lake: Lake) -> None:
    counted = "FROM __ducklake_metadata_lake.ducklake_table_stats"
    assert (
        lake.query(f"SELECT table_id {counted}").to_series().sort().to_list()
        == lake.query(
            "SELECT table_id FROM __ducklake_metadata_lake.ducklake_table WHERE end_snapshot IS NULL ORDER BY 1"
        )
        .to_series()
        .to_list()
    )
    rows = sum(lake.read(table).height for table in (DICTIONARY, FILE_CHECKSUMS))  # no other has any
    assert lake.scalar(f"SELECT sum(record_count) {counted}") == rows > 1


def test_statistics_of_empty_tables_become_those_that_ducklake_writes_with_first_rows(
    tmp_path: Path, root: Path, settings: LakeSettings, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pm.lake.lake.tell_empty_tables", lambda _: None)
    with Lake(tmp_path / "without", settings, TABLES, views=[sql_dir()]) as plain, Lake(root, settings, TABLES) as lake:
        assert plain.query(_STATISTICS).is_empty()
        found = []
        for each in (plain, lake):
            for first in (0, 100):  # in a file, and then in the catalog
                bars = [
                    {"ticker": f"T{first + n:03}", "date": date(2024, 1, 2), "close": float(n or "nan"), "volume": None}
                    for n in range(30 if first == 0 else 3)
                ]
                each.commit("bars", lambda tx, bars=bars: tx.append(BARS, rows("bars", *bars)))  # type: ignore[misc]
                flag = {"ticker": "B", "rule": "x"} if first else {"ticker": "A", "rule": "y", "detail": "z"}
                each.commit("flag", lambda tx, flag=flag: tx.append(BAR_FLAGS, rows("bar_flags", flag)))  # type: ignore[misc]
            assert each.scalar("SELECT count(*) FROM bars WHERE isnan(close)") == 2
            assert each.scalar("SELECT count(*) FROM bars WHERE close > 28") == 3  # NaN is greater than all numbers
            assert each.scalar("SELECT count(*) FROM bars WHERE ticker = 'T102' AND volume IS NULL") == 1
            found.append(each.query(_STATISTICS))
    assert found[0].height == len(BARS.columns) + len(BAR_FLAGS.columns)
    assert found[1].equals(found[0])


def test_a_missing_column_table_and_comment_are_restored(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        lake.commit("flag", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "A", "detail": "x"})))
    _alter(
        root, settings, "DROP VIEW ticker_quality", "ALTER TABLE bar_flags DROP COLUMN detail",
        "DROP TABLE restatements",
        "COMMENT ON TABLE bars IS NULL", "COMMENT ON COLUMN bars.close IS 'wrong'", STALE,
    )  # fmt: skip
    with Lake(root, settings, TABLES, views=[sql_dir()]) as lake:
        assert lake.read(BAR_FLAGS).select("ticker", "detail").rows() == [("A", None)]
        assert lake.read(RESTATEMENTS).is_empty()
        comment = lake.scalar("SELECT comment FROM duckdb_tables() WHERE table_name = 'bars' AND schema_name = 'main'")
        assert comment == TABLES["bars"].comment
        comments = lake.query(
            "SELECT comment FROM duckdb_columns() "
            "WHERE table_name = 'bars' AND schema_name = 'main' AND column_name = 'close'"
        )
        assert comments["comment"].to_list() == ["Closing price as traded, per share."]
        lake.commit("more", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "B", "detail": "y"})))
        assert lake.read(BAR_FLAGS)["detail"].to_list() == [None, "y"]


def test_an_undeclared_column_is_kept(root: Path, settings: LakeSettings, rows: Rows) -> None:
    _alter(
        root,
        settings,
        "ALTER TABLE bar_flags ADD COLUMN later VARCHAR",
        "INSERT INTO bar_flags (later) VALUES ('x')",
        STALE,
    )
    with Lake(root, settings, TABLES, views=[sql_dir()]) as lake:
        assert lake.scalar("SELECT later FROM bar_flags") == "x"
        lake.commit("flag", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "A"})))
        lake.commit("flag", lambda tx: tx.merge(BAR_FLAGS, rows("bar_flags", {"ticker": "A", "value": 2.0})))


def test_a_column_of_another_type_is_an_error_and_nothing_is_changed(root: Path, settings: LakeSettings) -> None:
    _alter(
        root, settings, "DROP VIEW ticker_quality",
        "CREATE TABLE spare AS SELECT 1::INTEGER AS ticker, * EXCLUDE (ticker) FROM bar_flags LIMIT 0",
        "DROP TABLE bar_flags", "ALTER TABLE spare RENAME TO bar_flags", "COMMENT ON TABLE bars IS 'mine'", STALE,
    )  # fmt: skip
    with Lake(root, settings, TABLES, read_only=True) as lake:
        before = lake.snapshot
    with pytest.raises(LakeError, match=r"Column bar_flags.ticker is INTEGER, this version needs VARCHAR"):
        Lake(root, settings, TABLES, views=[sql_dir()])
    with Lake(root, settings, TABLES, read_only=True) as lake:
        assert lake.snapshot == before
        assert (
            lake.scalar("SELECT comment FROM duckdb_tables() WHERE table_name = 'bars' AND schema_name = 'main'")
            == "mine"
        )


def test_a_changed_view_is_replaced(root: Path, settings: LakeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    file = folder / "95_my_view.sql"
    file.write_text("-- What I want.\n-- Over two lines.\n-- a: The letter: a.\nSELECT 1 AS a, 'x; --' AS b;\n")
    with Lake(root, settings, TABLES, views=[folder]) as lake:
        assert lake.query("FROM my_view").rows() == [(1, "x; --")]
        comment = lake.scalar("SELECT comment FROM duckdb_views() WHERE view_name = 'my_view'")
        assert comment == "What I want. Over two lines."
        told = lake.query("SELECT column_name, comment FROM dictionary WHERE table_name = 'my_view' ORDER BY position")
        assert told.rows() == [("a", "The letter: a."), ("b", "")]
    file.write_text("-- Other.\nSELECT 2 AS a")
    with Lake(root, settings, TABLES, views=[folder]) as lake:
        assert lake.query("FROM my_view").rows() == [(2,)]
    file.unlink()
    with Lake(root, settings, TABLES, views=[folder]) as lake:
        assert not lake.query("FROM duckdb_views() WHERE view_name = 'my_view'").height
        assert not lake.query("FROM dictionary WHERE table_name = 'my_view'").height


@pytest.mark.parametrize(
    "text",
    [
        "-- Broken.\nSELECT nope FROM bars",
        "SELEC 1",
        "",
        "-- Only words.",
        "SELECT 1; DROP TABLE bars",
        "DROP TABLE bars",
    ],
)
def test_the_error_for_a_broken_view_names_its_file_and_the_lake_is_unchanged(
    root: Path, settings: LakeSettings, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "99_broken.sql").write_text(text)
    with Lake(root, settings, TABLES, read_only=True) as lake:
        before = lake.snapshot
    with pytest.raises(SettingsError, match="view") as refused:
        Lake(root, settings, TABLES, views=[folder])
    assert "99_broken.sql" in refused.value.where
    with Lake(root, settings, TABLES, read_only=True) as lake:
        assert lake.snapshot == before
        assert lake.query("FROM adjusted_bars").is_empty()


def test_a_view_may_have_the_line_endings_and_the_mark_of_windows(
    root: Path, settings: LakeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    text = "-- What I want.\r\n-- a: The letter.\r\nSELECT 'σ'\r\n  AS a;\r\n"
    (folder / "95_my_view.sql").write_bytes(text.encode("utf-8-sig"))
    with Lake(root, settings, TABLES, views=[folder]) as lake:
        assert lake.query("FROM my_view").rows() == [("σ",)]
        told = lake.query("SELECT column_name, comment FROM dictionary WHERE table_name = 'my_view'")
        assert told.rows() == [("a", "The letter.")]
        assert lake.scalar("SELECT comment FROM duckdb_views() WHERE view_name = 'my_view'") == "What I want."


def test_a_view_that_cannot_be_read_is_named(root: Path, settings: LakeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    file = folder / "95_my_view.sql"
    folder.mkdir()
    for encoding in ("cp1252", "utf-16"):
        file.write_text("SELECT 'ü' AS a", encoding=encoding)
        with pytest.raises(SettingsError, match="not UTF-8") as refused:
            Lake(root, settings, TABLES, views=[folder])
        assert refused.value.where == str(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsError, match="is no file"):
        Lake(root, settings, TABLES, views=[folder])


def test_a_view_with_the_name_of_a_table_is_refused(root: Path, settings: LakeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "99_bars.sql").write_text("SELECT 1 AS a")
    with pytest.raises(SettingsError, match="bars"):
        Lake(root, settings, TABLES, views=[folder])


def test_a_workspaces_view_replaces_one_of_its_name(root: Path, settings: LakeSettings, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "12_latest_bars.sql").write_text("SELECT ticker, date, 1 AS mine FROM bars")
    with Lake(root, settings, TABLES, views=[sql_dir(), folder]) as lake:
        assert lake.query("FROM latest_bars").columns == ["ticker", "date", "mine"]


def test_another_duckdb_reads_tables_and_views(root: Path, settings: LakeSettings, rows: Rows, tmp_path: Path) -> None:
    """Under another name, and after the lake was moved."""
    import duckdb_extensions

    with Lake(root, settings, TABLES) as lake:
        bar = {"ticker": "A", "close": 2.0, "adj_factor": 0.5}
        lake.commit("bar", lambda tx: tx.append(BARS, rows("bars", bar)))
    moved = shutil.move(root, tmp_path / "elsewhere")
    with duckdb.connect() as connection:
        for name in ("sqlite_scanner", "ducklake"):
            duckdb_extensions.import_extension(name, con=connection)
            connection.load_extension(name)
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{moved}/catalog.sqlite' AS desk "
            f"(DATA_PATH '{moved}/data/', OVERRIDE_DATA_PATH true, READ_ONLY)"
        )
        assert connection.execute("SELECT ticker, close FROM desk.bars").fetchall() == [("A", 2.0)]
        connection.execute("USE desk")
        assert connection.execute("SELECT close, traded_close FROM adjusted_bars").fetchall() == [(1.0, 2.0)]
        connection.execute("BEGIN")  # in one transaction, DuckLake asks its catalog once
        for view in read_views([sql_dir()]):
            connection.execute(f"FROM {view.name}").fetchall()
        connection.execute("COMMIT")
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM bars")


def test_a_column_of_a_newer_version_is_kept_and_not_read(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        lake.commit("bar", lambda tx: tx.append(BARS, rows("bars", {"ticker": "A", "close": 2.0})))
        before = lake.snapshot
    _alter(root, settings, "ALTER TABLE bars ADD COLUMN later DOUBLE", "UPDATE bars SET later = 7")
    with Lake(root, settings, TABLES) as lake:
        assert lake.read(BARS).columns == lake.read(BARS, at=before).columns == BARS.polars_schema.names()
        assert lake.rows("SELECT ticker, later FROM bars") == [{"ticker": "A", "later": 7.0}]


def test_a_reader_refuses_an_older_lake_and_a_writer_updates_it(root: Path, settings: LakeSettings) -> None:
    with Lake(root, settings, TABLES) as lake:
        whole = lake.snapshot
    _alter(root, settings, "DROP VIEW ticker_quality", "DROP TABLE bar_flags", STALE)
    with pytest.raises(LakeError, match=r"An older version made this lake: it has no bar_flags\.") as raised:
        Lake(root, settings, TABLES, read_only=True)
    assert "pm run" in str(raised.value)
    with Lake(root, settings, TABLES, read_only=True, at=whole) as lake:
        assert lake.read(BAR_FLAGS).is_empty()
    Lake(root, settings, TABLES, views=[sql_dir()]).close()
    with Lake(root, settings, TABLES, read_only=True) as lake:
        assert lake.read(BAR_FLAGS).is_empty()
