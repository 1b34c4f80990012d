"""Vendors of market data, one file each, and the gate that every request goes through."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pm.errors import SettingsError, did_you_mean
from pm.settings import load_keys
from pm.sources.symbols import symbol_for

if TYPE_CHECKING:
    from pathlib import Path

    from pm.settings import Keys, RefreshSettings
    from pm.sources.vendors.base import Vendor

__all__ = ["VENDORS", "load_keys", "symbol_for", "vendor"]

VENDORS: dict[str, tuple[str, str]] = {
    "yahoo": ("pm.sources.vendors.yahoo", "YahooSource"),
    "alpha_vantage": ("pm.sources.vendors.alpha_vantage", "AlphaVantageSource"),
    "finnhub": ("pm.sources.vendors.finnhub", "FinnhubSource"),
    "alpaca": ("pm.sources.vendors.alpaca", "AlpacaSource"),
    "tiingo": ("pm.sources.vendors.tiingo", "TiingoSource"),
}
"""For each vendor, the module and the class of its source. They are imported when they are asked for."""


def vendor(name: str, settings: RefreshSettings, keys: Keys, folder: Path) -> Vendor:
    """Return the source of a vendor, for one refresh.

    Parameters
    ----------
    name
        Name of the vendor.
    settings
        Section `refresh` of the settings.
    keys
        Keys of the vendors; see `pm.settings.load_keys`.
    folder
        Folder of what is remembered between commands, such as the requests spent of a day: one for each vendor, in
        `Workspace.vendors`.

    Raises
    ------
    SettingsError
        There is no vendor of this name.
    """
    if name not in VENDORS:
        raise SettingsError(
            f"Unknown vendor {name!r}.{did_you_mean(name, VENDORS)}",
            where="the vendor asked for",
            hint=f"use one of: {', '.join(VENDORS)}",
        )
    module, kind = VENDORS[name]
    made: Vendor = getattr(import_module(module), kind)(settings, keys, folder)
    return made
