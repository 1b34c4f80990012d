"""Accounts in a run: what they hold in their currency, limits of risk that act, and tickers that cannot be traded."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from pm.broker.positions_file import HeldPosition
from pm.pipeline import add_to_universe, open_lake, remove_from_universe, trade
from pm.pipeline.stages.account import NewAccount, importing_positions, opening, resuming
from pm.settings import Limit
from pm.sources.listings import Listing
from pm.tables.vocabulary import BrokerName, LimitAction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.workspace import Workspace

    Ask = Callable[..., pl.DataFrame]
    Build = Callable[[str, Callable[[Path], object]], Path]

CURRENCIES = {
    "USA": "USD", "MORE": "USD", "BMW": "EUR", "VODA": "GBp", "NEWB": "USD", "EURUSD=X": "USD", "GBPUSD=X": "USD",
}  # fmt: skip
FIRST, SECOND, LATER = date(2022, 12, 29), date(2022, 12, 30), date(2023, 1, 20)
QUICK: dict[str, dict[str, Any]] = {
    "volatility": {"models": ["garch"], "windows": [250], "calibration_sessions": 0, "simulations": 200},
    "risk": {"paths": 1000, "horizons": [1, 5], "limit_horizon": 5, "window": 250, "limits": {}},
    "portfolio": {"compare": [], "max_weight": 0.9, "band": 0.0, "target_annual_volatility": 0.5},
}


def closes() -> pl.DataFrame:
    """Return closes on weekdays; NEWB has 15 until the second night."""
    random, day, rows = np.random.default_rng(4), date(2021, 9, 1), []
    price = dict.fromkeys(CURRENCIES, 100.0) | {"EURUSD=X": 1.1, "GBPUSD=X": 1.25}
    while day <= LATER:
        shared = random.normal(0, 0.008)
        for ticker in price if day.weekday() < 5 else ():
            own = random.normal(0, 0.004 if ticker.endswith("=X") else 0.01)
            price[ticker] *= float(np.exp(own if ticker.endswith("=X") else shared + own))
            if ticker != "NEWB" or day >= date(2022, 12, 12):
                rows.append((ticker, day, round(price[ticker], 6)))
        day += timedelta(days=1)
    return pl.DataFrame(rows, schema=["ticker", "date", "close"], orient="row")


class Desk:
    """A workspace with an account in pounds: what the tests do to it."""

    def __init__(self, folder: Path, workspace: Workspace, run: Callable[..., Any], settings: Any) -> None:  # noqa: ANN401
        self.folder, self.workspace, self._run, self.settings = folder, workspace, run, settings
        self.heard: list[object] = []

    def night(self, **sections: dict[str, Any]) -> str:
        merged = {name: values | sections.get(name, {}) for name, values in QUICK.items()}
        merged |= {name: values for name, values in sections.items() if name not in QUICK}
        return str(self._run(self.folder, upto="orders", heard=self.heard, **merged).run_id)

    def limited(self, **limits: tuple[float, str]) -> str:
        words = {action.value: action for action in LimitAction}
        found = {name: Limit(bound=bound, action=words[action]) for name, (bound, action) in limits.items()}
        return self.night(risk={"limits": found, "groups": {"euro": ["BMW", "BMV"]}})


@pytest.fixture(scope="module")
def bought(
    build_once: Build, import_files: Callable[..., Any], run_pipeline: Callable[..., Any],
    workspace_in: Callable[[Path], Workspace], settings_with: Callable[..., Any],
) -> Path:  # fmt: skip
    """Return a workspace after the night whose orders the second night filled, and that night."""

    def build(folder: Path) -> None:
        bars, workspace, settings = closes(), workspace_in(folder), settings_with()
        desk = Desk(folder, workspace, run_pipeline, settings)
        for night in (FIRST, SECOND):
            part = pl.col("date") <= FIRST if night == FIRST else pl.col("date") == SECOND
            bars.filter(part).write_csv(folder / f"{night}.csv")
            import_files(folder, folder / f"{night}.csv")
            if night == FIRST:
                listings = [Listing(ticker, "files", currency=currency) for ticker, currency in CURRENCIES.items()]
                new = NewAccount(
                    "main", BrokerName.PAPER, None, "GBP", Decimal(100_000), "fifo", fractional=True, live=False,
                    day=None,
                )  # fmt: skip
                held = [HeldPosition("NEWB", Decimal(100), None, None, None)]
                with open_lake(workspace, settings) as lake:
                    add_to_universe(lake, workspace, settings, lambda _: None, tickers=listings)
                    trade(lake, workspace, settings, lambda _: None, stage=opening(new))
                    stage = importing_positions("main", held, day=None, where="test")
                    trade(lake, workspace, settings, lambda _: None, stage=stage)
            desk.night()

    return build_once("bought_in_pounds", build)


@pytest.fixture
def desk(
    bought: Path, tmp_path: Path, run_pipeline: Callable[..., Any], workspace_in: Callable[[Path], Workspace],
    settings_with: Callable[..., Any],
) -> Desk:  # fmt: skip
    own = shutil.copytree(bought, tmp_path / "own")
    return Desk(own, workspace_in(own), run_pipeline, settings_with())


def last_closes(day: date) -> dict[str, float]:
    return dict(closes().filter(pl.col("date") <= day).group_by("ticker").last().select("ticker", "close").iter_rows())


def pounds(day: date) -> dict[str, float]:
    """Return the price of a share in pounds, the euro through the dollar, as nobody else computes it."""
    close = last_closes(day)
    dollar = 1 / close["GBPUSD=X"]
    return {
        "USA": close["USA"] * dollar, "MORE": close["MORE"] * dollar, "NEWB": close["NEWB"] * dollar,
        "BMW": close["BMW"] * close["EURUSD=X"] * dollar, "VODA": close["VODA"] / 100,
    }  # fmt: skip


def test_an_account_is_worth_its_cash_and_its_shares_in_its_own_currency(bought: Path, ask: Ask) -> None:
    price = pounds(SECOND)
    held = dict(ask(bought, "SELECT ticker, quantity FROM positions").iter_rows())
    assert set(held) == set(price)
    cash, equity = ask(bought, "SELECT cash, equity FROM equity ORDER BY date DESC LIMIT 1").row(0)
    expected = float(cash) + sum(float(count) * price[ticker] for ticker, count in held.items())
    assert float(equity) == pytest.approx(expected, rel=1e-6)
    # What stage portfolio started from are the same values.
    weights = dict(ask(bought, "SELECT ticker, previous_weight FROM latest_targets").iter_rows())
    assert weights == pytest.approx({t: float(held[t]) * price[t] / expected for t in held}, rel=1e-6)


def test_a_rate_through_a_third_currency_is_the_product_of_two_on_every_day(bought: Path, ask: Ask) -> None:
    rates = ask(bought, "SELECT date, rate FROM exchange_rates WHERE currency = 'EUR' AND base = 'GBP' ORDER BY date")
    wide = closes().filter(pl.col("date") <= SECOND).pivot("ticker", index="date", values="close").sort("date")
    assert rates["date"].to_list() == wide["date"].to_list()
    assert rates["rate"].cast(pl.Float64).to_numpy() == pytest.approx(
        (wide["EURUSD=X"] / wide["GBPUSD=X"]).to_numpy(), abs=1e-9
    )
    fills = ask(bought, "SELECT rate FROM fills WHERE ticker = 'BMW'")["rate"].cast(pl.Float64)
    assert fills.to_list() == pytest.approx([wide["EURUSD=X"][-1] / wide["GBPUSD=X"][-1]], abs=1e-9)


def test_the_risk_of_an_account_has_that_of_both_rates(bought: Path, ask: Ask) -> None:
    alone = dict(
        ask(
            bought,
            "SELECT ticker, standalone_es / abs(weight) FROM latest_risk JOIN risk_contributions "
            "USING (run_id, portfolio, horizon, level) WHERE portfolio = 'main' AND method = 'joint' "
            "AND horizon = 1 AND level = 0.95",
        ).iter_rows()
    )
    assert set(alone) == set(pounds(SECOND))
    sigma = dict(ask(bought, "SELECT ticker, sigma FROM latest_volatility WHERE step = 1").iter_rows())
    # Rates and shares are drawn independently, so that variances add up; a normal loss has an ES of 2.06 sigma at 95%.
    euro = np.sqrt(sigma["BMW"] ** 2 + sigma["EURUSD=X"] ** 2 + sigma["GBPUSD=X"] ** 2)
    assert alone["BMW"] == pytest.approx(2.06 * euro, rel=0.25)
    assert alone["VODA"] == pytest.approx(2.06 * sigma["VODA"], rel=0.25)


def test_rates_that_are_not_on_the_watch_list_are_part_of_the_risk_all_the_same(desk: Desk, ask: Ask) -> None:
    alone = (
        "SELECT ticker, standalone_es / abs(weight) FROM latest_risk JOIN risk_contributions "
        "USING (run_id, portfolio, horizon, level) WHERE portfolio = 'main' AND method = 'joint' "
        "AND horizon = 1 AND level = 0.95"
    )
    before = dict(ask(desk.folder, alone).iter_rows())
    with open_lake(desk.workspace, desk.settings) as lake:
        rates = ["EURUSD=X", "GBPUSD=X"]
        remove_from_universe(lake, desk.workspace, desk.settings, lambda _: None, tickers=rates)
    run = desk.night()
    after = dict(ask(desk.folder, alone).iter_rows())
    assert set(after) == set(before)
    # The rates' volatility is now that of their past moves, which these made-up rates always had.
    assert after == pytest.approx(before, rel=0.15)
    reasons = ask(desk.folder, f"SELECT ticker, reason FROM targets WHERE run_id = '{run}'")
    assert "kept" not in set(reasons["reason"])
    assert set(reasons["ticker"]) == set(before)
    told = ask(desk.folder, f"SELECT DISTINCT ticker, reason FROM exclusions WHERE run_id = '{run}'").rows()
    assert {("EURUSD=X", "stand_in"), ("GBPUSD=X", "stand_in")} <= set(told)
    assert "no_rate" not in {reason for _, reason in told}


def test_a_position_without_a_volatility_stays_and_counts(bought: Path, ask: Ask) -> None:
    rows = ask(bought, "FROM latest_targets WHERE ticker = 'NEWB'").to_dicts()
    assert [(row["shares"], row["reason"]) for row in rows] == [(100.0, "not_traded")]
    assert rows[0]["weight"] == rows[0]["previous_weight"] > 0
    assert ask(bought, "FROM orders WHERE ticker = 'NEWB'").is_empty()
    stand_in = "SELECT stage, detail FROM exclusions WHERE reason = 'stand_in' AND ticker = 'NEWB'"
    told = dict(ask(bought, stand_in).rows())
    assert set(told) == {"risk", "portfolio"}
    assert "with 14 moves of its own, it is taken for the first factor" in told["risk"]
    parts = ask(bought, "SELECT DISTINCT portfolio FROM risk_contributions WHERE ticker = 'NEWB' ORDER BY ALL")
    assert parts["portfolio"].to_list() == ["main", "main proposed"]
    (used,) = ask(bought, "FROM latest_portfolio WHERE in_use").to_dicts()
    whole = ask(bought, "SELECT sum(weight) AS w FROM latest_targets").item()
    assert used["invested"] == pytest.approx(whole)
    assert whole == pytest.approx(0.98, abs=1e-6)  # the others fill up to the buffer


def test_a_stale_position_stays_and_one_that_was_removed_is_sold(
    desk: Desk, import_files: Callable[..., Any], ask: Ask
) -> None:
    later = pl.col("date").is_between(SECOND, LATER, closed="right") & ~pl.col("ticker").is_in(["MORE", "BMW"])
    closes().filter(later).write_csv(desk.folder / "later.csv")
    import_files(desk.folder, desk.folder / "later.csv")
    with open_lake(desk.workspace, desk.settings) as lake:
        remove_from_universe(lake, desk.workspace, desk.settings, lambda _: None, tickers=["BMW"])
    run = desk.night()
    rows = {row["ticker"]: row for row in ask(desk.folder, f"FROM targets WHERE run_id = '{run}'").to_dicts()}
    held = dict(ask(desk.folder, "SELECT ticker, quantity FROM positions").iter_rows())
    assert rows["MORE"]["reason"] == "not_traded"
    assert rows["MORE"]["shares"] == float(held["MORE"])
    assert (rows["BMW"]["reason"], rows["BMW"]["weight"], rows["BMW"]["shares"]) == ("not_allocated", 0.0, 0.0)
    assert rows["BMW"]["previous_weight"] > 0
    orders = ask(desk.folder, f"SELECT ticker, side, quantity FROM orders WHERE run_id = '{run}'").rows()
    assert ("BMW", "sell", held["BMW"]) in orders
    assert "MORE" not in {ticker for ticker, *_ in orders}
    (summary,) = ask(desk.folder, f"SELECT summary FROM stage_events WHERE run_id = '{run}' AND stage = 'portfolio'")[
        "summary"
    ]
    assert "MORE: not traded tonight" in summary
    assert "BMW: to be closed" in summary


EVENTS = "SELECT * FROM limit_events WHERE run_id = '{}' AND portfolio = 'main proposed' AND limit_name = '{}'"


def test_limits_scale_drop_and_warn_in_the_stage(desk: Desk, ask: Ask) -> None:
    run = desk.limited(max_weight=(0.2, "scale"), group=(0.01, "drop"), es=(0.001, "warn"))
    weights = dict(ask(desk.folder, f"SELECT ticker, weight FROM targets WHERE run_id = '{run}'").iter_rows())
    reasons = dict(ask(desk.folder, f"SELECT ticker, reason FROM targets WHERE run_id = '{run}'").iter_rows())
    scaled = {row["subject"]: row for row in ask(desk.folder, EVENTS.format(run, "max_weight")).to_dicts()}
    assert set(scaled) >= {"USA", "MORE", "VODA"}
    for ticker in ("USA", "MORE", "VODA"):
        row = scaled[ticker]
        assert row["value"] > row["bound"] == 0.2
        assert (row["action"], row["value_after"]) == ("scale", pytest.approx(0.2))
        assert (weights[ticker], reasons[ticker]) == (pytest.approx(0.2), "limited")
    (dropped,) = ask(desk.folder, EVENTS.format(run, "group")).to_dicts()
    assert (dropped["subject"], dropped["action"], dropped["value_after"]) == ("euro", "drop", 0.0)
    assert dropped["value"] > 0.01
    assert weights["BMW"] == 0.0
    assert ask(desk.folder, f"SELECT target_shares FROM orders WHERE run_id = '{run}' AND ticker = 'BMW'").item() == 0
    (warned,) = ask(desk.folder, EVENTS.format(run, "es")).to_dicts()
    assert warned["action"] == "warn"
    assert warned["value_after"] > warned["bound"]
    assert warned["detail"].endswith("nothing is changed, this only warns.")
    told = "risk.groups.euro names BMV, which is neither held nor on the watch list. Did you mean 'BMW'?"
    assert told in [getattr(event, "line", "") for event in desk.heard]
    assert sum(weights.values()) > 0.5


def test_a_limit_that_blocks_keeps_what_is_held_and_plans_no_order(desk: Desk, ask: Ask) -> None:
    run = desk.limited(net=(0.5, "block"))
    (event,) = ask(desk.folder, EVENTS.format(run, "net")).to_dicts()
    before = ask(desk.folder, f"SELECT sum(previous_weight) AS w FROM targets WHERE run_id = '{run}'").item()
    assert (event["action"], event["value_after"]) == ("block", pytest.approx(before))
    assert ask(desk.folder, f"FROM targets WHERE run_id = '{run}' AND weight <> previous_weight").is_empty()
    assert ask(desk.folder, f"FROM orders WHERE run_id = '{run}'").is_empty()
    assert ask(desk.folder, "FROM halts").is_empty()


def test_a_limit_that_halts_stops_orders_until_a_person_resumes(desk: Desk, ask: Ask) -> None:
    run = desk.limited(gross=(0.5, "halt"))
    (event,) = ask(desk.folder, EVENTS.format(run, "gross")).to_dicts()
    assert event["action"] == "halt"
    (halt,) = ask(desk.folder, "FROM halts").to_dicts()
    assert (halt["action"], halt["cause"]) == ("halt", "limit")
    assert event["detail"] in halt["reason"]
    assert ask(desk.folder, f"FROM orders WHERE run_id = '{run}'").is_empty()
    # The limit is gone, and the weights are to change; the halt is still there.
    after = desk.night(portfolio={"target_annual_volatility": 0.03})
    assert not ask(desk.folder, f"FROM targets WHERE run_id = '{after}' AND reason = 'traded'").is_empty()
    assert ask(desk.folder, f"FROM orders WHERE run_id = '{after}'").is_empty()


def test_a_resume_begins_a_new_peak_for_the_limit_on_drawdowns(
    desk: Desk, import_files: Callable[..., Any], ask: Ask
) -> None:
    limits = {"drawdown": (0.1, "halt")}
    whole = closes().filter(date=SECOND)
    day, level = SECOND, 1.0

    def next_day(move: float) -> str:
        nonlocal day, level
        day, level = day + timedelta(days=3 if day.weekday() == 4 else 1), level * move
        is_rate = pl.col("ticker").str.ends_with("=X")
        moved = whole.with_columns(
            date=pl.lit(day), close=pl.when(is_rate).then("close").otherwise(pl.col("close") * level)
        )
        moved.write_csv(desk.folder / f"{day}.csv")
        import_files(desk.folder, desk.folder / f"{day}.csv")
        return desk.limited(**limits)

    def newest() -> tuple[str, str | None]:
        return ask(desk.folder, "SELECT action, account FROM halts ORDER BY sequence DESC LIMIT 1").row(0)

    next_day(0.8)
    assert newest() == ("halt", "main")
    with open_lake(desk.workspace, desk.settings) as lake:
        trade(lake, desk.workspace, desk.settings, lambda _: None, stage=resuming("we knew", "me"))
    next_night = next_day(0.99)
    assert newest() == ("resume", None)
    assert ask(desk.folder, EVENTS.format(next_night, "drawdown")).is_empty()
    assert not ask(desk.folder, f"FROM orders WHERE run_id = '{next_night}'").is_empty()
    (since, seen), (whole_fall,) = (
        ask(desk.folder, "SELECT since, drawdown FROM limit_drawdowns").row(0),
        ask(desk.folder, "SELECT arg_max(drawdown, date) FROM drawdowns").row(0),
    )
    assert since == SECOND + timedelta(days=3)
    assert whole_fall < -0.1 < -0.02 < seen < 0
