from __future__ import annotations

import pytest

from pm.errors import SettingsError
from pm.sources import SOURCES, Source, source


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_source_is_registered_under_its_own_name(name: str) -> None:
    made = source(name)
    assert isinstance(made, Source)
    assert made.name == name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="Did you mean 'sample'") as caught:
        source("samples")
    assert "pm import" in caught.value.hint
