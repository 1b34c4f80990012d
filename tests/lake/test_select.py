from __future__ import annotations

import shutil
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import LakeError
from pm.lake import Lake
from pm.lake.select import polars_frame
from pm.tables.catalogue import TABLES
from pm.tables.lake import DICTIONARY
from pm.tables.quality import BAR_FLAGS, BARS
from pm.tables.sources import RAW_BARS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

    Rows = Callable[..., pl.DataFrame]


@pytest.fixture(scope="module")
def lake(
    pristine: Path, settings: LakeSettings, rows: Rows, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    root = shutil.copytree(pristine, tmp_path_factory.mktemp("select") / "lake")
    bars = rows(
        "bars",
        *(
            {"ticker": ticker, "date": date(2020, 1, day), "close": close, "adj_factor": 0.5, "source": "it's"}
            for ticker, day, close in [("A", 1, 1.5), ("A", 2, None), ("B", 1, float("nan")), ("C?", 3, 0.1 + 0.2)]
        ),
    )
    flags = rows("bar_flags", *({"ticker": "A", "date": date(2020, 1, n), "value": n / 7} for n in range(1, 31)))
    with Lake(root, settings, TABLES) as opened:
        opened.commit(
            "rows",
            lambda tx: (tx.append(BARS, bars), tx.append(RAW_BARS, rows("raw.bars", {})), tx.append(BAR_FLAGS, flags)),
        )
        yield opened


def test_every_table_and_view_has_its_types_even_without_rows(lake: Lake) -> None:
    found = {name: lake.select(name, limit=0).schema for name in TABLES}
    assert found == {name: table.polars_schema for name, table in TABLES.items()}
    described = lake.read(DICTIONARY, "kind = 'view'").sort("table_name", "position")
    wanted = {
        str(name): [(column, kind) for column, kind in view.select("column_name", "type").iter_rows()]
        for (name,), view in described.group_by("table_name", maintain_order=True)
    }
    assert len(wanted) > 10
    for name, columns in wanted.items():
        assert lake.select(name, limit=0).schema == polars_frame(columns, []).schema, name


@pytest.mark.parametrize("name", ["bars", "raw.bars", "bar_flags", "adjusted_bars", "ticker_quality"])
def test_all_rows_come_with_the_values_and_types_of_a_query(lake: Lake, name: str) -> None:
    wanted = lake.query(f"FROM {name}")
    assert not wanted.is_empty()
    assert_frame_equal(lake.select(name), wanted, check_row_order=False, check_exact=True)
    assert str(lake.select_rows(name)) == str(lake.rows(f"FROM {name}"))  # as text, in which NaN equals NaN


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"ticker": "A"}, [("A", 1), ("A", 2)]),
        ({"ticker": "a"}, []),
        ({"ticker": "C?"}, [("C?", 3)]),
        ({"ticker": ["A", "C?"]}, [("A", 1), ("A", 2), ("C?", 3)]),
        ({"ticker": []}, []),
        ({"close": None}, [("A", 2)]),
        ({"close": 0.1 + 0.2}, [("C?", 3)]),
        ({"date": date(2020, 1, 1)}, [("A", 1), ("B", 1)]),
        ({"date": date(2020, 1, 1), "ticker": "B", "source": "it's"}, [("B", 1)]),
        ({"limit": 2}, [("A", 1), ("A", 2)]),
        ({"limit": 0}, []),
        ({"descending": ["ticker"]}, [("C?", 3), ("B", 1), ("A", 1), ("A", 2)]),
        ({"order": ["close"], "ticker": "A"}, [("A", 1), ("A", 2)]),
        ({"order": ["close"], "descending": ["close"], "ticker": "A"}, [("A", 1), ("A", 2)]),
    ],
)
def test_rows_are_selected_by_equal_values_in_the_order_asked_for(
    lake: Lake, options: dict[str, Any], wanted: list[tuple[str, int]]
) -> None:
    options = {"order": ["ticker", "date"]} | options
    found = lake.select("bars", columns=["ticker", "date"], **options)
    assert found.columns == ["ticker", "date"]
    assert [(ticker, day.day) for ticker, day in found.iter_rows()] == wanted
    rows = lake.select_rows("bars", columns=["ticker", "date"], **options)
    assert rows == found.rows(named=True)


def test_a_view_is_selected_from_like_a_table(lake: Lake) -> None:
    assert lake.select_rows("adjusted_bars", columns=["close"], ticker="C?") == [{"close": (0.1 + 0.2) * 0.5}]
    assert lake.select("raw.bars").height == 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("barz", {}, r"There is no table or view 'barz'\. Did you mean 'bars'\?"),
        ("bars; DROP TABLE bars", {}, "There is no table or view"),
        ("raw.barz", {}, r"Did you mean 'raw\.bars'\?"),
        ("", {}, "There is no table or view ''"),
        ("bars", {"tickr": "A"}, r"There is no column 'tickr'\. Did you mean 'ticker'\?"),
        ("bars", {"columns": ["closse"]}, r"There is no column 'closse'\. Did you mean 'close'\?"),
        ("bars", {"columns": ["1 AS one"]}, "There is no column '1 AS one'"),
        ("bars", {"order": ["dat"]}, r"There is no column 'dat'\. Did you mean 'date'\?"),
        ("adjusted_bars", {"order": ["x"], "descending": ["x"]}, "There is no column 'x'"),
    ],
)
def test_an_unknown_name_is_an_error_that_names_the_nearest(
    lake: Lake, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(LakeError, match=message) as raised:
        lake.select(name, **options)
    assert "pm tables" in raised.value.hint
    assert lake.select("bars").height == 4


def test_only_a_column_that_is_sorted_by_can_be_descending(lake: Lake) -> None:
    with pytest.raises(ValueError, match="can be descending"):
        lake.select("bars", order=["date"], descending=["ticker"])


def test_types_beyond_those_of_the_tables_are_kept_too(lake: Lake) -> None:
    sql = """
    SELECT 1::TINYINT AS a, 2::UINTEGER AS b, 3::HUGEINT AS c, 1.5::FLOAT AS d, 1.25::DECIMAL(9, 2) AS e,
        TIME '12:30:00' AS f, 'x'::BLOB AS g, TRUE AS h, TIMESTAMP '2020-01-01 00:00:00.000001' AS i, [1, 2] AS j
    UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    """
    result = lake._connection.execute(sql)
    columns = [(column[0], str(column[1])) for column in result.description]
    found = polars_frame(columns, result.fetchall())
    # DuckDB hands a HUGEINT to polars as a decimal number without decimals.
    wanted = lake.query(sql).with_columns(pl.col("c").cast(pl.Int128))
    assert_frame_equal(found.drop("j"), wanted.drop("j"))
    assert found["j"].to_list() == [[1, 2], None]
