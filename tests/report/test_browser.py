"""The report in a browser: it draws its charts, fits the screen, sorts, and loads no other file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.report import ReportData, render_report
from pm.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser
    from playwright.sync_api import Page as BrowserPage


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

    def column(self, place: int) -> list[str]:
        cells = self.page.locator(f"table.sortable tbody tr > :nth-child({place})")
        return [
            cell.locator("a").inner_text() if cell.locator("a").count() else cell.inner_text() for cell in cells.all()
        ]


@pytest.fixture(scope="module")
def report(report_data: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report_data, settings=load_settings().report), encoding="utf-8")
    return file


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_the_page_fits_and_passes_axe(browser: Browser, report: Path, size: tuple[int, int], dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    visit = Visit(browser, report, size=size, dark=dark)
    visit.page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")

    assert visit.page.locator("svg.chart").count() >= 20
    assert visit.messages == []
    assert visit.requests == [report.as_uri()]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size[0]
    for box in visit.page.locator("svg.chart").all():
        bounds = box.bounding_box()
        assert bounds is not None
        assert bounds["x"] >= 0
        assert bounds["x"] + bounds["width"] <= size[0]
    found = Axe().run(visit.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    assert found.violations_count == 0, found.generate_report()
    visit.page.close()


def test_a_phone_is_told_that_a_wide_table_goes_on(browser: Browser, report: Path) -> None:
    for size, told in (((390, 844), True), ((1440, 900), False)):
        visit = Visit(browser, report, size=size)
        hint = visit.page.locator("#tickers > .box + .swipe")
        assert hint.is_visible() is told
        visit.page.close()


def test_what_can_be_lost_fits_a_phone(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report, size=(390, 844))
    table = visit.page.locator("table.losses")
    assert "3,110" in table.inner_text()
    assert table.evaluate("table => table.parentElement.scrollWidth <= table.parentElement.clientWidth")
    visit.page.close()


def test_no_table_is_cut_on_a_desktop(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report, size=(1440, 900))
    cut = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).map(box => box.getAttribute('aria-label'))"
    assert visit.page.locator(".page .box:not(.card *)").evaluate_all(cut) == []
    visit.page.close()


def test_charts_follow_a_change_of_colour_scheme(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    line = "() => getComputedStyle(document.querySelector('.card svg.chart polyline.ink')).stroke"
    level = "() => getComputedStyle(document.querySelector('svg.range .level')).stroke"
    light = visit.page.evaluate(line), visit.page.evaluate(level)

    visit.page.emulate_media(color_scheme="dark")

    assert (light[0], visit.page.evaluate(line)) == ("rgb(30, 35, 40)", "rgb(230, 228, 223)")
    assert (light[1], visit.page.evaluate(level)) == ("rgb(92, 100, 108)", "rgb(162, 168, 174)")  # no change, in a row
    assert visit.messages == []
    visit.page.close()


def test_on_paper_it_is_light_and_has_no_navigation(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report, dark=True)
    visit.page.emulate_media(media="print", color_scheme="dark")
    assert not visit.page.locator("nav").is_visible()
    assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(30, 35, 40)"
    assert visit.page.locator(".where").first.is_visible() is False
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
    widths = report_data.signals.sort(pl.col("upper") - pl.col("lower"), descending=True)["ticker"].to_list()
    visit.page.get_by_role("button", name="Interval").click()
    assert visit.column(1) == widths
    # Negative numbers have the minus sign of typography.
    medians = report_data.signals.sort("expected_return", descending=True)["ticker"].to_list()
    visit.page.get_by_role("button", name="Median").click()
    assert visit.column(1) == medians
    # A HOLD has no stop, nor a SELL of what is not held, so they stay last in both orders.
    for _ in range(2):
        visit.page.get_by_role("button", name="Stop").click()
        assert set(visit.column(1)[-2:]) == {"FB", "MSFT"}
    visit.page.close()


def test_markup_in_a_ticker_runs_no_script(browser: Browser, hostile_data: ReportData, tmp_path: Path) -> None:
    file = tmp_path / "hostile.html"
    file.write_text(render_report(hostile_data, settings=load_settings().report), encoding="utf-8")

    visit = Visit(browser, file)

    assert visit.messages == []
    assert visit.requests == [file.as_uri()]
    assert "<script>alert(1)</script>" in visit.column(1)
    for link in visit.page.locator("table.sortable tbody th a").all():
        link.click()
        assert visit.page.locator(":target h3, details:target b").first.inner_text() == link.inner_text()
    visit.page.close()


def test_an_empty_report_is_a_page(browser: Browser, report_data: ReportData, tmp_path: Path) -> None:
    from dataclasses import replace

    empty = replace(report_data, signals=report_data.signals.clear())
    file = tmp_path / "empty.html"
    file.write_text(render_report(empty, settings=load_settings().report), encoding="utf-8")

    visit = Visit(browser, file, size=(390, 844))

    assert visit.messages == []
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert visit.page.get_by_text("No ticker has a signal").first.is_visible()
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


def test_a_link_to_a_folded_ticker_opens_it(browser: Browser, report_data: ReportData, tmp_path: Path) -> None:
    """A file that is opened at a ticker, as `pm report --ticker` does, shows its card unfolded."""
    from dataclasses import replace

    quiet = replace(
        report_data,
        books=None,
        before=None,
        signals=report_data.signals.with_columns(action=pl.lit("HOLD")),
        weights=report_data.weights.with_columns(verdict=pl.lit("no edge")),
        limit_events=report_data.limit_events.clear(),
        assessments=report_data.assessments.clear(),
    )
    file = tmp_path / "quiet.html"
    file.write_text(render_report(quiet, settings=load_settings().report), encoding="utf-8")
    visit = Visit(browser, file)
    assert not visit.page.locator("#ticker-IBM svg.chart").first.is_visible()
    visit.page.locator("table.sortable").get_by_role("link", name="IBM").click()
    assert visit.page.locator("#ticker-IBM svg.chart").first.is_visible()
    visit.page.goto(file.as_uri() + "#ticker-AAPL")
    visit.page.reload()
    assert visit.page.locator("#ticker-AAPL svg.chart").first.is_visible()
    visit.page.close()
