from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pm.lake.binding import execute, identifier, literal, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

ALPHABET = st.characters(exclude_categories=["Cs"])
TEXTS = st.text(ALPHABET) | st.text("'\"\\\0\n\r?$;-/*{}%a☃")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**127), 2**128 - 1)
    | st.floats()
    | TEXTS
    | st.dates()
    | st.times()
    | st.datetimes()
)
LISTS = (
    st.lists(st.none() | TEXTS)
    | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))
    | st.lists(st.floats(allow_nan=False))
    | st.lists(st.dates())
    | st.lists(st.lists(st.booleans(), min_size=1), min_size=1)
)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def _same(found: Any, wanted: Any) -> bool:  # noqa: ANN401 - any value that SQL has
    """Compare bit by bit: NaN equals NaN, and −0.0 does not equal 0.0."""
    if isinstance(found, tuple | list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    if isinstance(found, float):
        both_nan = math.isnan(found) and math.isnan(wanted)
        return both_nan or (found == wanted and math.copysign(1, found) == math.copysign(1, wanted))
    return type(found) is type(wanted) and found == wanted


@given(values=st.lists(SCALARS | LISTS, min_size=1, max_size=5))
@example(values=["a\0b", "\0", "", "it's", '"', "\n", "?", "-- ?", "NULL"])
@example(values=[float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308])
@example(values=[2**128 - 1, -(2**127), 2**63, -(2**63), 2**64, 0])
@example(values=[date.min, date.max, datetime(1, 1, 1, microsecond=1), datetime.max, time.max])  # noqa: DTZ001, DTZ901 - without a zone
@example(values=[[], [None], [None, "a"], [[True]], True, None])
@hypothesis_settings(deadline=None, max_examples=200)
def test_every_value_is_bound_as_duckdb_binds_it(connection: duckdb.DuckDBPyConnection, values: list[Any]) -> None:
    sql = f"SELECT {', '.join('?' for _ in values)}"
    wanted = connection.execute(sql, values).fetchone()
    found = execute(connection, sql, values).fetchone()
    assert _same(found, wanted), (found, wanted)


def test_nan_in_a_list_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    """DuckDB's own binding turns it into NULL."""
    row = execute(connection, "SELECT ?", [[float("nan"), None, 1.0]]).fetchone()
    assert str(row) == "([nan, None, 1.0],)"


def test_a_question_mark_in_a_string_a_name_or_a_comment_takes_no_value(connection: duckdb.DuckDBPyConnection) -> None:
    sql = """
    -- Is this one?
    SELECT '?' AS "what?", /* or this? */ ? AS first, 'it''s ?' || ? AS second -- ?
    """
    row = execute(connection, sql, [1, "x"]).fetchone()
    assert row == connection.execute(sql, [1, "x"]).fetchone() == ("?", 1, "it's ?x")


def test_a_numbered_value_can_be_used_again(connection: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT $2 || 'σ $1' AS \"$1\", 7 - $1, [$2, $2][$1 + 2]::VARCHAR -- $3"
    row = execute(connection, sql, [-1, "x"]).fetchone()
    assert row == connection.execute(sql, [-1, "x"]).fetchone() == ("xσ $1", 8, "x")


def test_a_statement_without_values_runs_as_it_is(connection: duckdb.DuckDBPyConnection) -> None:
    assert execute(connection, "SELECT '?'").fetchone() == ("?",)


@pytest.mark.parametrize("values", [[1], [1, 2, 3]], ids=["too few", "too many"])
def test_a_wrong_number_of_values_is_an_error(connection: duckdb.DuckDBPyConnection, values: list[int]) -> None:
    with pytest.raises(duckdb.Error):
        execute(connection, "SELECT ?, ?", values)


def test_values_without_an_sql_constant_are_refused() -> None:
    zoned = datetime(2020, 1, 1, tzinfo=UTC)
    for value in (object(), {"a": 1}, b"bytes", np.int64(1), zoned, zoned.timetz(), [zoned]):
        with pytest.raises(TypeError):
            literal(value)
    for number in (2**128, -(2**127) - 1):
        with pytest.raises(OverflowError, match="128 bits"):
            literal(number)
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")


def test_names_are_quoted_part_by_part(connection: duckdb.DuckDBPyConnection) -> None:
    assert identifier("raw", "rows") == '"raw"."rows"'
    name = 'a "quoted" name. with a point'
    assert connection.execute(f"SELECT 1 AS {identifier(name)}").description[0][0] == name


def test_binding_and_selecting_import_no_pandas() -> None:
    program = """
import sys, tempfile
from pathlib import Path
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.lake import DICTIONARY
settings = load_settings().lake.model_copy(update=dict(retry_attempts=2, retry_base_seconds=0.01, expire_after_days=30))
with Lake(Path(tempfile.mkdtemp()) / "lake", settings, {}) as lake:
    assert lake.scalar("SELECT ?", ["a"]) == "a"
    assert lake.rows("SELECT ? AS a", [1]) == [{"a": 1}]
    assert lake.read(DICTIONARY, "position < ?", [3]).height == 4
    assert lake.select("dictionary", position=1, columns=["table_name"]).height == 2
    lake.tables_read_by("FROM dictionary WHERE position = ?")
assert "pandas" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
