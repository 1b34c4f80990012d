from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pm.errors import SettingsError
from pm.settings import load_settings
from pm.settings.refresh import VENDOR_NAMES
from pm.sources import OPENERS, Source, is_vendor, require_source, source

if TYPE_CHECKING:
    from pathlib import Path


def test_the_sample_is_opened_under_its_own_name(tmp_path: Path) -> None:
    made = source("sample", load_settings().refresh, tmp_path)
    assert isinstance(made, Source)
    assert made.name == "sample"


def test_every_vendor_is_listed_and_is_one() -> None:
    assert set(OPENERS) == {"sample", *VENDOR_NAMES}
    assert [name for name in OPENERS if is_vendor(name)] == list(VENDOR_NAMES)
    for name in OPENERS:
        require_source(name)


def test_the_message_for_an_unknown_name_has_the_most_similar_one(tmp_path: Path) -> None:
    for refused in (lambda: require_source("samples"), lambda: source("samples", load_settings().refresh, tmp_path)):
        with pytest.raises(SettingsError, match="Did you mean 'sample'") as caught:
            refused()
        assert "pm import" in caught.value.hint
