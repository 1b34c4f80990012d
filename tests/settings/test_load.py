"""Reading settings from files and environment variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from pm.errors import SettingsError
from pm.settings import RETIRED, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_keys_of_a_workspaces_file_replace_the_packaged_ones_and_no_others(config: Path) -> None:
    (config / "forecast.yml").write_text("horizon: 5\n")
    (config / "sources.yml").write_text("exchanges:\n  tickers: {BTC-USD: 24/7}\n")
    (config / "run.yml").write_text("# no keys\n")
    mine, packaged = load_settings(config), load_settings()
    assert mine.forecast.horizon == 5
    assert mine.forecast.model_copy(update={"horizon": packaged.forecast.horizon}) == packaged.forecast
    assert mine.sources.exchanges.tickers == {"BTC-USD": "24/7"}
    assert mine.sources.exchanges.suffixes == packaged.sources.exchanges.suffixes
    assert mine.run == packaged.run


def test_variables_replace_values_of_files(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "run.yml").write_text("jobs: 3\n")
    monkeypatch.setenv("PM_RUN__JOBS", "2")
    monkeypatch.setenv("pm_forecast__models", '["naive", "drift"]')
    monkeypatch.setenv("PM_SIGNALS__ALLOW_SHORT", "true")
    monkeypatch.setenv("PM_WORKSPACE", str(config.parent))  # read by the command line; not a section
    settings = load_settings(config)
    assert settings.run.jobs == 2
    assert settings.forecast.models == ["naive", "drift"]
    assert settings.signals.allow_short is True


def test_settings_are_immutable() -> None:
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
        ("volatility.yml", "windows: [100]", "no window has at least min_observations (250) returns", "volatility.yml"),
        ("volatility.yml", "simulations: 1000000000", "less than or equal to 1000000", "volatility.yml"),
        ("signals.yml", "stop_quantile: 0.9", "stop_quantile must be below target_quantile", "signals.yml"),
        ("signals.yml", "interval_level: 95%", "interval_level", "signals.yml"),
        ("signals.yml", "threshold: .nan", "threshold", "signals.yml"),
        ("signals.yml", "target_annual_volatility: .inf", "should be a finite number", "signals.yml"),
        ("forecast.yml", "horizon: true", "should be a number, not true or false, got True", "forecast.yml"),
        ("signals.yml", "max_position: true", "should be a number, not true or false", "signals.yml"),
        ("volatility.yml", "windows: [1000, true]", "should be a number, not true or false", "volatility.yml"),
        ("run.yml", "jobs: 1\nchunk_size: [", "Not YAML", "run.yml, line "),
        ("run.yml", "jobs: 1\n\tchunk_size: 3", "Not YAML", "run.yml, line 2"),
        ("run.yml", "- jobs", "`key: value` lines", "run.yml"),
        ("run.yml", "jobs:", "run.jobs", "run.yml"),
        ("run.yml", "1: 2", "run.1: Keys should be strings", "run.yml"),
        ("sources.yml", "exchanges: XNYS", "sources.exchanges", "sources.yml"),
    ],
)
def test_an_error_in_a_file_names_the_file_the_error_and_what_to_do(
    config: Path, file: str, text: str, what: str, where: str
) -> None:
    (config / file).write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert what in refused.value.what
    assert where in refused.value.where
    assert refused.value.hint
    assert refused.value.exit_code == 3


def test_a_file_that_is_not_utf_8_is_refused(config: Path) -> None:
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
        ("PM_FORECAST__MODELS", "naive", "must be written as JSON"),
    ],
)
def test_an_error_in_a_variable_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, what: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert what in refused.value.what
    assert "environment variable" in refused.value.where


def test_the_exchange_of_a_ticker_follows_from_its_own_entry_then_its_suffix_then_its_source(config: Path) -> None:
    (config / "sources.yml").write_text('exchanges: {tickers: {VOD.L: "24/7"}}')
    exchanges = load_settings(config).sources.exchanges
    assert exchanges.exchange_of("VOD.L", "sample") == "24/7"
    assert exchanges.exchange_of("BP.L", "sample") == "XLON"
    assert exchanges.exchange_of("IBM", "sample") == "XNYS"
    assert exchanges.exchange_of("IBM", "files") is None


@pytest.mark.parametrize("key", sorted(RETIRED))
def test_a_key_of_an_earlier_version_is_refused_with_what_replaces_it(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    (tmp_path / f"{section}.yml").write_text(f"{name}: 1\n")
    with pytest.raises(SettingsError, match=f"'{key}' was removed: {RETIRED[key][:20]}") as raised:
        load_settings(tmp_path)
    assert "delete the line" in str(raised.value)
