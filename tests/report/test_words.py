from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.report.words import FILTERS, edges, look, newest_bar, reached, stale, suggested
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


def test_the_signals_are_told_by_their_actions(report_data: ReportData) -> None:
    signals = report_data.signals.sort("probability_gain", descending=True)
    assert (
        suggested(signals)
        == "The signals are to buy IBM, GOOG and AAPL, sell FB where you hold any and hold the other one."
    )
    assert suggested(signals.clear()) == "No ticker has a signal."
    held = signals.with_columns(action=pl.lit("HOLD"))
    assert suggested(held) == "Every signal is to hold."


def test_what_a_signal_needs_and_what_comes_closest_are_told_with_their_numbers(report_data: ReportData) -> None:
    """51.3% and 46.4% are both told: neither reaches 60%, and one of the two is more likely than not."""
    held = report_data.signals.with_columns(
        action=pl.lit("HOLD"), size=0.0, probability_gain=0.464, probability_loss=0.513, reason=pl.lit("not_reached")
    ).filter(pl.col("ticker") == "MSFT")

    assert reached(held) == [
        (
            "BUY needs a probability of 60% of gaining more than the trading costs of 0.2%, SELL one of 60% of losing "
            "more than them."
        ),
        "The highest of gaining is 46.4% (MSFT, by 1 April 2013), the highest of losing 51.3% (MSFT, by 1 April 2013).",
    ]
    assert reached(held.clear()) == []


def test_a_ticker_that_reaches_the_threshold_and_is_held_all_the_same_is_named(report_data: ReportData) -> None:
    refused = report_data.signals.with_columns(
        reason=pl.when(pl.col("ticker") == "IBM").then(pl.lit("not_among_discoveries")).otherwise("reason")
    )
    assert reached(refused)[-1] == (
        "IBM reaches it and is to hold all the same: among so many tests, the edge behind it may be luck."
    )
    assert len(reached(report_data.signals)) == 2


def test_a_long_list_of_tickers_ends_with_the_number_of_the_others(report_data: ReportData) -> None:
    one = report_data.signals.filter(pl.col("ticker") == "IBM")
    many = pl.concat([one.with_columns(ticker=pl.lit(f"T{place}")) for place in range(1208)])

    assert "buy T0, T1, T2, T3, T4 and 1,203 more." in suggested(many)


def test_edges_are_told_and_signals_without_one_are_named(report_data: ReportData) -> None:
    none = dict.fromkeys(report_data.signals["ticker"], "no edge")
    assert edges(report_data.signals, none) == (
        "No edge: out of sample, no ticker's models did clearly better than assuming no change."
    )
    assert edges(report_data.signals, none | {"IBM": "edge"}) == (
        "An edge out of sample: IBM, of 5 tickers. No edge behind the signals of AAPL, FB and GOOG."
    )
    all_of_them = dict.fromkeys(none, "edge")
    assert (
        edges(report_data.signals, all_of_them) == "An edge out of sample: AAPL, FB, GOOG, IBM and MSFT, of 5 tickers."
    )


def test_a_short_position_is_sold_whether_held_or_not(report_data: ReportData) -> None:
    short = report_data.signals.with_columns(size=pl.when(pl.col("action") == "SELL").then(-0.1).otherwise("size"))
    assert "sell FB and" in suggested(short)


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
