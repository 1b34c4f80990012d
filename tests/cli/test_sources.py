from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.vendor_servers import (
    AlphaVantageServer,
    FinnhubServer,
    Listing,
    VendorServer,
    YahooServer,
    only_this_computer,
    server_error,
)

if TYPE_CHECKING:
    from pathlib import Path

Pm = Callable[..., subprocess.CompletedProcess[Any]]


@pytest.fixture(autouse=True)
def _only_this_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    only_this_computer(monkeypatch)


@pytest.fixture
def workspace(tmp_path: Path, pm: Pm) -> Path:
    assert pm(tmp_path, "init").returncode == 0
    return tmp_path


def recent(symbol: str = "AAPL") -> Listing:
    today = datetime.now(UTC).date()
    return Listing.made(symbol, first=date(2020, 1, 1), last=today - timedelta(days=1))


def at(**servers: VendorServer) -> dict[str, str]:
    return {
        "PM_REFRESH__BASE_URLS": json.dumps({name: server.url for name, server in servers.items()}),
        "PM_REFRESH__FIRST_WAIT_SECONDS": "0.01",
        "PM_REFRESH__LONGEST_WAIT_SECONDS": "0.01",
        "https_proxy": "http://127.0.0.1:9",  # in case that an address is not replaced
        "no_proxy": "127.0.0.1",
    }


def test_the_sources_are_listed_with_their_limits_and_without_their_keys(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "sources", "list", env={"PM_KEYS__TIINGO": "my-own-key-of-tiingo"})
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(rows) == ["source", "sample", "files", "yahoo", "alpha_vantage", "finnhub", "alpaca", "tiingo"]
    assert " set " in rows["tiingo"]
    assert "1,000 a day" in rows["tiingo"]
    assert " missing " in rows["alpha_vantage"]
    assert rows["alpha_vantage"].rstrip().endswith("25")
    assert "my-own-key-of-tiingo" not in done.stdout


def test_a_vendor_that_answers_is_shown_with_what_came(workspace: Path, pm: Pm) -> None:
    with YahooServer() as yahoo:
        share = yahoo.listings["AAPL"] = recent()
        done = pm(workspace, "sources", "test", env=at(yahoo=yahoo))
    assert (done.returncode, done.stderr) == (0, "")
    row = done.stdout.splitlines()[1].split()
    assert row[:4] == ["yahoo", "none", "ok", "AAPL"]
    assert row[6] == share.bars[-1].date.isoformat()
    assert len(yahoo.charts) == 1


def test_another_ticker_is_asked_for_as_the_vendor_spells_it(workspace: Path, pm: Pm) -> None:
    with YahooServer() as yahoo:
        yahoo.listings["BRK-B"] = recent("BRK-B")
        done = pm(workspace, "sources", "test", "yahoo", "--ticker", "BRK.B", env=at(yahoo=yahoo))
    assert done.returncode == 0, done.stdout


def test_what_is_left_of_the_day_is_remembered(workspace: Path, pm: Pm) -> None:
    keys = workspace / "keys.yml"
    keys.write_text(f"alpha_vantage: {AlphaVantageServer.key}\n", encoding="utf-8")
    keys.chmod(0o600)
    with AlphaVantageServer() as server:
        server.listings["AAPL"] = recent()
        settings = at(alpha_vantage=server) | {"PM_REFRESH__REQUESTS_PER_MINUTE": '{"alpha_vantage": 60000}'}
        done = pm(workspace, "sources", "test", "alpha_vantage", env=settings)
        assert done.returncode == 0
        assert done.stderr == "" or (os.name == "nt" and "Others on this computer may read" in done.stderr)
        assert done.stdout.splitlines()[1].rstrip().endswith("22")
        pm(workspace, "sources", "test", "alpha_vantage", env=settings)
    listed = pm(workspace, "sources", "list").stdout.splitlines()
    assert next(line for line in listed if line.startswith("alpha_vantage")).rstrip().endswith("19")
    for file in workspace.rglob("*"):
        if file.is_file() and file != keys:
            assert AlphaVantageServer.key.encode() not in file.read_bytes(), file


def test_a_vendor_that_gives_nothing_says_why_and_what_to_do(workspace: Path, pm: Pm) -> None:
    with FinnhubServer() as finnhub, YahooServer() as yahoo:
        finnhub.free = True
        yahoo.fault = server_error()
        settings = at(finnhub=finnhub, yahoo=yahoo) | {"PM_KEYS__FINNHUB": FinnhubServer.key}
        done = pm(workspace, "sources", "test", "finnhub", "yahoo", "tiingo", env=settings)
    assert done.returncode == 7
    assert "3 of 3 vendors gave no bars of AAPL." in done.stderr
    assert "free key" in done.stdout
    assert "HTTP 500" in done.stdout
    assert "PM_KEYS__TIINGO" in done.stdout
    assert FinnhubServer.key not in done.stdout + done.stderr


def test_finnhub_says_whether_the_key_permits_company_news(workspace: Path, pm: Pm) -> None:
    """A free key has news, and no bars of the United States."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with FinnhubServer() as finnhub:
        finnhub.free = True
        finnhub.articles["AAPL"] = [FinnhubServer.article(number, yesterday) for number in (1, 2)]
        settings = at(finnhub=finnhub) | {"PM_KEYS__FINNHUB": FinnhubServer.key}
        permitted = pm(workspace, "sources", "test", "finnhub", env=settings)
        finnhub.without_news = {"AAPL"}
        refused = pm(workspace, "sources", "test", "finnhub", env=settings)
        finnhub.requests.clear()
        without_key = pm(workspace, "sources", "test", "finnhub", env=at(finnhub=finnhub))
        assert finnhub.requests == []
    assert [done.returncode for done in (permitted, refused, without_key)] == [7, 7, 7]
    assert "finnhub: the key permits company news: 2 texts of AAPL" in permitted.stdout
    assert "no company news: The key does not permit news of the United States (HTTP 403)" in refused.stdout
    assert "company news" not in without_key.stdout
    assert FinnhubServer.key not in "".join(done.stdout + done.stderr for done in (permitted, refused))


def test_an_unknown_vendor_is_refused(workspace: Path, pm: Pm) -> None:
    done = pm(workspace, "sources", "test", "yaho")
    assert done.returncode == 3
    assert "Did you mean 'yahoo'" in done.stderr


@pytest.mark.posix
def test_a_file_of_keys_that_others_can_read_is_refused(workspace: Path, pm: Pm) -> None:
    keys = workspace / "keys.yml"
    keys.write_text("tiingo: my-own-key-of-tiingo\n", encoding="utf-8")
    keys.chmod(0o644)
    done = pm(workspace, "sources", "list")
    assert done.returncode == 3
    assert "chmod 600" in done.stderr
    assert "my-own-key-of-tiingo" not in done.stdout + done.stderr
