"""The report in a browser: it draws its charts, fits the screen, sorts, and loads no other file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pm.report import ReportData, render_report
from pm.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser
    from playwright.sync_api import Page as BrowserPage

DRAWN = """() => [...document.querySelectorAll('.plot')].every(
    plot => plot.querySelector('svg.main-svg') && plot.querySelectorAll('.trace').length === 9)"""


class Visit:
    """A report opened in the browser, with the messages and the requests of its page."""

    def __init__(
        self, browser: Browser, file: Path, *, size: tuple[int, int] = (1280, 900), dark: bool = False
    ) -> None:
        self.page: BrowserPage = browser.new_page(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
        )
        self.messages: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        self.page.on("requestfailed", lambda request: self.messages.append(request.url))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_function(DRAWN)

    def column(self, place: int) -> list[str]:
        return self.page.locator(f"table.sortable tbody tr > :nth-child({place})").all_inner_texts()


@pytest.fixture(scope="module")
def report(report_data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report_data, settings=load_settings().report), encoding="utf-8")
    return file


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
def test_every_chart_draws_and_the_page_fits(browser: Browser, report: Path, size: tuple[int, int], dark: bool) -> None:
    visit = Visit(browser, report, size=size, dark=dark)

    assert visit.page.locator(".plot").count() == 5
    assert visit.messages == []
    assert visit.requests == [report.as_uri()]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for box in visit.page.locator(".plot").all():
        bounds = box.bounding_box()
        assert bounds is not None
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= size[0]
    visit.page.close()


def test_charts_follow_a_change_of_colour_scheme(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    line = "() => getComputedStyle(document.querySelector('.plot .trace .js-line')).stroke"
    light = visit.page.evaluate(line)

    visit.page.emulate_media(color_scheme="dark")
    visit.page.wait_for_function(f"before => ({line})() !== before", arg=light)

    assert (light, visit.page.evaluate(line)) == ("rgb(30, 35, 40)", "rgb(230, 228, 223)")
    assert visit.messages == []
    visit.page.close()


def test_a_heading_sorts_by_value_and_then_reverses(browser: Browser, report: Path, report_data: ReportData) -> None:
    visit = Visit(browser, report)
    by_close = report_data.signals.sort("close", descending=True)["ticker"].to_list()
    button = visit.page.get_by_role("button", name="Close")

    button.click()
    assert visit.column(1) == by_close
    assert visit.page.locator("th[aria-sort=descending]").inner_text() == "Close"
    button.press("Enter")
    assert visit.column(1) == by_close[::-1]
    visit.page.get_by_role("button", name="Ticker").click()
    assert visit.column(1) == sorted(by_close)
    # A HOLD has no stop, so it stays last in both orders.
    for _ in range(2):
        visit.page.get_by_role("button", name="Stop").click()
        assert visit.column(1)[-1] == "MSFT"
    visit.page.close()


def test_markup_in_a_ticker_runs_no_script(browser: Browser, hostile_data: ReportData, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(render_report(hostile_data, settings=load_settings().report), encoding="utf-8")

    visit = Visit(browser, file)

    assert visit.messages == []
    assert visit.requests == [file.as_uri()]
    assert "<script>alert(1)</script>" in visit.column(1)
    visit.page.close()


def test_an_empty_report_is_a_page(browser: Browser, report_data: ReportData, tmp_path: Path) -> None:
    from dataclasses import replace

    empty = replace(report_data, signals=report_data.signals.clear())
    file = tmp_path / "empty.html"
    file.write_text(render_report(empty, settings=load_settings().report), encoding="utf-8")

    visit = Visit(browser, file, size=(390, 844))

    assert visit.messages == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.page.get_by_text("There are no signals.").is_visible()
    visit.page.close()


def test_a_number_in_the_words_of_a_card_links_to_its_query(
    browser: Browser, report: Path, report_data: ReportData
) -> None:
    visit = Visit(browser, report)
    card = visit.page.locator(".card").first
    ticker = card.locator("h3").inner_text()
    queries = card.locator(".cells ol li")
    assert not queries.first.is_visible()

    link = card.locator(".spoken a").nth(1)
    link.press("Enter")

    target = visit.page.locator(":target")
    assert target.is_visible()
    assert target.locator("b").inner_text() == link.inner_text()
    cells = report_data.commentary_cells.filter(ticker=ticker, part="commentary").sort("place")
    assert target.locator("code").inner_text() == cells["query"][1]
    assert queries.count() == report_data.commentary_cells.filter(ticker=ticker).height
    assert visit.messages == []
    visit.page.close()
