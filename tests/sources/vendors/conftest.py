"""Sources of vendors that ask servers on 127.0.0.1, and the certainty that no test asks a vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest
from pydantic import SecretStr

from pm.settings import Keys, RefreshSettings, load_settings
from pm.sources.vendors import VENDORS, vendor
from tests.vendor_servers import (
    AlpacaServer,
    AlphaVantageServer,
    FinnhubServer,
    TiingoServer,
    VendorServer,
    YahooServer,
    only_this_computer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.sources.vendors.base import Vendor

SERVERS: dict[str, type[VendorServer]] = {
    "yahoo": YahooServer,
    "alpha_vantage": AlphaVantageServer,
    "finnhub": FinnhubServer,
    "alpaca": AlpacaServer,
    "tiingo": TiingoServer,
}
KEYS = Keys(
    alpha_vantage=SecretStr(AlphaVantageServer.key),
    finnhub=SecretStr(FinnhubServer.key),
    alpaca=SecretStr(AlpacaServer.key),
    alpaca_secret=SecretStr(AlpacaServer.secret),
    tiingo=SecretStr(TiingoServer.key),
)


class Made(Protocol):
    def __call__(self, server: VendorServer, *, keys: Keys = KEYS, **changes: object) -> Vendor: ...


@pytest.fixture(autouse=True)
def _only_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    only_this_computer(monkeypatch)


@pytest.fixture(scope="session")
def refresh() -> RefreshSettings:
    """Return settings that wait little and let everything through."""
    plain = load_settings(None).refresh
    fast = dict.fromkeys(VENDORS, 600_000.0)
    values = plain.model_dump() | {
        "first_wait_seconds": 0.01,
        "longest_wait_seconds": 0.05,
        "requests_per_minute": fast,
        "timeout_seconds": 5.0,
        "attempts": 3,
    }
    return RefreshSettings.model_validate(values)


@pytest.fixture
def changed(refresh: RefreshSettings) -> Callable[..., RefreshSettings]:
    """Function that returns the settings with changes."""
    return lambda **changes: RefreshSettings.model_validate(refresh.model_dump() | changes)


@pytest.fixture
def made(changed: Callable[..., RefreshSettings], tmp_path: Path) -> Made:
    """Function that returns the source of a vendor that asks a server."""

    def _made(server: VendorServer, *, keys: Keys = KEYS, **changes: object) -> Vendor:
        name = next(name for name, kind in SERVERS.items() if isinstance(server, kind))
        settings = changed(**{"base_urls": {name: server.url}} | changes)
        return vendor(name, settings, keys, tmp_path / "cache")

    return _made


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[VendorServer]:
    """A server of each vendor."""
    with SERVERS[request.param]() as running:
        if isinstance(running, AlphaVantageServer):
            running.premium = True
        yield running


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    """A server of Yahoo."""
    with YahooServer() as running:
        yield running
