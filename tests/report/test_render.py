from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date
from html.parser import HTMLParser

import polars as pl
import pytest

from pm.report import ReportData, render_report
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
    return replace(data, **{name: getattr(data, name).clear() for name in names})


FRAMES = [field.name for field in fields(ReportData) if field.type == "pl.DataFrame"]


def test_plotly_is_inlined_once_and_no_file_is_loaded(report_data: ReportData, settings: ReportSettings) -> None:
    html = render_report(report_data, settings=settings)
    page = Page(html)

    assert html.count("plotly.js v") == 1
    assert len(html) < 6_000_000
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

    page = Page(render_report(report_data, settings=few))

    text = page.text()
    assert page.count("article") == 2
    assert "The charts are of the first 2 of 5 signals." in text
    assert "This table shows the first 3 of 5 signals." in text
    figures = json.loads(next(text for tag, text in page.texts if tag == "script" and text.startswith("[{")))
    assert [len(figure["data"][0]["x"]) for figure in figures] == [20, 20]
    none = Page(render_report(report_data, settings=few.model_copy(update={"max_charts": 0})))
    assert none.count("article") == 0
    assert "Plotly" not in none.text(but=()).split("use strict")[0]


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

    assert "ticker = 'A&B\"''';" in text


def test_example_queries_name_the_runs_and_the_snapshot_of_the_signal(
    report_data: ReportData, settings: ReportSettings
) -> None:
    earlier = report_data.signals.with_columns(
        run_id=pl.lit("signals-run"), forecast_run_id=pl.lit("forecast-run"), forecast_snapshot_id=pl.lit(5)
    )

    text = Page(render_report(replace(report_data, signals=earlier), settings=settings)).text()

    assert "from signals where run_id = 'signals-run' and ticker = 'IBM';" in text
    assert "from forecasts where run_id = 'forecast-run' and ticker = 'IBM'" in text
    assert "from bars at (version => 5) where ticker = 'IBM'" in text


def test_the_page_shows_what_is_held_aimed_at_ordered_and_at_risk(page: Page, report_data: ReportData) -> None:
    text = page.text()
    for shown in (
        "main (paper): worth 100,000.00 USD on 2013-03-01, of which 75,549.34 in cash.",
        "IBM main 120.5 202.91 2013-03-01 24,450.66 −12.50",
        "MSFT main 0.0% 30.0% 1,079 traded",
        "IBM main sell 71.5 0 market rebalance planned",
        "main 1 99.0% 3.11% ± 0.10% 4.04% ± 0.16%",
        "main proposed 20 97.5% 7.89% ± 0.26% 10.26% ± 0.39%",
        "main proposed max weight MSFT 0.41 0.3 scale The weights were made smaller.",
        f"chain after 41 rows: {report_data.heads['head'][0]}",
    ):
        assert shown in text
    assert "FB main" not in text  # neither held nor aimed at


def test_an_account_that_cannot_be_valued_says_so(report_data: ReportData, settings: ReportSettings) -> None:
    unknown = report_data.accounts.with_columns(equity=pl.lit(None, pl.Float64))
    text = Page(render_report(replace(report_data, accounts=unknown), settings=settings)).text()
    assert "worth – USD on 2013-03-01" in text
    assert "Its value is not known, since a position has no close or no rate." in text


@pytest.mark.parametrize("name", FRAMES)
def test_any_frame_may_be_empty(report_data: ReportData, settings: ReportSettings, name: str) -> None:
    page = Page(render_report(emptied(report_data, name), settings=settings))

    assert page.count("h1") == 1
    assert page.count("article") == (0 if name == "signals" else 5)


def test_an_empty_report_says_what_is_missing(report_data: ReportData, settings: ReportSettings) -> None:
    text = Page(render_report(emptied(report_data, *FRAMES), settings=settings)).text()

    for sentence in (
        "No ticker has a signal.",
        "There are no signals.",
        "There is no account, so that targets and risk are those of a model portfolio.",
        "There are no targets.",
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

    assert html.count('<td data-value="no edge">no edge</td>') == 4
    assert html.count('<td data-value="edge">edge</td>') == 1
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
    page = Page(render_report(replace(report_data, forecasts=skewed), settings=settings))
    figures = json.loads(next(text for tag, text in page.texts if tag == "script" and text.startswith("[{")))
    medians = [trace["y"] for figure in figures for trace in figure["data"] if trace["name"] == "Median"]
    assert medians
    for median in medians:
        assert median == pytest.approx([median[0]] * len(median))


def test_a_card_has_the_words_of_its_ticker_and_each_link_ends_at_the_query_of_its_number(
    page: Page, report_data: ReportData
) -> None:
    text = page.text()
    written = "".join(piece for tag, piece in page.texts if tag not in {"script", "style"})
    for row in (*report_data.commentary.to_dicts(), *report_data.concerns.to_dicts()):
        assert row["text"] in written
    assert text.count("Words by code:") == report_data.commentary.height
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
        "ordered": "Words by code, ordered by SmolLM2:",
        "model": "Words by SmolLM2, every number and claim checked by code:",
    }.items():
        commentary = report_data.commentary.with_columns(writer=pl.lit(writer), model=pl.lit("SmolLM2"))
        text = Page(render_report(replace(report_data, commentary=commentary), settings=settings)).text()
        assert text.count(words) == commentary.height
