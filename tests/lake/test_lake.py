from __future__ import annotations

import os
import re
import sqlite3
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.clock import utc_now
from pm.errors import LakeError
from pm.lake import Lake
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES
from pm.tables.features import FEATURES
from pm.tables.pipeline import RUNS
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE, RESTATEMENTS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Transaction
    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

ODD_TEXTS = [
    "{incoming}", "{x}", "{}", "{0}", "{{", "}", "it's", '"quoted"', "back\\slash", "\\u0041", "\\n", "new\nline",
    "\r\n", "tab\t", "ü☃𝄞", "\u2028", "?", "$1", ":name", "%s", "", " ", "null", "NaN", "--", "; DROP TABLE bars", "/*",
    "\x01", "\x00", "a\x00b",
]  # fmt: skip


def test_a_reopened_lake_has_the_committed_rows(root: Path, settings: LakeSettings, rows: Rows) -> None:
    wanted = rows("bars", {"ticker": "A", "date": date(2020, 1, 2), "close": 1.5}, {"ticker": "B", "close": 2.5})
    with Lake(root, settings, TABLES) as lake:
        assert lake.commit("two", lambda tx: tx.append(BARS, wanted)) == 2
    with Lake(root, settings, TABLES) as lake:
        assert lake.read(BARS).equals(wanted)
    with Lake(root, settings, TABLES, read_only=True) as lake:
        assert lake.read(BARS).equals(wanted)


def test_a_lake_can_lie_in_a_folder_of_any_name(tmp_path: Path, settings: LakeSettings, rows: Rows) -> None:
    odd = os.name == "posix"  # Windows allows neither a question mark nor a quotation mark
    named = tmp_path / f"it's {{a}} 50% ☃ lake{'?' * odd}"
    with Lake(named, settings, TABLES) as lake:
        lake.commit("one", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "A"})))
    moved = named.rename(tmp_path / ('moved "there"' if odd else "moved 'there'"))
    with Lake(moved, settings, TABLES, read_only=True) as lake:
        assert lake.read(RAW_BARS)["ticker"].to_list() == ["A"]


@pytest.mark.parametrize("copies", [1, 30], ids=["in the statement", "as a frame"])
def test_any_text_is_stored_unchanged(lake: Lake, rows: Rows, copies: int) -> None:
    wanted = rows(
        "quarantine",
        *({"batch_id": text, "row": row, "original": text} for text in ODD_TEXTS for row in range(copies)),
    )
    for piece in wanted.iter_slices(15) if copies == 1 else [wanted]:
        lake.commit("append", lambda tx, piece=piece: tx.append(QUARANTINE, piece))  # type: ignore[misc]
    for piece in wanted.head(15).iter_slices(5):
        lake.commit("merge", lambda tx, piece=piece: tx.merge(QUARANTINE, piece))  # type: ignore[misc]
    by = ["batch_id", "row"]
    assert lake.read(QUARANTINE).sort(by).equals(wanted.sort(by))


@pytest.mark.parametrize("copies", [1, 30], ids=["in the statement", "as a frame"])
def test_numbers_and_times_are_stored_to_the_last_bit(lake: Lake, rows: Rows, copies: int) -> None:
    reals = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), None, 1e-7]
    runs = rows(
        "runs",
        {"run_id": "old", "started_at": datetime(1, 1, 1, microsecond=1, tzinfo=UTC).replace(tzinfo=None)},
        {"run_id": "new", "as_of": date(9999, 12, 31), "attempts": -(2**63)},
        {"run_id": "now", "finished_at": utc_now(), "attempts": 2**63 - 1},
    )
    wanted = rows("bar_flags", *({"ticker": f"{place}", "value": value} for place, value in enumerate(reals * copies)))
    lake.commit("values", lambda tx: (tx.append(BAR_FLAGS, wanted), tx.append(RUNS, runs)))
    by = pl.col("ticker").cast(pl.Int64)
    assert (
        lake.read(BAR_FLAGS)
        .sort(by)["value"]
        .reinterpret(signed=False)
        .equals(wanted["value"].reinterpret(signed=False))
    )
    assert lake.read(RUNS).equals(runs.sort("run_id"))


@given(text=st.text(), real=st.floats(), moment=st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - the lake keeps UTC without a zone
@hypothesis_settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_is_stored_unchanged(lake: Lake, rows: Rows, text: str, real: float, moment: datetime) -> None:
    wanted = rows("restatements", {"ticker": text, "field": text, "old_value": real, "seen_at": moment})
    lake.commit("clear", lambda tx: tx.delete(RESTATEMENTS, "true"))
    lake.commit("write", lambda tx: tx.append(RESTATEMENTS, wanted))
    assert lake.read(RESTATEMENTS).equals(wanted)


def test_a_few_raw_rows_are_stored_as_parquet_too(lake: Lake, rows: Rows) -> None:
    lake.commit("one", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "A"})))
    lake.commit("one", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "A"})))
    names = {number: name for name, number in lake.table_ids().items()}
    with sqlite3.connect(lake.root / "catalog.sqlite") as catalog:
        inlined = {
            names[table_id]: catalog.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
            for table_id, name in catalog.execute("SELECT table_id, table_name FROM ducklake_inlined_data_tables")
        }
    catalog.close()
    assert inlined["bar_flags"] == 1  # the setting tells them apart: a few derived rows do go into the catalog
    assert not any(count for name, count in inlined.items() if name.startswith("raw."))
    files = list((lake.root / "data" / "raw").rglob("*.parquet"))
    assert pl.read_parquet(files)["ticker"].to_list() == ["A"]


def test_an_exception_during_a_commit_leaves_the_lake_unchanged(lake: Lake, rows: Rows) -> None:
    lake.commit("before", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "A", "row": 1})))
    before = lake.snapshot

    def write(transaction: Transaction) -> None:
        transaction.append(RAW_BARS, rows("raw.bars", *({"ticker": "B", "row": row} for row in range(100))))
        transaction.merge(RAW_BARS, rows("raw.bars", {"ticker": "C", "row": 1}))
        transaction.delete(RAW_BARS, "true")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lake.commit("fails", write)
    assert lake.snapshot == before
    assert lake.read(RAW_BARS)["ticker"].to_list() == ["A"]
    lake.commit("after", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "D", "row": 2})))
    assert lake.read(RAW_BARS)["ticker"].to_list() == ["A", "D"]


def test_a_transaction_reads_its_own_rows(lake: Lake, rows: Rows) -> None:
    def write(transaction: Transaction) -> list[str]:
        transaction.append(BARS, rows("bars", {"ticker": "A"}))
        return list(transaction.query("SELECT ticker FROM bars")["ticker"])

    assert lake.commit("write", write) == ["A"]


def test_merging_two_rows_with_one_key_is_an_error(lake: Lake, rows: Rows) -> None:
    twice = rows("runs", {"run_id": "a"}, {"run_id": "a"})
    with pytest.raises(ValueError, match="repeat a key"):
        lake.commit("twice", lambda tx: tx.merge(RUNS, twice))
    assert lake.read(RUNS).is_empty()


@pytest.mark.parametrize("tickers", [3, 700], ids=["few keys", "many keys"])
def test_a_merge_replaces_rows_of_the_same_key_and_adds_the_others(lake: Lake, rows: Rows, tickers: int) -> None:
    names = [
        f"{text}{number}" for number, text in zip(range(tickers), ["A'", "é", "\U0001f4c8"] * tickers, strict=False)
    ]
    days = [date(2020, 1, 1) + timedelta(days=place) for place in range(8)]

    def bars(days: list[date], close: float) -> pl.DataFrame:
        return rows("bars", *({"ticker": name, "date": day, "close": close} for name in names for day in days))

    lake.commit("first", lambda tx: tx.append(BARS, bars(days[:6], 1.0)))
    before = lake.snapshot

    def write(transaction: Transaction) -> None:
        transaction.append(BARS, bars(days[6:7], 2.0))
        transaction.merge(BARS, bars(days[3:], 3.0))

    lake.commit("second", write)
    found = lake.read(BARS, columns=("ticker", "date", "close"))
    wanted = pl.concat([bars(days[:3], 1.0), bars(days[3:], 3.0)]).select(found.columns)
    assert found.sort("ticker", "date").equals(wanted.sort("ticker", "date"))
    assert lake.read(BARS, at=before).height == 6 * tickers
    changes = lake.query(
        "SELECT change_type, count(*) AS rows FROM lake.table_changes('bars', ?, ?) GROUP BY ALL",
        [before + 1, lake.snapshot],
    )
    assert dict(changes.iter_rows()) == {"insert": 5 * tickers, "delete": 3 * tickers}


def test_appending_a_frame_with_other_columns_is_an_error(lake: Lake) -> None:
    with pytest.raises(ValueError, match=r"missing \['adj_close', .* unexpected \['surprise'\]"):
        lake.commit("odd", lambda tx: tx.append(RAW_BARS, pl.DataFrame({"ticker": ["A"], "surprise": [1]})))


def test_an_empty_frame_changes_no_table(lake: Lake, rows: Rows) -> None:
    before = lake.versions(TABLES)
    assert lake.commit("none", lambda tx: tx.append(BARS, rows("bars")) + tx.merge(BARS, rows("bars"))) == 0
    assert lake.versions(TABLES) == before


def test_reading_among_values_returns_exact_matches_only(lake: Lake, rows: Rows) -> None:
    lake.commit("five", lambda tx: tx.append(BARS, rows("bars", *({"ticker": t} for t in ["A", "AA", "AB", "B", "a"]))))
    assert lake.read(BARS, among={"ticker": ["A"]})["ticker"].to_list() == ["A"]
    assert lake.read(BARS, among={"ticker": ["B", "AA", "nobody"]})["ticker"].to_list() == ["AA", "B"]
    assert lake.read(BARS, among={"ticker": []}).is_empty()
    assert lake.read(BARS, "ticker < ?", ["AB"], among={"ticker": ["A", "AB"]})["ticker"].to_list() == ["A"]


def test_a_reader_cannot_write(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with (
        Lake(root, settings, TABLES, read_only=True) as reader,
        pytest.raises(LakeError, match="read-only"),
    ):
        reader.commit("no", lambda tx: tx.append(RUNS, rows("runs", {"run_id": "a"})))


def test_the_error_for_a_missing_column_names_it(lake: Lake) -> None:
    with pytest.raises(LakeError, match="nope"):
        lake.read(BARS, "nope = 1")


def test_the_version_of_a_table_changes_only_with_its_rows(
    root: Path, settings: LakeSettings, rows: Rows, tmp_path: Path
) -> None:
    from pm.lake.maintenance import compact

    flag = rows("bar_flags", {"ticker": "A", "rule": "jump", "value": 1.0})
    many = rows("features", *({"ticker": f"{number}"} for number in range(50)))
    with Lake(root, settings, TABLES) as lake:
        seen = [lake.versions(TABLES)]
        for write in (
            lambda: lake.commit("inlined append", lambda tx: tx.append(BAR_FLAGS, flag)),
            lambda: lake.commit("parquet append", lambda tx: tx.append(FEATURES, many)),
            lambda: lake.commit("merge", lambda tx: tx.merge(BAR_FLAGS, flag)),
            lambda: lake.commit("delete", lambda tx: tx.delete(FEATURES, "ticker = '7'")),
            lambda: lake.commit("delete inlined", lambda tx: tx.delete(BAR_FLAGS, "true")),
        ):
            write()
            seen.append(lake.versions(TABLES))
        newest = lake.snapshot
        names = TABLES.keys() - {"file_checksums"}  # which changes with every file
        changed = [{name for name in names if now[name] != then[name]} for then, now in pairwise(seen)]
        assert changed == [{"bar_flags"}, {"features"}, {"bar_flags"}, {"features"}, {"bar_flags"}]
        assert seen[-1]["bar_flags"] == newest
        for _ in range(3):
            lake.commit("grow", lambda tx: tx.append(FEATURES, many))
        lake.commit("shrink", lambda tx: tx.delete(FEATURES, "ticker = '9'"))
        before = lake.versions(TABLES)
        since = lake.snapshot
        lake.maintain("CALL ducklake_flush_inlined_data('lake', table_name => 'features')")
        compact(lake, keep=(), grace=timedelta(0))
        assert lake.versions(TABLES) == before
        changes = lake.snapshots().filter(pl.col("snapshot_id") > since)["changes"].str.join("|").item()
        assert re.search(r"tables deleted from: (\w+, )*features", changes)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "90_mine.sql").write_text("-- Mine.\nSELECT 1 AS one;")
    with Lake(
        root, settings, TABLES, views=[sql_dir(), tmp_path / "sql"]
    ) as lake:  # a new view changes only the dictionary's rows
        changes_of_a_view = {name for name, at in lake.versions(TABLES).items() if at != before[name]}
        assert changes_of_a_view == {"dictionary", "file_checksums"}


def test_a_snapshot_is_found_by_number_time_or_date(lake: Lake, rows: Rows) -> None:
    numbers = []
    for ticker in "ABC":
        lake.commit(ticker, lambda tx, ticker=ticker: tx.append(BARS, rows("bars", {"ticker": ticker})))  # type: ignore[misc]
        numbers.append(lake.snapshot)
    times = dict(lake.snapshots().select("snapshot_id", "snapshot_time").iter_rows())
    second = numbers[1]
    assert lake.snapshot_at(second) == second
    assert lake.snapshot_at(times[second] + timedelta(microseconds=1)) == second
    assert lake.snapshot_at(times[second]) == numbers[0]
    assert lake.snapshot_at(utc_now().date() + timedelta(days=1)) == numbers[2]
    assert lake.read(BARS, at=second)["ticker"].to_list() == ["A", "B"]
    with Lake(lake.root, lake.settings, TABLES, read_only=True, at=numbers[0]) as then:
        assert then.read(BARS)["ticker"].to_list() == ["A"]
    with pytest.raises(LakeError, match="There is no snapshot 99999"):
        lake.snapshot_at(99999)
    with pytest.raises(LakeError, match="There was no lake on 2001-01-01") as refused:
        lake.snapshot_at(date(2001, 1, 1))
    assert "pm lake snapshots" in refused.value.hint
    with pytest.raises(LakeError, match="no such snapshot"):
        lake.read(BARS, at=99999)


def test_the_list_of_snapshots_names_runs_and_tables(lake: Lake, rows: Rows) -> None:
    lake.commit(
        "it's done",
        lambda tx: (tx.append(BARS, rows("bars", {"ticker": "A"})), tx.append(RAW_BARS, rows("raw.bars", {}))),
        run_id="R1",
        stage="check",
    )
    newest = lake.snapshots().row(-1, named=True)
    assert newest["message"] == "R1 it's done"
    assert newest["author"] == "pm"
    assert "raw.bars" in newest["changes"]
    assert "inlined insert: bars" in newest["changes"]
    extra = lake.scalar("SELECT commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")
    assert extra == '{"run_id": "R1", "stage": "check"}'


def test_known_rows_are_those_of_the_query_whatever_is_written_between(lake: Lake, rows: Rows) -> None:
    sql = "SELECT ticker, rule FROM bar_flags WHERE ticker < ? ORDER BY ticker"
    for number in range(4):
        for _ in range(2):
            assert lake.known_rows(sql, ["B"]) == lake.rows(sql, ["B"])
            assert lake.known_rows(sql, ["Z"]) == lake.rows(sql, ["Z"])
        lake.known_rows(sql, ["Z"]).clear()  # the caller's own list
        lake.commit("more", lambda tx, n=number: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "ABYZ"[n]})))  # type: ignore[misc]


def test_known_rows_are_not_asked_for_again_while_their_tables_are_the_same(lake: Lake, rows: Rows) -> None:
    sql = "SELECT random() AS drawn FROM bar_flags"
    lake.commit("one", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "A"})))
    first = lake.known_rows(sql)
    lake.commit("another table", lambda tx: tx.append(RUNS, rows("runs", {"run_id": "r"})))
    assert lake.known_rows(sql) == first
    lake.commit("this table", lambda tx: tx.append(BAR_FLAGS, rows("bar_flags", {"ticker": "B"})))
    assert lake.known_rows(sql)[0] != first[0]
