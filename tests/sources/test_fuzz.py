"""Files damaged at random are read or refused with one clear message, and never anything else."""

from __future__ import annotations

import gzip
import random
import zipfile
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import InputError
from pm.open_files import delete
from pm.quality import check_bars
from pm.settings import load_settings
from pm.sources import actions_of, inspect_files, read_file
from pm.sources.base import BARS_SCHEMA
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from pm.sources import FilePlan

TESTS = Path(__file__).parents[1]
LONGEST_MESSAGE = 2_000
"""Maximum number of characters of a message, its place and its remedy together."""
CELLS = (
    b"", b" ", b"-", b"0", b"-1", b"nan", b"inf", b"1e999", b"1e-999", b"9" * 400, b"1,234.5", b"1.234,5", b"0x10",
    b"=1+1", b"NULL", b"\xa0", b"\xff\xfe", b"\x00", "\u0661".encode(), b"2020-13-45", b"0000-00-00", b"9999-12-31",
    b"31/12/2020", b"1.5K", b'"', b'""', b"'", b"\r", b"\n", b"x" * 140_000, b"ticker", b"date", b"close", b"TRUE",
    b"#REF!", b"1:2",
)  # fmt: skip
"""Content of cells that a file can have in place of its own."""
REPLACEMENTS = ((b",", b";"), (b".", b","), (b"-", b"/"), (b"\n", b"\r\n"), (b"0", b""))
"""Texts that replace others in a whole file."""


def seeds() -> list[tuple[str, bytes]]:
    """Return files of every format that can be read: name and content."""
    cases = [path for folder in ("sources", "pipeline") for path in sorted((TESTS / folder / "cases").rglob("*"))]
    found = [(path.name, path.read_bytes()) for path in cases if path.is_file()]
    text = b"ticker,date,open,high,low,close,adj_close,volume,split,dividend\n" + b"".join(
        b"T%d,2020-01-%02d,1.5,2.5,1.0,2.0,1.9,100,,0.1\n" % (ticker, day) for ticker in (1, 2) for day in range(1, 29)
    )
    frame = pl.read_csv(text, try_parse_dates=True)
    parquet, book, archive = BytesIO(), BytesIO(), BytesIO()
    frame.write_parquet(parquet)
    frame.write_excel(book)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("AAA.csv", text)
        members.writestr("notes.md", b"nothing")
    packed = [
        ("T.parquet", parquet.getvalue()),
        ("T.xlsx", book.getvalue()),
        ("T.zip", archive.getvalue()),
        ("T.csv.gz", gzip.compress(text)),
        ("T.csv", text),
    ]
    return found + packed * (len(found) // len(packed))


def with_other_bytes(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return a file's content with a part of it changed, lost, repeated, or exchanged for noise or another file's."""
    size = len(content)
    first = chance.randrange(size + 1)
    last = min(size, first + chance.choice([1, 8, 64, 4096]))
    head, part, tail = content[:first], content[first:last], content[last:]
    kind = chance.randrange(6)
    if kind == 0:
        return head + bytes(byte ^ (1 << chance.randrange(8)) for byte in part[:1]) + content[first + 1 :]
    if kind == 1:
        return head
    if kind == 2:
        return head + tail
    if kind == 3:
        return head + part * chance.choice([2, 3, 50]) + tail
    if kind == 4:
        return head + chance.randbytes(chance.choice([1, 3, 200])) + part + tail
    return head + other[first:last] + tail


def with_other_lines(content: bytes, chance: random.Random) -> bytes:
    """Return a file's content with a line lost or repeated, the lines in another order, or another cell."""
    head, *lines = content.split(b"\n")
    place = chance.randrange(len(lines) + 1)
    kind = chance.randrange(4)
    if kind == 0:
        lines = lines[:place] + lines[place + 1 :]
    elif kind == 1:
        lines = lines[:place] + lines[-1:] + lines[place:]
    elif kind == 2:
        chance.shuffle(lines)
    elif place < len(lines):
        cells = lines[place].split(b",")
        cells[chance.randrange(len(cells))] = chance.choice(CELLS)
        lines[place] = b",".join(cells)
    return b"\n".join([head, *lines])


def with_another_digit(content: bytes, chance: random.Random) -> bytes:
    places = [place for place, byte in enumerate(content) if byte in b"0123456789"]
    place = chance.choice(places or [len(content)])
    return content[:place] + b"%d" % chance.randrange(10) + content[place + 1 :]


def damaged(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return a file's content changed at one place, or at a few."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        kind = chance.randrange(4)
        if kind == 0:
            content = with_other_bytes(content, other, chance)
        elif kind == 1:
            content = with_other_lines(content, chance)
        elif kind == 2:
            content = with_another_digit(content, chance)
        else:
            content = content.replace(*chance.choice(REPLACEMENTS))
    return content


def bars_of(plan: FilePlan) -> pl.DataFrame:
    frames = list(read_file(plan))
    assert all(frame.schema == BARS_SCHEMA for frame in frames)
    actions_of(plan)
    return pl.concat([BARS_SCHEMA.to_frame(), *frames])


@pytest.mark.parametrize("count", [pytest.param(60, id="some"), pytest.param(3000, id="many", marks=pytest.mark.slow)])
def test_damaged_files_are_read_or_refused_by_one_message(
    tmp_path: Path, count: int, as_raw: Callable[[pl.DataFrame], pl.DataFrame], today: date
) -> None:
    chance, known = random.Random(11), seeds()  # noqa: S311 - seeded, so that a failure can be repeated
    settings = load_settings().quality
    read = refused = 0
    for _ in range(count):
        name, content = chance.choice(known)
        file = tmp_path / name
        file.write_bytes(damaged(content, chance.choice(known)[1], chance))
        inspected = inspect_files([file], ticker=chance.choice([None, "ANY"]))
        errors = list(inspected.refused)
        for plan in inspected.plans:
            try:
                bars = as_raw(bars_of(plan))
            except InputError as error:
                errors.append(error)
                continue
            read += 1
            checked = check_bars(bars, today=today, settings=settings)
            assert checked.good.height + checked.refused.height == bars.height
            closes = checked.good["close"]
            assert closes.is_finite().all()
            assert (closes > 0).all()
        for refusal in errors:
            assert refusal.what.strip(), file
            assert "\n" not in refusal.what, file
            assert refusal.where, file
            assert refusal.hint, file
            assert len(str(refusal)) < LONGEST_MESSAGE, file
        refused += len(errors)
        delete(file)  # nothing has it open; Windows would refuse
    print(f"{count:,} files: {read:,} read, {refused:,} errors")  # noqa: T201 - figures for docs/evidence.md
    assert read > count / 10
    assert refused > count / 10


@pytest.fixture
def as_raw() -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return bars of a file as rows of raw.bars."""

    def convert(bars: pl.DataFrame) -> pl.DataFrame:
        rows = bars.with_row_index("row", offset=1).with_columns(batch_id=pl.lit("b"), fetched_at=pl.lit(None))
        return rows.select(pl.col(name).cast(dtype) for name, dtype in RAW_BARS.polars_schema.items())

    return convert


@pytest.fixture
def today() -> date:
    from pm.clock import utc_today

    return utc_today()
