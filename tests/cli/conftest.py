from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pm as package
from pm.cli import main
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

# Enough to go through every stage. What the models are worth is proven in tests/forecast and tests/volatility.
QUICK = {
    "PM_FORECAST__MODELS": '["naive", "drift"]',
    "PM_FORECAST__ORIGINS": "2",
    "PM_VOLATILITY__SIMULATIONS": "500",
    "PM_RUN__JOBS": "1",
}


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return the environment of a user who wants quick runs and has no workspace elsewhere."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PM_")}
    return known | QUICK | {"COLUMNS": "100", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def command() -> list[str]:
    """Return the words that start `pm` as a process; it is a script, since DuckDB takes `python -c` for a terminal."""
    return [sys.executable, str(Path(package.__file__).parents[1] / "cli.py")]


@pytest.fixture(scope="session")
def pm(environment: dict[str, str]) -> Pm:
    """Run `pm` in a folder, inside this process: `pm(folder, "sql", "from bars", env={…}, text=False)`.

    Use `pm_process` where start-up, signals, locks, pipes, disks or the rights of the process are what is tested.
    """

    def run(
        folder: Path,
        *arguments: str | Path,
        env: dict[str, str] | None = None,
        text: bool = True,
    ) -> subprocess.CompletedProcess[Any]:
        words = [str(argument) for argument in arguments]
        outputs = BytesIO(), BytesIO()
        out, err = (TextIOWrapper(output, encoding="utf-8", write_through=True) for output in outputs)
        with pytest.MonkeyPatch.context() as patch, chdir(folder), redirect_stdout(out), redirect_stderr(err):
            for name in os.environ.keys() - environment.keys():
                patch.delenv(name)
            for name, value in (environment | (env or {})).items():
                patch.setenv(name, value)
            code = main(words)
        printed = [output.getvalue() for output in outputs]
        return subprocess.CompletedProcess(words, code, *(part.decode() if text else part for part in printed))

    return run


@pytest.fixture(scope="session")
def pm_process(command: list[str], environment: dict[str, str]) -> Pm:
    """Run `pm` in a folder, as a process of its own: `pm_process(folder, "sql", "from bars")`."""

    def run(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[Any]:  # noqa: ANN401 - subprocess's
        options["env"] = environment | options.get("env", {})
        options.setdefault("text", True)
        prefix = options.pop("prefix", [])
        line = [*prefix, *command, *(str(argument) for argument in arguments)]
        return subprocess.run(line, cwd=folder, check=False, capture_output=True, **options)

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    """Return a workspace after an import of which some rows were refused, and a run. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "BAD.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,-5\n2013-01-04,0\n")
    for arguments in (("import", "BAD.csv"), ("run", "--source", "sample")):
        done = pm(folder, *arguments)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def finished_copy(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of `finished` that a test may change."""
    return shutil.copytree(finished, tmp_path / "finished_copy")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace without a lake."""
    return init_workspace(tmp_path / "workspace").root
