from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pm.quality import DUPLICATE_RULES, row_rules

DOCS = Path(__file__).parents[2] / "docs" / "quality.md"


@pytest.mark.parametrize("rule", [*row_rules(today=date(2020, 1, 1), tolerance=0), *DUPLICATE_RULES])
def test_every_rule_is_documented(rule: str) -> None:
    assert f"| `{rule}` |" in DOCS.read_text(encoding="utf-8")
