"""Folders of files that a refresh watches."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    Read = Callable[..., pl.DataFrame]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
from market import Share, evening

from tests.pipeline.house import MONDAY, House, last_dates


def test_what_is_new_or_changed_in_a_watched_folder_lands_and_other_files_are_told(
    house: House, ask: Read, tmp_path: Path
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    Share("X").bars(date(2023, 12, 29)).write_csv(folder / "X.csv")
    (folder / "broken.csv").write_text("date,close\nno date,1\n", encoding="utf-8")
    house.watch(folder)
    house.refresh(evening(MONDAY))
    assert last_dates(house, ask) == {"X": date(2023, 12, 29)}
    assert "broken.csv" in ask(house.folder, "SELECT problem FROM folders").item()
    assert house.refresh(evening(MONDAY)).worked is False
    Share("X").bars(MONDAY).write_csv(folder / "X.csv")
    Share("Y").bars(MONDAY).write_csv(folder / "Y.csv")
    house.refresh(evening(MONDAY))
    assert last_dates(house, ask) == {"X": MONDAY, "Y": MONDAY}
    assert ask(house.folder, "SELECT count(*) FROM raw.batches").item() == 3
    house.add("AAPL")  # beside vendors
    house.refresh(evening(MONDAY))
    assert house.refresh(evening(MONDAY)).worked is False
    Share("Z").bars(MONDAY).write_csv(folder / "Z.csv")
    house.refresh(evening(MONDAY))
    assert set(last_dates(house, ask)) == {"AAPL", "X", "Y", "Z"}
    shutil.rmtree(folder)
    house.refresh(evening(MONDAY))
    assert "is not there" in ask(house.folder, "SELECT problem FROM folders").item()
    house.watch(folder, watch=False)
    assert ask(house.folder, "FROM folders").is_empty()


def test_a_folder_is_watched_once_however_its_path_is_written(house: House, tmp_path: Path, ask: Read) -> None:
    folder, beside = tmp_path / "bars", tmp_path / "beside"
    folder.mkdir()
    beside.mkdir()
    house.watch(folder)
    house.watch(beside / ".." / "bars")
    assert ask(house.folder, "SELECT path FROM folders")["path"].to_list() == [str(folder)]
    house.watch(beside / ".." / "bars", watch=False)
    assert ask(house.folder, "SELECT path FROM folders").is_empty()
