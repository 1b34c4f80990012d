"""The first screen: what to do, what is owned, what can be lost, what has changed, and whether it is fresh."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.report.changes import changed_signals, changed_verdicts, changes
from pm.report.tickers import ranked_signals
from pm.report.today import today

if TYPE_CHECKING:
    from pm.report import ReportData


def shown(data: ReportData) -> dict[str, Any]:
    return today(data, ranked_signals(data))


def books(data: ReportData, **frames: pl.DataFrame) -> ReportData:
    assert data.books is not None
    return replace(data, books=replace(data.books, **frames))


def test_the_headline_is_the_orders(report_data: ReportData) -> None:
    assert shown(report_data)["headline"] == "1 order for the next session: sell 71.5 IBM."


def test_of_an_order_traded_in_part_the_rest_is_to_do(report_data: ReportData) -> None:
    assert report_data.books is not None
    part = report_data.books.orders.with_columns(filled=pl.lit(70.0))
    found = shown(books(report_data, orders=part))
    assert found["headline"] == "1 order for the next session: sell 1.5 IBM."


def test_without_an_order_there_is_nothing_to_do(report_data: ReportData) -> None:
    assert report_data.books is not None
    idle = books(report_data, orders=report_data.books.orders.clear())
    held = replace(idle, signals=idle.signals.with_columns(action=pl.lit("HOLD")))
    assert shown(held)["headline"] == "Nothing to do: no order is open."
    assert str(shown(idle)["headline"]).startswith("Nothing to do: no order is open. The signals are to buy ")
    assert shown(replace(held, books=None))["headline"] == "Nothing to do: every signal is to hold."


def test_a_halt_comes_before_everything(report_data: ReportData) -> None:
    halts = pl.DataFrame({"sequence": [1], "reason": ["The drawdown is beyond its limit."]})
    assert shown(books(report_data, halts=halts))["headline"] == (
        "Trading is halted: The drawdown is beyond its limit."
    )


@pytest.mark.parametrize(
    ("broker", "state", "advice"),
    [
        ("paper", "planned", ["The next run fills them by the bars that have come until then: nothing to enter."]),
        ("ticket", "planned", ["Write the ticket to enter by hand: pm trade send"]),
        ("alpaca", "planned", ["Send them to the broker: pm trade send"]),
        ("alpaca", "accepted", []),
    ],
)
def test_how_orders_are_carried_out_depends_on_the_broker(
    report_data: ReportData, broker: str, state: str, advice: list[str]
) -> None:
    assert report_data.books is not None
    found = books(
        report_data,
        accounts=report_data.books.accounts.with_columns(broker=pl.lit(broker)),
        orders=report_data.books.orders.with_columns(state=pl.lit(state)),
    )
    assert shown(found)["advice"] == advice


def test_what_is_owned_has_weights_of_equity_and_the_change_of_the_day(report_data: ReportData) -> None:
    (account,) = shown(report_data)["accounts"]
    assert account["change"] == pytest.approx(0.005)
    assert account["change_amount"] == pytest.approx(100_000 - 100_000 / 1.005)
    assert account["cash_share"] == pytest.approx(0.7554934)
    assert [(row["ticker"], row["weight"]) for row in account["positions"]] == [
        ("IBM", pytest.approx(0.2445066)),
    ]


def test_the_change_of_another_day_than_the_accounts_is_not_shown(report_data: ReportData) -> None:
    assert report_data.books is not None
    earlier = report_data.books.equity.filter(pl.col("date") < date(2013, 3, 1))
    (account,) = shown(books(report_data, equity=earlier))["accounts"]
    assert account["change"] is None


def test_losses_are_in_the_money_of_the_account_and_of_what_is_held(report_data: ReportData) -> None:
    (loss,) = shown(report_data)["losses"]
    assert loss["portfolio"] == "main"  # not what is proposed
    assert loss["text"] == "once in 100 the loss is more than 3,110 USD (3.1%); then 4,043 USD (4.0%) on average"
    without = replace(report_data, books=None, risk=report_data.risk.with_columns(portfolio=pl.lit("model")).head(1))
    (loss,) = shown(without)["losses"]
    assert loss["text"] == "once in 100 the loss is more than 3.11%; then 4.04% on average"
    assert loss["whose"] == "equal weights of all tickers"


def test_an_account_whose_name_ends_like_a_proposal_is_held(report_data: ReportData) -> None:
    named = "main proposed"
    assert report_data.books is not None
    renamed = report_data.books.accounts.with_columns(account=pl.lit(named))
    risk = report_data.risk.head(1).with_columns(portfolio=pl.lit(named))
    (loss,) = shown(books(replace(report_data, risk=risk), accounts=renamed))["losses"]
    assert loss["portfolio"] == named


def test_every_change_since_the_night_before_is_told(report_data: ReportData) -> None:
    told = {row["subject"]: row["text"] for row in changes(report_data)}
    assert told == {
        "Signals": "GOOG new: BUY and IBM BUY after HOLD",
        "Edges": "gained by IBM",
        "Trades": "bought 120.5 IBM at 203.01 (main)",
        "Limits": "max weight of MSFT (main proposed) beyond its bound",
        "Data": "5 new bars, up to 1 March 2013, 1 bar restated",
        "Left out": "no more: GOOG",
    }
    before = {"AAPL": "BUY", "FB": "SELL", "IBM": "HOLD", "MSFT": "HOLD"}
    now = dict(report_data.signals.select("ticker", "action").iter_rows())
    differing = {ticker for ticker in now.keys() | before.keys() if now.get(ticker) != before.get(ticker)}
    assert set(changed_signals(report_data)["ticker"]) == differing
    assert all(ticker in told["Signals"] for ticker in differing)
    assert changed_verdicts(report_data).rows() == [("IBM", "no edge", "edge")]


def test_without_a_change_it_says_so_and_without_a_night_before_nothing(report_data: ReportData) -> None:
    before = report_data.before
    assert before is not None
    same = replace(
        report_data,
        before=replace(
            before,
            as_of=report_data.as_of,
            new_bars=0,
            restated=0,
            signals=report_data.signals.select("ticker", "action"),
            verdicts=report_data.weights.select("ticker", "verdict").unique(),
            limits=report_data.limit_events.select("portfolio", "limit_name", "subject"),
            left_out=report_data.exclusions.select("ticker"),
            trades=before.trades.clear(),
        ),
    )
    assert {row["subject"]: row["text"] for row in changes(same)} == {
        "Signals": "all as before",
        "Edges": "none gained or lost",
        "Data": "no bar newer than 1 March 2013",
    }
    assert changes(replace(report_data, before=None)) == []
    assert changed_signals(replace(report_data, before=None)).is_empty()


def test_many_changes_are_counted_and_not_listed(report_data: ReportData) -> None:
    assert report_data.before is not None
    other = pl.DataFrame({"ticker": [f"T{n}" for n in range(40)], "action": ["BUY"] * 40})
    many = replace(report_data, before=replace(report_data.before, signals=other))
    told = next(row["text"] for row in changes(many) if row["subject"] == "Signals")
    assert told.endswith("41 more")  # 45 in all: 40 that are gone and 5 that are new
    assert told.count(",") < 6
