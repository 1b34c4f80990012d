from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from pm.errors import SettingsError
from pm.settings import Keys, load_keys, load_settings, warning_about_keys
from pm.settings.file_rights import grants_reading_to_others, others_can_read

if TYPE_CHECKING:
    from pathlib import Path

KEY = "k3y-of-the-vendor-91"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.yml"
    file.write_text(f"tiingo: {KEY}\nfinnhub: another-key\n", encoding="utf-8")
    file.chmod(0o600)
    return file


def revealed(key: object) -> str:
    return key.get_secret_value()  # type: ignore[attr-defined,no-any-return]


def test_keys_come_from_the_file_and_variables_go_first(keys_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM_KEYS__FINNHUB", "of-the-variable")
    monkeypatch.setenv("PM_KEYS__ALPACA", "")
    keys = load_keys(keys_file.parent)
    assert revealed(keys.tiingo) == KEY
    assert revealed(keys.finnhub) == "of-the-variable"
    assert keys.alpaca is None
    assert keys.secrets() == (KEY, "of-the-variable")


def test_a_workspace_without_keys_has_none(tmp_path: Path) -> None:
    assert load_keys(tmp_path) == load_keys(None) == Keys()


def test_keys_are_not_shown(keys_file: Path) -> None:
    keys = load_keys(keys_file.parent)
    for shown in (repr(keys), str(keys), f"{keys.tiingo}", keys.model_dump_json()):
        assert KEY not in shown


@pytest.mark.posix
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(keys_file: Path, mode: int) -> None:
    keys_file.chmod(mode)
    with pytest.raises(SettingsError) as caught:
        load_keys(keys_file.parent)
    assert "chmod 600" in caught.value.hint
    assert KEY not in str(caught.value)


@pytest.mark.posix
def test_a_file_of_ones_own_is_read(keys_file: Path) -> None:
    for mode in (0o600, 0o400):
        keys_file.chmod(mode)
        assert stat.S_IMODE(keys_file.stat().st_mode) == mode
        assert not others_can_read(keys_file)
        assert load_keys(keys_file.parent).tiingo is not None
    assert warning_about_keys(keys_file.parent) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"tingo: {KEY}", "Did you mean 'tiingo'?"),
        (f'tiingo: "{KEY} x"', "space"),
        (f'tiingo: "{KEY}é"', "ASCII"),
        ('tiingo: ""', "space"),
        ("tiingo: 123456", "not text"),
        ("tiingo: 1e5", "not text"),
        (f"tiingo: [{KEY}]", "not text"),
        (f"{KEY}", "key: value"),
        (f"# of a friend\n{KEY}: tiingo", "keys.yml, line 2"),
        (f"tiingo: a\n{KEY}: b\n{KEY}: c", "keys.yml, line 2"),
        (f"tiingo:\n  {KEY}: b\n  {KEY}: c", "keys.yml, line 2"),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(keys_file: Path, content: str, said: str) -> None:
    keys_file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_keys(keys_file.parent)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None or KEY not in str(caught.value.__context__)
    assert caught.value.hint


def test_a_variable_that_names_no_key_is_refused_by_keys_and_settings_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM_KEYS__FINHUB", KEY)
    for load in (load_keys, load_settings):
        with pytest.raises(SettingsError, match="Did you mean 'finnhub'") as caught:
            load(None)
        assert KEY not in str(caught.value)


def test_settings_accept_the_variables_of_keys_and_do_not_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Keys.model_fields:
        monkeypatch.setenv(f"PM_KEYS__{name.upper()}", KEY)
    settings = load_settings(None)
    assert KEY not in settings.recorded()
    assert KEY not in repr(settings)
    assert load_keys(None).secrets() == (KEY,)


def test_one_underscore_too_few_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PM_KEYS_FINNHUB", KEY)
    with pytest.raises(SettingsError, match="one underscore") as caught:
        load_settings(None)
    assert "PM_KEYS__FINNHUB" in caught.value.hint
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("descriptor", "expected"),
    [
        ("D:(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;S-1-5-21-1-2-3-1001)", False),
        ("D:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)", True),
        ("D:(A;;FR;;;WD)", True),
        ("D:(A;;0x1301bf;;;AU)", True),
        ("D:(D;;FA;;;WD)(A;;FA;;;BA)", False),
        ("D:(A;OICIIO;GA;;;WD)", False),
        ("D:(A;;FW;;;WD)", False),
        ("D:NO_ACCESS_CONTROL", True),
        ("O:BAG:SYD:(A;;FA;;;SY)S:(AU;SAFA;FA;;;WD)", False),
    ],
)
def test_the_rights_that_windows_writes_are_understood(descriptor: str, expected: bool) -> None:
    assert grants_reading_to_others(descriptor) is expected


@pytest.mark.skipif(os.name != "nt", reason="asks Windows")
def test_windows_tells_the_rights_of_a_file(keys_file: Path) -> None:
    assert isinstance(others_can_read(keys_file), bool)
