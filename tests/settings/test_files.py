"""The packaged files of config/ against the models, and the models against the code that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from pm.errors import LakeBusyError
from pm.lake.connection import retried
from pm.lake.maintenance import compact
from pm.pipeline import Request, open_lake, run_pipeline, snapshots_to_keep
from pm.resources import config_dir
from pm.settings import ExchangeSettings, Settings, load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTIONS = sorted(Settings.model_fields)
PASSWORD = "hunter2"  # noqa: S105 - made up


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


def test_the_files_hold_every_key_and_no_other_key() -> None:
    held: dict[str, Any] = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in config_dir().glob("*.yml")}
    assert sorted(held) == SECTIONS
    for section, values in held.items():
        model = Settings.model_fields[section].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert set(values) == set(model.model_fields)
        assert all(field.is_required() for field in model.model_fields.values())  # the files are the only defaults


class WithPassword(Settings):
    password: SecretStr = SecretStr(PASSWORD)


def test_a_run_reads_every_key_and_stores_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run all stages in this process, note each key that is read, and look for the password in the run's row."""
    read: set[str] = set()
    sections = {type(load_settings().section(name)): name for name in SECTIONS} | {
        ExchangeSettings: "sources.exchanges"
    }

    def noting(self: BaseModel, name: str) -> Any:  # noqa: ANN401 - whatever the key holds
        if type(self) in sections:
            read.add(f"{sections[type(self)]}.{name}")
        return object.__getattribute__(self, name)

    settings = WithPassword.model_validate(dict(load_settings()))
    monkeypatch.setattr(BaseModel, "__getattribute__", noting, raising=False)
    workspace = init_workspace(tmp_path)
    with open_lake(workspace, settings) as lake:
        request = Request("sample", tickers=("AAPL", "IBM"), jobs=0)
        run_pipeline(lake, workspace, settings, lambda _: None, request=request)
        compact(lake, keep=snapshots_to_keep(lake))
        stored = lake.scalar("SELECT settings FROM runs")
    busy = iter([True, False])

    def once_busy() -> None:
        if next(busy):
            raise LakeBusyError("busy")

    retried(once_busy, settings.lake)
    monkeypatch.undo()
    assert [key for key in _keys(Settings) if "." in key and key not in read] == []
    assert stored.startswith('{"run":{"engine":"local"')
    assert PASSWORD not in stored


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_comment(section: str) -> None:
    """Look for a comment beside the key, above it, or above the key before it if no empty line lies between them."""
    commented = False
    for line in (config_dir() / f"{section}.yml").read_text("utf-8").splitlines():
        if not line.strip():
            commented = False
        elif line.lstrip().startswith("#"):
            commented = True
        elif not line.startswith((" ", "-")):
            assert commented or " # " in line, line
