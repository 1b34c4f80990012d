from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from pm.errors import LakeBusyError, SettingsError
from pm.lake.connection import retried
from pm.lake.maintenance import compact
from pm.pipeline import Request, nightly_run, open_for_writing
from pm.pipeline.night import snapshots_read
from pm.resources import config_dir
from pm.settings import RETIRED, ExchangeSettings, Settings, load_settings
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTIONS = sorted(Settings.model_fields)


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.upper().startswith("PM_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    return folder


def test_the_files_hold_every_key_and_no_other() -> None:
    held: dict[str, Any] = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in config_dir().glob("*.yml")}
    assert sorted(held) == SECTIONS
    for section, values in held.items():
        model = Settings.model_fields[section].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        assert set(values) == set(model.model_fields)
        assert all(field.is_required() for field in model.model_fields.values())  # the files are the only defaults


def test_every_key_is_read_by_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go through all that the system does, in this process, and note each key that is asked for."""
    read: set[str] = set()
    sections = {type(load_settings().section(name)): name for name in SECTIONS} | {
        ExchangeSettings: "sources.exchanges"
    }

    def noting(self: BaseModel, name: str) -> Any:  # noqa: ANN401 - whatever the key holds
        if type(self) in sections:
            read.add(f"{sections[type(self)]}.{name}")
        return object.__getattribute__(self, name)

    settings = load_settings()
    monkeypatch.setattr(BaseModel, "__getattribute__", noting, raising=False)
    workspace = init_workspace(tmp_path)
    with open_for_writing(workspace, settings) as lake:
        request = Request("sample", tickers=("AAPL", "IBM"), jobs=0)
        nightly_run(lake, workspace, settings, lambda _: None, request=request)
        compact(lake, keep=snapshots_read(lake))
    busy = iter([True, False])

    def once_busy() -> None:
        if next(busy):
            raise LakeBusyError("busy")

    retried(once_busy, settings.lake)
    monkeypatch.undo()
    assert [key for key in _keys(Settings) if "." in key and key not in read] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_comment(section: str) -> None:
    """Above it, beside it, or above the key just before it, with which it shares a paragraph."""
    commented = False
    for line in (config_dir() / f"{section}.yml").read_text("utf-8").splitlines():
        if not line.strip():
            commented = False
        elif line.lstrip().startswith("#"):
            commented = True
        elif not line.startswith((" ", "-")):
            assert commented or " # " in line, line


def test_a_workspaces_file_is_laid_over_key_by_key(config: Path) -> None:
    (config / "forecast.yml").write_text("horizon: 5\n")
    (config / "sources.yml").write_text("exchanges:\n  tickers: {BTC-USD: 24/7}\n")
    (config / "run.yml").write_text("# nothing said\n")
    mine, packaged = load_settings(config), load_settings()
    assert mine.forecast.horizon == 5
    assert mine.forecast.model_copy(update={"horizon": packaged.forecast.horizon}) == packaged.forecast
    assert mine.sources.exchanges.tickers == {"BTC-USD": "24/7"}
    assert mine.sources.exchanges.suffixes == packaged.sources.exchanges.suffixes
    assert mine.run == packaged.run


def test_variables_win_over_files(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "run.yml").write_text("jobs: 3\n")
    monkeypatch.setenv("PM_RUN__JOBS", "2")
    monkeypatch.setenv("pm_forecast__models", '["naive", "drift"]')
    monkeypatch.setenv("PM_SIGNALS__ALLOW_SHORT", "true")
    monkeypatch.setenv("PM_WORKSPACE", str(config.parent))  # the command line's, not a section
    settings = load_settings(config)
    assert settings.run.jobs == 2
    assert settings.forecast.models == ["naive", "drift"]
    assert settings.signals.allow_short is True


def test_settings_do_not_change_once_read() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.run.jobs = 5


@pytest.mark.parametrize(
    ("file", "text", "what", "where"),
    [
        ("forecast.yml", "horzion: 5", "Unknown key 'forecast.horzion'. Did you mean 'horizon'?", "forecast.yml"),
        ("sources.yml", "exchanges: {ticker: {}}", "Did you mean 'tickers'?", "sources.yml"),
        ("forcast.yml", "horizon: 5", "Did you mean 'forecast'?", "forcast.yml"),
        (
            "forecast.yml",
            "horizon: 0",
            "forecast.horizon: Input should be greater than or equal to 1, got 0",
            "forecast",
        ),
        ("forecast.yml", "horizon: soon", "got 'soon'", "forecast.yml"),
        ("forecast.yml", "models: [drift]", "models must contain naive", "forecast.yml"),
        ("forecast.yml", "models: [naive, naive]", "a model is listed twice in models", "forecast.yml"),
        ("volatility.yml", "windows: [100]", "no window has the 250 returns of min_observations", "volatility.yml"),
        ("volatility.yml", "simulations: 1000000000", "less than or equal to 1000000", "volatility.yml"),
        ("signals.yml", "stop_quantile: 0.9", "stop_quantile must be below target_quantile", "signals.yml"),
        ("signals.yml", "interval_level: 95%", "interval_level", "signals.yml"),
        ("signals.yml", "threshold: .nan", "threshold", "signals.yml"),
        ("run.yml", "jobs: 1\nchunk_size: [", "Not YAML", "run.yml, line "),
        ("run.yml", "jobs: 1\n\tchunk_size: 3", "Not YAML", "run.yml, line 2"),
        ("run.yml", "- jobs", "`key: value` lines", "run.yml"),
        ("run.yml", "jobs:", "run.jobs", "run.yml"),
        ("run.yml", "1: 2", "run.1: Keys should be strings", "run.yml"),
        ("sources.yml", "exchanges: XNYS", "sources.exchanges", "sources.yml"),
    ],
)
def test_a_wrong_file_is_named_with_what_to_try(config: Path, file: str, text: str, what: str, where: str) -> None:
    (config / file).write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert what in refused.value.what
    assert where in refused.value.where
    assert refused.value.hint
    assert refused.value.exit_code == 3


def test_bytes_that_are_no_text_are_refused(config: Path) -> None:
    (config / "run.yml").write_bytes(b"jobs: \xff\xfe")
    with pytest.raises(SettingsError, match="Not YAML"):
        load_settings(config)


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("PM_RUM__JOBS", "1", "Unknown section 'rum'. Did you mean 'run'?"),
        ("PM_RUN__JOB", "1", "Unknown key 'job'. Did you mean 'jobs'?"),
        ("PM_RUN__JOBS", "many", "got 'many'"),
        ("PM_RUN__JOBS", "-1", "greater than or equal to 0"),
        ("PM_FORECAST__MODELS", "naive", "written as JSON"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert what in refused.value.what
    assert "environment variable" in refused.value.where


def test_an_exchange_is_found_by_ticker_then_suffix_then_source(config: Path) -> None:
    (config / "sources.yml").write_text('exchanges: {tickers: {VOD.L: "24/7"}}')
    exchanges = load_settings(config).sources.exchanges
    assert exchanges.exchange_of("VOD.L", "sample") == "24/7"
    assert exchanges.exchange_of("BP.L", "sample") == "XLON"
    assert exchanges.exchange_of("IBM", "sample") == "XNYS"
    assert exchanges.exchange_of("IBM", "files") is None


@pytest.mark.parametrize("key", sorted(RETIRED))
def test_a_key_of_an_earlier_version_says_what_became_of_it(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    (tmp_path / f"{section}.yml").write_text(f"{name}: 1\n")
    with pytest.raises(SettingsError, match=f"'{key}' is no more: {RETIRED[key][:20]}") as raised:
        load_settings(tmp_path)
    assert "delete the line" in str(raised.value)
