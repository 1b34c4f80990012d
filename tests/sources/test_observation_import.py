"""Files of observations: what is read, what is refused, and the line that a message names."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from pm.errors import InputError
from pm.sources.observation_import import OBSERVATIONS_SCHEMA, read_observations

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "ticker,date,known_at,name,value"
GOOD = "AAPL,2024-01-31,2024-02-09T21:30:00Z,short_interest,0.7"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "numbers.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_is_read_with_its_times_in_utc(tmp_path: Path) -> None:
    path = write(
        tmp_path, GOOD, GOOD, "IBM,2024-01-31,2024-02-09T16:30:00-05:00,short_interest,1e-3", "",
        "IBM,2024-01-31,2024-02-10,short interest ratio,-2",
    )  # fmt: skip
    found = read_observations(path, zone=ZoneInfo("America/New_York"), source="exchange")
    assert found.row_count == 4
    assert found.observations.schema == OBSERVATIONS_SCHEMA
    night = datetime.combine(date(2024, 2, 9), time(21, 30))
    end = datetime.combine(date(2024, 2, 11), time(4, 59, 59))  # of the tenth, in New York
    assert found.observations.select("source", "ticker", "date", "known_at", "name", "value").rows() == [
        ("exchange", "AAPL", date(2024, 1, 31), night, "short_interest", 0.7),
        ("exchange", "IBM", date(2024, 1, 31), end, "short interest ratio", -2.0),
        ("exchange", "IBM", date(2024, 1, 31), night, "short_interest", 0.001),
    ]


def test_a_source_is_a_column_of_the_file_or_files(tmp_path: Path) -> None:
    path = write(tmp_path, f"{GOOD},vendor", f"{GOOD},".replace("AAPL", "IBM"), header=f"{HEADER},source")
    assert read_observations(path).observations.select("ticker", "source").rows() == [
        ("IBM", "files"),
        ("AAPL", "vendor"),
    ]
    assert read_observations(write(tmp_path, GOOD)).observations["source"].to_list() == ["files"]


def test_a_revision_is_another_row(tmp_path: Path) -> None:
    revised = GOOD.replace("02-09T", "02-19T").replace("0.7", "0.9")
    assert read_observations(write(tmp_path, GOOD, revised)).observations["value"].to_list() == [0.7, 0.9]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (GOOD.replace("0.7", "n/a"), "'n/a' is no number"),
        (GOOD.replace("0.7", "inf"), "'inf' is no number"),
        (GOOD.replace("0.7", ""), "The row has no value"),
        (GOOD.replace("AAPL", ""), "The row has no ticker"),
        (GOOD.replace("2024-01-31", "31.01.2024"), "'31.01.2024' is no date"),
        (GOOD.replace("2024-01-31", "2024-02-30"), "'2024-02-30' is no date"),
        (GOOD.replace("2024-02-09T21:30:00Z", "2024-01-30T09:00:00Z"), "before the day that the number is about"),
        (GOOD.replace("2024-02-09T21:30:00Z", "2024-02-09 21:30"), "has no zone"),
        (GOOD.replace("2024-02-09T21:30:00Z", "2024-02-09"), "has no zone"),
        (GOOD.replace("2024-02-09T21:30:00Z", "soon"), "'soon' is no time"),
        (GOOD.replace("2024-02-09T21:30:00Z", "2199-02-09T21:30:00Z"), "in the future"),
        (GOOD.replace("short_interest", "x" * 61), "cannot be a name"),
        (GOOD.replace("0.7", "0.8"), "two values of 'short_interest' for 'AAPL' on 2024-01-31"),
    ],
)
def test_a_bad_row_refuses_the_file_and_its_line_is_named(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_observations(write(tmp_path, GOOD, "", row))
    assert says in str(caught.value)
    assert "line 4" in str(caught.value) or "lines 2 and 4" in str(caught.value)


@pytest.mark.parametrize("missing", HEADER.split(","))
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    names = [name for name in HEADER.split(",") if name != missing]
    with pytest.raises(InputError, match=f"There is no column '{missing}'"):
        read_observations(write(tmp_path, "a,b,c,d", header=",".join(names)))


def test_a_file_without_rows_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no observations"):
        read_observations(write(tmp_path))
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_observations(write(tmp_path, f"{GOOD},1,2,3"))
    with pytest.raises(InputError, match="no such file"):
        read_observations(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"ticker,date,known_at,name,value\n\xff\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_observations(tmp_path / "bytes.csv")
