"""The pages over HTTP: who gets in, what they hold, and that nothing is written."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from io import BytesIO
from typing import TYPE_CHECKING

import httpx
import polars as pl
import pytest

import pm as package
from pm.serve.server import token_of_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.serve.conftest import Serve, Site

    Pm = Callable[..., subprocess.CompletedProcess[str]]

PATHS = [
    "", "tickers", "tickers/IBM", "portfolio", "track", "trials", "data", "runs",
    "reports/latest",
    "sql", "sql?q=FROM+bars", "download/bars.csv", "static/serve.css", "nothing",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_binds_the_browser(site: Site, path: str) -> None:
    answer = site.get(path)

    assert answer.status_code == (404 if path == "nothing" else 200)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    if path == "reports/latest":  # its scripts run in a sandbox, as a page of no site
        assert policy.startswith("sandbox allow-scripts; ")
        assert "connect-src" not in policy
    else:
        assert "script-src" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "server" not in answer.headers


def test_without_the_token_there_is_nothing(site: Site) -> None:
    root = f"http://127.0.0.1:{site.port}"
    for path in ("/", "/tickers", "/wrong/", "/wrong/tickers", "//", f"/x/{site.url.split('/')[3]}/"):
        answer = site.client.get(root + path)
        assert (answer.status_code, answer.text) == (404, "Not found.\n"), path
    assert site.client.get(f"{root}/healthz").text == "ok\n"
    assert site.client.get(site.url.rstrip("/")).headers["location"] == f"/{site.url.split('/')[3]}/"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", ""])
def test_another_name_is_refused(site: Site, host: str) -> None:
    assert site.get("", host=host).status_code in {400, 421}


def test_requests_of_other_sites_are_refused(site: Site) -> None:
    for origin in ("http://evil.example", "null", "https://127.0.0.1.evil.example"):
        assert site.get("", origin=origin).status_code == 403
    assert site.get("", origin=f"http://localhost:{site.port}").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_answered(site: Site, method: str) -> None:
    assert site.client.request(method, site.url + "sql?q=SELECT+1").status_code == 405


def test_the_pages_hold_what_the_tables_hold(site: Site, finished: Path) -> None:
    with package.open(finished) as lake:
        signals = lake.signals()
        runs = lake.sql("SELECT run_id FROM runs")["run_id"].to_list()
        closes = lake.bars("IBM", "2013-03-01", adjusted=False)["close"].to_list()
    first = site.get("").text
    assert [name in first for name in signals["ticker"]] == [True] * signals.height
    assert "The newest bar is of" in first
    assert "These signals are not about today" in first
    assert all(run in site.get("runs").text for run in runs)
    assert f"{closes[0]:.2f} on 1 March 2013" in site.get("tickers/IBM").text
    shown = site.get("data").text
    assert "BAD.csv" in shown
    with package.open(finished) as lake:
        rules = lake.sql("SELECT DISTINCT rule FROM quarantine")["rule"].to_list()
    assert rules
    assert all(rule in shown for rule in rules)


def test_a_portfolio_and_its_record_are_told_in_words(two_nights: Path, served: Serve) -> None:
    with package.open(two_nights) as lake:
        (paid_in,) = lake.sql("SELECT sum(flow) AS paid_in FROM drawdowns")["paid_in"]
        inside = lake.sql("FROM interval_coverage WHERE basis = 'runs' AND model = 'ensemble' AND slice = 'all'")
    with served(two_nights) as site:
        portfolio, track = site.get("portfolio").text, site.get("track").text
    assert f"<dt>Paid in</dt><dd>{paid_in:,.2f} USD</dd>" in portfolio  # the shares that were brought in, too
    assert "within band" in portfolio or "traded" in portfolio
    for row in inside.to_dicts():
        cells = ["nights", row["step"], f"{row['level']:.1%}", row["forecasts"], f"{row['coverage']:.1%}"]
        assert re.search(r"\s*".join(f"<td[^>]*>{cell}</td>" for cell in cells), track)
    for name in ("snapshot_id", "run_id", "within_band", "base_value", "relative_crps"):
        assert f">{name}<" not in portfolio + track


@pytest.mark.parametrize(
    "path",
    [
        "tickers/NOPE", "runs/nope", "runs/..%2f..%2fconfig", "reports/..%2f..%2fconfig%2flake.yml", "reports/nope",
        "static/..%2fapp.py", "static/app.py", "download/nope.csv", "download/bars.exe", "download/..%2fx.csv",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_not_found(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status_code == 404, answer.text
    assert 'class="warn"' in answer.text


def test_downloads_are_the_rows(site: Site, finished: Path) -> None:
    with package.open(finished) as lake:
        bars = lake.sql("FROM raw.bars")
    csv = pl.read_csv(site.get("download/raw.bars.csv").content, try_parse_dates=True)
    parquet = site.get("download/raw.bars.parquet")
    assert parquet.headers["content-disposition"] == 'attachment; filename="raw_bars.parquet"'
    order = ["batch_id", "row"]
    assert pl.read_parquet(BytesIO(parquet.content)).sort(order).equals(bars.sort(order))
    assert csv.height == bars.height
    found = site.get("sql?form=parquet&q=SELECT+ticker,+close+FROM+bars+ORDER+BY+ALL")
    with package.open(finished) as lake:
        expected = lake.sql("SELECT ticker, close FROM bars ORDER BY ALL")
    assert pl.read_parquet(BytesIO(found.content)).equals(expected)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DROP TABLE bars", "only reads"),
        ("COPY bars TO '/tmp/x.csv'", "only reads"),
        ("SELECT * FROM read_csv('/etc/passwd')", "refused"),
        ("SELECT * FROM nope", "nope"),
        ("SELECT 1; SELECT 2", "One statement"),
    ],
)
def test_the_console_has_the_fences_of_pm_sql(site: Site, query: str, words: str) -> None:
    answer = site.client.get(site.url + "sql", params={"q": query})
    assert answer.status_code == 400
    assert words in answer.text


def test_a_query_without_end_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pm.serve.app._SECONDS", 0.5)
    answer = site.client.get(site.url + "sql", params={"q": "SELECT count(*) FROM range(1000000) a, range(1000000) b"})
    assert answer.status_code == 400
    assert "was ended after 0.5 s" in answer.text
    assert site.get("sql?q=SELECT+42+AS+n").text.count("42") >= 2


def test_a_large_result_shows_its_first_rows(site: Site) -> None:
    answer = site.client.get(site.url + "sql", params={"q": "FROM range(100000000)"})
    assert answer.status_code == 200
    assert answer.text.count("<tr>") == 1001
    assert "The first 1,000 rows." in answer.text
    refused = site.client.get(site.url + "sql", params={"q": "FROM range(100000000)", "form": "csv"})
    assert (refused.status_code, "more than 250,000 rows" in refused.text) == (400, True)


def test_nothing_is_written(finished_copy: Path, served: Serve) -> None:
    def files() -> dict[Path, bytes]:
        kept = (file for file in finished_copy.rglob("*") if file.is_file())
        return {file: file.read_bytes() for file in kept if not file.name.endswith(("-shm", "-wal"))}

    before = files()
    with served(finished_copy) as site:
        for path in PATHS:
            site.get(path)
    assert files() == before


def test_a_newer_run_is_seen_and_a_lake_that_is_gone_is_told(finished_copy: Path, pm: Pm, served: Serve) -> None:
    with served(finished_copy) as site:
        assert "More.csv" not in site.get("data").text
        (finished_copy / "More.csv").write_text("date,close\n2013-01-02,5\n2013-01-03,6\n2013-01-04,-1\n")
        assert pm(finished_copy, "import", "More.csv").returncode == 0
        time.sleep(1.1)  # for so long the newest snapshot is taken as known
        site.get("data")
        assert "More.csv" in site.get("data").text
        shutil.rmtree(finished_copy / "lake")
        time.sleep(1.1)
        answers = [site.get("tickers/MSFT") for _ in range(2)]
        assert answers[-1].status_code == 503
        assert "There is no lake" in answers[-1].text


def test_before_the_first_run_there_are_pages_that_say_so(hostile: Path, hostile_ticker: str, served: Serve) -> None:
    with served(hostile) as site:
        assert "No run yet" in site.get("").text
        assert "There are no reports yet." in site.get("").text
        assert site.get("reports/latest").status_code == 404
        for path in ("tickers", "data", "portfolio", "track", "trials", "runs"):
            answer = site.get(path)
            assert answer.status_code == 200
            assert "<script" not in answer.text
        link = re.search(r'href="[^"]*/(tickers/[^"]+)"', site.get("tickers").text)
        assert link is not None
        own = site.get(link[1])
        assert own.status_code == 200
        assert hostile_ticker.replace("<", "&lt;").replace(">", "&gt;") in own.text


def test_behind_a_proxy_links_have_its_path(finished: Path, served: Serve) -> None:
    with served(finished, root_path="/pm") as site:
        direct = site.get("tickers")  # as a proxy that removes its path hands it on
        whole = site.client.get(f"http://127.0.0.1:{site.port}/pm/{site.token}/tickers")  # and as one that does not
    for answer in (direct, whole):
        assert answer.status_code == 200
        links = re.findall(r'(?:href|action)="(/[^"]*)"', answer.text)
        assert links
        assert all(link.startswith(f"/pm/{site.token}/") for link in links)


def test_a_token_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    from pm.errors import InputError, StorageError

    file = tmp_path / "token"
    token = token_of_file(file)
    assert len(token) == 43
    assert token_of_file(file) == token
    assert file.stat().st_mode & 0o077 == 0 or file.drive
    file.write_text("short\n")
    with pytest.raises(InputError):
        token_of_file(file)
    with pytest.raises(StorageError):
        token_of_file(tmp_path)


@pytest.mark.posix
def test_the_command_tells_its_address_and_ends_when_told(
    finished: Path, command: list[str], environment: dict[str, str]
) -> None:
    line = [*command, "serve", "--port", "0"]
    with subprocess.Popen(
        line, cwd=finished, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(3)]
        url = told[1].removeprefix("Open ").strip()
        answer = httpx.get(url, trust_env=False, timeout=120)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert told[0] == f"Serving {finished}\n"
    assert answer.status_code == 200
    assert process.returncode in {0, -signal.SIGTERM}
    assert errors == ""


def test_a_port_that_is_taken_is_told(finished: Path, site: Site, pm: Pm) -> None:
    done = pm(finished, "serve", "--port", str(site.port))
    assert (done.returncode, "cannot be used" in done.stderr) == (5, True)
    assert pm(finished, "serve", "--root-path", "no path").returncode == 2
