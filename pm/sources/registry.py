"""The sources there are, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import SettingsError, did_you_mean
from pm.sources.files import SOURCE_NAME
from pm.sources.sample import SampleSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.sources.base import Source

__all__ = ["SOURCES", "source"]

SOURCES: dict[str, Callable[[], Source]] = {"sample": SampleSource}
"""How each source that can be fetched from is made. Files are imported, not fetched: see pm.sources.files."""


def source(name: str) -> Source:
    """Give a source by its name.

    Raises
    ------
    SettingsError
        No source has this name; the nearest one is named.
    """
    if name not in SOURCES:
        known = sorted([*SOURCES, SOURCE_NAME])
        raise SettingsError(
            f"Unknown source {name!r}.{did_you_mean(name, known)}",
            where="the source asked for",
            hint=f"use one of: {', '.join(known)}; files are read by: pm import PATH",
        )
    return SOURCES[name]()
