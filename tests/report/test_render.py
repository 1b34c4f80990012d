from __future__ import annotations

import math
import re
from dataclasses import fields, is_dataclass, replace
from datetime import date
from html.parser import HTMLParser

import polars as pl
import pytest

from pm.report import Books, Record, ReportData, card_tickers, render_report
from pm.report.tickers import ticker_anchor
from pm.settings import ReportSettings, load_settings
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.vocabulary import RunScope


class Page(HTMLParser):
    """The parsed page: its elements, their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "img", "br"}:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.append((self.inside[-1] if self.inside else "", data))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def text(self, *, but: tuple[str, ...] = ("script", "style")) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in but).split())


@pytest.fixture(scope="session")
def settings() -> ReportSettings:
    return load_settings().report


@pytest.fixture(scope="module")
def page(report_data: ReportData, settings: ReportSettings) -> Page:
    return Page(render_report(report_data, settings=settings))


def emptied(data: ReportData, *names: str) -> ReportData:
    """Return the data with some frames without rows; 'books.orders' is a frame of a group."""
    for name in names:
        group, _, part = name.rpartition(".")
        if group:
            own = getattr(data, group)
            data = replace(data, **{group: replace(own, **{part: getattr(own, part).clear()})})
        else:
            data = replace(data, **{name: getattr(data, name).clear()})
    return data


def frames_of(kind: type, prefix: str = "") -> list[str]:
    assert is_dataclass(kind)
    return [prefix + field.name for field in fields(kind) if field.type == "pl.DataFrame"]


FRAMES = [*frames_of(ReportData), *frames_of(Books, "books."), *frames_of(Record, "record.")]


def test_the_page_is_small_and_loads_no_file(report_data: ReportData, settings: ReportSettings) -> None:
    html = render_report(report_data, settings=settings)
    page = Page(html)

    assert len(html) < 300_000
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "base"}
        assert "src" not in attributes
        assert not (attributes.get("href") or "#").startswith("http")


def test_the_page_has_landmarks_captions_heading_cells_and_working_links(page: Page) -> None:
    for landmark in ("nav", "main", "footer", "h1"):
        assert page.count(landmark) == 1
    assert page.count("caption") == page.count("table") > 5
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")
    identities = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    links = {(attributes["href"] or "")[1:] for tag, attributes in page.elements if tag == "a"}
    assert links <= set(identities)


def test_the_page_shows_the_numbers_of_a_signal(page: Page, report_data: ReportData) -> None:
    row = report_data.signals.filter(pl.col("ticker") == "IBM").row(0, named=True)

    text = page.text()

    for shown in (
        f"{row['close']:.2f}",
        f"{row['probability_gain']:.1%}",
        f"{row['stop']:.2f}",
        f"{row['target']:.2f}",
    ):
        assert shown in text
    assert f"Volatility per year {row['annual_volatility']:.1%}" in text


def test_the_settings_limit_charts_sessions_and_rows(report_data: ReportData, settings: ReportSettings) -> None:
    few = settings.model_copy(update={"max_charts": 2, "history_sessions": 20, "max_rows": 3})

    html = render_report(report_data, settings=few)
    page = Page(html)

    assert page.count("article") == 2
    assert "The first 3 of 5 signals; the lake has all." in page.text()
    closes = re.findall(r'<polyline class="ink" points="([^"]*)"/><polyline class="accent"', html)
    assert [len(points.split()) for points in closes[-2:]] == [20, 20]
    assert html.count(f'id="{ticker_anchor("IBM")}"') == 1
    none = Page(render_report(report_data, settings=few.model_copy(update={"max_charts": 0})))
    assert none.count("article") == 0


def test_tickers_with_nothing_to_say_are_folded(report_data: ReportData, settings: ReportSettings) -> None:
    silent = replace(
        emptied(report_data, "limit_events", "assessments", "books.orders", "books.positions"),
        before=None,
        signals=report_data.signals.with_columns(action=pl.lit("HOLD"), size=0.0, stop=None, target=None),
        weights=report_data.weights.with_columns(verdict=pl.lit("no edge")),
    )

    page = Page(render_report(silent, settings=settings))

    assert page.count("article") == 0
    folded = [attributes for tag, attributes in page.elements if "folded" in (attributes.get("class") or "")]
    assert len(folded) == 5
    assert all("open" not in attributes for attributes in folded)
    assert "Nothing new to say of any" in page.text()
    assert "Stop" not in page.text()  # no column of prices that no signal has
    assert card_tickers(report_data, 2)[0] == "IBM"


def test_markup_in_a_ticker_is_shown_as_text(hostile_data: ReportData, page: Page, settings: ReportSettings) -> None:
    hostile = Page(render_report(hostile_data, settings=settings))

    assert hostile.count("script") == page.count("script")
    assert hostile.count("img") == 0
    assert not any(name.startswith("on") for _, attributes in hostile.elements for name in attributes)
    text = hostile.text()
    for name in ("<script>alert(1)</script>", "A&B\"'", "</script><img src=x onerror=alert(1)>"):
        assert name in text


def test_a_quote_in_a_ticker_stays_inside_the_example_sql(hostile_data: ReportData, settings: ReportSettings) -> None:
    # IBM, here A&B"', is the strongest and so the example.
    text = Page(render_report(hostile_data, settings=settings)).text()

    assert "ticker = 'A&B\"'''" in text


def test_example_queries_name_the_runs_and_the_snapshot_of_the_signal(
    report_data: ReportData, settings: ReportSettings
) -> None:
    earlier = report_data.signals.with_columns(
        run_id=pl.lit("signals-run"), forecast_run_id=pl.lit("forecast-run"), forecast_snapshot_id=pl.lit(5)
    )

    text = Page(render_report(replace(report_data, signals=earlier), settings=settings)).text()

    assert "FROM signals WHERE run_id = 'signals-run' AND ticker = 'IBM'" in text
    assert "FROM forecasts WHERE run_id = 'forecast-run' AND ticker = 'IBM'" in text
    assert "FROM bars AT (VERSION => 5) WHERE ticker = 'IBM'" in text


def test_the_page_shows_what_is_held_aimed_at_ordered_and_at_risk(page: Page, report_data: ReportData) -> None:
    text = page.text()
    assert report_data.books is not None
    for shown in (
        "main paper 100,000.00 USD 75,549.34 99,480.00 +1.03% 12.25 −12.50 3.50 1.00",
        "IBM 24.5% 10.0% 120.5 49 202.91 USD 24,450.66 −12.50 −0.1% 4.04% traded",
        "MSFT – 30.0% – 1,079 – – – – – traded",
        "IBM main sell 71.5 0 market rebalance planned",
        "Within Once in 100, more than Then on average 1 session 3,110 3.1% 4,043 4.0%",
        "main 1 99.0% 3.11% ± 0.10% 4.04% ± 0.16%",
        "main proposed 20 97.5% 7.89% ± 0.26% 10.26% ± 0.39%",
        "main proposed max weight MSFT 0.41 0.3 scale The weights were made smaller.",
        f"chain after 41 rows: {report_data.books.heads['head'][0]}",
    ):
        assert shown in text
    assert "FB – 0.0%" not in text  # neither held nor aimed at


def test_the_page_shows_how_it_went(page: Page, report_data: ReportData) -> None:
    assert report_data.books is not None
    assert report_data.record is not None
    returns = report_data.books.equity["daily_return"].drop_nulls().to_list()
    made, february = math.prod(1 + value for value in returns) - 1, math.prod(1 + value for value in returns[:-1]) - 1
    equal = math.prod(1 + value for value in report_data.record.equal["daily_return"]) - 1
    text = page.text()
    for shown in (
        "2 nights were really run",
        "1 signal has had the whole horizon; the next ends on 28 March 2013.",
        f"Return {made:+.1%} {equal:+.1%}",
        f"2013 {february:+.1%} +0.5% {made:+.1%}",
        "said 60.0% on average, happened 50.0%",
        "1 of 4 losses exceeded the value at risk; 0.0 are expected at 99.0%.",
        "0 of 1 red, 1 yellow",
        "0 of 1 refuted, 1 too early to tell",
        "equal 20 not proven +10.0% +9.0% 0.20 40.0% Luck explains it.",
    ):
        assert shown in text, shown


def test_what_has_nothing_to_say_is_not_there(report_data: ReportData, settings: ReportSettings) -> None:
    bare = replace(
        emptied(report_data, "trials", "risk", "targets", "contributions"), books=None, before=None, record=None
    )
    page = Page(render_report(bare, settings=settings))
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section" and "id" in attributes]
    assert sections == ["today", "tickers", "data"]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"][:4]
    assert links == ["#content", "#today", "#tickers", "#data"]


def test_an_account_that_cannot_be_valued_says_so(report_data: ReportData, settings: ReportSettings) -> None:
    assert report_data.books is not None
    unknown = report_data.books.accounts.with_columns(equity=pl.lit(None, pl.Float64))
    data = replace(report_data, books=replace(report_data.books, accounts=unknown))
    text = Page(render_report(data, settings=settings)).text()
    assert "– USD" in text
    assert "Its value is not known, since a position has no close or no rate." in text


@pytest.mark.parametrize("name", FRAMES)
def test_any_frame_may_be_empty(report_data: ReportData, settings: ReportSettings, name: str) -> None:
    page = Page(render_report(emptied(report_data, name), settings=settings))

    assert page.count("h1") == 1
    assert page.count("article") == (0 if name == "signals" else 5)


def test_an_empty_report_says_what_is_missing(report_data: ReportData, settings: ReportSettings) -> None:
    nothing = replace(emptied(report_data, *FRAMES), books=None, before=None, record=None)
    text = Page(render_report(nothing, settings=settings)).text()

    for sentence in (
        "No ticker has a signal.",
        "there is no account.",
        "Not known: no risk was computed.",
        "There is no whole run before this one to compare with.",
        "There are no bars.",
        "There are no weights.",
        "No rows landed in this run.",
        "None: every stage computed every ticker in full.",
        "There are no timings.",
    ):
        assert sentence in text


def test_a_ticker_without_volatility_says_so(report_data: ReportData, settings: ReportSettings) -> None:
    partial = replace(report_data, volatility=report_data.volatility.filter(pl.col("ticker") != "FB"))

    assert Page(render_report(partial, settings=settings)).text().count("There is no forecast of volatility.") == 1


def test_rows_that_are_lost_or_counted_twice_are_reported(report_data: ReportData, settings: ReportSettings) -> None:
    lost = replace(report_data, reconciliation=report_data.reconciliation.with_columns(pl.col("landed") + 3))
    twice = replace(report_data, reconciliation=report_data.reconciliation.with_columns(pl.col("landed") - 1))

    assert "Every row is accounted for." in Page(render_report(report_data, settings=settings)).text()
    assert "3 rows not accounted for." in Page(render_report(lost, settings=settings)).text()
    assert "1 row counted twice." in Page(render_report(twice, settings=settings)).text()


def test_the_page_shows_a_dash_where_a_number_is_missing(report_data: ReportData, settings: ReportSettings) -> None:
    # A failed stage has no rows, and a skipped stage no time.
    gaps = report_data.timings.with_columns(seconds=pl.lit(None, pl.Float64), rows=pl.lit(None, pl.Int64))
    odd = report_data.history.with_columns(
        close=pl.when(pl.col("ticker") == "IBM").then(float("nan")).otherwise("close")
    )

    page = Page(render_report(replace(report_data, timings=gaps, history=odd), settings=settings))

    assert "nan" not in page.text().lower().split()
    assert "None" not in page.text()


def test_each_signal_has_its_edge_beside_it(report_data: ReportData, settings: ReportSettings) -> None:
    mixed = report_data.weights.with_columns(
        verdict=pl.when(pl.col("ticker") == "IBM").then(pl.lit("edge")).otherwise(pl.lit("no edge"))
    )

    html = render_report(replace(report_data, weights=mixed), settings=settings)

    table = html[html.index('<table class="sortable">') :].split("</table>")[0]
    assert table.count('<td class="text">no edge</td>') == 4
    assert table.count('<td class="text">edge</td>') == 1
    assert html.count('<p class="verdict">no edge</p>') == 4


def test_a_sell_without_a_position_shows_no_stop_and_no_target(
    report_data: ReportData, settings: ReportSettings
) -> None:
    sold = replace(report_data, signals=report_data.signals.filter(pl.col("action") == "SELL"))
    assert sold.signals.select("size", "stop", "target").rows() == [(0.0, None, None)]

    text = Page(render_report(sold, settings=settings)).text()

    assert "Size none" in text
    assert "Stop –" not in text


def test_a_look_and_old_bars_are_marked_at_the_top(report_data: ReportData, settings: ReportSettings) -> None:
    looked = replace(report_data, scope=RunScope.PAST, made_on=date(2026, 11, 26))
    old = replace(report_data, made_on=date(2026, 11, 26))

    look, stale, plain = (Page(render_report(data, settings=settings)) for data in (looked, old, report_data))

    assert "Old: the newest bar is from 5,018 days ago" in stale.text()
    assert [page.text().count("bar 5,018 days old") for page in (look, stale, plain)] == [0, 5, 0]  # beside each signal
    assert "A look at another day: as of 1 March 2013" in look.text()
    assert "A look at" not in plain.text()
    classes = [
        {attributes.get("id"): attributes.get("class") for _, attributes in page.elements}["newest-bar"]
        for page in (look, stale, plain)
    ]
    assert classes == [None, "warn", None]  # a look at the past is not about today


def test_without_an_edge_chart_and_table_are_centred_on_no_change(
    report_data: ReportData, settings: ReportSettings
) -> None:
    names = [quantile_column("q", level) for level in QUANTILES]
    skewed = report_data.forecasts.with_columns(pl.col(names) * 1.02, mean_log_return=pl.lit(0.0))
    html = render_report(replace(report_data, forecasts=skewed), settings=settings)
    cards = html[html.index('<div class="cards">') :]
    medians = re.findall(r'fan-50"[^/]*/><polyline class="ink"[^/]*/><polyline class="accent" points="([^"]*)"', cards)
    assert len(medians) == 5
    for median in medians:
        assert len({point.split(",")[1] for point in median.split()}) == 1


def test_a_card_has_the_words_of_its_ticker_and_each_link_ends_at_the_query_of_its_number(
    page: Page, report_data: ReportData
) -> None:
    text = page.text()
    written = "".join(piece for tag, piece in page.texts if tag not in {"script", "style"})
    for row in (*report_data.commentary.to_dicts(), *report_data.concerns.to_dicts()):
        assert row["text"] in written
    assert text.count("Words by code") == report_data.commentary.height
    links = [attributes["href"] or "" for tag, attributes in page.elements if tag == "a"]
    cells = report_data.commentary_cells
    assert sum("-cell-" in link for link in links) == cells["text_start"].is_not_null().sum()
    assert all(query in text for query in cells["query"])


def test_without_words_a_card_has_the_rule_of_the_signal(report_data: ReportData, settings: ReportSettings) -> None:
    names = ("commentary", "commentary_cells", "assessments", "concerns")
    text = Page(render_report(emptied(report_data, *names), settings=settings)).text()
    assert all(rule in text for rule in report_data.signals["rule"])


def test_words_say_who_wrote_and_ordered_them(report_data: ReportData, settings: ReportSettings) -> None:
    for writer, words in {
        "ordered": "Words by code, in the order that language model SmolLM2 chose",
        "model": "Words by language model SmolLM2, every number and claim checked by code",
    }.items():
        commentary = report_data.commentary.with_columns(writer=pl.lit(writer), model=pl.lit("SmolLM2"))
        text = Page(render_report(replace(report_data, commentary=commentary), settings=settings)).text()
        assert text.count(words) == commentary.height
