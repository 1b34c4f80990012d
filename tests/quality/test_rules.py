from __future__ import annotations

from datetime import date
from pathlib import Path

from pm.quality import DUPLICATE_RULES, row_rules

DOCS = Path(__file__).parents[2] / "docs" / "quality.md"


def test_every_rule_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    rules = [*row_rules(today=date(2020, 1, 1), tolerance=0), *DUPLICATE_RULES]
    assert [rule for rule in rules if f"| `{rule}` |" not in text] == []
