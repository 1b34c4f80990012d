"""What a shell is told to complete: by the protocol of each shell, and in a real bash."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def desk(finished: Path, tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> Path:
    """Return a workspace with an account."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("completion") / "desk")
    for name in ("main", "spare"):
        assert pm(folder, "account", "open", "--name", name).returncode == 0
    return folder


def completed(pm: Pm, folder: Path, line: str) -> list[str]:
    """Return what bash is told for a line whose last word is being typed; a space at its end begins a new word."""
    words = [*shlex.split(line), *([""] if line.endswith(" ") else [])]
    asked = {"_PM_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = pm(folder, env=asked)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("pm forec", ["forecast"]),
        ("pm forecast i", ["IBM"]),
        ("pm forecast ", ["AAPL", "BAD", "FB", "GOOG", "IBM", "MSFT"]),
        ("pm run --tickers AAPL,g", ["AAPL,GOOG"]),
        ("pm quarantine --ticker b", ["BAD"]),
        ("pm universe add AAPL m", ["MSFT"]),
        ("pm actions list g", ["GOOG"]),
        ("pm tables raw.", ["raw.actions", "raw.bars", "raw.batches", "raw.texts"]),
        ("pm trade plan --account ", ["main", "spare"]),
        ("pm account close s", ["spare"]),
        ("pm tearsheet --account S", ["spare"]),
        ("pm config run.j", ["run.jobs"]),
        ("pm --format j", ["json"]),
    ],
)
def test_names_are_completed(desk: Path, pm: Pm, line: str, names: list[str]) -> None:
    assert completed(pm, desk, line) == names


def test_runs_are_completed_the_newest_first(desk: Path, pm: Pm) -> None:
    runs = completed(pm, desk, "pm runs show 2")
    assert len(runs) == 4
    assert runs == sorted(runs, reverse=True)
    assert completed(pm, desk, f"pm report {runs[-1]}") == runs[-1:]


def test_the_workspace_that_is_named_is_asked(desk: Path, tmp_path: Path, pm: Pm) -> None:
    assert completed(pm, tmp_path, "pm forecast i") == []
    assert completed(pm, tmp_path, f"pm --workspace {shlex.quote(str(desk))} forecast i") == ["IBM"]
    assert completed(pm, tmp_path, "pm --workspace nowhere tables ba") == []
    assert list(tmp_path.iterdir()) == []


def test_powershell_is_told_the_same(desk: Path, pm: Pm) -> None:
    asked = {
        "_PM_COMPLETE": "complete_powershell",
        "_TYPER_COMPLETE_ARGS": "pm forecast i",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "i",
    }
    assert pm(desk, env=asked).stdout.split(":::")[0].strip() == "IBM"


@pytest.mark.posix
def test_bash_completes_by_the_script_that_pm_prints(
    desk: Path, tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    program = tmp_path / "pm"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(_PM_COMPLETE=source_bash pm)"
        COMP_WORDS=(pm forecast i) COMP_CWORD=2
        _pm_completion pm i forecast
        printf '%s' "${COMPREPLY[*]}"
    """
    path = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(
        [bash, "-c", script], cwd=desk, env=environment | {"PATH": path}, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("IBM", "")
