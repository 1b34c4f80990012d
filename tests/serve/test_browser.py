"""The pages in a browser: they fit, load nothing from elsewhere, run no script, and can be used by everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.serve.conftest import Serve, Site

PAGES = ["", "tickers", "tickers/IBM", "portfolio", "track", "trials", "data", "runs", "sql?q=FROM+bars+LIMIT+3"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_every_page_fits_and_passes_axe(browser: Browser, site: Site, size: tuple[int, int], dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light")
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    for path in PAGES:
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
        assert found.violations_count == 0, (path, found.generate_report())
    assert messages == []
    assert all(url.startswith((site.url, "data:")) for url in requests)
    page.close()


def test_a_reader_goes_from_the_first_page_to_a_ticker_and_asks_in_sql(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    page.goto(site.url)
    page.get_by_role("link", name="IBM").click()
    assert page.locator("h1").inner_text() == "IBM"
    assert page.locator("svg.chart polyline").count() >= 4
    page.get_by_role("link", name="SQL").click()
    page.get_by_label("A statement that reads").fill("SELECT 6 * 7 AS answer")
    page.get_by_role("button", name="Run").click()
    assert page.locator("tbody td").inner_text() == "42"
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "query.csv"
    page.close()


def test_a_report_draws_in_its_sandbox(browser: Browser, site: Site) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site.url + "reports/latest")
    assert page.locator("#tickers svg.chart").count() >= 15
    page.locator("table.sortable").get_by_role("button", name="Close").click()
    assert page.locator("th[aria-sort=descending]").inner_text() == "Close"  # its script runs
    assert errors == []
    assert page.evaluate("self.origin") == "null"
    page.close()


def test_markup_in_a_ticker_is_text(browser: Browser, hostile: Path, hostile_ticker: str, served: Serve) -> None:
    with served(hostile) as site:
        page = browser.new_page()
        messages: list[str] = []
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on("console", lambda message: messages.append(message.text))
        page.goto(site.url + "tickers")
        assert page.locator("tbody th").inner_text() == hostile_ticker
        page.locator("tbody th a").click()
        assert page.locator("h1").inner_text() == hostile_ticker
        page.goto(site.url + "sql?q=" + "SELECT '<script>alert(2)</script>' AS \"<b>\"")
        assert page.locator("tbody td").inner_text() == "<script>alert(2)</script>"
        assert messages == []
        page.close()
