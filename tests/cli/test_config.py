"""`pm config`: every setting, its value, and where that comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from pm.settings import Settings, load_settings
from pm.settings.described import described_settings, setting_names

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


def test_every_setting_is_described_by_the_comment_of_its_file() -> None:
    described = described_settings(load_settings(), None)
    keys = {f"{section}.{key}" for section, field in Settings.model_fields.items()
            for key, one in field.annotation.model_fields.items() if one.annotation is not SecretStr}  # type: ignore[union-attr]  # fmt: skip
    assert {each.name for each in described} == keys
    assert [each.name for each in described if not each.comment] == []
    assert {each.origin for each in described} == {"default"}
    assert set(setting_names()) == keys | set(Settings.model_fields)


def test_a_value_comes_from_the_default_a_file_or_a_variable(workspace: Path, pm: Pm) -> None:
    (workspace / "config" / "run.yml").write_text("chunk_size: 7\nengine: local\n")
    done = pm(workspace, "config", "run", "--format", "json", env={"PM_RUN__LOG_LEVEL": "debug", "PM_RUN__JOBS": "0"})
    rows = {row["setting"]: (row["from"], row["value"]) for row in json.loads(done.stdout)}
    assert rows["run.chunk_size"] == ("config/run.yml", "7")
    assert rows["run.engine"] == ("default", "local")  # as the package has it
    assert rows["run.log_level"] == ("PM_RUN__LOG_LEVEL", "debug")
    assert rows["run.address"] == ("default", "null")


def test_one_setting_is_explained(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "config", "risk.tail_threshold")
    assert done.returncode == 0
    assert "risk.tail_threshold  default  90%" in done.stdout
    assert "generalised Pareto tail" in done.stdout
    assert "config/risk.yml" in done.stdout
    assert "PM_RISK__TAIL_THRESHOLD" in done.stdout


@pytest.mark.parametrize(("name", "guess"), [("jobs", "run.jobs"), ("run.job", "run.jobs"), ("rsik", "risk")])
def test_an_unknown_setting_is_refused_with_the_nearest(tmp_path: Path, pm: Pm, name: str, guess: str) -> None:
    done = pm(tmp_path, "config", name)
    assert (done.returncode, f"Did you mean '{guess}'?" in done.stderr) == (3, True), done.stderr


def test_no_credential_is_shown(workspace: Path, pm: Pm) -> None:
    (workspace / "config" / "run.yml").write_text("engine: dask\naddress: tcp://me:a-secret@10.0.0.1:8786\n")
    done = pm(workspace, "config")
    assert (done.returncode, "a-secret" in done.stdout, "tcp://***@10.0.0.1:8786" in done.stdout) == (0, False, True)
