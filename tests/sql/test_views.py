from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.lake.schema import read_views
from pm.resources import sql_dir

if TYPE_CHECKING:
    from pm.lake import Lake

PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def newest(lake: Lake) -> dict[str, Any]:
    done = [row for row in lake.read("runs").iter_rows(named=True) if row["kind"] == "run" and row["status"] == "done"]
    return max(done, key=lambda row: row["started_at"])


@pytest.fixture(scope="module")
def closes(lake: Lake) -> dict[str, dict[Any, float]]:
    """Give each ticker's adjusted closes by date."""
    found: dict[str, dict[Any, float]] = {}
    for ticker, date, close, factor in lake.read("bars").select("ticker", "date", "close", "adj_factor").iter_rows():
        found.setdefault(ticker, {})[date] = close * factor
    return found


def test_every_view_has_rows_here(lake: Lake) -> None:
    views = [view.name for view in read_views([sql_dir()])]
    empty = [name for name in views if lake.query(f"FROM {name} LIMIT 1").is_empty()]
    assert empty == []


def test_adjusted_bars(lake: Lake) -> None:
    bars = lake.read("bars")
    twin = bars.select(
        "ticker", "date", *(pl.col(name) * pl.col("adj_factor") for name in PRICES), "volume",
        traded_close="close", adj_factor="adj_factor", batch_id="batch_id",
    )  # fmt: skip
    assert_frame_equal(lake.query("FROM adjusted_bars ORDER BY ticker, date"), twin)
    assert (bars["adj_factor"] < 0.9).any()  # there is something to adjust


def test_returns(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    twin: dict[tuple[str, Any], tuple[Any, Any]] = {}
    for ticker, by_date in closes.items():
        days = sorted(by_date)
        twin[ticker, days[0]] = (None, None)
        for before, day in pairwise(days):
            ratio = by_date[day] / by_date[before]
            twin[ticker, day] = (pytest.approx(math.log(ratio), abs=1e-12), pytest.approx(ratio - 1, abs=1e-12))
    found = {(ticker, date): (log, simple) for ticker, date, log, simple in lake.query("FROM returns").iter_rows()}
    assert found == twin


def test_latest_bars(lake: Lake) -> None:
    twin = lake.read("bars").sort("date").group_by("ticker").tail(1).sort("ticker")
    assert_frame_equal(lake.query("FROM latest_bars ORDER BY ticker"), twin)


def test_ticker_quality(lake: Lake) -> None:
    bars, refused, flags = lake.read("bars"), lake.read("quarantine"), lake.read("bar_flags")
    for row in lake.query("FROM ticker_quality").iter_rows(named=True):
        mine = bars.filter(pl.col("ticker") == row["ticker"])["date"]
        assert (row["bars"], row["first_date"], row["last_date"]) == (len(mine), mine.min(), mine.max())
        assert row["quarantined"] == (refused["ticker"] == row["ticker"]).sum()
        assert row["flagged"] == (flags["ticker"] == row["ticker"]).sum()
    named = lake.query("SELECT ticker FROM ticker_quality ORDER BY ticker")["ticker"].to_list()
    assert named == sorted({*bars["ticker"], *refused["ticker"], *flags["ticker"]})
    assert lake.query("SELECT bars, quarantined FROM ticker_quality WHERE ticker = 'KITE'").rows() == [(4, 1)]


def test_batch_accounts(lake: Lake) -> None:
    found = lake.query(
        "SELECT path[-9:], landed, inserted, updated, unchanged, quarantined, balanced FROM batch_accounts "
        "WHERE origin = 'files' ORDER BY landed_at"
    )
    assert found.rows() == [("/kite.csv", 4, 3, 0, 0, 1, True), ("later.csv", 2, 1, 1, 0, 0, True)]
    assert lake.query("SELECT balanced FROM batch_accounts")["balanced"].all()


def test_run_outputs_and_latest_run(lake: Lake, newest: dict[str, Any]) -> None:
    assert lake.query("FROM latest_run").rows(named=True) == [newest]
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for event in lake.read("stage_events").sort("attempt", "finished_at").iter_rows(named=True):
        last[event["run_id"], event["stage"]] = event
    found = {(row["run_id"], row["stage"]): row for row in lake.query("FROM run_outputs").iter_rows(named=True)}
    assert found == {key: {name: event[name] for name in found[key]} for key, event in last.items()}


@pytest.mark.parametrize(
    ("view", "table", "stage"),
    [
        ("latest_signals", "signals", "signals"), ("latest_forecasts", "forecasts", "forecast"),
        ("latest_volatility", "volatility", "volatility"), ("latest_weights", "model_weights", "forecast"),
    ],
)  # fmt: skip
def test_the_latest_rows_are_the_newest_runs(
    lake: Lake, newest: dict[str, Any], view: str, table: str, stage: str
) -> None:
    events = lake.read("stage_events", "run_id = ? AND stage = ?", [newest["run_id"], stage])
    twin = lake.read(table, "run_id = ?", [events["output_run_id"].item()])
    assert not twin.is_empty()
    assert_frame_equal(lake.query(f"FROM {view}"), twin, check_row_order=False)
    assert set(lake.query(f"FROM {view}")["ticker"]) == {"AAPL", "FB"}


def test_latest_exclusions(lake: Lake, newest: dict[str, Any]) -> None:
    events = lake.read("stage_events", "run_id = ?", [newest["run_id"]])
    outputs = set(events.select("stage", "output_run_id").iter_rows())
    twin = [row for row in lake.read("exclusions").rows(named=True) if (row["stage"], row["run_id"]) in outputs]
    found = lake.query("FROM latest_exclusions").rows(named=True)
    assert sorted(map(str, found)) == sorted(map(str, twin))
    assert {row["ticker"] for row in found} == {"FB"}


def test_forecast_outcomes(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    key = ("run_id", "ticker", "model", "target_date")
    twin = {}
    for row in lake.read("forecasts").iter_rows(named=True):
        came = closes[row["ticker"]].get(row["target_date"])
        if came is None:
            continue
        log_return = math.log(came / closes[row["ticker"]][row["origin_date"]])
        actual = row["origin_close"] * math.exp(log_return)
        twin[tuple(row[name] for name in key)] = (
            pytest.approx(actual), pytest.approx(log_return - row["mean_log_return"], abs=1e-12),
            row["q25"] <= actual <= row["q75"], row["q10"] <= actual <= row["q90"], row["q05"] <= actual <= row["q95"],
        )  # fmt: skip
    found = {
        tuple(row[name] for name in key): tuple(
            row[n] for n in ("actual", "error", "inside_50", "inside_80", "inside_90")
        )
        for row in lake.query("FROM forecast_outcomes").iter_rows(named=True)
    }
    assert found == twin
    assert len(twin) > 100


def test_signal_outcomes(lake: Lake, closes: dict[str, dict[Any, float]]) -> None:
    twin = {}
    for row in lake.read("signals").iter_rows(named=True):
        mine = closes[row["ticker"]]
        later = [day for day in mine if row["origin_date"] < day <= row["target_date"]]
        if later:
            gained = mine[max(later)] / mine[row["origin_date"]] - 1
            twin[row["run_id"], row["ticker"]] = (max(later), pytest.approx(gained), max(mine) >= row["target_date"])
    found = {
        (row["run_id"], row["ticker"]): (row["last_date"], row["realised_return"], row["complete"])
        for row in lake.query("FROM signal_outcomes").iter_rows(named=True)
    }
    assert found == twin
    assert len(twin) == 5  # those of the first run; nothing has come after the second's


def test_signal_lineage(lake: Lake) -> None:
    signals, bars, batches = lake.read("signals"), lake.read("bars"), lake.read("raw.batches")
    batch_of = {(ticker, date): batch for ticker, date, batch in bars.select("ticker", "date", "batch_id").iter_rows()}
    origin_of = dict(batches.select("batch_id", "origin").iter_rows())
    found = lake.query("FROM signal_lineage").rows(named=True)
    assert len(found) == signals.height
    for row, signal in zip(
        sorted(found, key=lambda r: (r["signal_run_id"], r["ticker"])), signals.iter_rows(named=True), strict=True
    ):
        provenance = json.loads(signal["provenance"])
        assert row["forecast_run_id"] == provenance["forecast_run_id"]
        assert row["bars_snapshot_id"] == provenance["snapshot_id"]
        assert row["last_bar_batch_id"] == batch_of[signal["ticker"], signal["origin_date"]]
        assert row["source"] == origin_of[row["last_bar_batch_id"]] == "sample"
        then = lake.read(
            "bars", "date <= ?", [signal["origin_date"]], tickers=[signal["ticker"]], at=row["bars_snapshot_id"]
        )
        assert then["date"].max() == signal["origin_date"]
