from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

import pm as package
from pm.cli.account import BrokerChoice, LotChoice
from pm.tables.vocabulary import BrokerName, LotMethod

if TYPE_CHECKING:
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[str]]

CHECKOUT = Path(package.__file__).parents[1]

_IMPORTED = """
import atexit, sys
atexit.register(lambda: print("IMPORTED", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr))
from pm.cli import main
sys.exit(main())
"""


def imported(folder: Path, environment: dict[str, str], *arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(tmp_path: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    heavy = {"polars", "duckdb", "pandas", "numpy", "scipy", "yaml", "pyarrow", "rich"}
    assert not imported(tmp_path, environment, *arguments) & heavy


def test_a_run_with_nothing_new_imports_only_what_it_needs(finished_copy: Path, environment: dict[str, str]) -> None:
    seen = imported(finished_copy, environment, "run", "--source", "sample")
    heavy = {"pandas", "statsforecast", "dataframely", "arch", "scipy", "exchange_calendars", "jinja2"}
    assert not seen & heavy
    assert {"polars", "duckdb"} <= seen


def take_compiled_functions(site: Path) -> None:
    """Take along what numba has compiled, since to compile it again takes half a minute and is tested elsewhere."""
    for source in (CHECKOUT / "pm").rglob("*.py"):
        copied = site / source.relative_to(CHECKOUT)
        if copied.is_file():
            os.utime(copied, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    for kept in (CHECKOUT / "pm").rglob("__pycache__/*.nb?"):
        target = site / kept.relative_to(CHECKOUT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(kept, target)


def test_an_installed_wheel_works_in_any_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    script = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    built = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    with ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        wheel.extractall(tmp_path / "site")
    take_compiled_functions(tmp_path / "site")
    (tmp_path / "any").mkdir()
    run = "import pm, sys; print(pm.__file__, file=sys.stderr); from pm.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", run, "run"],
        cwd=tmp_path / "any",
        env=environment | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == str(tmp_path / "site" / "pm" / "__init__.py")
    for name in ("config", "sql"):
        packed = tmp_path / "site" / "pm" / "_resources" / name
        assert {file.name for file in packed.iterdir()} == {file.name for file in (CHECKOUT / name).iterdir()}
    assert (tmp_path / "any" / "reports" / "latest.html").is_file()


def test_choices_of_an_account_are_the_words_of_the_tables() -> None:
    assert [one.value for one in BrokerChoice] == [one.value for one in BrokerName]
    assert [one.value for one in LotChoice] == [one.value for one in LotMethod]


@pytest.mark.slow
def test_warm_compiles_once_and_says_so(tmp_path: Path, environment: dict[str, str]) -> None:
    here = {**environment, "NUMBA_CACHE_DIR": str(tmp_path / "code")}
    command = [sys.executable, "-m", "pm", "warm"]
    first, second = (
        subprocess.run(command, cwd=tmp_path, env=here, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert first.stderr.splitlines() == ["compiling kernels, once"]
    assert first.stdout.startswith("Compiled ")
    assert (second.stderr, second.stdout) == ("", "All kernels are compiled.\n")
