"""No key is in a table, a report, a file or a message of a whole `pm refresh` and `pm run`, failures included."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from tests.vendor_servers import (
    AlpacaServer,
    AlphaVantageServer,
    FinnhubServer,
    Listing,
    TiingoServer,
    VendorServer,
    YahooServer,
    json_reply,
    only_this_computer,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    Pm = Callable[..., subprocess.CompletedProcess[Any]]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import evening

KEYS = {
    "alpha_vantage": AlphaVantageServer.key,
    "finnhub": FinnhubServer.key,
    "alpaca": AlpacaServer.key,
    "alpaca_secret": AlpacaServer.secret,
    "tiingo": TiingoServer.key,
}
SERVERS: dict[str, type[VendorServer]] = {
    "yahoo": YahooServer,
    "alpha_vantage": AlphaVantageServer,
    "finnhub": FinnhubServer,
    "alpaca": AlpacaServer,
    "tiingo": TiingoServer,
}
DAY = date(2024, 1, 8)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, VendorServer]]:
    only_this_computer(monkeypatch)
    running = market.running_clock()
    market.stop_clock(evening(DAY))
    with ExitStack() as stack:
        yield {name: stack.enter_context(kind()) for name, kind in SERVERS.items()}
    market.start_clock(running)


def found_in(folder: Path) -> set[str]:
    """Return the files, and the cells of tables, that hold a key."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "keys.yml":
            content = path.read_bytes()
            found |= {f"{path}: {name}" for name, key in KEYS.items() if key.encode() in content}
    with Lake(folder / "lake", load_settings().lake, TABLES, read_only=True) as lake, lake.reading():
        for table in TABLES:
            for column, values in lake.query(f"SELECT * FROM {table}").to_dict(as_series=False).items():
                told = " ".join(map(str, values))
                found |= {f"{table}.{column}: {name}" for name, key in KEYS.items() if key in told}
    return found


def test_keys_are_nowhere(
    tmp_path: Path, pm: Pm, servers: dict[str, VendorServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert pm(tmp_path, "init").returncode == 0
    (tmp_path / "keys.yml").write_text(yaml.safe_dump(KEYS))
    (tmp_path / "keys.yml").chmod(0o600)
    settings = {
        "base_urls": {name: server.url for name, server in servers.items()},
        "requests_per_minute": dict.fromkeys(servers, 600_000),
        "first_wait_seconds": 0.01,
        "longest_wait_seconds": 0.05,
        "attempts": 2,
    }
    refresh = tmp_path / "config" / "refresh.yml"
    refresh.parent.mkdir(exist_ok=True)
    refresh.write_text(yaml.safe_dump(settings))
    assert isinstance(servers["alpha_vantage"], AlphaVantageServer)
    servers["alpha_vantage"].premium = True
    finnhub = servers["finnhub"]
    assert isinstance(finnhub, FinnhubServer)
    finnhub.articles["TFIN7"] = [FinnhubServer.article(1, evening(DAY), "TFIN7", summary=" ".join(KEYS.values()))]
    told = []
    for name, server in servers.items():
        ticker = f"T{name[:3].upper()}{len(name)}"
        server.listings[ticker] = Listing.made(ticker, first=date(2022, 10, 3), last=DAY + timedelta(days=30))
        told.append(pm(tmp_path, "universe", "add", ticker, "--source", name))
    assert all(done.returncode == 0 for done in told), [done.stderr for done in told]
    told.append(pm(tmp_path, "run"))
    assert told[-1].returncode == 0, told[-1].stderr
    # The next night all vendors fail, and repeat the keys in whatever they say.
    market.stop_clock(evening(DAY + timedelta(days=1)))
    said = " ".join(KEYS.values())
    names = ("error", "message", "detail", "Information", "Error Message", "Note")
    repeated = json_reply(dict.fromkeys(names, said), status=400)
    for server in servers.values():
        server.fault = repeated
    finnhub.news_fault = repeated
    commands = (["refresh"], ["--debug", "run"], ["sources", "test"], ["sources", "list"], ["data", "health"])
    told += [pm(tmp_path, *command) for command in commands]
    assert told[6].returncode == 17, told[6].stderr
    assert all(server.requests for server in servers.values())
    with Lake(tmp_path / "lake", load_settings().lake, TABLES, read_only=True) as lake, lake.reading():
        fetched = lake.query("SELECT vendor, count(*) FROM fetches WHERE reason IS NULL GROUP BY vendor").rows()
        failed = lake.query("SELECT vendor FROM fetches WHERE reason IS NOT NULL").rows()
        news = lake.query("SELECT text FROM raw.texts").rows()
        without_news = lake.query("FROM text_fetches WHERE reason IS NOT NULL")
    assert {name for name, _ in fetched} == set(servers)
    assert {name for (name,) in failed} == set(servers)
    assert news == [(" ".join(["***"] * len(KEYS)),)]
    assert not without_news.is_empty()
    assert list(tmp_path.rglob("*.html")), "there is no report to look into"
    assert found_in(tmp_path) == set()
    messages = "\n".join([*(f"{done.stdout}\n{done.stderr}" for done in told), caplog.text])
    assert not {name for name, key in KEYS.items() if key in messages}
