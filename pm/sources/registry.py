"""List the sources by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import SettingsError, did_you_mean
from pm.sources.names import FILES, SAMPLE
from pm.sources.sample import SampleSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from pm.sources.base import Source

__all__ = ["SOURCES", "source"]

SOURCES: dict[str, Callable[[], Source]] = {SAMPLE: SampleSource}
"""Sources that can be fetched from, by name. Files are imported instead; see pm.sources.files."""


def source(name: str) -> Source:
    """Return the source of this name.

    Raises
    ------
    SettingsError
        There is no source of this name; the message has the most similar one.
    """
    if name not in SOURCES:
        known = sorted([*SOURCES, FILES])
        raise SettingsError(
            f"Unknown source {name!r}.{did_you_mean(name, known)}",
            where="the source asked for",
            hint=f"use one of: {', '.join(known)}; to read files: pm import PATH",
        )
    return SOURCES[name]()
