from __future__ import annotations

import re
from pathlib import Path

from pm import errors

DOCUMENT = Path(errors.__file__).parents[1] / "docs" / "errors.md"


def test_the_documented_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name: int(code) for code, name in rows if name}
    declared = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.PmError)
    }
    assert documented == declared
    assert sorted(int(code) for code, name in rows if not name) == [0, 2, 130]


def test_the_tree_drawn_at_the_top_of_the_module_has_the_same_codes() -> None:
    drawn = re.findall(r"(\w*Error)\s+(\d+) ", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == {
        name: getattr(errors, name).exit_code for name in errors.__all__ if name.endswith("Error")
    }
