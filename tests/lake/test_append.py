from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.tables.quality import BAR_FLAGS, BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Lake

    Rows = Callable[..., pl.DataFrame]

VALUES = [0.1 + 0.2, -0.0, 5e-324, float("inf"), float("nan"), None, 1.7976931348623157e308]


def _bits(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.Float64).reinterpret(signed=False))


def test_appending_parquet_files_equals_appending_the_frame(lake: Lake, rows: Rows, tmp_path: Path) -> None:
    frame = rows(
        "bar_flags",
        *(
            {"ticker": f"T{n % 7}'?", "date": date(2020, 1, 1 + n % 28), "rule": f"{n}", "value": VALUES[n % 7]}
            for n in range(100)
        ),
    )
    files = []
    for number, piece in enumerate(frame.iter_slices(30)):
        files.append(tmp_path / f"it's piece {number}.parquet")
        piece.write_parquet(files[-1])
    assert lake.commit("frame", lambda tx: tx.append(BAR_FLAGS, frame)) == 100
    wanted = _bits(lake.read(BAR_FLAGS))
    lake.commit("clear", lambda tx: tx.delete(BAR_FLAGS, "true"))
    assert lake.commit("files", lambda tx: tx.append(BAR_FLAGS, files)) == 100
    assert _bits(lake.read(BAR_FLAGS)).equals(wanted)


def test_columns_of_a_file_are_matched_by_name(lake: Lake, rows: Rows, tmp_path: Path) -> None:
    frame = rows("bars", {"ticker": "A", "close": 1.5})
    frame.select(reversed(frame.columns)).write_parquet(tmp_path / "x.parquet")
    lake.commit("file", lambda tx: tx.append(BARS, [tmp_path / "x.parquet"]))
    assert lake.read(BARS).equals(frame)


def test_no_files_add_no_rows(lake: Lake) -> None:
    before = lake.versions(["raw.bars"])
    assert lake.commit("none", lambda tx: tx.append(RAW_BARS, [])) == 0
    assert lake.versions(["raw.bars"]) == before


def test_a_missing_file_or_a_file_with_an_unknown_column_is_an_error_and_adds_no_rows(
    lake: Lake, rows: Rows, tmp_path: Path
) -> None:
    frame = rows("bars", {"ticker": "A"})
    frame.write_parquet(tmp_path / "good.parquet")
    frame.with_columns(surprise=1).write_parquet(tmp_path / "other.parquet")
    for bad in ("other.parquet", "missing.parquet"):
        with pytest.raises((ValueError, FileNotFoundError), match=r"unexpected \['surprise'\]|missing\.parquet"):
            lake.commit(
                "bad",
                lambda tx, bad=bad: tx.append(BARS, [tmp_path / "good.parquet", tmp_path / bad]),  # type: ignore[misc]
            )
    assert lake.read(BARS).is_empty()


def test_a_frame_can_be_read_in_place_of_the_table(lake: Lake, rows: Rows) -> None:
    frame = rows("bars", {"ticker": "B", "date": date(2020, 1, 2)}, {"ticker": "A", "date": date(2020, 1, 1)})
    read = lake.read(BARS, "date >= ?", [date(2020, 1, 1)], among={"ticker": ["A", "B"]}, source=frame)
    assert read.equals(frame.sort("ticker"))
    assert lake.read(BARS).is_empty()
