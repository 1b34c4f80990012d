from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from pm.lake import Lake
from pm.lake.lineage import described_columns
from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pm.settings import LakeSettings

KNOWN = {
    "fits": {"ticker": "T of fits", "model": "garch or ewma", "sigma": "of one session"},
    "forecasts": {"ticker": "T of forecasts", "model": "a forecaster", "Sigma": "of all sessions", "run_id": "R"},
    "raw.fits": {"model": "as landed"},
}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT model FROM fits", {"model": "garch or ewma"}),
        ("SELECT model FROM forecasts", {"model": "a forecaster"}),
        ("SELECT model FROM raw.fits", {"model": "as landed"}),
        ("SELECT model FROM lake.main.fits", {"model": "garch or ewma"}),
        ("FROM forecasts SELECT SIGMA", {"sigma": "of all sessions"}),
        ("SELECT f.model AS kind, g.model FROM fits f JOIN forecasts g ON f.ticker = g.ticker",
         {"kind": "garch or ewma", "model": "a forecaster"}),
        ("SELECT ticker, g.ticker AS other FROM fits f JOIN forecasts g USING (ticker)",
         {"ticker": "T of fits", "other": "T of forecasts"}),
        ("SELECT model || '!' AS model, max(sigma) AS sigma, ticker FROM fits GROUP BY ALL", {"ticker": "T of fits"}),
        ("SELECT * FROM fits SEMI JOIN forecasts USING (ticker)", KNOWN["fits"]),
        ("SELECT g.* FROM fits f JOIN forecasts g ON true",
         {name.lower(): text for name, text in KNOWN["forecasts"].items()}),
        ("SELECT * EXCLUDE (ticker) REPLACE (2 * sigma AS sigma) RENAME (model AS kind) FROM fits",
         {"kind": "garch or ewma"}),
        ("SELECT * FROM fits LEFT JOIN forecasts USING (ticker, model, sigma)", {**KNOWN["fits"], "run_id": "R"}),
        ("WITH fits AS (SELECT model FROM forecasts) SELECT model FROM fits", {"model": "a forecaster"}),
        ("WITH a AS (SELECT model FROM fits), b AS (SELECT * FROM a) SELECT b.model AS m FROM b",
         {"m": "garch or ewma"}),
        ("WITH a(x, y) AS (SELECT ticker, model FROM fits) SELECT y FROM a", {"y": "garch or ewma"}),
        ("SELECT x FROM (SELECT model FROM fits) AS q (x)", {"x": "garch or ewma"}),
        ("SELECT b FROM fits AS f (a, b)", {"b": "garch or ewma"}),
        ("SELECT model FROM fits UNION ALL SELECT model FROM forecasts", {}),
        ("SELECT model FROM fits UNION ALL SELECT model FROM fits", {"model": "garch or ewma"}),
        ("SELECT sigma, model FROM fits UNION SELECT 1, model FROM fits UNION SELECT 2, model FROM fits",
         {"model": "garch or ewma"}),
        ("WITH RECURSIVE r AS (SELECT model, 1 AS n FROM fits UNION ALL SELECT model, n + 1 FROM r) SELECT * FROM r",
         {}),
        ("SELECT model FROM unknown", {}),
        ("SELECT model.part FROM fits", {}),
        ("SELECT unnest([1]) AS model, value FROM range(3) AS r (value)", {}),
        ("DROP TABLE fits", {}),
    ],
)  # fmt: skip
def test_a_column_has_the_description_of_its_origin(
    connection: duckdb.DuckDBPyConnection, sql: str, told: dict[str, str]
) -> None:
    assert described_columns(connection, sql, KNOWN) == told


def test_no_description_is_of_a_table_that_a_view_does_not_read(lake: Lake) -> None:
    """Each inherited description is that of a column of this or another name in something the view reads."""
    told: dict[str, dict[str, str]] = {}
    for name, column, text in lake.query("SELECT table_name, column_name, comment FROM dictionary").iter_rows():
        told.setdefault(name, {})[column] = text
    for view in read_views([sql_dir()]):
        read = lake.tables_read_by(f"FROM {view.name}") | lake.views_read_by(f"FROM {view.name}") - {view.name}
        possible = {text for name in read for text in told[name].values()}
        inherited = {text for column, text in told[view.name].items() if column not in view.columns}
        assert inherited <= possible, view.name
    assert {text for view in ("latest_forecasts", "forecast_outcomes", "scored_forecasts", "model_leaderboard")
            for text in [told[view]["model"]]} == {told["forecasts"]["model"]}  # fmt: skip
    assert told["latest_weights"]["model"] == told["model_weights"]["model"]
    assert told["latest_exclusions"]["reason"] == told["exclusions"]["reason"]


def test_a_users_view_has_the_descriptions_of_what_it_reads(root: Path, settings: LakeSettings, tmp_path: Path) -> None:
    (tmp_path / "95_mine.sql").write_text(
        "-- Mine.\nSELECT s.source, w.model, 1 AS reason FROM signals s, latest_weights w"
    )
    with Lake(root, settings, TABLES, views=[sql_dir(), tmp_path]) as lake:
        found = dict(lake.query("SELECT column_name, comment FROM dictionary WHERE table_name = 'mine'").iter_rows())
    comments = {name: {column.name: column.comment for column in TABLES[name].columns} for name in TABLES}
    assert found == {
        "source": comments["signals"]["source"], "model": comments["model_weights"]["model"], "reason": "",
    }  # fmt: skip
