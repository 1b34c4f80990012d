"""The Dockerfile and the compose file pass their linters; a builder is not needed for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pm as package

ROOT = Path(package.__file__).parents[1]


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip(f"{program} is not installed: pip install -e '.[lint]'")
    return subprocess.run([found, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_dockerfile_passes_hadolint() -> None:
    done = run("hadolint", "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_is_one() -> None:
    done = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")
    assert done.returncode == 0, done.stdout
