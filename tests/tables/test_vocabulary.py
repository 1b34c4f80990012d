"""docs/vocabulary.md is generated from the enums: `python tests/tables/test_vocabulary.py` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from pm.tables.catalogue import TABLES
from pm.tables.vocabulary import Vocabulary

DOCUMENT = Path(__file__).parents[2] / "docs" / "vocabulary.md"

INTRODUCTION = """\
# Vocabulary

These are the words that columns of the lake can hold, and their meanings. This page is generated from
`pm/tables/vocabulary.py` by `python tests/tables/test_vocabulary.py`.
"""


def expected_text() -> str:
    sections = [INTRODUCTION]
    for vocabulary in Vocabulary.__subclasses__():
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", vocabulary.__name__).capitalize()
        rows = [f"| `{word.value}` | {word.meaning} |" for word in vocabulary]
        sections.append(
            "\n".join([f"## {title}", "", f"{vocabulary.__doc__}", "", "| word | meaning |", "|---|---|", *rows, ""])
        )
    return "\n".join(sections)


def test_the_document_has_every_word_and_its_meaning() -> None:
    assert DOCUMENT.read_text("utf-8") == expected_text(), "write it anew: python tests/tables/test_vocabulary.py"


def test_every_vocabulary_names_columns_that_the_tables_have() -> None:
    for vocabulary in Vocabulary.__subclasses__():
        described = re.search(r"column `(\w+)` of (?:table )?(.+)\.$", str(vocabulary.__doc__))
        assert described is not None, vocabulary
        for table in re.findall(r"`(\w+)`", described[2]):
            assert described[1] in TABLES[table].polars_schema, (vocabulary, table)


def test_every_meaning_is_a_sentence_and_every_word_is_unique() -> None:
    for vocabulary in Vocabulary.__subclasses__():
        assert len({word.value for word in vocabulary}) == len(vocabulary.__members__)
        for word in vocabulary:
            assert word.meaning[0].isupper()
            assert word.meaning.endswith(".")
            assert str(word) == word.value


if __name__ == "__main__":
    DOCUMENT.write_text(expected_text(), encoding="utf-8")
