"""docs/tables.md is generated from the declarations and the views: `python tests/tables/test_reference.py` writes it "
"anew."""

from __future__ import annotations

import re
from pathlib import Path

from pm.resources import sql_dir
from pm.tables.catalogue import TABLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "tables.md"

INTRODUCTION = """\
# Tables and views

What the lake holds. `pm tables` lists its tables and views, and `pm tables NAME` the columns of one.
This page is generated from `pm/tables` and `sql` by `python tests/tables/test_reference.py`.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def expected_text() -> str:
    sections = [INTRODUCTION, "## Tables\n"]
    for name, table in sorted(TABLES.items()):
        rows = [f"| `{column.name}` | {column.sql_type} | {_cell(column.comment)} |" for column in table.columns]
        key = ", ".join(f"`{column}`" for column in table.key)
        head = [
            f"### {name}",
            "",
            _cell(table.comment),
            "",
            f"Key: {key}.",
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        sections.append("\n".join([*head, *rows, ""]))
    sections.append("## Views\n")
    for file in sorted(sql_dir().glob("*.sql"), key=lambda path: path.stem[3:]):
        lines = file.read_text("utf-8").splitlines()
        end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
        comments = [line.removeprefix("-- ") for line in lines[:end]]
        described = [re.match(r"(\w+): (.+)", line) for line in comments[1:]]
        first = " ".join(
            [comments[0], *(line for line, found in zip(comments[1:], described, strict=True) if not found)]
        )
        rows = [f"| `{found[1]}` | {_cell(found[2])} |" for found in described if found]
        listed = ["", "| computed column | meaning |", "|---|---|", *rows] if rows else []
        sections.append("\n".join([f"### {file.stem[3:]}", "", _cell(first), *listed, ""]))
    return "\n".join(sections)


def test_the_document_has_every_table_and_view() -> None:
    assert DOCUMENT.read_text("utf-8") == expected_text(), "write it anew: python tests/tables/test_reference.py"


if __name__ == "__main__":
    DOCUMENT.write_text(expected_text(), encoding="utf-8")
