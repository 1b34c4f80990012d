from __future__ import annotations

import json
import math
import random
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import ReconciliationError
from pm.lake import Lake
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.sources import RAW_ACTIONS, RAW_BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.lake import Transaction
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Contents = Callable[..., dict[str, pl.DataFrame]]

CHECKED = ("bars", "quarantine", "bar_flags", "reconciliation", "restatements")
DAYS = [date(2020, 1, 1) + timedelta(days=n) for n in range(90)]
# Another tolerance than the settings', wide enough that no verdict on the rows made here depends on which it is.
OTHER_RULES = {"price_tolerance": 0.00011}


def deliveries(seed: int) -> Iterator[pl.DataFrame]:
    """Return files as vendors send them one after another: new days, late days, restated, repeated and broken ones."""
    chance = random.Random(seed)  # noqa: S311 - seeded, so that a failure can be repeated
    known: dict[tuple[str, date], dict[str, Any]] = {}
    reached = 30
    for _ in range(chance.randint(3, 5)):
        rows = []
        for ticker in ("A", "AA", "B.L"):
            if chance.random() < 0.2:
                continue
            for day in DAYS[max(0, reached - 35) : reached]:
                new = (ticker, day) not in known
                if (new and chance.random() < 0.05) or (not new and chance.random() < 0.7):
                    continue  # to come late, or never; most old days are not sent again
                row = dict(known.get((ticker, day)) or bar(chance, ticker, day))
                if not new and chance.random() < 0.3:
                    row["close"] = round(row["close"] * chance.uniform(0.999, 1.001), 4)
                    row["high"] = max(row["high"], row["close"])
                    row["low"] = min(row["low"], row["close"])
                known[ticker, day] = dict(row)
                if chance.random() < 0.06:
                    row |= chance.choice(
                        [{"close": -1.0}, {"high": row["low"] / 2}, {"close": None}, {"ticker": None}, {"volume": -5.0}]
                    )
                rows.append(row)
                if chance.random() < 0.04:
                    rows.append(row | chance.choice([{}, {"close": row["close"] and row["close"] * 1.0001}]))
        chance.shuffle(rows)
        reached += chance.randint(1, 15)
        if rows:
            yield pl.DataFrame(rows, schema=list(rows[0]), infer_schema_length=None)


def bar(chance: random.Random, ticker: str, day: date) -> dict[str, Any]:
    close = round(100 * math.exp(chance.gauss(0, 0.05) + (0.6 if chance.random() < 0.02 else 0)), 4)
    opened = round(close * chance.uniform(0.98, 1.02), 4)
    high, low = max(close, opened) * 1.01, min(close, opened) * 0.99
    return {
        "ticker": ticker, "date": day, "open": opened, "high": high, "low": low, "close": close,
        "adj_close": close * 0.9 if day < DAYS[45] else close, "volume": float(chance.randint(0, 1000)),
    }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_a_delivery_in_parts_comes_to_what_checking_everything_at_once_does(
    tmp_path: Path, seed: int, import_files: Run, contents: Contents
) -> None:
    landed = 0
    house = tmp_path / "house"
    closes: dict[tuple[str, date], float] = {}
    for number, rows in enumerate(deliveries(seed)):
        rows.write_parquet(file := tmp_path / f"{number}.parquet")
        import_files(house, file)
        landed += rows.height
        closes |= plain_reading(rows)
    in_parts = contents(house, *CHECKED)
    read = in_parts["bars"].select("ticker", "date", "close").iter_rows()
    assert {(ticker, day): close for ticker, day, close in read} == closes
    accounts = in_parts["reconciliation"].sum().row(0, named=True)
    assert accounts["landed"] == landed
    assert accounts["inserted"] == in_parts["bars"].height
    assert accounts["quarantined"] == in_parts["quarantine"].height > 0
    assert accounts["updated"] > 0
    assert in_parts["restatements"].height > 0

    (tmp_path / "Z.csv").write_text("date,close\n2020-01-02,1\n")
    import_files(house, tmp_path / "Z.csv", quality=OTHER_RULES)
    at_once = contents(house, *CHECKED)
    for name in CHECKED:
        expected = in_parts[name]
        if name == "reconciliation":  # Z's batch
            assert at_once[name].height == expected.height + 1
            extra = {"landed": 1, "inserted": 1, "updated": 0, "unchanged": 0, "quarantined": 0}
            expected = pl.concat([expected, pl.DataFrame(extra)]).sort(expected.columns)
        else:
            at_once[name] = at_once[name].filter(pl.col("ticker").ne_missing("Z"))
        assert_frame_equal(at_once[name], expected)


def plain_reading(rows: pl.DataFrame) -> dict[tuple[str, date], float]:
    """Return the closes of a file whose row is sound and not contradicted, one row after the other."""
    seen: dict[tuple[str, date], list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        sound = row["ticker"] and row["close"] and row["close"] > 0 and row["volume"] >= 0
        if sound and row["low"] <= row["close"] <= row["high"]:
            seen.setdefault((row["ticker"], row["date"]), []).append(row)
    return {key: same[0]["close"] for key, same in seen.items() if all(row == same[0] for row in same)}


def test_a_refused_row_is_kept_as_it_was(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    (tmp_path / "X.csv").write_text("date,open,high,low,close\n2020-01-02,1,2,0.5,1.5\n2020-01-03,1,0.2,0.5,-3\n")
    import_files(tmp_path / "w", tmp_path / "X.csv")
    row = read_table(tmp_path / "w", "quarantine").row(0, named=True)
    original = json.loads(row["original"])
    assert (row["ticker"], row["date"], row["row"]) == ("X", date(2020, 1, 3), 2)
    assert [original[name] for name in ("open", "high", "low", "close")] == [1, 0.2, 0.5, -3]


def test_imported_bars_of_a_ticker_take_the_place_of_the_samples(
    run_copy: Path, tmp_path: Path, stocks: pl.DataFrame, import_files: Run, ask: Read
) -> None:
    mine = stocks.filter(pl.col("ticker") == "IBM").tail(300).with_columns(volume=pl.col("volume") + 1)
    mine.write_parquet(tmp_path / "ibm.parquet")
    import_files(run_copy, tmp_path / "ibm.parquet")
    bars = ask(
        run_copy, "SELECT ticker, origin, count(*) AS bars FROM bars JOIN raw.batches USING (batch_id) GROUP BY ALL"
    )
    assert bars.filter(ticker="IBM").rows() == [("IBM", "files", 300)]
    assert bars.filter(pl.col("ticker") != "IBM")["origin"].unique().to_list() == ["sample"]
    refused = ask(run_copy, "SELECT rule, ticker, count(*) FROM quarantine GROUP BY ALL").rows()
    assert refused == [("other_source", "IBM", stocks.filter(ticker="IBM").height)]
    assert ask(run_copy, "SELECT bool_and(balanced), sum(landed)::BIGINT FROM batch_accounts").row(0) == (True, 12_454)


def test_the_sample_landing_after_files_leaves_their_tickers_alone(
    tmp_path: Path, stocks: pl.DataFrame, import_files: Run, run_pipeline: Run, ask: Read
) -> None:
    stocks.filter(ticker="IBM").tail(300).write_parquet(tmp_path / "ibm.parquet")
    import_files(tmp_path / "w", tmp_path / "ibm.parquet")
    run_pipeline(tmp_path / "w", upto="check", source="sample", tickers=("FB",))
    assert ask(tmp_path / "w", "SELECT count(*) FROM bars WHERE ticker = 'IBM'").item() == 300
    rules = ask(tmp_path / "w", "SELECT DISTINCT rule, ticker FROM quarantine").rows()
    assert rules == [("other_source", "IBM")]


@pytest.mark.parametrize("kind", ["dividend", "split"])
def test_a_new_action_reaches_back_to_the_bars_before_it(
    tmp_path: Path, kind: str, import_files: Run, ask: Read
) -> None:
    rows = [f"2020-01-{day:02},{price}" for day, price in ((2, 100.0), (3, 110.0), (6, 54.0))]
    (tmp_path / "X.csv").write_text("\n".join(["date,close", *rows]))
    house = tmp_path / "w"
    import_files(house, tmp_path / "X.csv")
    assert ask(house, "SELECT DISTINCT adj_factor FROM bars").rows() == [(1.0,)]
    with Lake(house / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("an action", lambda tx: land_action(tx, kind, 2.0))
    (tmp_path / "Y.csv").write_text("date,close\n2020-01-02,5\n")
    import_files(house, tmp_path / "Y.csv")
    factor = {"split": 1 / 2, "dividend": 1 - 2 / 110}[kind]  # on the close before the ex-date
    bars = ask(house, "SELECT date, adj_factor, close FROM bars WHERE ticker = 'X' ORDER BY date")
    assert bars["adj_factor"].to_list() == pytest.approx([factor, factor, 1.0], rel=1e-15)
    assert bars["close"].to_list() == [100.0, 110.0, 54.0]
    assert ask(house, "SELECT bool_and(balanced), count(*) FROM batch_accounts").row(0) == (True, 3)
    assert ask(house, "FROM restatements").is_empty()


def land_action(transaction: Transaction, kind: str, value: float) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    landed = {"source": "files", "fetched_at": now, "batch_id": f"{now:%Y%m%dT%H%M%S}-action", "row": 1}
    action = {"ticker": "X", "date": date(2020, 1, 6), "kind": kind, "value": value, **landed}
    batch = {
        "batch_id": landed["batch_id"], "run_id": "r", "origin": "files", "path": None, "fingerprint": None, "bars": 0,
        "actions": 1, "tickers": 1, "first_date": None, "last_date": None, "landed_at": now,
    }  # fmt: skip
    transaction.append(RAW_ACTIONS, pl.DataFrame([action], schema=RAW_ACTIONS.polars_schema))
    transaction.append(RAW_BATCHES, pl.DataFrame([batch], schema=RAW_BATCHES.polars_schema))


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("raw.bars", "row = 7"),
        ("raw.batches", "origin = 'files'"),
        ("bars", "ticker = 'FB' AND date = DATE '2012-06-01'"),
        ("quarantine", "row = 2"),
    ],
)
def test_a_row_removed_behind_its_back_is_missed(
    run_copy: Path, tmp_path: Path, import_files: Run, run_pipeline: Run, ask: Read, *, name: str, where: str
) -> None:
    (tmp_path / "X.csv").write_text("date,close\n2020-01-02,5\n2020-01-03,-5\n")
    import_files(run_copy, tmp_path / "X.csv")
    with Lake(run_copy / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("theft", lambda tx: tx.delete(TABLES[name], where))
    with pytest.raises(ReconciliationError):
        run_pipeline(run_copy, upto="check", source="sample")
    last = ask(run_copy, "SELECT status, error FROM runs ORDER BY started_at DESC LIMIT 1").row(0)
    assert last[0] == "failed"
    assert "pm lake snapshots" in last[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_factors_do_not_depend_on_how_deliveries_are_cut(
    tmp_path: Path, seed: int, import_files: Run, read_table: Read
) -> None:
    chance = random.Random(seed)  # noqa: S311 - seeded, so that a failure can be repeated
    rows = pl.DataFrame(
        [
            {"ticker": ticker, "date": day, "close": close, "adj_close": close * (0.5 if day < DAYS[40] else 0.8)}
            for ticker in ("A", "B")
            for day in DAYS
            for close in [round(chance.uniform(90, 110), 2)]
        ]
    ).with_columns(
        adj_close=pl.when(pl.Series([chance.random() < 0.5 for _ in range(2 * len(DAYS))])).then("adj_close")
    )
    whole = tmp_path / "whole"
    rows.write_parquet(tmp_path / "all.parquet")
    import_files(whole, tmp_path / "all.parquet")
    piecemeal = tmp_path / "piecemeal"
    cuts = [0, *sorted(chance.sample(range(1, len(DAYS)), 3)), len(DAYS)]
    for start, end in pairwise(cuts):
        rows.filter(pl.col("date").is_in(DAYS[start:end])).write_parquet(file := tmp_path / f"{start}.parquet")
        import_files(piecemeal, file)
    columns = ["ticker", "date", "close", "adj_factor"]
    expected = read_table(whole, "bars").select(columns)
    assert expected["adj_factor"].is_in([0.5, 0.8]).sum() > expected.height / 2
    assert_frame_equal(read_table(piecemeal, "bars").select(columns), expected)


def test_an_action_leaves_a_vendors_own_factors_alone(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    house = tmp_path / "house"
    lines = [f"{day},{100 + n},{(100 + n) * 0.45}" for n, day in enumerate(DAYS[:4])]
    (tmp_path / "A.csv").write_text("\n".join(["date,close,adj_close", *lines]))
    import_files(house, tmp_path / "A.csv")
    action = {
        "ticker": "A", "date": DAYS[2], "kind": "dividend", "value": 10.0, "source": "vendor",
        "fetched_at": datetime(2020, 2, 1), "batch_id": "by-hand", "row": 1,  # noqa: DTZ001 - as the lake stores it
    }  # fmt: skip
    batch = dict.fromkeys(RAW_BATCHES.polars_schema) | {
        "batch_id": "by-hand", "origin": "files", "bars": 0, "actions": 1
    }  # fmt: skip
    with Lake(house / "lake", load_settings().lake, TABLES) as lake:
        lake.commit(
            "an action",
            lambda tx: (
                tx.append(RAW_ACTIONS, pl.DataFrame([action], schema=RAW_ACTIONS.polars_schema)),
                tx.append(RAW_BATCHES, pl.DataFrame([batch], schema=RAW_BATCHES.polars_schema)),
            ),
        )
    (tmp_path / "B.csv").write_text("date,close\n2020-01-02,1\n")
    import_files(house, tmp_path / "B.csv")
    factors = read_table(house, "bars", "ticker = 'A'")["adj_factor"]
    assert factors.to_list() == pytest.approx([0.45] * 4)


def test_a_file_without_a_good_row_displaces_no_source(
    tmp_path: Path, run_pipeline: Run, import_files: Run, read_table: Read
) -> None:
    run_pipeline(tmp_path, upto="check")
    before = read_table(tmp_path, "bars", "ticker = 'AAPL'").height
    (tmp_path / "AAPL.csv").write_text("date,close\n2013-03-04,-5\n")
    import_files(tmp_path, tmp_path / "AAPL.csv")
    assert read_table(tmp_path, "bars", "ticker = 'AAPL'").height == before == 3270
    assert read_table(tmp_path, "quarantine")["rule"].to_list() == ["non_positive_price"]


def test_a_bar_dated_ahead_is_taken_when_its_day_has_come(
    tmp_path: Path, import_files: Run, run_pipeline: Run, read_table: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{day},{100 + n % 7}" for n, day in enumerate(DAYS)]
    (tmp_path / "A.csv").write_text("\n".join(["date,close", *lines]))
    monkeypatch.setattr("pm.pipeline.stages.check.utc_today", lambda: DAYS[-2])
    import_files(tmp_path, tmp_path / "A.csv")
    assert read_table(tmp_path, "quarantine")["rule"].to_list() == ["future_date"]
    monkeypatch.setattr("pm.pipeline.stages.check.utc_today", lambda: DAYS[-1])
    run_pipeline(tmp_path, upto="check")
    assert read_table(tmp_path, "quarantine").is_empty()
    assert read_table(tmp_path, "bars")["date"].max() == DAYS[-1]
