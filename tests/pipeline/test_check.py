from __future__ import annotations

import json
import math
import random
import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, zip_longest
from pathlib import Path
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

    from pm.lake import Transaction
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Contents = Callable[..., dict[str, pl.DataFrame]]
    Build = Callable[[str, Callable[[Path], object]], Path]

CASES = Path(__file__).with_name("cases") / "append-after-dividend-and-split"
SPLIT_COLUMN = Path(__file__).parents[1] / "sources" / "cases" / "zipline-split-column" / "AAPL.csv"
CHECKED = ("bars", "quarantine", "bar_flags", "reconciliation", "restatements", "rebasings")
DAYS = [date(2020, 1, 1) + timedelta(days=n) for n in range(90)]
# Another tolerance than the settings', wide enough that no verdict on the rows made here depends on which it is.
OTHER_RULES = {"price_tolerance": 0.00011}


def random_walk(seed: int, bars: int) -> list[float]:
    chance = random.Random(seed)  # noqa: S311 - seeded, so that a failure can be repeated
    return [100 * math.exp(move) for move in accumulate(chance.gauss(0, 0.01) for _ in range(bars))]


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


def test_a_delivery_in_parts_comes_to_what_checking_everything_at_once_does(
    tmp_path: Path, import_files: Run, contents: Contents
) -> None:
    landed = 0
    house = tmp_path / "house"
    closes: dict[tuple[str, date], float] = {}
    for number, parts in enumerate(zip_longest(deliveries(1), deliveries(2))):
        own = zip("LN", parts, strict=True)
        rows = pl.concat(part.with_columns(pl.col("ticker") + f".{end}") for end, part in own if part is not None)
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
        others = [row[name] for name in ("open", "high", "low")]  # a close near them is kept, whatever its range
        if sound and min(others) * 0.9 <= row["close"] <= max(others) * 1.1:
            seen.setdefault((row["ticker"], row["date"]), []).append(row)
    return {key: same[0]["close"] for key, same in seen.items() if all(row == same[0] for row in same)}


def test_a_refused_row_is_kept_as_it_was(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    (tmp_path / "X.csv").write_text("date,open,high,low,close\n2020-01-02,1,2,0.5,1.5\n2020-01-03,1,0.2,0.5,-3\n")
    import_files(tmp_path / "w", tmp_path / "X.csv")
    row = read_table(tmp_path / "w", "quarantine").row(0, named=True)
    original = json.loads(row["original"])
    assert (row["ticker"], row["date"], row["row"]) == ("X", date(2020, 1, 3), 2)
    assert [original[name] for name in ("open", "high", "low", "close")] == [1, 0.2, 0.5, -3]


def test_the_sample_landing_after_files_leaves_their_tickers_alone(
    tmp_path: Path, stocks: pl.DataFrame, import_files: Run, run_pipeline: Run, ask: Read
) -> None:
    stocks.filter(ticker="IBM").tail(300).write_parquet(tmp_path / "ibm.parquet")
    import_files(tmp_path / "w", tmp_path / "ibm.parquet")
    run_pipeline(tmp_path / "w", upto="check", source="sample", tickers=("FB",))
    assert ask(tmp_path / "w", "SELECT count(*) FROM bars WHERE ticker = 'IBM'").item() == 300
    rules = ask(tmp_path / "w", "SELECT DISTINCT rule, ticker FROM quarantine").rows()
    assert rules == [("other_source", "IBM")]


def test_a_new_action_reaches_back_to_the_bars_before_it(tmp_path: Path, import_files: Run, ask: Read) -> None:
    closes = {2: 100.0, 3: 110.0, 6: 54.0}
    rows = [f"{ticker},2020-01-{day:02},{close}" for ticker in ("D", "S") for day, close in closes.items()]
    (tmp_path / "before.csv").write_text("\n".join(["ticker,date,close", *rows]))
    house = tmp_path / "w"
    import_files(house, tmp_path / "before.csv")
    assert ask(house, "SELECT DISTINCT adj_factor FROM bars").rows() == [(1.0,)]
    with Lake(house / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("an action", lambda tx: land_action(tx, "D", "dividend"))
        lake.commit("an action", lambda tx: land_action(tx, "S", "split"))
    (tmp_path / "Y.csv").write_text("date,close\n2020-01-02,5\n")
    import_files(house, tmp_path / "Y.csv")
    for ticker, factor in {"S": 1 / 2, "D": 1 - 2 / 110}.items():  # on the close before the ex-date
        bars = ask(house, f"SELECT date, adj_factor, close FROM bars WHERE ticker = '{ticker}' ORDER BY date")
        assert bars["adj_factor"].to_list() == pytest.approx([factor, factor, 1.0], rel=1e-15)
        assert bars["close"].to_list() == list(closes.values())
    assert ask(house, "SELECT bool_and(balanced), count(*) FROM batch_accounts").row(0) == (True, 4)
    assert ask(house, "FROM restatements").is_empty()


def land_action(transaction: Transaction, ticker: str, kind: str) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    landed = {"source": "files", "fetched_at": now, "batch_id": f"{now:%Y%m%dT%H%M%S}-{kind}", "row": 1}
    action = {"ticker": ticker, "date": date(2020, 1, 6), "kind": kind, "value": 2.0, **landed}
    batch = {
        "batch_id": landed["batch_id"], "run_id": "r", "origin": "files", "path": None, "fingerprint": None, "bars": 0,
        "actions": 1, "tickers": 1, "first_date": None, "last_date": None, "landed_at": now,
    }  # fmt: skip
    transaction.append(RAW_ACTIONS, pl.DataFrame([action], schema=RAW_ACTIONS.polars_schema))
    transaction.append(RAW_BATCHES, pl.DataFrame([batch], schema=RAW_BATCHES.polars_schema))


@pytest.fixture
def robbed(build_once: Build, tmp_path: Path, import_files: Run, run_pipeline: Run) -> Path:
    """Return a workspace with the sample and a file, one of whose rows is refused."""

    def build(folder: Path) -> None:
        (folder / "X.csv").write_text("date,close\n2020-01-02,5\n2020-01-03,-5\n")
        import_files(folder, folder / "X.csv")
        run_pipeline(folder, upto="check", source="sample")

    return shutil.copytree(build_once("robbed", build), tmp_path / "robbed")


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
    robbed: Path, run_pipeline: Run, ask: Read, *, name: str, where: str
) -> None:
    with Lake(robbed / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("theft", lambda tx: tx.delete(TABLES[name], where))
    with pytest.raises(ReconciliationError):
        run_pipeline(robbed, upto="check", source="sample")
    last = ask(robbed, "SELECT status, error FROM runs ORDER BY started_at DESC LIMIT 1").row(0)
    assert last[0] == "failed"
    assert "pm lake snapshots" in last[1]


def test_factors_do_not_depend_on_how_deliveries_are_cut(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    chance = random.Random(1)  # noqa: S311 - seeded, so that a failure can be repeated
    tickers = list("ABCDEF")
    rows = pl.DataFrame(
        [
            {"ticker": ticker, "date": day, "close": close, "adj_close": close * (0.5 if day < DAYS[40] else 0.8)}
            for ticker in tickers
            for day in DAYS
            for close in [round(chance.uniform(90, 110), 2)]
        ]
    )
    is_known = pl.Series([chance.random() < 0.5 for _ in range(rows.height)])
    rows = rows.with_columns(adj_close=pl.when(is_known).then("adj_close"))
    whole, piecemeal = tmp_path / "whole", tmp_path / "piecemeal"
    rows.write_parquet(tmp_path / "all.parquet")
    import_files(whole, tmp_path / "all.parquet")
    # Each ticker is cut at days of its own.
    cuts = {ticker: [0, *sorted(chance.sample(range(1, len(DAYS)), 3)), len(DAYS)] for ticker in tickers}
    for number in range(4):
        parts = [
            rows.filter(pl.col("ticker") == ticker, pl.col("date").is_in(DAYS[days[number] : days[number + 1]]))
            for ticker, days in cuts.items()
        ]
        pl.concat(parts).write_parquet(file := tmp_path / f"{number}.parquet")
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


def test_files_without_a_common_day_are_flagged_until_one_reaches_back(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    house = tmp_path / "house"
    import_files(house, CASES / "first")
    import_files(house, CASES / "then")
    flags = read_table(house, "bar_flags", "rule = 'break'").select("ticker", "date", "value").rows()
    # a dividend of 8% fell between; from the files alone, it could also be a fall of the price
    assert flags == [(ticker, date(2026, 11, 9), pytest.approx(-0.11334, abs=1e-5)) for ticker in ("AUTOADJ", "SPCDIV")]
    truth = {}
    for ticker, column in (("AUTOADJ", "Close"), ("SPCDIV", "Adj Close")):
        lines = (CASES / "whole" / f"{ticker}.csv").read_text("utf-8").splitlines()
        (tmp_path / f"{ticker}.csv").write_text("\n".join([lines[0], *lines[-20:]]), "utf-8")
        whole = pl.read_csv(CASES / "whole" / f"{ticker}.csv", try_parse_dates=True)
        truth[ticker] = whole.select("Date", column).rows()
    import_files(house, tmp_path / "AUTOADJ.csv", tmp_path / "SPCDIV.csv")
    assert read_table(house, "bar_flags", "rule = 'break'").is_empty()
    for ticker, closes in truth.items():
        bars = read_table(house, "bars", f"ticker = '{ticker}'")
        adjusted = bars.select("date", pl.col("close") * pl.col("adj_factor")).rows()
        assert [day for day, _ in adjusted] == [day for day, _ in closes]
        assert [close for _, close in adjusted] == pytest.approx([close for _, close in closes], rel=1e-7)
    told = read_table(house, "rebasings").sort("ticker", "fetched_at").select("ticker", "evidence", "ratio").rows()
    assert told == [
        (ticker, evidence, pytest.approx(ratio, rel=1e-6))
        for ticker in ("AUTOADJ", "SPCDIV")
        for evidence, ratio in (("settled", 1.0), ("overlap", 0.92))
    ]


def test_the_same_closes_with_noise_or_fewer_decimals_are_unchanged(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    chance = random.Random(3)  # noqa: S311 - seeded, so that a failure can be repeated
    closes = {ticker: [round(chance.uniform(5, 500), 6) for _ in DAYS] for ticker in "ABC"}
    # the noise of one computed anew; then two decimals, then all of them again
    for number, (scale, decimals) in enumerate([(1.0, 9), (1 + 6e-8, 9), (1.0, 2), (1 - 3e-8, 9)]):
        lines = [
            f"{ticker},{day},{round(close * scale, decimals)}"
            for ticker in closes
            for day, close in zip(DAYS, closes[ticker], strict=True)
        ]
        (tmp_path / f"{number}.csv").write_text("\n".join(["ticker,date,close", *lines]), "utf-8")
        import_files(tmp_path / "house", tmp_path / f"{number}.csv")
    accounts = read_table(tmp_path / "house", "reconciliation").select("inserted", "updated", "unchanged").rows()
    assert sorted(accounts) == [*[(0, 0, 270)] * 3, (270, 0, 0)]
    assert read_table(tmp_path / "house", "restatements").is_empty()


def test_prices_with_more_decimals_replace_rounded_ones(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    chance = random.Random(4)  # noqa: S311 - seeded, so that a failure can be repeated
    closes = [chance.uniform(0.1, 0.9) for _ in DAYS]
    for decimals in (2, 6):
        lines = [f"{day},{close:.{decimals}f}" for day, close in zip(DAYS, closes, strict=True)]
        (tmp_path / "PENNY.csv").write_text("\n".join(["date,close", *lines]), "utf-8")
        import_files(tmp_path / "house", tmp_path / "PENNY.csv")
    kept = read_table(tmp_path / "house", "bars").sort("date")["close"].to_list()
    assert kept == pytest.approx(closes, abs=5.1e-7)


def test_prices_of_a_penny_share_that_are_rounded_change_nothing(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    """Rounded, its prices are two only."""
    chance = random.Random(5)  # noqa: S311 - seeded, so that a failure can be repeated
    closes = [chance.uniform(0.016, 0.034) for _ in DAYS]
    for decimals in (6, 2):
        lines = [f"{day},{close:.{decimals}f}" for day, close in zip(DAYS, closes, strict=True)]
        (tmp_path / "PENNY.csv").write_text("\n".join(["date,close", *lines]), "utf-8")
        import_files(tmp_path / "house", tmp_path / "PENNY.csv")
    kept = read_table(tmp_path / "house", "bars").sort("date")["close"].to_list()
    assert kept == pytest.approx(closes, abs=5.1e-7)


def test_a_split_column_is_acted_on_where_the_close_falls_by_it(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    raw = pl.read_csv(SPLIT_COLUMN, try_parse_dates=True)
    before = pl.when(pl.col("date") < date(2024, 2, 13)).then(1.5).otherwise(1.0)
    raw.with_columns(pl.col("open", "high", "low", "close") / before).write_csv(tmp_path / "ADJUSTED.csv")
    import_files(tmp_path / "house", SPLIT_COLUMN, tmp_path / "ADJUSTED.csv")
    for ticker in ("AAPL", "ADJUSTED"):
        bars = read_table(tmp_path / "house", "bars", f"ticker = '{ticker}'")
        moves = bars.select("date", move=(pl.col("close") * pl.col("adj_factor")).pct_change())
        assert moves.filter(date=date(2024, 2, 13))["move"].item() == pytest.approx(0.0009, abs=5e-5)
        assert moves.filter(pl.col("move").abs() > 0.05).is_empty()
    assert read_table(tmp_path / "house", "raw.actions").height == 2


def test_a_day_that_a_file_repeats_with_another_volume_is_kept_once_and_flagged(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    lines = [
        "Date,Open,High,Low,Close,Adj Close,Volume",
        "2024-03-14 00:00:00+05:30,572.0,576.1,565.2,570.4,570.4,10485661",
        "2024-03-15 00:00:00+05:30,575.05,584.4,573.85,576.8,576.8,11579157",
        "2024-03-15 15:30:00+05:30,575.05,584.4,573.85,576.8,576.8,11581454",
    ]
    (tmp_path / "HNDL.NS.csv").write_text("\n".join(lines))
    house = tmp_path / "house"
    for extra in ("", "\n2024-03-18,575.05,584.4,573.85,577.8,577.8,1"):  # the flag outlives a later delivery
        (tmp_path / "HNDL.NS.csv").write_text("\n".join(lines[: 4 if not extra else 1]) + extra)
        import_files(house, tmp_path / "HNDL.NS.csv")
        assert read_table(house, "bars")["volume"][:2].to_list() == [10_485_661, 11_581_454]
        flags = read_table(house, "bar_flags", "rule = 'repeated'").select("ticker", "date", "value").rows()
        assert flags == [("HNDL.NS", date(2024, 3, 15), 11_581_454)]
    assert read_table(house, "quarantine").select("rule", "row").rows() == [("earlier_volume", 2)]


def test_a_close_that_ends_in_zeros_by_chance_is_corrected(tmp_path: Path, import_files: Run, read_table: Read) -> None:
    house = tmp_path / "house"
    for number, lines in enumerate((["2024-01-04,181.91"], ["2024-01-05,182.00"], ["2024-01-05,181.61"])):
        (tmp_path / "AAPL.csv").write_text("\n".join(["date,close", *lines]), "utf-8")
        (tmp_path / f"{number}").mkdir()
        import_files(house, (tmp_path / "AAPL.csv").rename(tmp_path / f"{number}" / "AAPL.csv"))
    assert read_table(house, "bars").sort("date")["close"].to_list() == [181.91, 181.61]
    assert read_table(house, "restatements").select("old_value", "new_value").rows() == [(182.0, 181.61)]


@pytest.mark.parametrize("start", [0, 100, 110], ids=["begins before", "begins with", "begins after"])
def test_older_history_is_brought_to_the_basis_of_the_known_bars(
    start: int, tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    days = [date(2015, 1, 1) + timedelta(days=n) for n in range(400)]
    days = [day for day in days if day.weekday() < 5]
    closes = random_walk(11, len(days))
    house = tmp_path / "house"
    # A dividend of 5% falls after bar 250. The newer file knows of it; the older history was fetched before.
    for name, first, last, ratio in (("new", 100, len(days), 0.95), ("old", start, 200, 1.0)):
        lines = [f"{days[n]},{closes[n]:.4f},{closes[n] * (ratio if n < 250 else 1):.6f}" for n in range(first, last)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "AAA.csv").write_text("\n".join(["Date,Close,Adj Close", *lines]), "utf-8")
        import_files(house, tmp_path / name)
    bars = read_table(house, "bars").sort("date")
    assert bars.height == len(days) - min(start, 100)
    expected = [0.95 if day < days[250] else 1.0 for day in bars["date"]]
    assert bars["adj_factor"].to_list() == pytest.approx(expected, rel=1e-5)


def test_closes_alone_leave_the_factors_that_another_file_sent(
    tmp_path: Path, import_files: Run, read_table: Read
) -> None:
    days = [date(2015, 1, 1) + timedelta(days=n) for n in range(260)]
    days = [day for day in days if day.weekday() < 5]
    closes = random_walk(12, len(days))
    factor = [0.9 if n < 100 else 1.0 for n in range(len(days))]
    whole = [f"{days[n]},{closes[n]:.4f},{closes[n] * factor[n]:.6f},7" for n in range(170)]
    alone = [f"{days[n]},{closes[n]:.4f}" for n in range(80, len(days))]  # over the ex-date, and on to new days
    for name, header, lines in (("whole", "Date,Close,Adj Close,Volume", whole), ("alone", "Date,Close", alone)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "AAA.csv").write_text("\n".join([header, *lines]), "utf-8")
        import_files(tmp_path / "house", tmp_path / name)
    bars = read_table(tmp_path / "house", "bars").sort("date")
    assert bars["adj_factor"].to_list() == pytest.approx(factor, rel=1e-5)
    assert bars["volume"].to_list() == [7.0] * 170 + [None] * (len(days) - 170)
    assert read_table(tmp_path / "house", "restatements").is_empty()
