"""List the sources by name, and open one."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING

from pm.errors import SettingsError, did_you_mean
from pm.settings.refresh import VENDOR_NAMES
from pm.sources.names import FILES, SAMPLE
from pm.sources.sample import SampleSource
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.settings import RefreshSettings
    from pm.sources.base import Source
    from pm.sources.texts import TextSource

    Opener = Callable[[str, RefreshSettings, Path, float], Source]

__all__ = ["OPENERS", "TEXT_VENDOR", "is_vendor", "require_source", "source", "text_source"]

TEXT_VENDOR = "finnhub"
"""Name of the vendor that texts are fetched from."""


def _sample(_name: str, _settings: RefreshSettings, _folder: Path, _until: float) -> Source:
    return SampleSource()


def _vendor(name: str, settings: RefreshSettings, folder: Path, until: float) -> Source:
    # By its name, so that no stage's fingerprint, and no worker of a cluster, depends on what the vendors import.
    vendors = import_module("pm.sources.vendors")
    made = vendors.vendor(name, settings, vendors.load_keys(folder), Workspace(folder).vendors / name)
    made.gate.until = until
    opened: Source = made
    return opened


OPENERS: dict[str, Opener] = {SAMPLE: _sample, **dict.fromkeys(VENDOR_NAMES, _vendor)}
"""Functions that open a source that can be fetched from, by its name. Files are imported; see pm.sources.files."""


def text_source(settings: RefreshSettings, folder: Path, until: float = math.inf) -> TextSource:
    """Open the vendor that texts are fetched from.

    Parameters
    ----------
    settings, folder, until
        As for `source`.

    Raises
    ------
    SettingsError
        The file of keys cannot be used.
    """
    opened: TextSource = _vendor(TEXT_VENDOR, settings, folder, until)  # type: ignore[assignment] # it is both
    return opened


def is_vendor(name: str) -> bool:
    """Return whether a source is a vendor: one that is asked for tickers over the network."""
    return name in VENDOR_NAMES


def require_source(name: str) -> None:
    """Check that there is a source of this name that can be fetched from; nothing is opened or imported.

    Raises
    ------
    SettingsError
        There is none; the message has the most similar name.
    """
    if name in OPENERS:
        return
    known = sorted([*OPENERS, FILES])
    raise SettingsError(
        f"Unknown source {name!r}.{did_you_mean(name, known)}",
        where="the source asked for",
        hint=f"use one of: {', '.join(known)}; to read files: pm import PATH",
    )


def source(name: str, settings: RefreshSettings, folder: Path, until: float = math.inf) -> Source:
    """Open the source of this name.

    Parameters
    ----------
    name
        Name of the source.
    settings
        How vendors are asked.
    folder
        Folder of the workspace, in which the keys are, and where a source keeps what it need not ask for again.
    until
        Moment of the computer's monotonic clock beyond which a vendor waits for nothing.

    Raises
    ------
    SettingsError
        There is no source of this name; the message has the most similar one.
    SourceError
        The source needs a key, or a package, that is not there.
    """
    require_source(name)
    return OPENERS[name](name, settings, folder, until)
