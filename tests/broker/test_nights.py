"""Nights of a paper account: runs of the stages on made-up bars, with targets that a stage of the test writes."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.audit.chain import verify_chain
from pm.broker.positions_file import HeldPosition, PositionsFile
from pm.errors import HaltedError, InputError
from pm.lake.schema import read_views
from pm.pipeline import Request, add_actions, add_to_universe, import_bars, open_lake, trade
from pm.pipeline.replay_order import replay_order
from pm.pipeline.runner import Runner
from pm.pipeline.stage import Context, Stage
from pm.pipeline.stages import check, land, ledger, orders
from pm.pipeline.stages.account import (
    NewAccount,
    closing,
    depositing,
    ending,
    halting,
    importing_positions,
    opening,
    resuming,
)
from pm.pipeline.stages.reconcile import accepting, reconciling_file
from pm.pipeline.stages.send import cancelling
from pm.pipeline.watch_list import WATCH_LIST_TABLES, scope, watch_list
from pm.pipeline.writes import Append, Result
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.sources import ACTIONS_SCHEMA, inspect_files
from pm.sources.listings import Listing
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.portfolio import TARGETS
from pm.tables.vocabulary import BrokerName
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from pm.lake import Lake
    from pm.settings import Settings
    from pm.workspace import Workspace

pytestmark = pytest.mark.usefixtures("empty_lake")

D = Decimal
START = date(2024, 1, 1)
_LOADED = load_settings()
SETTINGS = _LOADED.model_copy(
    update={
        "run": _LOADED.run.model_copy(update={"jobs": 1}),
        "lake": _LOADED.lake.model_copy(update={"threads": 1}),
    }
)


def sessions(count: int) -> list[date]:
    days = [START + timedelta(n) for n in range(count * 2)]
    return [day for day in days if day.weekday() < 5][:count]


def bars(count: int, seed: int = 1) -> pl.DataFrame:
    generator = random.Random(seed)  # noqa: S311 - prices, not secrets
    rows = []
    for ticker, price in (("AAA", 50.0), ("BBB", 20.0)):
        close = price
        for day in sessions(count):
            opening_price = round(close * (1 + generator.gauss(0, 0.004)), 2)
            close = round(opening_price * (1 + generator.gauss(0, 0.01)), 2)
            high, low = max(opening_price, close) + 0.05, min(opening_price, close) - 0.05
            rows.append((ticker, day, opening_price, round(high, 2), round(low, 2), close, 1_000_000.0))
    return pl.DataFrame(rows, schema=["ticker", "date", "open", "high", "low", "close", "volume"], orient="row")


def _targets(context: Context) -> Result:
    """Aim at weights that follow from the newest close, so that each night has its own."""
    day = watch_list(context).as_of
    from pm.tables.quality import BARS

    closes = context.read(BARS, "date = ?", [day], columns=("ticker", "date", "close"))
    rows = [
        {
            "portfolio": "main", "ticker": ticker, "weight": 0.2 + round(close * 100) % 20 / 100,
            "previous_weight": 0.0, "core_weight": 0.3, "tilt": 0.0, "shares": None, "reason": "test",
        }
        for ticker, _, close in closes.iter_rows()
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=TARGETS.unstamped_schema)
    return Result([Append(TARGETS, context.stamp(frame, cutoff=day))], "targets")


PORTFOLIO = Stage("portfolio", _targets, reads=WATCH_LIST_TABLES, writes=(TARGETS,), depends=scope)
STAGES = (land.STAGE, check.STAGE, ledger.STAGE, PORTFOLIO, orders.STAGE)


class Desk:
    """A workspace whose bars arrive night by night."""

    def __init__(self, folder: Path, frame: pl.DataFrame) -> None:
        self.workspace: Workspace = init_workspace(folder)
        self.folder = folder
        self.bars = frame
        self.notes: list[str] = []

    def tell(self, event: object) -> None:
        self.notes.append(getattr(event, "line", "") or getattr(event, "summary", ""))

    def land(self, day: date) -> None:
        file = self.folder / f"bars-{day}.csv"
        self.bars.filter(pl.col("date") <= day).write_csv(file)
        with open_lake(self.workspace, SETTINGS) as lake:
            import_bars(lake, self.workspace, SETTINGS, self.tell, files=inspect_files([file]))

    def night(self, day: date, settings: Settings = SETTINGS) -> str:
        self.land(day)
        with open_lake(self.workspace, settings) as lake:
            return Runner(lake, settings, self.workspace, self.tell).run(STAGES, Request()).run_id

    def do(self, stage: Stage) -> None:
        with open_lake(self.workspace, SETTINGS) as lake:
            trade(lake, self.workspace, SETTINGS, self.tell, stage=stage)

    def watch(self, **currencies: str | None) -> None:
        listings = [Listing(ticker, "files", currency=currency) for ticker, currency in currencies.items()]
        with open_lake(self.workspace, SETTINGS) as lake:
            add_to_universe(lake, self.workspace, SETTINGS, self.tell, tickers=listings)

    def ask(self, sql: str) -> list[dict[str, Any]]:
        with open_lake(self.workspace, SETTINGS) as lake:
            return lake.query(sql).to_dicts()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        with open_lake(self.workspace, SETTINGS) as lake:
            return {table.qualified: lake.read(table).to_dicts() for table in CHAINED_TABLES}


def opened(folder: Path, count: int, cash: str = "100000", **values: object) -> Desk:
    desk = Desk(folder, bars(count))
    desk.land(sessions(count)[0])
    known: dict[str, Any] = {
        "name": "main", "broker": BrokerName.PAPER, "number": None, "currency": "USD", "cash": D(cash),
        "lot_method": "fifo", "fractional": False, "live": False, "day": None,
    }  # fmt: skip
    desk.do(opening(NewAccount(**known | values)))
    return desk


def check_views(lake_rows: Desk) -> None:
    """Check the views against the tables, added up here: cash + cost = deposits + gains + dividends, and equity."""
    (identity,) = lake_rows.ask(
        "SELECT (SELECT sum(base_amount) FROM fills) + (SELECT sum(base_amount) FROM cash_events) AS cash, "
        "(SELECT coalesce(sum(base_cost), 0) FROM lots) AS cost, "
        "(SELECT coalesce(sum(base_gain), 0) FROM realised_gains) AS gains, "
        "(SELECT coalesce(sum(base_amount), 0) FROM cash_events WHERE kind IN ('deposit', 'dividend')) AS paid"
    )
    assert identity["cash"] + identity["cost"] == identity["gains"] + identity["paid"]
    (worth,) = lake_rows.ask(
        "SELECT arg_max(equity, date) AS equity, arg_max(cash, date) AS cash, "
        "(SELECT sum(base_value) FROM positions) AS held FROM equity"
    )
    assert worth["cash"] == identity["cash"]
    assert worth["equity"] == worth["cash"] + worth["held"]


def test_nights_of_a_paper_account(tmp_path: Path) -> None:
    desk = opened(tmp_path, 8)
    days = sessions(8)
    for day in days[1:5]:
        desk.night(day)
    check_views(desk)
    fills = desk.ask(
        "SELECT f.*, o.cutoff, o.reference_date, b.open FROM fills f JOIN orders o USING (order_id) "
        "JOIN bars b ON b.ticker = f.ticker AND b.date = f.date"
    )
    assert len(fills) >= 4
    for fill in fills:
        worse = 1 if fill["side"] == "buy" else -1
        assert fill["date"] > fill["cutoff"]
        assert (float(fill["price"]) / fill["open"] - 1) * worse == pytest.approx(0.001, abs=1e-3)
        assert (float(fill["price"]) / fill["open"] - 1) * worse > 0.0009
    held = {row["ticker"]: row for row in desk.ask("FROM positions")}
    assert set(held) == {"AAA", "BBB"}
    assert verify_chain(desk.rows())[1] is None
    (counts,) = desk.ask("SELECT count(*) AS n, count(DISTINCT order_id) AS d FROM orders")
    assert counts["n"] == counts["d"] > 0
    lineage = desk.ask("SELECT * FROM order_lineage")
    assert all(row["target_reason"] == "test" and row["state"] is not None for row in lineage)


def test_a_night_without_anything_new_changes_nothing(tmp_path: Path) -> None:
    desk = opened(tmp_path, 4)
    days = sessions(4)
    desk.night(days[1])
    before = desk.rows()
    desk.night(days[1])
    assert desk.rows() == before


def test_a_split_and_a_dividend_are_recorded_once_and_corrected(tmp_path: Path) -> None:
    desk = opened(tmp_path, 8)
    days = sessions(8)
    is_later = (pl.col("ticker") == "AAA") & (pl.col("date") >= days[4])
    desk.bars = desk.bars.with_columns(
        pl.when(is_later).then(pl.col(name) / 2).otherwise(pl.col(name)).round(4).alias(name)
        for name in ("open", "high", "low", "close")
    )
    for day in days[1:4]:
        desk.night(day)
    (before,) = desk.ask("SELECT * FROM positions WHERE ticker = 'AAA'")
    desk.land(days[4])
    told = pl.DataFrame(
        [("AAA", days[4], "split", 2.0, "user"), ("BBB", days[4], "dividend", 0.25, "user")],
        schema=ACTIONS_SCHEMA, orient="row",
    )  # fmt: skip
    with open_lake(desk.workspace, SETTINGS) as lake:
        add_actions(lake, desk.workspace, SETTINGS, desk.tell, actions=told, where="test")
    (bbb,) = desk.ask("SELECT quantity FROM positions WHERE ticker = 'BBB'")
    desk.night(days[4])
    events = {row["kind"]: row for row in desk.ask("FROM cash_events")}
    assert events["split"]["quantity"] == before["quantity"]
    assert events["split"]["amount"] == 0
    assert events["dividend"]["amount"] == bbb["quantity"] * D("0.25")
    desk.night(days[5])
    assert len(desk.ask("FROM cash_events")) == 3
    (base,) = desk.ask("SELECT sum(base_cost) AS cost FROM lots WHERE ticker = 'AAA'")
    assert base["cost"] > 0
    check_views(desk)
    assert verify_chain(desk.rows())[1] is None
    with open_lake(desk.workspace, SETTINGS) as lake:
        ledger = {table.qualified for table in CHAINED_TABLES}
        views = [view.name for view in read_views([sql_dir()]) if lake.tables_read_by(f"FROM {view.name}") & ledger]
        assert "performance" in views
        # No broker was asked, so that none differs; nothing was forecast, so that nothing came of it.
        of_forecasts = {"risk_outcomes", "risk_backtest", "es_backtest", "track_record", "night_scores"}
        empty = {name for name in views if lake.query(f"FROM {name} LIMIT 1").is_empty()}
        assert empty - of_forecasts <= {"active_halts", "broker_differences"}, empty


def test_positions_of_a_file_are_taken_over_once_whatever_its_name_is(tmp_path: Path) -> None:
    desk = opened(tmp_path, 2)
    held = [HeldPosition("AAA", D(5), D(250), "USD", None), HeldPosition(None, D(100), None, "USD", None)]
    desk.do(importing_positions(None, held, day=None, where="positions.csv"))
    before = desk.rows()
    desk.do(importing_positions(None, held, day=None, where="copy of positions.csv"))
    assert desk.rows() == before
    assert desk.notes[-1] == "all of copy of positions.csv was known already"
    (position,) = desk.ask("FROM positions")
    assert (position["ticker"], position["quantity"], position["cost"]) == ("AAA", 5, 250)


def test_a_newer_file_of_positions_is_compared_and_not_added(tmp_path: Path) -> None:
    desk = opened(tmp_path, 2, cash="0", broker=BrokerName.TICKET)
    first = [HeldPosition("aaa", D(5), D(250), "USD", None), HeldPosition(None, D(-100), None, "USD", None)]
    desk.do(importing_positions(None, first, day=None, where="first.csv"))
    assert desk.notes[-1] == "1 position and -100.00 USD of cash of first.csv taken over"
    (position,) = desk.ask("FROM positions")
    assert (position["ticker"], position["quantity"]) == ("AAA", 5)
    newer = [HeldPosition("AAA", D(7), D(350), "USD", None)]
    with pytest.raises(InputError, match="holds AAA already: 5 shares"):
        desk.do(importing_positions(None, newer, day=None, where="newer.csv"))
    with pytest.raises(HaltedError, match="shares of AAA: 5 in the ledger, 7 at the broker"):
        desk.do(reconciling_file(None, PositionsFile(tuple(newer)), where="newer.csv"))
    assert "newer.csv does not tell cash, which is not compared" in desk.notes
    assert [row["detail"] for row in desk.ask("FROM broker_differences")] == [
        "shares of AAA: 5 in the ledger, 7 at the broker"
    ]
    desk.do(accepting(None, reason="bought by phone", person="me"))
    desk.do(reconciling_file(None, PositionsFile((*newer, first[1])), where="newer.csv"))
    assert desk.notes[-1] == "the ledger and newer.csv agree"
    desk.do(importing_positions(None, newer, day=None, where="other.csv", add=True))
    (position,) = desk.ask("FROM positions")
    assert position["quantity"] == 14


def test_a_position_has_one_currency_whatever_a_file_and_the_watch_list_say(tmp_path: Path) -> None:
    desk = opened(tmp_path, 4, currency="GBP", broker=BrokerName.TICKET)
    days = sessions(4)
    pounds = [HeldPosition("AAA", D(10), D("8.25"), "GBP", None)]
    before = desk.rows()
    with pytest.raises(InputError, match="Whether bars of AAA are in GBP or in GBp, its hundredth, is not known"):
        desk.do(importing_positions(None, pounds, day=None, where="x.csv"))
    assert desk.rows() == before
    desk.watch(AAA="GBp")
    others = [HeldPosition("BBB", D(10), D(200), "GBX", None)]
    with pytest.raises(InputError, match="Whether bars of BBB are in GBP or in GBp"):
        desk.do(importing_positions(None, [*pounds, *others], day=None, where="x.csv"))
    desk.do(importing_positions(None, pounds, day=None, where="x.csv"))
    (position,) = desk.ask("FROM positions")
    assert (position["currency"], position["cost"], position["base_cost"]) == ("GBp", D(825), D("8.25"))
    assert position["base_value"] == pytest.approx(position["quantity"] * position["price"] / 100)
    # What was taken over without a currency is in the account's, until the watch list says otherwise.
    desk.do(importing_positions(None, [HeldPosition("BBB", D(10), D(200), None, None)], day=None, where="y.csv"))
    desk.watch(AAA="GBp", BBB="GBp")
    desk.night(days[1])
    assert any("BBB is held in GBP, and the watch list says that its prices are in GBp." in note for note in desk.notes)
    assert desk.ask("FROM orders") == []
    desk.do(closing(None, "BBB", D(20)))
    assert [row["ticker"] for row in desk.ask("FROM lots")] == ["AAA"]
    desk.night(days[2])
    assert {row["currency"] for row in desk.ask("FROM orders")} == {"GBp"}
    # Orders that were planned from what the ledger had are not sent once it has something else.
    with pytest.raises(HaltedError, match="shares of AAA: 10 in the ledger, 11 at the broker"):
        desk.do(reconciling_file(None, PositionsFile((HeldPosition("AAA", D(11), None, None, None),)), where="z.csv"))
    assert desk.ask("SELECT DISTINCT state FROM open_orders") == [{"state": "planned"}]
    desk.do(accepting(None, reason="a gift", person="me"))
    assert desk.ask("FROM open_orders") == []


def test_a_cost_in_another_currency_is_converted(tmp_path: Path) -> None:
    desk = opened(tmp_path, 3, currency="EUR", broker=BrokerName.TICKET)
    days = sessions(3)
    price = pl.when(pl.col("date") == days[0]).then(1.6).otherwise(1.25)
    names = ("open", "high", "low", "close")
    rate = desk.bars.filter(ticker="BBB").with_columns(
        pl.lit("EURUSD").alias("ticker"), *(price.alias(name) for name in names)
    )
    desk.bars = pl.concat([desk.bars, rate])
    desk.land(days[1])
    desk.watch(AAA="USD", EURUSD=None)
    desk.do(importing_positions(None, [HeldPosition("AAA", D(5), D(200), "EUR", None)], day=None, where="x.csv"))
    (position,) = desk.ask("FROM positions")
    assert (position["currency"], position["cost"], position["base_cost"]) == ("USD", D(250), D(200))
    # Of what was bought on another day, the rate of that day counts where it is known.
    held = [HeldPosition("BBB", D(5), D(200), told, day) for told, day in (("EUR", days[0]), ("USD", days[0]))]
    held += [HeldPosition("BBB", D(5), D(200), "USD", days[0] - timedelta(40))]
    desk.watch(AAA="USD", BBB="USD", EURUSD=None)
    desk.do(importing_positions(None, held, day=None, where="y.csv"))
    lots = desk.ask("SELECT cost, base_cost FROM lots WHERE ticker = 'BBB' ORDER BY base_cost")
    assert [(lot["cost"], lot["base_cost"]) for lot in lots] == [(D(200), D(125)), (D(200), D(160)), (D(320), D(200))]
    with pytest.raises(InputError, match="no rate of CHF in EUR"):
        desk.do(importing_positions(None, [HeldPosition("CCC", D(5), D(200), "CHF", None)], day=None, where="x.csv"))


def test_what_is_held_is_not_traded_for_some_sessions_after_what_may_be_a_split(
    tmp_path: Path,
) -> None:
    count = 90
    desk, days = opened(tmp_path, count), sessions(count)
    is_later = (pl.col("ticker") == "AAA") & (pl.col("date") >= days[81])
    desk.bars = desk.bars.with_columns(
        pl.when(is_later).then(pl.col(name) * 8).otherwise(pl.col(name)).round(4).alias(name)
        for name in ("open", "high", "low", "close")
    )
    for day in days[79:81]:
        desk.night(day)
    assert {row["ticker"] for row in desk.ask("FROM fills")} == {"AAA", "BBB"}
    told = f"AAA: Its close moved by about \\+700% on {days[81]}, near the ratio 1:8 of a split, and no split is known"
    for place in (81, 85, 86):
        desk.notes.clear()
        run = desk.night(days[place])
        ordered = {row["ticker"] for row in desk.ask(f"FROM orders WHERE run_id = '{run}'")}
        is_waiting = any(re.match(told, note) for note in desk.notes)
        assert is_waiting == (place < 86)
        assert ("AAA" in ordered) == (place == 86)


def test_an_account_is_closed_when_it_is_empty_and_what_it_did_stays(tmp_path: Path) -> None:
    desk = opened(tmp_path, 4)
    days = sessions(4)
    desk.night(days[1])
    with pytest.raises(InputError, match="cannot be closed: it has 2 open orders"):
        desk.do(ending("main"))
    desk.night(days[2])
    desk.do(cancelling("main", ()))
    with pytest.raises(InputError, match="it holds AAA, BBB"):
        desk.do(ending("main"))
    for ticker in ("AAA", "BBB"):
        desk.do(closing("main", ticker, None))
    with pytest.raises(InputError, match="of cash") as refused:
        desk.do(ending("main"))
    (account,) = desk.ask("FROM latest_accounts")
    assert str(refused.value.hint).endswith(f"-- -{account['cash'].normalize():f}")
    desk.do(depositing("main", -account["cash"], currency=None, day=None, detail=""))
    desk.do(ending("main"))
    count = len(desk.ask("FROM orders"))
    desk.night(days[3])
    assert len(desk.ask("FROM orders")) == count > 0
    assert "no account; open one with pm account open" in desk.notes
    (account,) = desk.ask("FROM latest_accounts")
    assert (account["closed"], account["equity"], account["realised"]) == (days[2], 0, -account["deposits"])
    for stage, message in (
        (depositing("main", D(1), currency=None, day=None, detail=""), f"Account main was closed on {days[2]}"),
        (ending("main"), "was closed"),
        (depositing(None, D(1), currency=None, day=None, detail=""), "There is no account."),
    ):
        with pytest.raises(InputError, match=message):
            desk.do(stage)
    assert verify_chain(desk.rows())[1] is None


def test_what_cannot_be_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    desk = opened(tmp_path, 1)
    before = desk.rows()
    held = HeldPosition("AAA", D(7), None, None, None)
    for stage, message in (
        (reconciling_file(None, PositionsFile((held,)), where="x.csv"), "is a paper account"),
        (resuming("why not", "me"), "not halted"),
        *(
            (depositing(None, D(amount), currency=None, day=day, detail=""), message)
            for amount, day, message in (
                ("1", date(2999, 1, 1), "after today"),
                ("1", date(202, 1, 1), "before 1900"),
                ("0.00001", None, "more than four decimals"),
                ("-1e6", None, "does not have so much cash"),
            )
        ),
    ):
        with pytest.raises(InputError, match=message):
            desk.do(stage)
    assert desk.rows() == before
    # Of an account in debt a payment is taken that does not end it.
    desk.do(importing_positions(None, [HeldPosition(None, D(-100_500), None, None, None)], day=None, where="x.csv"))
    desk.do(depositing(None, D(100), currency=None, day=None, detail=""))
    (account,) = desk.ask("FROM latest_accounts")
    assert account["cash"] == -400


def test_a_halt_stops_the_plan_until_a_person_resumes(tmp_path: Path) -> None:
    desk = opened(tmp_path, 5)
    days = sessions(5)
    desk.do(halting("enough", "me"))
    desk.night(days[1])
    assert desk.ask("FROM orders") == []
    assert any("halted: enough" in note for note in desk.notes)
    desk.do(resuming("all is well", "me"))
    desk.night(days[1])
    assert len(desk.ask("FROM orders")) == 2
    (desk.workspace.root / "HALT").write_text("")
    desk.night(days[2])
    assert len(desk.ask("FROM orders")) == 2


def test_a_look_at_the_past_leaves_the_ledger_alone(tmp_path: Path) -> None:
    desk = opened(tmp_path, 4)
    days = sessions(4)
    desk.land(days[3])
    before = desk.rows()
    with open_lake(desk.workspace, SETTINGS) as lake:
        Runner(lake, SETTINGS, desk.workspace, desk.tell).run(STAGES, Request(as_of=days[2]))
    assert desk.rows() == before


def test_orders_are_computed_again_as_they_were(tmp_path: Path) -> None:
    desk = opened(tmp_path, 4)
    for day in sessions(4)[1:]:
        desk.night(day)
    names = [row["order_id"] for row in desk.ask("SELECT order_id FROM orders")]
    assert len(names) > 3
    for name in names:
        result = replay_order(desk.workspace, SETTINGS, name, stages=STAGES)
        assert result.is_equal, result.fields.filter(equal="no")
        assert {"quantity", "target_shares", "weight"} <= set(result.fields["field"])


def test_a_changed_or_removed_row_is_found(tmp_path: Path) -> None:
    desk = opened(tmp_path, 3)
    for day in sessions(3)[1:]:
        desk.night(day)
    rows = desk.rows()
    end, fault = verify_chain(rows)
    assert fault is None
    assert end.sequence == sum(map(len, rows.values()))
    for table in ("orders", "fills", "cash_events", "order_events"):
        kept = rows[table][0]
        for changed in (None, kept | {"account": "other"}):
            damaged = {**rows, table: [*([] if changed is None else [changed]), *rows[table][1:]]}
            found = verify_chain(damaged)[1]
            assert found is not None
            assert found.sequence == kept["sequence"]
    without = {**rows, "orders": [rows["orders"][0] | {"sequence": None}]}
    found = verify_chain(without)[1]
    assert found is not None
    assert rows["orders"][0]["order_id"] in found.reason
    assert verify_chain(rows, head=end.hash)[1] is None
    cut = {name: [row for row in kept_rows if row["hash"] != end.hash] for name, kept_rows in rows.items()}
    assert verify_chain(cut)[1] is None
    assert verify_chain(cut, head=end.hash)[1] is not None


def test_the_lake(tmp_path: Path) -> None:
    """Every view can be read while the ledger is empty."""
    desk = Desk(tmp_path, bars(3))

    def names(lake: Lake) -> list[str]:
        return [row["view_name"] for row in lake.rows("SELECT view_name FROM duckdb_views() WHERE NOT internal")]

    with open_lake(desk.workspace, SETTINGS) as lake:
        for name in ("positions", "lots", "equity", "performance", "drawdowns", "realised_gains", "open_orders"):
            assert name in names(lake)
            assert lake.query(f"FROM {name}").is_empty()
