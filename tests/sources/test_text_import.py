"""Files of texts: what is understood, and what is refused, with the line and a remedy."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.errors import InputError
from pm.sources.moments import moment_of
from pm.sources.text_import import read_texts

if TYPE_CHECKING:
    from pathlib import Path

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "texts.csv"


def read(file: Path, text: str | bytes, **options: Any) -> Any:  # noqa: ANN401 - a TextFileContent
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_texts(file, **options)


def test_csv_as_a_spreadsheet_writes_it(file: Path) -> None:
    text = (
        'Symbol;Published;Title;Body;Link\r\nAAPL;2024-01-31T09:30:00-05:00;"Tom &amp; Jerry";'
        '"two\r\nlines; and ""quotes""";https://example.com/a\r\n\r\n'
    )
    (row,) = read(file, b"\xef\xbb\xbf" + text.encode()).texts.to_dicts()
    assert row["published_at"] == datetime(2024, 1, 31, 14, 30)  # noqa: DTZ001 - as the lake has it
    assert (row["ticker"], row["headline"], row["text"]) == ("AAPL", "Tom & Jerry", 'two\nlines; and "quotes"')
    assert (row["source"], row["url"]) == ("files", "https://example.com/a")


def test_json_lines_and_csv_of_the_same_texts_are_the_same(file: Path) -> None:
    rows = [
        {"ticker": "AAPL", "time": "2024-01-31T14:30:00Z", "headline": "a, b", "text": "c\nd"},
        {"ticker": "IBM", "time": "2024-02-01T00:00:00+01:00", "headline": "ü “x”", "text": ""},
    ]
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    from_csv = read_texts(file)
    from_json = read(file, "\n".join(json.dumps(row) for row in rows))
    assert from_csv.texts.equals(from_json.texts)
    for indent in (None, 2):
        from_array = read(file, json.dumps(rows, indent=indent))
        assert from_csv.texts.equals(from_array.texts)
    assert from_csv.texts.height == 2


def test_a_file_has_the_same_identifiers_again_and_each_text_once(file: Path) -> None:
    text = "ticker,time,text\nA,2024-01-31T14:30:00Z,one\nA,2024-01-31T15:30:00+01:00,one\nB,2024-01-31T14:30:00Z,one\n"
    first, second = read(file, text), read(file, text)
    assert first.texts["source_id"].to_list() == second.texts["source_id"].to_list()
    assert (first.row_count, first.texts.height) == (3, 2)  # half past two, twice


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("", "no texts", ""),
        ("ticker,time,text\n", "no texts", ""),
        ("ticker,time\nA,2024-01-31T14:30:00Z\n", "no column 'text'", "line 1"),
        ("tickr,time,text\nA,2024-01-31T14:30:00Z,x\n", "no column 'ticker'. Did you mean 'tickr'?", "line 1"),
        ("ticker,time,text\nA,2024-01-31T14:30:00Z,x\nA,2024-01-31 14:30,x\n", "has no zone", "line 3"),
        ("ticker,time,text\nA,2024-01-31,x\n", "has no zone", "line 2"),
        ("ticker,time,text\nA,soon,x\n", "'soon' is no time", "line 2"),
        ("ticker,time,text\nA,,x\n", "no time", "line 2"),
        ("ticker,time,text\nA,0001-01-01T00:00:00Z,x\n", "is before 1900", "line 2"),
        ("ticker,time,text\nA,1899-12-31T23:59:59Z,x\n", "is before 1900", "line 2"),
        ("ticker,time,text\nA,202401311430,x\n", "is no time", "line 2"),
        ("ticker,time,text\nA,31 Jan 2024 09:30 CET,x\n", "zone of the time", "line 2"),
        ("ticker,time,text\nA,2999-01-31T14:30:00Z,x\n", "in the future", "line 2"),
        ("ticker,time,text\n,2024-01-31T14:30:00Z,x\n", "no ticker", "line 2"),
        ('ticker,time,text\n"A,B",2024-01-31T14:30:00Z,x\n', "cannot be a ticker", "line 2"),
        (
            'ticker,time,text\nA,2024-01-31T14:30:00Z,"x\ny"\nA,2024-01-31T14:30:00Z," \x00 "\n',
            "text is empty",
            "line 4",
        ),
        ("ticker,time,text\nA,2024-01-31T14:30:00Z,x,y\n", "4 fields", "line 2"),
        ('ticker,time,text\nA,2024-01-31T14:30:00Z,"x\n', "cannot be read as CSV", "line 2"),
        (b"ticker,time,text\nA,2024-01-31T14:30:00Z,\xfc\n", "not text in UTF-8", "line 2"),
        ('{"ticker": "A"\n', "no JSON", "line 1"),
        ('{"ticker": "A", "time": "2024-01-31T14:30:00Z", "text": "x"}\n[1]\n', "no JSON object", "line 2"),
        ('[\n{"ticker": "A", "time": "2024-01-31T14:30:00Z", "text": "x"},\n1]', "no JSON object", "line 3"),
        ('[{"ticker": "A", "time": "2024-01-31T14:30:00Z",\n"text": "x"}', "array is no JSON", "line 2"),
        ('[{"ticker": "A", "time": "2024-01-31T14:30:00Z", "text": "x"}]\n{}', "array is no JSON", "line 2"),
        ("[" * 100_000, "array is no JSON", "line 1"),
        ("[]", "no texts", ""),
        ('[{"tickr": "A", "time": "2024-01-31T14:30:00Z", "text": "x"}]', "no column 'ticker'", "line 1"),
        ('{"ticker": "A", "time": [1], "text": "x"}\n', "is no time", "line 1"),
        ('{"ticker": "A", "time": true, "text": "x"}\n', "is no time", "line 1"),
        ('{"ticker": 1, "time": "2024-01-31T14:30:00Z", "text": "x"}\n', "no ticker", "line 1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line_and_a_remedy(
    file: Path, text: str | bytes, told: str, line: str
) -> None:
    with pytest.raises(InputError) as refused:
        read(file, text)
    assert told in refused.value.what
    assert line in str(refused.value.where)
    assert refused.value.hint


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(InputError):
            read_texts(path)


def test_a_text_of_a_megabyte_is_cut_and_counted(file: Path) -> None:
    content = read(file, "ticker,time,text\nA,2024-01-31T14:30:00Z," + "word " * 200_000 + "\n")
    assert (content.cut, content.texts["text"].str.len_chars().item()) == (1, 100_000)


def test_the_zone_is_that_of_the_option(file: Path) -> None:
    text = "time,text\n2024-01-31 09:30,x\n2024-07-01,y\n2024-11-03 01:30,z\n"
    times = read(file, text, zone=NEW_YORK, ticker="A").texts["published_at"].to_list()
    assert times == [
        datetime(2024, 1, 31, 14, 30),  # noqa: DTZ001
        datetime(2024, 7, 2, 3, 59, 59),  # noqa: DTZ001 - the end of the day
        datetime(2024, 11, 3, 6, 30),  # noqa: DTZ001 - the later of the two, when clocks are set back
    ]


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2100, 1, 1)), st.integers(-720, 720))  # noqa: DTZ001
def test_a_moment_is_the_same_however_it_is_written(moment: datetime, minutes: int) -> None:
    moment = moment.replace(microsecond=0)
    aware = moment.replace(tzinfo=UTC)
    shifted = aware.astimezone(ZoneInfo("Asia/Kolkata"))
    assert moment_of(shifted.isoformat()) == moment
    assert moment_of(aware.strftime("%a, %d %b %Y %H:%M:%S GMT")) == moment
    assert moment_of(int(aware.timestamp()) * 1000) == moment or aware.timestamp() < 1e9
    local = (moment + timedelta(minutes=minutes)).isoformat(sep=" ")
    sign, size = ("-" if minutes < 0 else "+"), abs(minutes)
    assert moment_of(f"{local}{sign}{size // 60:02d}:{size % 60:02d}") == moment


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        *[(f"31 Jan 2024 09:30 {zone}", "unknown zone")
          for zone in ("CET", "JST", "BST", "IST", "GMT+2", "+2", "PM", "A", "Europe/Berlin", "+01:00")],
        *[(cell, "no zone") for cell in ("31 Jan 2024 09:30", "31 Jan 2024 09:30 (CET)", "2024-01-31 09:30",
                                         "2024-01-31", "20240131", "2024-W05-3", "2024W053")],
        *[(cell, None)
          for cell in (202401311430, "20240131109", "2024-01-31T14", "2024-01-31 14Z", "2024-W05",
                       "2024-01", "2024-031", "2024", "20240131143000", "2024-01-31 09:30 CET", "Jan 31 2024 09:30")],
    ],
)  # fmt: skip
def test_a_time_that_could_mean_another_moment_is_none(cell: object, told: str | None) -> None:
    assert moment_of(cell) == told
    if told != "no zone":
        assert moment_of(cell, NEW_YORK) == told


@pytest.mark.parametrize(
    "cell",
    [
        "31 Jan 2024 14:30 GMT", "Wed, 31 Jan 2024 09:30:00 EST", "Wed, 31 Jan 2024 15:30:00 +0100 (CET)",
        "31 Jan 2024 14:30 -0000", "31 January 2024 14:30 UT", "2024-01-31 14:30 UTC", "2024-01-31 14:30:00 +00:00",
        "20240131T1430Z", "2024-W05-3T14:30Z", "2024-01-31T14:30:00,000Z", 1706711400, "1706711400000",
    ],
)  # fmt: skip
def test_a_time_with_its_zone_is_read_whatever_the_option_says(cell: object) -> None:
    assert moment_of(cell) == moment_of(cell, NEW_YORK) == datetime(2024, 1, 31, 14, 30)  # noqa: DTZ001


@pytest.mark.parametrize("cell", ["2024-01-31", "20240131", "2024-W05-3", "2024W053"])
def test_a_day_alone_is_its_end(cell: str) -> None:
    assert moment_of(cell, NEW_YORK) == datetime(2024, 2, 1, 4, 59, 59)  # noqa: DTZ001
