"""Secrets stay out of what is stored, hashed and shown."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from pydantic import Field, SecretStr

from pm.errors import SettingsError
from pm.resources import config_dir
from pm.settings import Settings, load, load_settings, redact_credentials, section_values
from pm.settings.base import Section

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2"  # noqa: S105 - made up
KEY = "PM_VENDOR__ACCOUNT__KEY"


class Account(Section):
    name: str
    key: SecretStr
    spare: SecretStr | None = None


class Vendor(Section):
    account: Account
    others: list[Account] = Field(default_factory=list)
    tokens: dict[str, SecretStr] = Field(default_factory=dict)


class WithSecrets(Settings):
    vendor: Vendor


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the packaged config folder, to which settings with secrets belong."""
    folder = tmp_path / "packaged"
    shutil.copytree(config_dir(), folder)
    (folder / "vendor.yml").write_text(f"account: {{name: me, key: {PASSWORD}}}\n")
    monkeypatch.setattr(load, "config_dir", lambda: folder)
    monkeypatch.setattr(load, "Settings", WithSecrets)
    return folder


def test_without_secrets_everything_is_recorded() -> None:
    settings = load_settings()
    assert settings.recorded() == settings.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        f"account: {{name: me, key: {PASSWORD}}}",
        f"account: {{name: me, key: a, spare: {PASSWORD}}}",
        f"account: {{name: me, key: a}}\nothers: [{{name: you, key: {PASSWORD}}}]",
        f"account: {{name: me, key: a}}\ntokens: {{here: {PASSWORD}}}",
    ],
    ids=["a field", "an optional field", "a list of sections", "a mapping"],
)
@pytest.mark.usefixtures("packaged")
def test_a_secret_is_neither_recorded_nor_printed(config: Path, text: str) -> None:
    (config / "vendor.yml").write_text(text)
    settings = load_settings(config)

    recorded = json.loads(settings.recorded())
    names = {account["name"] for account in [recorded["vendor"]["account"], *recorded["vendor"]["others"]]}

    assert names <= {"me", "you"}
    assert recorded["vendor"]["account"] == {"name": "me"}
    assert recorded["forecast"] == json.loads(settings.model_dump_json())["forecast"]
    for shown in (settings.recorded(), repr(settings), str(settings), str(section_values(settings, "vendor"))):
        assert PASSWORD not in shown


@pytest.mark.usefixtures("packaged")
def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "other")
    settings = load_settings()
    assert isinstance(settings, WithSecrets)
    assert settings.vendor.account.key.get_secret_value() == "other"


@pytest.mark.parametrize(
    "text",
    [
        "account: {name: me, key: 72616}",
        "account: {name: me, key: [72616]}",
        "account: {name: me, key: {secret: 72616}}",
        "account: {name: me, kye: 72616}",
        "account: 72616",
        "account: [72616]",
        "account: {name: me, key: a}\nothers: [72616]",
        "account: {name: me, key: a}\nothers: [{name: you, key: 72616}]",
        "account: {name: me, key: a}\ntokens: {here: 72616}",
        "account: {name: me, key: a}\ntokens: 72616",
        "account: {name: me, key: *a72616}",
        "account: {name: me, key: !a72616 b}",
    ],
)
@pytest.mark.usefixtures("packaged")
def test_an_error_does_not_print_the_value_of_a_secret(config: Path, text: str) -> None:
    (config / "vendor.yml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    assert "72616" not in str(refused.value)
    assert "vendor" in str(refused.value)


@pytest.mark.parametrize("variable", ["PM_VENDOR__TOKENS", "PM_VENDOR__ACCOUNT", "PM_VENDOR__OTHERS"])
@pytest.mark.usefixtures("packaged")
def test_an_error_in_a_variable_does_not_print_the_value_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for value in ("72616", '"72616"', "72616{", '{"a": 72616}'):
        monkeypatch.setenv(variable, value)
        with pytest.raises(SettingsError) as refused:
            load_settings()
        assert "72616" not in str(refused.value)


def test_the_values_of_a_section_or_of_one_key_are_those_of_json() -> None:
    settings = load_settings()
    assert section_values(settings, "forecast") == settings.forecast.model_dump(mode="json")
    assert section_values(settings, "forecast.horizon") == 20
    assert section_values(settings, "sources.exchanges") == settings.sources.exchanges.model_dump(mode="json")
    assert section_values(settings, "sources.exchanges.sources") == {"sample": "XNYS"}


@pytest.mark.usefixtures("packaged")
def test_a_stage_cannot_depend_on_a_secret() -> None:
    with pytest.raises(KeyError):
        section_values(load_settings(), "vendor.account.key")


@pytest.mark.parametrize(
    ("address", "recorded"),
    [
        ("tcp://user:p@ss/word@10.0.0.1:8786", "tcp://***@10.0.0.1:8786"),
        ("tls://token@10.0.0.1:8786", "tls://***@10.0.0.1:8786"),
        ("user:password@10.0.0.1:6379", "***@10.0.0.1:6379"),
        (":password@10.0.0.1:6379", "***@10.0.0.1:6379"),
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("ray://[::1]:10001", "ray://[::1]:10001"),
        ("10.0.0.1:6379", "10.0.0.1:6379"),
        ("auto", "auto"),
        ("me@example.com", "me@example.com"),
    ],
)
def test_credentials_in_an_address_are_not_recorded(config: Path, address: str, recorded: str) -> None:
    (config / "run.yml").write_text(f'engine: dask\naddress: "{address}"\n')
    settings = load_settings(config)
    assert settings.run.address == address
    assert json.loads(settings.recorded())["run"]["address"] == recorded == redact_credentials(address)


def test_credentials_in_a_refused_value_are_not_printed(config: Path) -> None:
    (config / "run.yml").write_text("jobs: tcp://user:72616@10.0.0.1:8786\n")
    with pytest.raises(SettingsError, match=r"got 'tcp://\*\*\*@10.0.0.1:8786'"):
        load_settings(config)
