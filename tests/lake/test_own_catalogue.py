"""The lake serves tables and views of any kind: here, a library's books."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.errors import LakeError
from pm.lake import Lake
from pm.lake.console import Console
from pm.lake.maintenance import compact, table_sizes
from pm.tables.declaration import DATE, INTEGER, TEXT, Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from pm.settings import LakeSettings

BOOKS = Table(
    "main",
    "books",
    "A book of the library.",
    ("shelf", "number"),
    (
        Column("shelf", TEXT, "Shelf."),
        Column("number", INTEGER, "Place on the shelf, from 1."),
        Column("title", TEXT, "Title."),
        Column("bought", DATE, "Date of purchase."),
    ),
)
LOANS = Table("desk", "loans", "A loan of a book.", ("title",), (Column("title", TEXT, "Title of the book."),))
CATALOGUE = {table.qualified: table for table in (BOOKS, LOANS)}


@pytest.fixture
def views(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "10_lent.sql").write_text(
        "-- Books that are lent.\n-- place: Shelf and number.\n"
        "SELECT title, shelf || '-' || number AS place FROM books WHERE title IN (FROM desk.loans);\n"
    )
    return folder


def test_a_lake_serves_the_tables_and_views_it_is_given_and_no_other(
    tmp_path: Path, settings: LakeSettings, views: Path
) -> None:
    root = tmp_path / "lake"
    books = BOOKS.conform(
        pl.DataFrame(
            {"shelf": ["A", "A", "B"], "number": [1, 2, 1], "title": ["Emma", "Persuasion", "Ulysses"], "bought": None}
        )
    )
    with Lake(root, settings, CATALOGUE, views=[views]) as lake:
        lake.commit("open", lambda tx: (tx.append(BOOKS, books), tx.append(LOANS, books.select("title").tail(1))))
        lake.commit("again", lambda tx: tx.merge(BOOKS, books.head(1)))
        assert lake.read(BOOKS).equals(books)
        assert lake.select("lent").rows() == [("Ulysses", "B-1")]
        assert lake.tables_read_by("FROM lent") == {"books", "desk.loans"}
        assert lake.versions(["desk.loans"])["desk.loans"] < lake.versions(["books"])["books"] == lake.snapshot
        compact(lake, keep=(), grace=timedelta(0))
        assert table_sizes(lake).select("name", "rows").head(2).rows() == [("books", 3), ("desk.loans", 1)]
    with Console(root) as console:
        names = console.query("SELECT DISTINCT table_name FROM dictionary ORDER BY ALL")["table_name"].to_list()
        assert names == ["books", "desk.loans", "dictionary", "file_checksums", "lent"]
        place = console.query("SELECT comment FROM dictionary WHERE table_name = 'lent' AND column_name = 'place'")
        assert place.item() == "Shelf and number."


def test_a_lake_opened_without_views_keeps_those_it_has(tmp_path: Path, settings: LakeSettings, views: Path) -> None:
    root = tmp_path / "lake"
    with Lake(root, settings, CATALOGUE, views=[views]) as lake:
        before, described = lake.snapshot, lake.select("dictionary")
    with Lake(root, settings, CATALOGUE) as lake:
        assert lake.snapshot == before
    more = Table("main", "readers", "A reader of the library.", ("name",), (Column("name", TEXT, "Name."),))
    with Lake(root, settings, {**CATALOGUE, more.qualified: more}) as lake:  # it has to be updated
        assert lake.snapshot > before
        assert lake.select("lent").is_empty()
        assert lake.select("dictionary", table_name="lent").equals(described.filter(table_name="lent"))
        comment = lake.scalar("SELECT comment FROM duckdb_views() WHERE view_name = 'lent'")
        assert comment == "Books that are lent."
    with (
        Lake(root, settings, {**CATALOGUE, more.qualified: more}, views=[]) as lake,
        pytest.raises(LakeError, match="There is no table or view 'lent'"),
    ):
        lake.select("lent")
