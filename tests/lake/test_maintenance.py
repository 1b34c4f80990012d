from __future__ import annotations

import random
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.clock import utc_now
from pm.lake import Lake
from pm.lake.maintenance import compact, table_sizes
from pm.tables.catalogue import TABLES
from pm.tables.quality import BARS, QUARANTINE
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.lake import Transaction
    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]

    Model = dict[tuple[str, int], str]

NOW = timedelta(0)


@pytest.fixture
def forgetful(settings: LakeSettings) -> LakeSettings:
    return settings.model_copy(update={"expire_after_days": 0})


class Twin:
    """A lake's table of quarantined rows, and what it must hold by a plain dictionary."""

    def __init__(self, lake: Lake, rows: Rows, seed: int) -> None:
        self.lake, self.rows, self.chance = lake, rows, random.Random(seed)  # noqa: S311 - a test's own dice
        self.now: Model = {}
        self.then: dict[int, Model] = {lake.snapshot: {}}
        self.used = 0

    def held(self, at: int | None = None) -> Model:
        frame = self.lake.read(QUARANTINE, at=at).select("batch_id", "row", "original")
        found = {(batch, row): text for batch, row, text in frame.iter_rows()}
        assert len(found) == frame.height  # no key twice
        return found

    def frame(self, values: Model) -> pl.DataFrame:
        return self.rows(
            "quarantine", *({"batch_id": b, "row": r, "original": text} for (b, r), text in values.items())
        )

    def some(self, *, new: bool) -> Model:
        values: Model = {}
        for _ in range(self.chance.choice([1, 3, 25])):
            self.used += 1
            old = list(self.now)
            fresh = new or not old or self.chance.random() < 0.5
            key = (self.chance.choice("ab"), self.used) if fresh else self.chance.choice(old)
            values[key] = f"text {self.used}"
        return values

    def commit(self, steps: list[str], *, fails: bool = False) -> None:
        planned = dict(self.now)
        work: list[Callable[[Transaction], object]] = []
        for step in steps:
            if step == "delete":
                modulus = self.chance.randrange(2, 5)
                planned = {key: text for key, text in planned.items() if key[1] % modulus}
                work.append(lambda tx, m=modulus: tx.delete(QUARANTINE, "row % ? = 0", [m]))  # type: ignore[misc]
            else:
                values = self.some(new=step == "append")
                planned |= values
                act = "append" if step == "append" else "merge"
                work.append(lambda tx, a=act, v=values: getattr(tx, a)(QUARANTINE, self.frame(v)))  # type: ignore[misc]

        def write(transaction: Transaction) -> None:
            for act in work:
                act(transaction)
            if fails:
                raise InterruptedError

        if fails:
            with pytest.raises(InterruptedError):
                self.lake.commit("fails", write)
        else:
            self.lake.commit("+".join(steps), write)
            self.now = planned
            self.then[self.lake.snapshot] = dict(planned)

    def compact(self) -> None:
        compact(self.lake, keep=(), grace=NOW)
        kept = set(self.lake.snapshots()["snapshot_id"])
        self.then = {at: model for at, model in self.then.items() if at in kept}
        self.then[self.lake.snapshot] = dict(self.now)

    def check(self) -> None:
        assert self.held() == self.now
        for at, model in self.then.items():
            assert self.held(at) == model, at


STEP = st.one_of(
    st.lists(st.sampled_from(["append", "merge", "delete"]), min_size=1, max_size=3),
    st.sampled_from(["compact", "fail"]),
)


@given(seed=st.integers(0, 2**32), steps=st.lists(STEP, min_size=4, max_size=12), forget=st.booleans())
@hypothesis_settings(
    deadline=None,
    max_examples=3,
    suppress_health_check=list(HealthCheck),
    # A history takes seconds, and so does each attempt to shrink it: for minutes, a failure would look like a hang.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_any_history_equals_a_dictionary_at_every_snapshot(
    pristine: Path,
    settings: LakeSettings,
    rows: Rows,
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    steps: list[str | list[str]],
    forget: bool,
) -> None:
    root = shutil.copytree(pristine, tmp_path_factory.mktemp("history") / "lake")
    days = 0 if forget else 30
    with Lake(root, settings.model_copy(update={"expire_after_days": days}), TABLES) as lake:
        twin = Twin(lake, rows, seed)
        for step in steps:
            if step == "compact":
                twin.compact()
            elif step == "fail":
                twin.commit(["append", "merge", "delete"], fails=True)
            else:
                twin.commit(list(step))
            assert twin.held() == twin.now
        twin.compact()
        twin.check()
    shutil.rmtree(root.parent)


def _commit_days(lake: Lake, rows: Rows, count: int) -> list[int]:
    numbers = []
    for day in range(count):
        bars = rows("bars", *({"ticker": f"T{n}", "date": date(2020, 1, 1 + day), "close": 1.0 * n} for n in range(30)))
        lake.commit(f"day {day}", lambda tx, bars=bars: tx.merge(BARS, bars))  # type: ignore[misc]
        numbers.append(lake.snapshot)
    return numbers


def test_compaction_keeps_the_snapshots_asked_for_and_forgets_the_rest(
    root: Path, forgetful: LakeSettings, rows: Rows
) -> None:
    with Lake(root, forgetful, TABLES) as lake:
        numbers = _commit_days(lake, rows, 6)
        then, now = lake.read(BARS, at=numbers[2]), lake.read(BARS)
        done = compact(lake, keep=[numbers[2]], grace=NOW)
        kept = set(lake.snapshots()["snapshot_id"])
        assert numbers[2] in kept
        assert kept.isdisjoint({numbers[0], numbers[1], numbers[3], numbers[4]})
        assert set(lake.versions(TABLES).values()) - {0} <= kept
        assert done.snapshots_forgotten >= 4
        assert done.files_after < done.files_before
        assert lake.read(BARS, at=numbers[2]).equals(then)
        assert lake.read(BARS).equals(now)


def test_compaction_keeps_recent_snapshots(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        numbers = _commit_days(lake, rows, 3)
        assert compact(lake, keep=(), grace=NOW).snapshots_forgotten == 0
        assert [lake.read(BARS, at=number).height for number in numbers] == [30, 60, 90]


def test_a_second_compaction_changes_nothing(root: Path, forgetful: LakeSettings, rows: Rows) -> None:
    with Lake(root, forgetful, TABLES) as lake:
        _commit_days(lake, rows, 4)
        compact(lake, keep=(), grace=NOW)
        compact(lake, keep=(), grace=NOW)
        before = sorted((root / "data").rglob("*.parquet"))
        again = compact(lake, keep=(), grace=NOW)
        assert sorted((root / "data").rglob("*.parquet")) == before
        assert (again.files_before, again.bytes_before) == (again.files_after, again.bytes_after)


def test_a_small_lake_does_not_grow(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        _commit_days(lake, rows, 2)
        for number in range(4):  # few rows, which the catalog holds
            lake.commit("few", lambda tx, n=number: tx.append(QUARANTINE, rows("quarantine", {"row": n})))  # type: ignore[misc]
        first = compact(lake, keep=(), grace=NOW)
        assert first.files_after <= first.files_before
        assert first.bytes_after <= first.bytes_before
        assert not list((root / "data").rglob("quarantine/*.parquet"))
        assert not compact(lake, keep=(), grace=NOW).has_changed
        assert lake.read(QUARANTINE).height == 4


def test_many_rows_in_the_catalog_are_written_to_a_file(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        lake._fetch("CALL lake.set_option('data_inlining_row_limit', 5000, table_name => 'quarantine')")
        refused = rows("quarantine", *({"row": n} for n in range(1500)))
        lake.commit("many", lambda tx: tx.append(QUARANTINE, refused))
        assert not list((root / "data").rglob("quarantine/*.parquet"))
        compact(lake, keep=(), grace=NOW)
        assert list((root / "data" / "main" / "quarantine").glob("*.parquet"))
        assert lake.read(QUARANTINE).height == 1500


def test_many_deletions_in_the_catalog_are_written_to_a_file(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        refused = rows("quarantine", *({"row": n} for n in range(20_000)))
        lake.commit("many", lambda tx: tx.append(QUARANTINE, refused))
        lake._fetch("CALL lake.set_option('data_inlining_row_limit', 5000, table_name => 'quarantine')")
        lake.commit("fewer", lambda tx: tx.delete(QUARANTINE, "row < 1100"))
        assert not list((root / "data").rglob("*-delete.parquet"))
        compact(lake, keep=(), grace=NOW)
        assert list((root / "data").rglob("*-delete.parquet"))
        assert lake.read(QUARANTINE).height == 18_900


def test_a_table_with_many_deleted_rows_is_written_anew(root: Path, settings: LakeSettings, rows: Rows) -> None:
    with Lake(root, settings, TABLES) as lake:
        lake.commit("many", lambda tx: tx.append(QUARANTINE, rows("quarantine", *({"row": n} for n in range(3000)))))
        many = lake.snapshot
        deletions = """
        SELECT count(*)
        FROM __ducklake_metadata_lake.ducklake_delete_file AS d
        JOIN __ducklake_metadata_lake.ducklake_data_file AS f USING (data_file_id)
        WHERE d.end_snapshot IS NULL AND f.end_snapshot IS NULL
        """
        for deleted, left in ((200, 1), (400, 0)):
            lake.commit("fewer", lambda tx, end=deleted: tx.delete(QUARANTINE, "row < ?", [end]))  # type: ignore[misc]
            version = lake.versions(["quarantine"])
            compact(lake, keep=(), grace=NOW)
            assert lake.scalar(deletions) == left
            assert lake.read(QUARANTINE)["row"].to_list() == list(range(deleted, 3000))
            assert lake.versions(["quarantine"]) == version
            assert not lake.verify(lake.files())
        assert lake.read(QUARANTINE, at=many).height == 3000
        assert not compact(lake, keep=(), grace=NOW).has_changed


def test_files_out_of_use_stay_for_readers_that_have_them_open(root: Path, forgetful: LakeSettings, rows: Rows) -> None:
    with Lake(root, forgetful, TABLES) as lake:
        _commit_days(lake, rows, 4)
        before = set((root / "data").rglob("*.parquet"))
        done = compact(lake, keep=())
        assert done.files_waiting > 0
        assert before <= set((root / "data").rglob("*.parquet"))
        again = compact(lake, keep=())
        assert (again.files_after, again.files_waiting) == (done.files_after, done.files_waiting)
        last = compact(lake, keep=(), grace=NOW)
        assert last.files_waiting == 0
        assert not before & set((root / "data" / "main" / "bars").rglob("*.parquet"))
        assert lake.read(BARS).height == 120


def test_files_of_a_killed_writer_are_removed_once_old_enough(root: Path, settings: LakeSettings, rows: Rows) -> None:
    program = f"""
import psutil
import polars as pl
from pathlib import Path
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables import TABLES
from pm.tables.sources import RAW_BARS
settings = load_settings().lake.model_copy(update=dict(retry_attempts=1, retry_base_seconds=0.1, expire_after_days=1))
schema = RAW_BARS.polars_schema
empty = [pl.lit(None, kind).alias(column) for column, kind in schema.items() if column != "row"]
frame = pl.DataFrame({{"row": list(range(200_000))}}).with_columns(empty)
def write(tx):
    tx.append(RAW_BARS, frame)
    psutil.Process().kill()
Lake(Path({str(root)!r}), settings, TABLES).commit("killed", write)
"""
    with Lake(root, settings, TABLES) as lake:
        lake.commit("one", lambda tx: tx.append(RAW_BARS, rows("raw.bars", {"ticker": "A", "row": 1})))
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode
    with Lake(root, settings, TABLES) as lake:
        assert lake.read(RAW_BARS).height == 1
        known = {
            row[0] for row in lake._fetch("SELECT data_file FROM ducklake_list_files('lake', 'bars', schema => 'raw')")
        }
        orphans = {str(file) for file in (root / "data" / "raw" / "bars").glob("*.parquet")} - known
        assert orphans
        compact(lake, keep=())  # a file so young may be one that is being written
        assert all(Path(file).is_file() for file in orphans)
        compact(lake, keep=(), grace=NOW)
        assert not any(Path(file).is_file() for file in orphans)
        assert lake.read(RAW_BARS)["ticker"].to_list() == ["A"]


def test_table_sizes_are_those_of_the_files(lake: Lake, rows: Rows) -> None:
    _commit_days(lake, rows, 2)
    sizes = table_sizes(lake)
    assert sizes["name"].to_list() == list(TABLES)
    bars = sizes.row(by_predicate=pl.col("name") == "bars", named=True)
    files = list((lake.root / "data" / "main" / "bars").glob("*.parquet"))
    assert (bars["rows"], bars["files"]) == (60, len(files))
    assert bars["bytes"] == sum(file.stat().st_size for file in files)
    assert lake.snapshots()["snapshot_time"].max() <= utc_now()  # type: ignore[operator]
