"""`pm lake copy` moves a lake to a shared place with its snapshots, and `pm init` makes a workspace on one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import LakeError
from pm.lake import Lake
from pm.lake.moving import copy_to_shared
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake.location import LakeLocation
    from pm.settings import LakeSettings
    from tests.conftest import Build, Pm


@pytest.fixture
def local(tmp_path: Path, build_once: Build, pm: Pm, write_bars: Callable[..., Path]) -> Path:
    """A workspace with a lake of its own, with rows in files and in the catalog."""

    def build(folder: Path) -> None:
        assert pm(folder, "init").returncode == 0
        for ticker in ("AAA", "BBB"):
            assert pm(folder, "import", write_bars(ticker)).returncode == 0
        assert pm(folder, "universe", "add", "AAA", "BBB").returncode == 0
        assert pm(folder, "universe", "remove", "BBB").returncode == 0

    return shutil.copytree(build_once("moving", build), tmp_path / "local")


def contents(lake: Lake) -> dict[tuple[int, str], pl.DataFrame]:
    """Return every table at the newest snapshot, and those with rows at every earlier one that has them."""
    found = {}
    newest = lake.snapshots()["snapshot_id"].max()
    with_rows = [name for name, table in lake.tables.items() if lake.read(table).height]
    for snapshot in lake.snapshots()["snapshot_id"]:
        for name in lake.tables if snapshot == newest else with_rows:
            table = lake.tables[name]
            try:
                found[snapshot, name] = lake.read(table, at=snapshot)
            except LakeError:
                continue
    return found


def test_a_copy_has_every_row_of_every_snapshot(
    local: Path, location: LakeLocation, shared: LakeSettings, settings: LakeSettings
) -> None:
    told: list[int] = []
    with Lake(local / "lake", settings, TABLES, views=[sql_dir()]) as lake:
        lake.commit("gone", lambda transaction: transaction.delete(TABLES["bars"], "ticker = 'BBB' AND close > 105"))
        count = copy_to_shared(lake, location, on_progress=told.append)
        before = contents(lake)
        assert told == [file.bytes for file in lake.files()]
        with Lake(location.folder, shared, TABLES, read_only=True) as copy:
            after = contents(copy)
            assert copy.snapshots().equals(lake.snapshots())
            assert copy.files() == lake.files()
            assert copy.verify(copy.files()) == []
    assert count == len(told) > 2
    assert before.keys() == after.keys()
    assert len({name for _, name in before}) == len(TABLES)
    for key, frame in before.items():
        assert frame.equals(after[key]), key


def test_a_copy_goes_on_as_the_lake_would(
    local: Path,
    pm: Pm,
    words: list[str],
    place: dict[str, str],
    variables: dict[str, str],
    logins: dict[str, str],
    write_bars: Callable[..., Path],
) -> None:
    copied = pm(local, "lake", "copy", *words, env=logins)
    assert copied.returncode == 0, copied.stderr
    assert f'catalog: "{place["catalog"]}"' in copied.stdout
    for env in (variables, {}):  # the copy, and the lake that it was made from
        done = pm(local, "import", write_bars("CCC"), env=env)
        assert done.returncode == 0, done.stderr
        assert pm(local, "import", write_bars("AAA"), env=env).returncode == 0
        assert pm(local, "lake", "compact", env=env).returncode == 0
        assert "none is damaged" in pm(local, "lake", "verify", env=env).stdout
    sql = "SELECT * EXCLUDE (batch_id, fetched_at, run_id, snapshot_id) FROM bars ORDER BY ALL"
    tables: list[pl.DataFrame] = []
    for env in (variables, {}):
        file = local / f"{len(tables)}.parquet"
        assert pm(local, "sql", sql, "--format", "parquet", "-o", file, env=env).returncode == 0
        tables.append(pl.read_parquet(file))
    assert tables[0].equals(tables[1])
    again = pm(local, "lake", "copy", *words, env=logins)
    assert (again.returncode, "There is a lake at this place" in again.stderr) == (8, True)
    assert "shared already" in pm(local, "lake", "copy", *words, env=variables).stderr


def test_a_copy_does_not_overwrite_a_lake(
    local: Path, location: LakeLocation, shared: LakeSettings, settings: LakeSettings
) -> None:
    Lake(location.folder, shared, TABLES).close()
    with (
        Lake(local / "lake", settings, TABLES) as lake,
        pytest.raises(LakeError, match="There is a lake at this place"),
    ):
        copy_to_shared(lake, location)


class _CutOff(Exception):  # noqa: N818 - it is no error
    pass


def test_a_copy_that_was_cut_off_is_done_again(
    local: Path, location: LakeLocation, shared: LakeSettings, settings: LakeSettings
) -> None:
    def cut(_: int) -> None:
        raise _CutOff

    with Lake(local / "lake", settings, TABLES) as lake:
        with pytest.raises(_CutOff):
            copy_to_shared(lake, location, on_progress=cut)
        copy_to_shared(lake, location)
        with Lake(location.folder, shared, TABLES, read_only=True) as copy:
            assert copy.read(TABLES["bars"]).equals(lake.read(TABLES["bars"]))


@pytest.fixture
def words(place: dict[str, str]) -> list[str]:
    return [word for name, value in place.items() for word in (f"--{name.removeprefix('s3_')}", value)]


def test_init_makes_a_workspace_on_a_shared_lake(
    tmp_path: Path,
    pm: Pm,
    words: list[str],
    place: dict[str, str],
    logins: dict[str, str],
    write_bars: Callable[..., Path],
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    made = pm(tmp_path, "init", first, *words, env=logins)
    assert made.returncode == 0, made.stderr
    assert "it holds no lake yet" in made.stdout
    settings = load_settings(first / "config").lake
    assert {name: getattr(settings, name) for name in place} == place
    assert pm(first, "import", write_bars("AAA"), env=logins).returncode == 0
    assert "it holds a lake" in pm(tmp_path, "init", second, *words, env=logins).stdout
    assert pm(second, "sql", "SELECT count(*) FROM bars", env=logins).stdout.split()[-1] == "40"
    assert pm(tmp_path, "init", second, *words, env=logins).returncode == 0
    other = pm(tmp_path, "init", second, *words[:-1], words[-1] + "x", env=logins)
    assert other.returncode != 0


def test_init_makes_nothing_if_the_server_does_not_answer(tmp_path: Path, pm: Pm, words: list[str]) -> None:
    made = pm(tmp_path, "init", tmp_path / "work", *words, env={"PGPASSWORD": "", "PGPASSFILE": str(tmp_path / "none")})
    assert made.returncode == 8
    assert not (tmp_path / "work").exists()


def test_init_needs_both(tmp_path: Path, pm: Pm, words: list[str]) -> None:
    made = pm(tmp_path, "init", tmp_path / "work", *words[:2])
    assert made.returncode == 3
    assert "go together" in made.stderr
