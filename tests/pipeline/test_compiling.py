"""A run says that it compiles, once for an installation, and shows how far it is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pm.kernels import PACKAGES, compile_packages, kernels_to_compile
from pm.pipeline.compiling import compile_ahead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.pipeline.stage import Context

LOOPS = """
from pm.compiled import compiled
@compiled
def double(x):
    return 2.0 * x
@compiled
def shifted(x):
    return double(x) + 1.0
"""
WARM_UP = """
from {package}.loops import shifted
def warm_up():
    {done}
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Two packages of two functions each, and one whose functions cannot be compiled."""
    names = ["loops_one", "loops_two", "loops_broken"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "loops.py").write_text(LOOPS, encoding="utf-8")
        done = 'raise ValueError("no compiler")' if name == "loops_broken" else "shifted(1.0)"
        (tmp_path / name / "warm_up.py").write_text(WARM_UP.format(package=name, done=done), encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    yield names
    for module in [module for module in sys.modules if module.partition(".")[0] in names]:
        del sys.modules[module]


def test_what_is_compiled_is_said_and_shown_once(packages: list[str], make_context: Callable[..., Context]) -> None:
    lines: list[str] = []
    steps: list[tuple[int, int]] = []
    context = make_context(notify=lines.append, progress=lambda done, total: steps.append((done, total)))
    for package in (*packages[:2], packages[0]):
        compile_ahead(context, package, packages[:2])
    assert lines == [
        "forecast: compiling 4 kernels to machine code, once for this installation (`pm warm` does it beforehand)"
    ]
    assert (steps[0], steps[-1]) == ((0, 4), (4, 4))
    assert kernels_to_compile(packages[:2]) == {}


def test_a_package_that_cannot_be_compiled_is_named_and_the_others_are_compiled(packages: list[str]) -> None:
    counts: list[int] = []
    assert compile_packages(packages, counts.append) == ["loops_broken: ValueError: no compiler"]
    assert kernels_to_compile(packages) == {"loops_broken": 2}
    assert counts[-1] == 4


def test_every_package_with_compiled_functions_is_compiled_beforehand() -> None:
    from pathlib import Path

    import pm

    root = Path(pm.__file__).parent
    rooms = {
        f"pm.{file.relative_to(root).parts[0]}"
        for file in root.rglob("*.py")
        if "from pm.compiled import compiled\n" in file.read_text(encoding="utf-8")
    }
    assert rooms == set(PACKAGES)
