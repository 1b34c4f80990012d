"""Company news at the command line: two nights against servers of the vendors, from the wire to a query."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

import pm as package
from tests.vendor_servers import FinnhubServer, Listing, Reply, YahooServer, json_reply, only_this_computer, too_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Pm = Callable[..., subprocess.CompletedProcess[Any]]
    Start = Callable[[dict[str, str]], subprocess.Popen[str]]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import evening

pytestmark = pytest.mark.usefixtures("empty_lake")

MONDAY = date(2024, 1, 8)
TUESDAY = MONDAY + timedelta(days=1)
article = FinnhubServer.article


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch) -> Iterator[YahooServer]:
    only_this_computer(monkeypatch)
    running = market.running_clock()
    market.stop_clock(evening(MONDAY))
    with YahooServer() as server:
        for name in ("AAPL", "VOD.L"):
            server.listings[name] = Listing.made(name, first=date(2022, 1, 3), last=date(2024, 3, 1))
        yield server
    market.start_clock(running)


@pytest.fixture
def finnhub() -> Iterator[FinnhubServer]:
    with FinnhubServer() as server:
        server.articles["AAPL"] = [
            article(1, evening(MONDAY - timedelta(days=3))),
            article(2, evening(MONDAY) - timedelta(hours=5), headline="AT&amp;T buys nothing"),
        ]
        yield server


@pytest.fixture
def settings(yahoo: YahooServer, finnhub: FinnhubServer) -> dict[str, str]:
    """Return variables by which commands ask the servers, without waiting long, as a user with a key of Finnhub."""
    return {
        "PM_REFRESH__BASE_URLS": json.dumps({"yahoo": yahoo.url, "finnhub": finnhub.url}),
        "PM_REFRESH__REQUESTS_PER_MINUTE": json.dumps({"yahoo": 600_000, "finnhub": 600_000}),
        "PM_REFRESH__FIRST_WAIT_SECONDS": "0.01",
        "PM_REFRESH__LONGEST_WAIT_SECONDS": "0.05",
        "PM_KEYS__FINNHUB": FinnhubServer.key,
        "https_proxy": "http://127.0.0.1:9",  # in case that an address is not replaced
        "no_proxy": "127.0.0.1",
    }


def texts(folder: Path, pm: Pm, query: str = "SELECT ticker, source_id, headline FROM raw.texts ORDER BY ALL") -> str:
    done = pm(folder, "sql", query, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def line_of(done: subprocess.CompletedProcess[Any]) -> str:
    """Return the line that a command prints of stage `texts`."""
    return next(line for line in str(done.stderr).splitlines() if line.startswith("texts "))


def test_two_nights_land_news_once(tmp_path: Path, pm: Pm, finnhub: FinnhubServer, settings: dict[str, str]) -> None:
    assert pm(tmp_path, "universe", "add", "AAPL", env=settings).returncode == 0
    first = pm(tmp_path, "refresh", env=settings)
    assert first.returncode == 0, first.stderr
    assert "2 texts of 1 ticker" in line_of(first)
    expected = "ticker,source_id,headline\nAAPL,1,Article 1 of AAPL\nAAPL,2,AT&T buys nothing\n"
    assert texts(tmp_path, pm) == expected
    again = pm(tmp_path, "refresh", env=settings)
    assert "Nothing is new." in again.stdout
    assert "skipped" in line_of(again)
    assert len(finnhub.news) == 1

    market.stop_clock(evening(TUESDAY))
    finnhub.articles["AAPL"].append(article(3, evening(TUESDAY) - timedelta(hours=3)))
    second = pm(tmp_path, "run", env=settings)
    assert second.returncode == 0, second.stderr
    assert "1 text of 1 ticker" in line_of(second)
    assert finnhub.news[1].query == {"symbol": "AAPL", "from": "2024-01-07", "to": "2024-01-10"}
    assert texts(tmp_path, pm) == f"{expected}AAPL,3,Article 3 of AAPL\n"
    counts = "SELECT sent, texts, refused FROM text_fetches ORDER BY fetched_at"
    assert texts(tmp_path, pm, counts) == "sent,texts,refused\n2,2,0\n2,1,0\n"
    assert len(finnhub.news) == 2
    described = pm(tmp_path, "tables", "raw.texts")
    assert "published_at" in described.stdout
    assert pm(tmp_path, "lake", "verify").returncode == 0


def test_without_a_key_nothing_is_asked(
    tmp_path: Path, pm: Pm, finnhub: FinnhubServer, settings: dict[str, str]
) -> None:
    del settings["PM_KEYS__FINNHUB"]
    pm(tmp_path, "universe", "add", "AAPL", env=settings)
    done = pm(tmp_path, "refresh", env=settings)
    assert done.returncode == 0, done.stderr
    assert "no key of finnhub" in line_of(done)
    assert finnhub.requests == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (json_reply({"error": "You don't have access to this resource."}, status=403), "The key does not permit news"),
        (too_many(), "Finnhub asks to wait (HTTP 429)"),
        (too_many("3600"), "Finnhub asks to wait (HTTP 429)"),
        (json_reply({"error": f"Your key {FinnhubServer.key}"}, status=500), "The vendor's server has an error"),
        (Reply(200, b"{", "application/json"), "The reply is no JSON, or cut off"),
        (json_reply({"error": FinnhubServer.key}), "Finnhub sent an error: ***"),
    ],
)
def test_news_that_fail_change_no_exit_code_and_are_told_in_one_line(
    tmp_path: Path, pm: Pm, finnhub: FinnhubServer, settings: dict[str, str], fault: Reply, told: str
) -> None:
    finnhub.news_fault = fault
    pm(tmp_path, "universe", "add", "AAPL", "VOD.L", "--source", "files", env=settings)  # no bars are asked for
    done = pm(tmp_path, "--debug", "refresh", env=settings)
    assert done.returncode == 0, done.stderr
    assert told in line_of(done)
    assert re.search(r"; 2 failed(, 1 of them)?: ", line_of(done))
    assert FinnhubServer.key not in done.stdout + done.stderr
    recorded = texts(tmp_path, pm, "SELECT detail FROM text_fetches")
    assert told in recorded
    assert FinnhubServer.key not in recorded


def test_a_refresh_that_is_killed_keeps_the_news_that_have_landed(
    tmp_path: Path, pm: Pm, yahoo: YahooServer, finnhub: FinnhubServer, settings: dict[str, str], refreshing: Start
) -> None:
    names = [f"T{number}" for number in range(6)]
    for name in names:
        yahoo.listings[name] = yahoo.listings["AAPL"]
        finnhub.articles[name] = [article(1, evening(MONDAY - timedelta(days=3)), name)]
    settings |= {"PM_REFRESH__TICKERS_PER_COMMIT": "2", "PM_REFRESH__CONCURRENCY": "1"}
    pm(tmp_path, "universe", "add", *names, env=settings)
    pm(tmp_path, "refresh", env=settings | {"PM_REFRESH__NEWS_MINUTES": "0"})
    is_asked, is_killed = Event(), Event()

    def hold(reply: Reply) -> Reply:
        is_asked.set()
        is_killed.wait()
        return reply

    finnhub.news_faults["T5"] = [hold]
    with refreshing(settings) as process:
        assert is_asked.wait(120)
        process.kill()
        process.communicate()
    is_killed.set()
    landed = texts(tmp_path, pm, "SELECT ticker FROM raw.texts ORDER BY ticker").split()[1:]
    assert landed == texts(tmp_path, pm, "SELECT ticker FROM text_fetches ORDER BY ticker").split()[1:]
    assert "T5" not in landed
    assert len(landed) in {2, 4}  # what is asked for runs ahead of what is committed
    finnhub.requests.clear()
    with refreshing(settings) as process:
        _, told = process.communicate()
    assert process.returncode == 0, told
    assert [request.query["symbol"] for request in finnhub.news] == [name for name in names if name not in landed]
    assert texts(tmp_path, pm, "SELECT ticker FROM raw.texts ORDER BY ticker").split()[1:] == names


_REFRESH = """
import sys
from datetime import datetime
sys.path.insert(0, sys.argv[1])
import market
market.stop_clock(datetime.fromisoformat(sys.argv[2]))
from pm.cli import main
code = main(["refresh"])
print("IMPORTED", *sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def refreshing(tmp_path: Path, environment: dict[str, str]) -> Start:
    """Start `pm refresh` as a process whose clock stands still on the evening of Monday."""
    script = tmp_path / "refresh.py"
    script.write_text(_REFRESH, encoding="utf-8")
    words = [sys.executable, str(script), str(Path(market.__file__).parent), evening(MONDAY).isoformat()]
    found = environment | {"PYTHONPATH": str(Path(package.__file__).parents[1])}

    def start(settings: dict[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            words, cwd=tmp_path, env=found | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def test_with_nothing_due_no_vendor_is_imported(
    tmp_path: Path, pm: Pm, finnhub: FinnhubServer, settings: dict[str, str], refreshing: Start
) -> None:
    pm(tmp_path, "universe", "add", "AAPL", env=settings)
    assert pm(tmp_path, "refresh", env=settings).returncode == 0
    finnhub.requests.clear()
    for changes in ({}, {"PM_KEYS__FINNHUB": ""}, {"PM_REFRESH__NEWS_MINUTES": "0"}):
        with refreshing(settings | changes) as process:
            shown, told = process.communicate()
        assert process.returncode == 0, told
        assert "Nothing is new." in shown
        modules = set(told.splitlines()[-1].split()[1:])
        assert "polars" in modules
        assert not modules & {"httpx", "httpcore", "tenacity", "curl_cffi", "pm.sources.vendors"}, changes
    assert finnhub.requests == []
