"""`pm sql` ends at Ctrl-C and past its limits, and streams what it writes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import psutil
import pytest

from pm.errors import QueryError
from pm.lake.limits import QueryLimits, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

CROSS_JOIN = "SELECT a.range, b.range FROM range(10000000) a, range(10000000) b"
ONE_CALL = "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))"
"""A query that DuckDB cannot end: a single call of a function, for minutes."""


@pytest.mark.posix
@pytest.mark.parametrize(
    "arguments",
    [
        (f"SELECT count(*) FROM ({CROSS_JOIN})",),
        (CROSS_JOIN, "--max-rows", "0"),
        (CROSS_JOIN, "--max-rows", "0", "--format", "csv"),
        (ONE_CALL,),
    ],
    ids=["counted", "printed", "written", "one call"],
)
def test_ctrl_c_ends_a_query(
    finished: Path, command: list[str], environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    variables = environment | {"PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen(
        [*command, "sql", *arguments], cwd=finished, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    at_work = psutil.Process(process.pid)
    while not any(file.path.endswith("catalog.sqlite") for file in at_work.open_files()):
        assert process.poll() is None
        time.sleep(0.05)
    opened = sum(at_work.cpu_times()[:2])
    while sum(at_work.cpu_times()[:2]) < opened + 1:  # to open the lake takes a tenth of a second
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((CROSS_JOIN, "--timeout", "0.5"), "ended after 0.5 s"),
        ((ONE_CALL, "--timeout", "0.5"), "ended after 0.5 s"),
        (("SELECT list_sort(range(100000000), 'desc')[1]", "--memory", "100"), "more memory than it can take (100 MB)"),
        (("FROM range(11)", "--max-rows", "10"), "more than 10 rows"),
        (("FROM range(11)", "--max-rows", "10", "-o", "many.csv"), "more than 10 rows"),
    ],
)
def test_a_query_past_a_limit_ends_with_one_message(
    finished_copy: Path, pm: Pm, pm_process: Pm, arguments: tuple[str, ...], says: str
) -> None:
    if ONE_CALL in arguments:  # it ends with the process
        done = pm_process(finished_copy, "sql", *arguments, stdin=subprocess.DEVNULL)
    else:
        done = pm(finished_copy, "sql", *arguments)
    assert done.returncode == 11
    assert done.stdout == ""
    what, where, hint = done.stderr.splitlines()
    assert says in what
    assert (where, hint[:7]) == ("  where: pm sql", "  try: ")
    assert not [file for file in finished_copy.iterdir() if "many.csv" in file.name]


def test_short_pieces_of_a_query_add_up_to_the_limit() -> None:
    watch = Watch(duckdb.connect(), QueryLimits(seconds=0.1))
    watch.start()

    def twenty_pieces() -> None:
        for _ in range(20):
            watch.run(lambda: time.sleep(0.01))

    with pytest.raises(QueryError, match=r"ended after 0\.1 s"):
        twenty_pieces()


@pytest.mark.parametrize(("name", "value"), [("QUERY_SECONDS", "0.2"), ("QUERY_ROWS", "3"), ("QUERY_MEMORY_MB", "100")])
def test_the_settings_limit_every_query(finished: Path, pm: Pm, name: str, value: str) -> None:
    query = "SELECT list(a.range) FROM range(100000) a, range(100000) b GROUP BY hash(b.range) % 7"
    query = CROSS_JOIN if name != "QUERY_MEMORY_MB" else query
    done = pm(finished, "sql", query, "--format", "csv", env={f"PM_LAKE__{name}": value})
    assert done.returncode == 11
    assert f"lake.{name.lower()}" in done.stderr


@pytest.mark.parametrize(
    "query", ["SELECT range AS n, 1.5 AS half FROM range(300000)", "SELECT 1 AS n, 1.5 AS half LIMIT 0"]
)
def test_each_format_is_written_in_parts_as_in_one(finished: Path, tmp_path: Path, pm: Pm, query: str) -> None:
    count = 300_000 if "range" in query else 0
    expected = list(range(count))
    for ending in ("csv", "json", "parquet"):
        assert pm(finished, "sql", query, "-o", tmp_path / f"rows.{ending}").returncode == 0
    printed = pm(finished, "sql", query, "--format", "parquet", text=False).stdout
    assert printed == (tmp_path / "rows.parquet").read_bytes()
    rows = json.loads((tmp_path / "rows.json").read_text("utf-8"))
    assert [row["n"] for row in rows] == expected
    assert pl.read_csv(tmp_path / "rows.csv").columns == ["n", "half"]
    assert pl.read_csv(tmp_path / "rows.csv")["n"].to_list() == expected
    stored = pl.read_parquet(tmp_path / "rows.parquet")
    assert (stored["n"].to_list(), stored.columns) == (expected, ["n", "half"])


def test_the_rows_that_are_not_printed_are_counted(finished: Path, pm: Pm) -> None:
    shown = pm(finished, "sql", "FROM range(250000)").stdout.splitlines()
    assert [line.strip() for line in shown[:2]] == ["range", "0"]
    assert shown[1000].strip() == "999"
    assert shown[1001].startswith("… 249,000 more rows.")
