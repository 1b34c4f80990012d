from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from pm.report.words import FILTERS, headline

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
def test_numbers_are_written_as_a_reader_wants_them(name: str, value: object, text: str) -> None:
    assert FILTERS[name](value) == text


@pytest.mark.parametrize("name", ["percent", "signed_percent", "price", "integer", "ratio", "seconds"])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_missing_is_a_dash(name: str, value: float | None) -> None:
    assert FILTERS[name](value) == "–"


def test_one_is_not_plural() -> None:
    assert FILTERS["plural"](1, "batch", "batches") == "1 batch"
    assert FILTERS["plural"](1200, "row") == "1,200 rows"


def said(signals: pl.DataFrame) -> str:
    return " ".join(headline(signals))


def test_a_list_with_actions_names_them_and_warns_of_adding_up_the_sizes(report_data: ReportData) -> None:
    signals = report_data.signals.sort("probability_gain", descending=True)

    text = said(signals)

    assert "buy IBM, GOOG and AAPL, sell FB and hold the other one" in text
    assert "Strongest is IBM, 64% likely to gain more than 0.2% by 1 April 2013." in text
    assert f"{signals['size'].sum():.0%} of equity" in text


def test_a_list_of_holds_says_so_calmly(report_data: ReportData) -> None:
    held = report_data.signals.with_columns(action=pl.lit("HOLD"), size=0.0)

    assert "Nothing stands out." in said(held)
    assert "buy" not in said(held)


def test_long_lists_are_cut(report_data: ReportData) -> None:
    one = report_data.signals.filter(pl.col("ticker") == "IBM")
    many = pl.concat([one.with_columns(ticker=pl.lit(f"T{place}")) for place in range(1208)])

    assert "buy T0, T1, T2, T3, T4 and 1,203 more." in said(many)


def test_no_signals_are_said_to_be_none(report_data: ReportData) -> None:
    assert headline(report_data.signals.clear()) == [
        "No ticker has a signal. What was left out, and why, is listed below."
    ]
