"""A run says that it compiles, once for an installation, and shows how far it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from pm.pipeline.compiling import compile_ahead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.stage import Context

MODULE = """
from pm.compiled import compiled
@compiled
def double(x):
    return 2.0 * x
@compiled
def shifted(x):
    return double(x) + 1.0
"""


@pytest.fixture
def loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    (tmp_path / "loops_to_compile").mkdir()
    (tmp_path / "loops_to_compile" / "__init__.py").touch()
    (tmp_path / "loops_to_compile" / "loops.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    from importlib import import_module

    module = import_module("loops_to_compile.loops")
    yield module
    for name in ("loops_to_compile.loops", "loops_to_compile"):
        del sys.modules[name]


def test_what_is_compiled_is_said_and_shown_once(loops: Any, make_context: Callable[..., Context]) -> None:  # noqa: ANN401
    lines: list[str] = []
    steps: list[tuple[int, int]] = []
    context = make_context(notify=lines.append, progress=lambda done, total: steps.append((done, total)))
    called: list[float] = []

    def warm_up() -> None:
        called.append(loops.shifted(1.0))

    for _ in range(2):
        compile_ahead(context, "loops_to_compile", warm_up)
    assert called == [3.0]
    assert [line.partition(",")[0] for line in lines] == ["forecast: compiling 2 functions to machine code"]
    assert steps == [(0, 2), (1, 2), (2, 2)]
