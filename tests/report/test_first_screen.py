"""Two nights of a paper account, and what a person who has never seen a report answers from its first screen.

Numbers are compared with what `pm.open` says of the same lake. The queries that the report names are run, too.
"""

from __future__ import annotations

import os
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from polars.testing import assert_frame_equal

import pm as package
from pm.clock import utc_today
from pm.pipeline import read_lake
from pm.pipeline.stages.report import _BOOKS, _EQUITY, _OUTCOMES, _RECORD
from pm.settings import load_settings
from pm.workspace import Workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser
    from playwright.sync_api import Page as BrowserPage

    Pm = Callable[..., subprocess.CompletedProcess[str]]

SIZE = (1440, 900)


def answer(page: BrowserPage, question: str) -> str:
    """Return the text of the tile that has a question for its heading, which must be in the first screen."""
    tile = page.locator("section.tile").filter(has=page.get_by_role("heading", name=question, exact=True))
    box = tile.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= SIZE[0]
    assert box["y"] + box["height"] <= SIZE[1], question
    return " ".join(tile.inner_text().split())


def test_the_first_screen_answers_the_five_questions_of_an_investor(browser: Browser, two_nights: Path) -> None:
    with package.open(two_nights) as lake:
        held = lake.sql("SELECT ticker, quantity, base_value FROM positions ORDER BY ticker").to_dicts()
        (account,) = lake.sql("FROM latest_accounts").to_dicts()
        orders = lake.sql("SELECT side, ticker, quantity FROM open_orders ORDER BY side, ticker").to_dicts()
        (risk,) = lake.sql(
            "FROM latest_risk WHERE method = 'joint' AND portfolio = 'main' AND horizon = 1 AND level = 0.99"
        ).to_dicts()
        newest = lake.sql("SELECT max(date) AS date FROM bars")["date"].item()
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
    page.goto((two_nights / "reports" / "latest.html").as_uri())

    owned = answer(page, "What you own")
    assert f"{account['equity']:,.2f} USD" in owned
    assert {row["ticker"] for row in held} == {"IBM", "MSFT"}
    for row in held:
        weight = float(row["base_value"]) / float(account["equity"])
        assert (
            f"{row['ticker']} {weight:.1%} {row['quantity'].normalize():,f} shares, {row['base_value']:,.2f}" in owned
        )

    todo = answer(page, "What to do")
    assert orders
    for row in orders[:5]:
        assert f"{row['side'].capitalize()} {row['quantity'].normalize():,f} {row['ticker']}" in todo
    assert "nothing to enter" in todo  # a paper account fills its orders itself
    headline = page.locator("h1").inner_text()
    assert headline.startswith(f"{len(orders)} order")

    lost = answer(page, "What can be lost")
    assert (
        f"Over one session: once in 100 the loss is more than {risk['var'] * float(account['equity']):,.0f} USD" in lost
    )

    changed = answer(page, "What changed")
    assert "Since the run for 28 February 2013" in changed
    assert "Data: 3 new bars, up to 1 March 2013" in changed
    assert "Signals: all as before" in changed or " after " in changed

    fresh = answer(page, "Is it fresh")
    assert f"{(utc_today() - newest).days:,} days ago" in fresh
    assert "these signals are not about today" in fresh
    alarm = page.locator("section.tile.alarm")
    assert alarm.get_by_role("heading").inner_text() == "Is it fresh"
    assert alarm.locator(".warn").evaluate("part => getComputedStyle(part).color") == "rgb(179, 38, 30)"  # red
    assert "No edge" in page.locator(".lede").inner_text()
    page.close()


def test_every_query_that_the_report_names_runs(two_nights: Path) -> None:
    html = (two_nights / "reports" / "latest.html").read_text(encoding="utf-8")
    queries = [unescape(text) for text in re.findall(r'<code class="query">([^<]*)</code>', html)]
    assert len(queries) >= 25
    with package.open(two_nights) as lake:
        for query in dict.fromkeys(queries):
            lake.sql(query)
        signal = lake.sql(next(query for query in queries if query.startswith("SELECT action, rule")))
    assert signal.height == 1


def test_what_is_computed_once_for_a_report_is_what_its_views_say(two_nights: Path) -> None:
    with read_lake(Workspace(two_nights), load_settings(two_nights / "config")) as lake, lake.reading():
        for once, queries in ((_OUTCOMES, _RECORD), (_EQUITY, _BOOKS)):
            with lake.once(once) as query:
                for select in queries.values():
                    found, direct = query(select, ()), lake.query(select)
                    assert_frame_equal(found, direct, check_row_order=False, abs_tol=1e-12)
        assert not lake.query(_RECORD["nights"]).is_empty()
        assert not lake.query(_BOOKS["accounts"]).is_empty()


def test_reports_are_told_and_a_ticker_is_found_whatever_its_capitals(two_nights: Path, pm: Pm) -> None:
    latest = two_nights / "reports" / "latest.html"
    run = max(file.stem for file in latest.parent.glob("2*.html"))

    assert pm(two_nights, "report").stdout == f"Report: {latest}\n"
    assert pm(two_nights, "report", run).stdout == f"Report: {latest.with_name(run + '.html')}\n"
    found = pm(two_nights, "report", "--ticker", "ibm")
    assert found.stdout.splitlines()[1] == f"At {latest.as_uri()}#ticker-IBM"
    assert found.stderr == "ibm is taken as IBM.\n"
    unknown = pm(two_nights, "report", "--ticker", "IMB")
    assert unknown.returncode == 6
    assert "IBM" in unknown.stderr


@pytest.mark.skipif(os.name == "nt", reason="a stand-in for the browser is a shell script")
def test_the_browser_is_led_to_the_ticker_whose_card_is_folded(
    browser: Browser, two_nights: Path, pm_process: Pm, tmp_path: Path
) -> None:
    """The address that is opened has no part after a #, which the opener of Windows and many desktops' drop."""
    stand_in, opened = tmp_path / "browser", tmp_path / "opened"
    stand_in.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    stand_in.chmod(0o755)
    done = pm_process(two_nights, "report", "--ticker", "aapl", "--open", env={"BROWSER": str(stand_in)})
    assert done.returncode == 0, done.stderr
    address = opened.read_text()
    assert "#" not in address
    page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, reduced_motion="reduce")
    page.goto(address)
    page.wait_for_url("**/latest.html#ticker-AAPL")
    card = page.locator("#ticker-AAPL")
    box = card.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < SIZE[1]
    assert card.locator("svg.chart").first.is_visible()
    page.close()


@pytest.mark.parametrize("name", ["../latest", "/etc/passwd", "..", "latest.html", "a b", "C:\\x"])
def test_a_run_that_is_a_path_is_refused_in_one_message(two_nights: Path, pm: Pm, name: str) -> None:
    done = pm(two_nights, "report", name)
    assert done.returncode == 5
    assert "is no name of a run" in done.stderr
    assert "pm runs" in done.stderr
    assert done.stdout == ""


def test_without_a_report_it_says_what_to_do(tmp_path: Path, two_nights: Path, pm: Pm) -> None:
    assert pm(tmp_path, "init").returncode == 0
    none = pm(tmp_path, "report")
    assert none.returncode == 16
    assert "There is no report yet." in none.stderr
    assert "pm run" in none.stderr
    other = pm(two_nights, "report", "20130101T000000-aaaa")
    assert other.returncode == 16
    assert "There is no report of run 20130101T000000-aaaa." in other.stderr
