"""Tearsheets: what they show and prove, as HTML and as PDF, and what becomes of bad wishes."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

import pm as package
from pm.export.pdf import find_chromium
from pm.report.returns import ReturnSeries
from pm.report.tearsheet import Tearsheet, judged, render_tearsheet
from pm.validation.verdicts import judge_trials

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Pm = Callable[..., subprocess.CompletedProcess[str]]


def series(name: str, returns: np.ndarray, *, shift: int = 0) -> ReturnSeries:
    return ReturnSeries(name, [date(2020, 1, 1) + timedelta(days=n + shift) for n in range(len(returns))], returns)


def sheet(**changed: object) -> Tearsheet:
    returns = np.random.default_rng(1).normal(0.0005, 0.01, 300)
    plain = Tearsheet(
        kind="account",
        series=series("main", returns),
        others=[series("1/N", returns * 0.9)],
        facts=[("Equity", "1,000.00 USD")],
        sources=[("Returns", "SELECT 1")],
        made_on=date(2026, 1, 2),
        verdict="not_proven",
        reasons=("It has 3 returns; a verdict needs 30.",),
        basis="Judged.",
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def test_the_headline_is_the_verdict_with_its_reasons() -> None:
    for verdict, words in (("proven", "proven"), ("not_proven", "not proven"), (None, "not judged")):
        html = render_tearsheet(sheet(verdict=verdict))
        assert f">main: {words}</h1>" in html
        assert "It has 3 returns; a verdict needs 30." in html
    assert "<script" not in html
    assert html.count("<svg") == 4  # growth, drawdown, rolling volatility and Sharpe ratio


def test_markup_in_a_name_is_text() -> None:
    hostile = "<script>alert(1)</script>"
    html = render_tearsheet(sheet(series=replace(sheet().series, name=hostile), reasons=(hostile,)))
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 5


def test_the_verdict_is_that_of_the_returns_over_the_benchmark_on_shared_days() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 0.01, 400)
    better = series("better", base + rng.normal(0.002, 0.002, 400))
    benchmark = series("1/N", base)
    assert judged(better, benchmark, trials=1, reps=200, seed=3)[0] == "proven"
    assert judged(benchmark, better, trials=1, reps=200, seed=3)[0] == "worse_than_benchmark"
    # The benchmark begins ten days later: only the days of both count, as in the plain computation.
    later = ReturnSeries("1/N", benchmark.dates[10:], benchmark.returns[10:])
    excess = (better.returns[10:] - base[10:]).reshape(-1, 1)
    expected = judge_trials(excess, [0], trials=7, reps=200, seed=3).of[0]
    assert judged(better, later, trials=7, reps=200, seed=3) == (expected.verdict.value, expected.reasons)
    assert judged(series("x", better.returns[:5]), benchmark, trials=1, reps=200, seed=3) == (
        "not_proven",
        ("It has 5 returns; a Sharpe ratio and a verdict need 30.",),
    )


def test_a_tearsheet_of_a_ticker_is_of_its_adjusted_closes(two_nights: Path, tmp_path: Path, pm: Pm) -> None:
    done = pm(two_nights, "tearsheet", "--ticker", "ibm", "-o", tmp_path / "ibm.html")
    assert (done.returncode, done.stderr) == (0, "ibm is taken as IBM.\n")
    html = (tmp_path / "ibm.html").read_text(encoding="utf-8")
    with package.open(two_nights) as lake:
        closes = lake.bars("IBM")["close"]
        equal = lake.sql("SELECT avg(simple_return) AS r FROM returns GROUP BY date ORDER BY date")["r"].drop_nulls()
        for query in re.findall(r'<code class="query">([^<&]*)</code>', html):
            lake.sql(query)
    made, base = closes[-1] / closes[0] - 1, float((1 + equal).product()) - 1
    row = html[html.index('<th scope="row">Return</th>') :].split("</tr>")[0]
    assert re.findall(r"number\">([^<]*)<", row) == [f"{value:+.1%}".replace("-", "−") for value in (made, base)]
    assert "as one of 3 tickers that could have been picked" in html


def test_a_tearsheet_of_an_account_with_a_day_and_of_one_that_is_not_there(
    two_nights: Path, tmp_path: Path, pm: Pm
) -> None:
    done = pm(two_nights, "tearsheet", "--account", "main", "-o", tmp_path / "a.html")
    assert done.returncode == 0, done.stderr
    assert "main: not proven" in (tmp_path / "a.html").read_text(encoding="utf-8")
    missing = pm(two_nights, "tearsheet", "--account", "mian", "-o", tmp_path / "b.html")
    assert missing.returncode == 5
    assert "Did you mean main?" in missing.stderr or "'main'" in missing.stderr
    assert not (tmp_path / "b.html").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("-o", "x.html"), 2, "name one of"),
        (("--ticker", "IBM", "--account", "main", "-o", "x.html"), 2, "name one of"),
        (("--ticker", "IBM", "-o", "x.xlsx"), 5, "HTML or PDF"),
        (("--ticker", "IBM", "-o", "nowhere/x.html"), 5, "no such folder"),
        (("--ticker", "NOPE", "-o", "x.html"), 6, "Unknown ticker: NOPE"),
        (("--trial", "nope", "-o", "x.html"), 5, "no trial 'nope'"),
        (("--ticker", "IBM"), 2, "Missing option"),
    ],
)
def test_a_wrong_wish_is_told_in_one_message_and_writes_nothing(
    two_nights: Path, pm: Pm, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = sorted(two_nights.iterdir())
    done = pm(two_nights, "tearsheet", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert sorted(two_nights.iterdir()) == before


@pytest.mark.posix
def test_a_full_disk_leaves_the_last_tearsheet(two_nights: Path, tmp_path: Path, pm: Pm) -> None:
    target = tmp_path / "ibm.html"
    target.write_text("the last one", encoding="utf-8")
    (tmp_path / "ibm.html.part").symlink_to("/dev/full")  # every write to it finds no space
    done = pm(two_nights, "tearsheet", "--ticker", "IBM", "-o", target)
    assert done.returncode == 10
    assert "No space left" in done.stderr
    assert target.read_text(encoding="utf-8") == "the last one"


def test_a_pdf_is_printed_by_the_browser_that_is_there(two_nights: Path, tmp_path: Path, pm: Pm) -> None:
    if find_chromium() is None and os.environ.get("CI") != "true":
        pytest.skip("install Debian's chromium: apt-get install chromium")
    target = tmp_path / "ibm.pdf"
    done = pm(two_nights, "tearsheet", "--ticker", "IBM", "-o", target)
    assert done.returncode == 0, done.stderr
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(content) > 20_000
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.posix  # Windows finds browsers without PATH
def test_without_a_browser_it_says_what_to_do(two_nights: Path, tmp_path: Path, pm: Pm) -> None:
    done = pm(two_nights, "tearsheet", "--ticker", "IBM", "-o", tmp_path / "ibm.pdf", env={"PATH": str(tmp_path)})
    assert done.returncode == 5
    assert "A PDF needs Chromium, Chrome or Edge" in done.stderr
    assert "-o FILE.html" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_trial_has_its_own_verdict(two_nights: Path, tmp_path: Path, pm: Pm) -> None:
    folder = shutil.copytree(two_nights, tmp_path / "desk")
    done = pm(folder, "backtest", "--name", "sixty", "--from", "2012-10-01", "--step", "20")
    assert done.returncode == 0, done.stderr
    done = pm(folder, "tearsheet", "--trial", "sixty", "-o", folder / "t.html")
    assert done.returncode == 0, done.stderr
    html = (folder / "t.html").read_text(encoding="utf-8")
    with package.open(folder) as lake:
        (row,) = lake.sql("FROM trial_verdicts").to_dicts()
        net = lake.sql("SELECT net FROM trial_returns ORDER BY date")["net"]
    assert row["verdict"] == "not_proven"
    assert "sixty: not proven" in html
    assert row["reasons"].split(". ")[0].replace("'", "&#39;") in html
    made = float((1 + net).product()) - 1
    assert f"{made:+.1%}".replace("-", "−") in html
