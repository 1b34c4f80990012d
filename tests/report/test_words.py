from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.report.words import FILTERS, headline, look, newest_bar, stale
from pm.tables.vocabulary import RunScope

if TYPE_CHECKING:
    from pm.report import ReportData


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("percent", 0.1234, "12.3%"),
        ("percent", -0.05, "−5.0%"),
        ("signed_percent", 0.1234, "+12.3%"),
        ("signed_percent", -0.1234, "−12.3%"),
        ("signed_percent", 0.0, "0.0%"),
        ("signed_percent", -0.00001, "0.0%"),
        ("price", 1430.468, "1,430.47"),
        ("price", 15.3, "15.30"),
        ("price", 1.11764, "1.1176"),
        ("price", 0.0123456, "0.012346"),
        ("price", 0.1, "0.10000"),
        ("price", 2.5e-9, "2.5e-09"),
        ("price", 0.0, "0.00"),
        ("integer", 1234567, "1,234,567"),
        ("ratio", 0.987, "0.99"),
        ("seconds", 0.0123, "0.01 s"),
        ("seconds", 42.34, "42.3 s"),
        ("seconds", 75.4, "1 min 15 s"),
        ("seconds", 119.7, "2 min 0 s"),
        ("day", date(2013, 3, 1), "1 March 2013"),
    ],
)
def test_numbers_have_their_units_and_digits(name: str, value: object, text: str) -> None:
    assert FILTERS[name](value) == text


@pytest.mark.parametrize("name", ["percent", "signed_percent", "price", "integer", "ratio", "seconds"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_number_that_is_missing_or_not_finite_is_a_dash(name: str, value: float | None) -> None:
    assert FILTERS[name](value) == "–"


def test_a_count_of_one_has_the_singular() -> None:
    assert FILTERS["plural"](1, "batch", "batches") == "1 batch"
    assert FILTERS["plural"](1200, "row") == "1,200 rows"


def test_the_headline_names_the_tickers_to_trade_and_the_sum_of_their_sizes(report_data: ReportData) -> None:
    signals = report_data.signals.sort("probability_gain", descending=True)

    verdicts = {"IBM": "edge", "GOOG": "no edge", "AAPL": "edge", "FB": "no edge", "MSFT": "edge"}
    assert headline(signals, verdicts) == [
        "The signals are to buy IBM, GOOG and AAPL, sell FB where you hold any and hold the other one.",
        "The strongest signal is IBM, with a probability of 63.8% of gaining more than 0.2% by 1 April 2013.",
        (
            "There is no edge behind GOOG and FB: out of sample, the models did not do significantly better than "
            "assuming no change."
        ),
        (
            "The size of each position is computed for its ticker alone, whatever else you hold; all of them together "
            f"are {signals['size'].sum():.0%} of equity."
        ),
    ]


def test_the_headline_of_holds_names_the_ticker_closest_to_the_threshold(report_data: ReportData) -> None:
    held = report_data.signals.with_columns(
        action=pl.lit("HOLD"), size=0.0, probability_gain=0.464, probability_loss=0.513
    ).filter(pl.col("ticker") == "MSFT")

    assert headline(held, {}) == [
        (
            "Every signal is to hold: no ticker is 60% likely to gain more than the trading costs of 0.2%, and none is "
            "60% likely to lose more than them."
        ),
        "Closest is MSFT, with a probability of 51.3% of losing more than 0.2% by 1 April 2013.",
    ]


def test_a_long_list_of_tickers_ends_with_the_number_of_the_others(report_data: ReportData) -> None:
    one = report_data.signals.filter(pl.col("ticker") == "IBM")
    many = pl.concat([one.with_columns(ticker=pl.lit(f"T{place}")) for place in range(1208)])

    assert "buy T0, T1, T2, T3, T4 and 1,203 more." in headline(many, {})[0]


def test_the_headline_says_that_there_are_no_signals(report_data: ReportData) -> None:
    assert headline(report_data.signals.clear(), {}) == [
        "No ticker has a signal. Below is a list of the tickers that were left out, and why."
    ]


def test_the_headline_of_signals_without_any_edge_says_so(report_data: ReportData) -> None:
    none = dict.fromkeys(report_data.signals["ticker"], "no edge")
    assert "There is no edge behind any of them: " in " ".join(headline(report_data.signals, none))
    assert "no edge" not in " ".join(headline(report_data.signals, dict.fromkeys(none, "edge")))


def test_a_short_position_is_sold_whether_held_or_not(report_data: ReportData) -> None:
    short = report_data.signals.with_columns(size=pl.when(pl.col("action") == "SELL").then(-0.1).otherwise("size"))
    assert "sell FB and" in headline(short, {})[0]


@pytest.mark.parametrize(
    ("made_on", "age", "old"),
    [
        (date(2013, 3, 1), "today", False),
        (date(2013, 3, 2), "1 day ago", False),
        (date(2013, 3, 11), "10 days ago", False),
        (date(2013, 3, 12), "11 days ago", True),
        (date(2026, 11, 26), "5,018 days ago", True),
    ],
)
def test_the_age_of_the_newest_bar_is_that_on_the_day_of_the_report(
    report_data: ReportData, made_on: date, age: str, *, old: bool
) -> None:
    same = replace(report_data, made_on=made_on, as_of=date(2013, 3, 1))  # the run's own day makes no bar young
    sentence, is_old = newest_bar(same)
    assert f"The newest bar is of 1 March 2013, {age} when this report was made." in sentence
    assert is_old is old
    assert ("these signals are not about today" in sentence) is old


def test_a_look_at_another_day_is_not_said_to_be_old(report_data: ReportData) -> None:
    past = replace(report_data, made_on=date(2026, 11, 26), scope=RunScope.PAST)
    assert newest_bar(past) == ("The newest bar is of 1 March 2013, 5,018 days ago when this report was made.", False)


def test_tickers_whose_vendors_have_no_new_bars_are_named(report_data: ReportData) -> None:
    assert stale(report_data) is None
    one = replace(report_data, stale={"IBM": date(2013, 2, 1)})
    assert (stale(one) or "").startswith("The last bar of IBM is more than 10 days old,")
    two = replace(report_data, stale=dict.fromkeys(("IBM", "FB"), date(2013, 2, 1)))
    assert (stale(two) or "").startswith("The last bars of FB and IBM are more than 10 days old,")


def test_a_look_says_what_it_is_about(report_data: ReportData) -> None:
    assert look(report_data) is None
    part = replace(report_data, scope=RunScope.PART, watched=7)
    assert look(part) == "A look at 5 tickers, while 7 tickers with bars are on the watch list."
    past = replace(report_data, scope=RunScope.PAST)
    assert look(past) == "A look at another day: as of 1 March 2013, without any later bar."
