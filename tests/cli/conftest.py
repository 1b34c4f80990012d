from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pm.pipeline import open_lake
from pm.settings import load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Build = Callable[[str, Callable[[Path], object]], Path]
    Pm = Callable[..., subprocess.CompletedProcess[Any]]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace without a lake."""
    return init_workspace(tmp_path / "workspace").root


@pytest.fixture
def empty_lake(build_once: Build, tmp_path: Path) -> None:
    """Make a workspace with an empty lake in the folder of the test, as the first command that writes would."""

    def build(folder: Path) -> None:
        with open_lake(init_workspace(folder), load_settings()):
            pass

    shutil.copytree(build_once("empty_lake", build), tmp_path, dirs_exist_ok=True)
