"""Stage `portfolio` in whole runs: two nights, currencies, and what it can be asked about."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.pipeline import add_to_universe, open_lake
from pm.sources.listings import Listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.workspace import Workspace

    Build = Callable[[str, Callable[[Path], object]], Path]

FIRST_NIGHT = date(2022, 12, 30)
CURRENCIES = {"USA": "USD", "BMW": "EUR", "EURUSD=X": "USD", "VODA": "GBp", "NIPPON": "JPY"}


def closes() -> pl.DataFrame:
    """Return bars of five tickers on weekdays, one of which is a rate; the last week is after the first night."""
    random, day, rows = np.random.default_rng(3), date(2021, 9, 1), []
    price = dict.fromkeys(CURRENCIES, 100.0) | {"EURUSD=X": 1.1}
    while day <= FIRST_NIGHT + timedelta(days=7):
        for ticker in price if day.weekday() < 5 else ():
            price[ticker] *= float(np.exp(random.normal(0, 0.004 if ticker == "EURUSD=X" else 0.012)))
            rows.append((ticker, day, round(price[ticker], 6)))
        day += timedelta(days=1)
    return pl.DataFrame(rows, schema=["ticker", "date", "close"], orient="row")


@pytest.fixture(scope="module")
def two_nights(
    build_once: Build, import_files: Callable[..., Any], run_pipeline: Callable[..., Any],
    workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any],
) -> Path:  # fmt: skip
    """Return a workspace with tickers of four currencies, after a run, a week of bars more, and another run."""

    def build(folder: Path) -> None:
        bars = closes()
        workspace = workspace_in(folder)
        for name, part in (("early", pl.col("date") <= FIRST_NIGHT), ("late", pl.col("date") > FIRST_NIGHT)):
            bars.filter(part).write_csv(folder / f"{name}.csv")
            import_files(folder, folder / f"{name}.csv")
            if name == "early":
                settings = settings_with()
                listings = [Listing(ticker, "files", currency=currency) for ticker, currency in CURRENCIES.items()]
                with open_lake(workspace, settings) as lake:
                    add_to_universe(lake, workspace, settings, lambda _: None, tickers=listings)
            run_pipeline(
                folder, portfolio={"max_weight": 0.9, "band": 0.05, "target_annual_volatility": 0.12}, upto="portfolio"
            )

    return build_once("two_nights_of_currencies", build)


def test_a_ticker_without_a_rate_and_the_rate_itself_are_left_out_by_name(
    two_nights: Path, ask: Callable[..., pl.DataFrame]
) -> None:
    found = ask(two_nights, "SELECT DISTINCT ticker, reason FROM exclusions WHERE stage = 'portfolio' ORDER BY ticker")
    assert found.rows() == [("EURUSD=X", "is_a_rate"), ("NIPPON", "no_rate"), ("VODA", "no_rate")]
    detail = ask(two_nights, "SELECT any_value(detail) FROM exclusions WHERE stage = 'portfolio' AND ticker = 'NIPPON'")
    assert detail.item() == "there is no rate of JPY in USD; add its bars: pm universe add JPYUSD=X"
    assert ask(two_nights, "FROM targets WHERE ticker NOT IN ('USA', 'BMW')").is_empty()


def test_shares_are_worth_their_weight_in_the_base_currency(two_nights: Path, ask: Callable[..., pl.DataFrame]) -> None:
    bars = closes().filter(pl.col("date") <= FIRST_NIGHT).group_by("ticker", maintain_order=True).last()
    price = dict(bars.select("ticker", "close").iter_rows())
    rows = ask(two_nights, f"SELECT ticker, weight, shares FROM targets WHERE cutoff = DATE '{FIRST_NIGHT}'")
    values = {"USA": price["USA"], "BMW": price["BMW"] * price["EURUSD=X"]}
    assert rows.height == 2
    for ticker, weight, shares in rows.iter_rows():
        assert shares * values[ticker] == pytest.approx(weight * 100_000, abs=values[ticker])


def test_the_second_night_starts_from_what_the_first_targets_have_become(
    two_nights: Path, ask: Callable[..., pl.DataFrame]
) -> None:
    bars = closes()
    growth = {}
    for ticker in ("USA", "BMW", "EURUSD=X"):
        own = bars.filter(ticker=ticker)
        growth[ticker] = own["close"][-1] / own.filter(pl.col("date") <= FIRST_NIGHT)["close"][-1]
    growth["BMW"] *= growth["EURUSD=X"]
    first = dict(ask(two_nights, f"SELECT ticker, weight FROM targets WHERE cutoff = DATE '{FIRST_NIGHT}'").iter_rows())
    total = 1 - sum(first.values()) + sum(first[t] * growth[t] for t in first)
    second = ask(two_nights, "SELECT ticker, previous_weight, weight, reason FROM latest_targets ORDER BY ticker")
    assert dict(second.select("ticker", "previous_weight").iter_rows()) == pytest.approx(
        {ticker: weight * growth[ticker] / total for ticker, weight in first.items()}, rel=1e-6
    )
    assert {reason for *_, reason in second.rows()} <= {"within_band", "traded", "unchanged", "limited"}


def test_the_volatility_of_the_portfolio_includes_that_of_the_rate(
    two_nights: Path, ask: Callable[..., pl.DataFrame]
) -> None:
    (runs,) = ask(two_nights, "FROM latest_portfolio WHERE in_use").to_dicts()
    assert (runs["currency"], runs["tickers"], runs["status"]) == ("USD", 2, "done")
    sigma = dict(ask(two_nights, "SELECT ticker, cumulative_sigma FROM latest_volatility WHERE step = 5").iter_rows())
    euro = np.hypot(sigma["BMW"], sigma["EURUSD=X"])  # the three are drawn independently
    weight = dict(ask(two_nights, "SELECT ticker, weight FROM latest_targets").iter_rows())
    expected = np.hypot(weight["USA"] * sigma["USA"], weight["BMW"] * euro) * np.sqrt(252 / 5)
    assert runs["annual_volatility"] == pytest.approx(expected, rel=0.12)


def test_another_run_of_the_same_night_changes_nothing(
    two_nights: Path, ask: Callable[..., pl.DataFrame], run_pipeline: Callable[..., Any]
) -> None:
    before = ask(two_nights, "SELECT count(*) FROM targets").item()
    result = run_pipeline(
        two_nights, portfolio={"max_weight": 0.9, "band": 0.05, "target_annual_volatility": 0.12}, upto="portfolio"
    )
    assert not result.worked
    assert ask(two_nights, "SELECT count(*) FROM targets").item() == before


def test_the_views_of_discoveries_agree_with_the_signals(two_nights: Path, ask: Callable[..., pl.DataFrame]) -> None:
    rows = ask(
        two_nights,
        "SELECT d.q_value, s.edge_q_value, d.p_value, s.edge_p_value, d.tested, d.discovered "
        "FROM discoveries d JOIN signals s USING (run_id, ticker)",
    )
    assert rows.height == 10
    own = rows.drop_nulls("edge_p_value")
    assert own["q_value"].to_list() == pytest.approx(own["edge_q_value"].to_list())
    assert own["p_value"].to_list() == own["edge_p_value"].to_list()
