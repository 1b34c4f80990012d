from __future__ import annotations

import pytest

from pm.errors import SettingsError
from pm.sources import SOURCES, Source, source


def test_every_source_is_listed_under_its_own_name() -> None:
    for name in SOURCES:
        made = source(name)
        assert isinstance(made, Source)
        assert made.name == name


def test_the_message_for_an_unknown_name_has_the_most_similar_one() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'sample'") as caught:
        source("samples")
    assert "pm import" in caught.value.hint
