"""`pm sql` shows every value that SQL has, in each format: as itself, or as the text that SQL writes."""

from __future__ import annotations

import csv
import json
import re
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from pm.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace whose lake has a few bars."""
    folder = tmp_path_factory.mktemp("values")
    (folder / "A.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,6\n")
    with redirect_stdout(StringIO()):
        assert main(["init", str(folder)]) == 0
        assert main(["--workspace", str(folder), "import", str(folder / "A.csv")]) == 0
    return folder


def answer(folder: Path, query: str, output_format: str) -> str:
    out = StringIO()
    target = folder / f"out.{output_format}"
    written = [] if output_format == "table" else ["-o", str(target)]
    with redirect_stdout(out):
        assert main(["--workspace", str(folder), "sql", query, *written]) == 0
    return out.getvalue() if output_format == "table" else target.read_text("utf-8")


def sql_text(value: str) -> str:
    """Return what DuckDB itself writes for a value."""
    (text,) = duckdb.execute(f"SELECT CAST({value} AS VARCHAR)").fetchone() or ()
    return str(text)


BEYOND = [
    "'infinity'::DATE", "'-infinity'::DATE", "'290000-01-01'::DATE", "'-4000-01-01'::DATE", "'10000-01-01'::DATE",
    "'infinity'::TIMESTAMP", "'-infinity'::TIMESTAMP", "'290000-01-01'::TIMESTAMP", "'-4000-01-01'::TIMESTAMP",
    "'infinity'::TIMESTAMPTZ", "'infinity'::TIMESTAMP_S", "'infinity'::TIMESTAMP_MS", "'-infinity'::TIMESTAMP_NS",
    "'290000-01-01'::TIMESTAMP_S", "['infinity'::DATE]", "['infinity'::TIMESTAMP_S]", "{'a': 'infinity'::TIMESTAMP}",
    "MAP {'a': '-4000-01-01'::DATE}", "[{'a': MAP {'b': 'infinity'::DATE}}]", "MAP {{'a': 1}: 2}", "ROW(1, 2)",
    "[ROW(1, 2)]", "'24:00:00'::TIME", "[TIME '24:00:00']",
    "340282366920938463463374607431768211455::UHUGEINT", "[340282366920938463463374607431768211455::UHUGEINT]",
    "[170141183460469231731687303715884105727::HUGEINT]",
]  # fmt: skip


def columns(values: list[str]) -> str:
    """Return a query of one row with a column for each value: v0, v1, …"""
    return "SELECT " + ", ".join(f"{value} AS v{place}" for place, value in enumerate(values))


@pytest.mark.parametrize("values", [BEYOND, BEYOND[:1], BEYOND[-1:]], ids=["all", "first", "last"])
def test_a_value_that_python_lacks_is_sqls_text(folder: Path, values: list[str]) -> None:
    query, names = columns(values), [f"v{place}" for place in range(len(values))]
    expected = [sql_text(value) for value in values]
    shown = [re.split(r"  +", line.strip()) for line in answer(folder, query, "table").splitlines()]
    assert shown == [names, expected]
    assert list(csv.reader(answer(folder, query, "csv").splitlines())) == [names, expected]
    assert json.loads(answer(folder, query, "json")) == [dict(zip(names, expected, strict=True))]


ONLY_JSON = [r"'x\xFF'::BLOB", "['x'::BLOB]", "MAP {1: 2}", "[MAP {DATE '2026-01-01': 2}]", "MAP {'a': MAP {1: 2}}"]


def test_a_type_that_json_lacks_is_sqls_text(folder: Path) -> None:
    found = json.loads(answer(folder, f"{columns(ONLY_JSON)}, 1 AS n", "json"))
    assert found == [{f"v{place}": sql_text(value) for place, value in enumerate(ONLY_JSON)} | {"n": 1}]


def test_integers_and_decimals_keep_their_digits(folder: Path) -> None:
    values = {
        "largest": "170141183460469231731687303715884105727::HUGEINT",
        "smallest": "(-170141183460469231731687303715884105727::HUGEINT - 1)",
        "total": "sum(9007199254740993)", "few": "sum(1)", "price": "123456789012345678.12::DECIMAL(30, 2)",
        "half": "-0.5", "missing": "NULL::DECIMAL(5, 2)",
    }  # fmt: skip
    query = "SELECT " + ", ".join(f"{value} AS {name}" for name, value in values.items()) + ", 'x\"1' AS text"
    expected = {
        "largest": str(2**127 - 1), "smallest": str(-(2**127)), "total": "9007199254740993", "few": "1",
        "price": "123456789012345678.12", "half": "-0.5",
    }  # fmt: skip
    found = json.loads(answer(folder, query, "json"), parse_int=str, parse_float=str)
    assert found == [expected | {"missing": None, "text": 'x"1'}]
    (row,) = csv.DictReader(answer(folder, query, "csv").splitlines())
    assert row == expected | {"missing": "", "text": 'x"1'}
    shown = answer(folder, query, "table").splitlines()[1].split()
    assert shown == [*expected.values(), "–", 'x"1']


def test_values_beside_those_that_become_texts_are_written_as_without_them(folder: Path) -> None:
    moments = [
        "DATE '2026-01-02'",
        "TIMESTAMP '2026-01-02 03:04:05.5'",
        "TIMESTAMPTZ '2026-01-02 03:04:05.5+00'",
        "NULL",
    ]
    kinds = ("DATE", "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_MS", "TIMESTAMP_NS")

    def row(place: int, moment: str) -> str:
        return f"SELECT {place} AS n, " + ", ".join(f"{moment}::{kind} AS {kind.lower()}" for kind in kinds)

    alone = " UNION ALL ".join(row(place, moment) for place, moment in enumerate(moments))
    beyond = row(9, "'infinity'")
    for output_format in ("csv", "json", "table"):
        usual = answer(folder, f"FROM ({alone}) ORDER BY n", output_format)
        mixed = answer(folder, f"FROM ({alone} UNION ALL {beyond}) ORDER BY n", output_format)
        assert mixed.count("infinity") == len(kinds)
        left = re.sub(r'\n *9.*|,\{"n":9,[^}]*\}', "", mixed)
        assert left.rstrip("]\n") == usual.rstrip("]\n"), output_format


def test_parquet_keeps_the_values_that_only_texts_can_show(folder: Path) -> None:
    file = folder / "out.parquet"
    query = "SELECT 'infinity'::DATE AS d, '-4000-01-01'::TIMESTAMP AS t, 'x'::BLOB AS b, sum(9007199254740993) AS s"
    assert main(["--workspace", str(folder), "sql", query, "-o", str(file)]) == 0
    read = duckdb.execute("SELECT d::VARCHAR, t::VARCHAR, b, s::BIGINT FROM read_parquet($1)", [str(file)]).fetchone()
    assert read == ("infinity", "4001-01-01 (BC) 00:00:00", b"x", 9007199254740993)
    assert pl.read_parquet_schema(file)["d"] == pl.Date()


def test_a_value_that_sql_itself_cannot_hold_is_one_message(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT [-170141183460469231731687303715884105727::HUGEINT - 1] AS v"
    assert main(["--workspace", str(folder), "sql", query]) == 11
    told = capsys.readouterr().err
    assert told.startswith("error: A value cannot be written: ")
    assert "where: column 'v'\n  try:   cast it in the query: CAST(\"v\" AS VARCHAR)" in told
