"""Rows of views computed once are those of the views, whichever way a query reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.lake import Lake
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

VIEWS = {
    "drawn": "SELECT run_id, kind, random() AS number FROM runs",
    "above": "SELECT * FROM drawn WHERE number >= 0",
    "by_kind": "SELECT kind, count(*) AS n, sum(number) AS total FROM above GROUP BY kind",
    "beside": "WITH drawn AS (SELECT run_id FROM runs) SELECT count(*) AS n FROM drawn",
    "paired": "SELECT k.kind, k.total, d.number FROM by_kind AS k JOIN drawn AS d USING (kind)",
}


@pytest.fixture
def drawn(root: Path, settings: LakeSettings, rows: Callable[..., pl.DataFrame], tmp_path: Path) -> Iterator[Lake]:
    """A lake of six runs with views of random numbers, so that a view that is computed again differs."""
    folder = tmp_path / "views"
    folder.mkdir()
    for number, (name, select) in enumerate(VIEWS.items()):
        (folder / f"{number}_{name}.sql").write_text(f"-- A view.\n{select};\n", encoding="utf-8")
    start = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    frame = rows(
        "runs",
        *(
            {"run_id": f"r{i}", "kind": "evaluate" if i % 3 else "run", "started_at": start + timedelta(days=i)}
            for i in range(6)
        ),
    )
    with Lake(root, settings, TABLES, views=[folder]) as lake:
        lake.commit("runs", lambda to: to.append(TABLES["runs"], frame))
        yield lake


def test_queries_read_the_same_rows_directly_and_through_views(drawn: Lake) -> None:
    first, second = (drawn.query("FROM drawn ORDER BY run_id")["number"].to_list() for _ in range(2))
    assert first != second  # a view is computed anew
    with drawn.once({"drawn": "FROM drawn"}) as query:
        numbers = query("FROM drawn", ()).sort("run_id")
        assert query("FROM above", ()).sort("run_id").equals(numbers)
        sums = numbers.group_by("kind").agg(n=pl.len().cast(pl.Int64), total=pl.col("number").sum()).sort("kind")
        found = query("FROM by_kind", ()).sort("kind")
        assert found["n"].to_list() == sums["n"].to_list() == [4, 2]
        assert found["total"].to_list() == pytest.approx(sums["total"].to_list())
        paired = query("FROM paired WHERE kind = ?", ["run"])
        assert sorted(paired["number"]) == sorted(numbers.filter(kind="run")["number"])
        assert paired["total"].to_list() == pytest.approx([sums["total"][1]] * 2)
        assert query("WITH x AS (FROM drawn) SELECT sum(number) AS s FROM x", ())["s"].item() == pytest.approx(
            numbers["number"].sum()
        )


def test_only_the_rows_and_columns_asked_for_are_read(drawn: Lake) -> None:
    with drawn.once({"drawn": "SELECT kind, number FROM drawn WHERE kind = 'run'"}) as query:
        assert query("FROM by_kind", ())["n"].to_list() == [2]
        assert query("FROM drawn", ()).columns == ["kind", "number"]
        # A common table expression of a view's own hides the view of that name; other tables are as they are.
        assert query("FROM beside", ())["n"].item() == 6
        assert query("SELECT count(*) AS n FROM runs", ())["n"].item() == 6


def test_a_later_view_is_computed_from_the_rows_of_an_earlier_one(drawn: Lake) -> None:
    with drawn.once({"drawn": "FROM drawn", "by_kind": "FROM by_kind"}) as query:
        numbers, sums = query("FROM drawn", ()), query("FROM by_kind", ())
    assert sums["total"].sum() == pytest.approx(numbers["number"].sum())


def test_nothing_is_left_behind_also_after_an_error(drawn: Lake) -> None:
    for _ in range(2):
        with drawn.reading(), drawn.once({"drawn": "FROM drawn"}) as query:
            assert query("FROM drawn", ()).height == 6
    with pytest.raises(ZeroDivisionError), drawn.once({"drawn": "FROM drawn"}):
        raise ZeroDivisionError
    with pytest.raises(Exception, match="no_such_column"), drawn.once({"drawn": "SELECT no_such_column FROM drawn"}):
        pass
    assert drawn.rows("SELECT table_name FROM duckdb_tables() WHERE temporary") == []
