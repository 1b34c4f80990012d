from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]

# Enough to go through every stage; what the models are worth is proven in their own rooms.
QUICK = {
    "PM_FORECAST__MODELS": '["naive", "drift"]',
    "PM_FORECAST__ORIGINS": "2",
    "PM_VOLATILITY__SIMULATIONS": "500",
    "PM_RUN__JOBS": "1",
}


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Give the environment of a user who wants quick runs and has no workspace elsewhere."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("PM_")}
    return known | QUICK | {"COLUMNS": "100", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}


@pytest.fixture(scope="session")
def command() -> list[str]:
    """Give what starts `pm`."""
    return [sys.executable, "-c", "from pm.cli import main; main()"]


@pytest.fixture(scope="session")
def pm(command: list[str], environment: dict[str, str]) -> Pm:
    """Run `pm` in a folder, as a process: `pm(folder, "sql", "from bars")`."""

    def run(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - subprocess's
        options["env"] = environment | options.get("env", {})
        options.setdefault("text", True)
        prefix = options.pop("prefix", [])
        line = [*prefix, *command, *(str(argument) for argument in arguments)]
        return subprocess.run(line, cwd=folder, check=False, capture_output=True, **options)

    return run


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    """Give a workspace after `pm run`, some of whose imported rows were refused. To be read only."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "BAD.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,-5\n2013-01-04,0\n")
    imported = pm(folder, "import", "BAD.csv")
    assert imported.returncode == 0, imported.stderr
    done = pm(folder, "run", "--source", "sample")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def house(ran: Path, tmp_path: Path) -> Path:
    """Give a copy of `ran` that a test may change."""
    return shutil.copytree(ran, tmp_path / "house")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Give a workspace without a lake."""
    return init_workspace(tmp_path / "workspace").root
