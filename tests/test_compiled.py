from __future__ import annotations

import importlib
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import pm.forecast.warm_up
import pm.volatility.warm_up
from pm.compiled import compiled, keeps_code, uncompiled
from pm.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

# A package of two modules, in which a compiled function calls one of the other module and uses its constant.
MODULES = {
    "__init__": "",
    "inner": """
from pm.compiled import compiled
SHIFT = 1.0
@compiled
def double(x):
    return 2.0 * x
""",
    "outer": """
from pm.compiled import compiled
from kernels.inner import SHIFT, double
@compiled
def shifted(x):
    return double(x) + SHIFT
""",
}

# Prints the result, and the number of times that it was compiled and that it was read from disk.
CALL = """
from kernels.outer import shifted
print(shifted(5.0), sum(shifted.stats.cache_misses.values()), sum(shifted.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name, source in MODULES.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


def call(package: Path, *, script: str = CALL, **variables: str) -> list[float]:
    """Run a script in a new process, by default one that calls the function; return the numbers that it prints."""
    path = os.pathsep.join([str(package.parent), *sys.path])
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8", check=True
    )
    return [float(number) for number in done.stdout.split()]


def test_a_kept_function_is_compiled_again_only_after_an_edit_of_a_module_of_its_package(package: Path) -> None:
    assert call(package) == [11, 1, 0]
    assert call(package) == [11, 0, 1]
    inner = package / "inner.py"
    edited = inner.read_text(encoding="utf-8").replace("2.0 * x", "3.0 * x").replace("SHIFT = 1.0", "SHIFT = 2.0")
    inner.write_text(edited, encoding="utf-8")
    assert call(package) == [17, 1, 0]


@pytest.mark.posix  # a variable that names the folder of the user's cache
def test_a_function_of_a_package_that_cannot_be_written_to_is_kept_in_the_users_cache_or_not_at_all(
    package: Path, tmp_path: Path
) -> None:
    (package / "__pycache__").touch()  # so that there can be no folder of this name
    cache, file = tmp_path / "cache", tmp_path / "file"
    file.touch()
    assert call(package, HOME=str(tmp_path), XDG_CACHE_HOME=str(cache)) == [11, 1, 0]
    assert list(cache.rglob("outer.shifted*"))
    assert call(package, HOME=str(file), XDG_CACHE_HOME=str(file)) == [11, 1, 0]


def test_a_function_without_a_file_is_compiled() -> None:
    names: dict[str, Any] = {}
    exec("def double(x):\n    return 2.0 * x\n", names)  # noqa: S102 - so that it has no file
    assert compiled(names["double"])(4.0) == 8.0


def test_division_by_zero_gives_infinity() -> None:
    names: dict[str, Any] = {}
    exec("def inverse(x):\n    return 1.0 / x\n", names)  # noqa: S102 - as above
    assert math.isinf(compiled(names["inverse"])(0.0))


# Prints how many functions no process has compiled, how many are while one is called, how many are left, and whether
# they are kept.
WATCH = """
import kernels.outer
from pm.compiled import counting_compilations, keeps_code, uncompiled
before, counts = len(uncompiled("kernels")), []
with counting_compilations("kernels", counts.append):
    kernels.outer.shifted(5.0)
print(before, *counts, len(uncompiled("kernels")), int(keeps_code("kernels")))
"""


def test_what_was_never_compiled_is_known_and_counted_while_it_is_compiled(package: Path) -> None:
    assert call(package, script=WATCH) == [2, 1, 2, 0, 1]
    assert call(package, script=WATCH) == [0, 0, 1]
    (package / "inner.py").write_text(MODULES["inner"] + "# edited\n", encoding="utf-8")
    assert call(package, script=WATCH) == [2, 1, 2, 0, 1]


@pytest.mark.posix
def test_code_that_cannot_be_kept_is_uncompiled_in_every_process(package: Path, tmp_path: Path) -> None:
    (package / "__pycache__").touch()
    file = tmp_path / "file"
    file.touch()
    for _ in range(2):
        assert call(package, script=WATCH, HOME=str(file), XDG_CACHE_HOME=str(file)) == [2, 1, 2, 0, 0]


@pytest.mark.parametrize("package", ["pm.volatility", "pm.forecast"])
def test_the_warm_up_of_a_package_compiles_all_that_it_compiles(package: str) -> None:
    if package == "pm.volatility":
        pm.volatility.warm_up.warm_up(load_settings().volatility)
    else:
        importlib.import_module("pm.forecast.models")
        pm.forecast.warm_up.warm_up()
    assert not uncompiled(package)
    assert keeps_code(package)
