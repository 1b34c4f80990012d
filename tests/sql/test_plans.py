"""Views are read by joins whose size is bounded, in a lake with more forecasts than bars as in any other."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.lake import Lake
from pm.lake.schema import read_views
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.pipeline import RUNS
from pm.tables.quality import BARS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS
from pm.tables.volatility import VOLATILITY, VOLATILITY_FITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pm.lake import Transaction
    from pm.tables.declaration import Table

VIEWS = [view.name for view in read_views([sql_dir()])]

TICKERS, BARS_EACH, RUNS_A_DATE, HORIZON = 7, 40, 3, 5

MODELS = ("ensemble", "martingale", "naive")

JOINS = {"CROSS_PRODUCT", "NESTED_LOOP_JOIN", "BLOCKWISE_NL_JOIN", "HASH_JOIN", "IE_JOIN", "PIECEWISE_MERGE_JOIN"}
"""Operators that pair rows. An ASOF join, which finds at most one partner of each row, is none of them."""

ONE_PARTNER = {"SEMI", "ANTI", "MARK", "SINGLE"}
"""Types of joins that return each row of one side once at most."""

BY_TICKER = {table.name for table in TABLES.values() if table.key == ("ticker",)}
"""Tables with one row a ticker."""

BARS_BY_TICKER = """
    SELECT f.run_id, target.close / origin.close AS ratio
    FROM forecasts AS f
    JOIN adjusted_bars AS origin ON origin.ticker = f.ticker AND origin.date = f.origin_date
    JOIN adjusted_bars AS target ON target.ticker = f.ticker AND target.date = f.target_date
"""
"""Query that DuckDB answers, if there are more forecasts than bars, by pairing all bars of a ticker."""

LATER_BARS = """
    SELECT s.run_id, later.date
    FROM signals AS s
    JOIN adjusted_bars AS later ON later.ticker = s.ticker AND later.date BETWEEN s.origin_date AND s.target_date
"""
"""Query that pairs each signal with all bars of its ticker, and then drops most."""

EVERY_PAIR = "SELECT count(*) FROM signals AS s JOIN bars AS b ON s.ticker || '' <> b.ticker"
"""Query that compares every signal with every bar."""


def _completed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    given = set(frame.columns)
    return table.conform(
        frame.select(pl.col(name) if name in given else pl.lit(None).alias(name) for name in table.polars_schema)
    )


def _fill(lake: Lake) -> None:
    """Write bars, and several runs on each date, of which the first lacks quantiles of some tickers."""
    rng = np.random.default_rng(7)
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 1) + pl.duration(days=BARS_EACH - 1), eager=True)
    bars = pl.DataFrame({"ticker": [f"T{number}" for number in range(TICKERS)]}).join(
        pl.DataFrame({"date": days, "place": range(BARS_EACH)}), how="cross"
    )
    bars = bars.with_columns(
        close=100 * pl.Series(rng.normal(0, 0.02, bars.height)).exp(), adj_factor=pl.lit(0.5), batch_id=pl.lit("b")
    ).filter((pl.col("place") != 20) | (pl.col("ticker") != "T2"))  # a target date, and an origin date, without a bar
    runs = pl.DataFrame(
        [
            {"run_id": f"{place:02}-{turn}", "place": place, "turn": turn, "kind": "evaluate" if turn == 2 else "run"}
            for place in range(BARS_EACH - 2)
            for turn in range(RUNS_A_DATE)
        ]
    ).with_columns(
        # The identifiers of a date's runs sort against the time.
        started_at=pl.datetime(2024, 6, 1) + pl.duration(days="place", minutes=-pl.col("turn")), status=pl.lit("done")
    )  # fmt: skip
    each = runs.join(bars.select("ticker").unique(maintain_order=True), how="cross").with_columns(
        origin_date=days.gather(runs["place"].repeat_by(TICKERS).explode()), origin_close=pl.lit(50.0),
        regime=pl.Series(rng.choice(["low", "high"], runs.height * TICKERS)), naive_scale=pl.lit(0.02),
    ).with_columns(cutoff="origin_date")  # fmt: skip
    steps = each.join(pl.DataFrame({"step": range(1, HORIZON + 1)}), how="cross").with_columns(
        target_date=pl.col("origin_date") + pl.duration(days="step"), sigma=0.02 * pl.col("step").sqrt()
    )
    forecasts = steps.join(pl.DataFrame({"model": MODELS}), how="cross")
    forecasts = forecasts.with_columns(
        mean_log_return=pl.when(model="ensemble").then(pl.Series(rng.normal(0, 0.01, forecasts.height))).otherwise(0.0)
    ).with_columns(
        pl.when((pl.col("turn") < 1) | (pl.col("ticker") != "T1") | (level != 0.9))
        .then(50 * (pl.col("mean_log_return") + pl.col("sigma") * (4 * level - 2)).exp())
        .alias(quantile_column("q", level))
        for level in QUANTILES
    )
    fits = each.with_columns(model=pl.lit("garch"), window_size=pl.lit(1000), next_sigma=pl.lit(0.03))
    wider = pl.col("sigma") * (1 + pl.col("turn") / 10)
    frames = (
        (BARS, bars), (RUNS, runs), (FORECASTS, forecasts), (VOLATILITY_FITS, fits),
        (VOLATILITY, steps.with_columns(model=pl.lit("garch_pool"), cumulative_sigma=wider)),
        (SIGNALS, steps.filter(step=HORIZON, turn=0).with_columns(horizon="step")),
    )  # fmt: skip

    def write(transaction: Transaction) -> None:
        for table, frame in frames:
            transaction.append(table, _completed(table, frame))

    lake.commit("rows", write)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Return a lake with some forty times as many forecasts as bars."""
    root: Path = tmp_path_factory.mktemp("crowded") / "lake"
    with Lake(root, load_settings().lake, TABLES, views=[sql_dir()]) as lake:
        _fill(lake)
        yield lake


def operators(lake: Lake, sql: str) -> list[dict[str, Any]]:
    """Return the operators of a query's plan."""
    # An ASOF join of few rows is a loop over all pairs; those of many rows are looked for here.
    lake._connection.execute("SET asof_loop_join_threshold = 0")
    todo, seen = list(json.loads(lake.rows(f"EXPLAIN (FORMAT json) {sql}")[0]["explain_value"])), []
    while todo:
        seen.append(todo.pop())
        todo += seen[-1]["children"]
    return [operator | {"name": operator["name"].strip()} for operator in seen]


def unbounded_joins(lake: Lake, sql: str) -> list[dict[str, Any]]:
    """Return the joins that compare nothing but tickers for equality, of two sides with several rows a ticker."""
    plan = operators(lake, sql)
    common = {part["extra_info"]["Table Index"]: part["children"][0] for part in plan if part["name"] == "CTE"}

    def one_row_a_ticker(operator: dict[str, Any]) -> bool:
        """Return whether an operator returns one row at most, or one for each value of one column."""
        name, info = operator["name"].strip(), operator["extra_info"]
        if name in {"PROJECTION", "FILTER"}:
            return one_row_a_ticker(operator["children"][0])
        if name == "CTE_SCAN":
            return one_row_a_ticker(common[info["CTE Index"]])
        if name == "DUCKLAKE_SCAN" and info["Table"] in BY_TICKER:
            return True
        # The groups of one column are a text, those of several a list.
        return name == "UNGROUPED_AGGREGATE" or (name == "HASH_GROUP_BY" and isinstance(info["Groups"], str))

    found = []
    for operator in plan:
        conditions = operator["extra_info"].get("Conditions", [])
        texts = [conditions] if isinstance(conditions, str) else conditions
        words = [text.replace(" IS NOT DISTINCT FROM ", " = ").partition(" = ") for text in texts]
        equal = {left for left, sign, _ in words if sign}
        bounded = not equal <= {"ticker"} or any(map(one_row_a_ticker, operator["children"]))
        bounded = bounded or (bool(equal) and operator["extra_info"]["Join Type"] in ONE_PARTNER)
        if operator["name"] in JOINS and not bounded:
            found.append(operator)
    return found


def test_there_are_more_forecasts_than_bars(crowded: Lake) -> None:
    assert crowded.scalar("SELECT count(*) FROM forecasts") > 10 * crowded.scalar("SELECT count(*) FROM bars")


@pytest.mark.parametrize("view", VIEWS)
def test_no_join_of_a_view_is_by_ticker_alone(crowded: Lake, lake: Lake, view: str) -> None:
    assert unbounded_joins(crowded, f"FROM {view}") == []
    assert unbounded_joins(lake, f"FROM {view}") == []


@pytest.mark.parametrize("query", [BARS_BY_TICKER, LATER_BARS, EVERY_PAIR])
def test_a_join_by_ticker_alone_is_found(crowded: Lake, query: str) -> None:
    assert len(unbounded_joins(crowded, query)) == 1


def test_of_several_runs_the_first_with_all_quantiles_counts(crowded: Lake) -> None:
    started = dict(crowded.read(RUNS).select("run_id", "started_at").iter_rows())
    outcomes = crowded.query("FROM forecast_outcomes").filter(pl.col("crps").is_not_null())
    first: dict[tuple[Any, ...], str] = {}
    for basis, ticker, origin, run_id in outcomes.select("basis", "ticker", "origin_date", "run_id").iter_rows():
        best = first.setdefault((basis, ticker, origin), run_id)
        first[basis, ticker, origin] = min(best, run_id, key=lambda run: (started[run], run))
    kept = [first[row[:3]] == row[3] for row in outcomes.select("basis", "ticker", "origin_date", "run_id").iter_rows()]
    single = crowded.query("FROM scored_forecasts WHERE basis <> 'evaluations'")
    assert_frame_equal(single, outcomes.filter(kept), check_row_order=False)
    turns = {(basis == "runs", ticker): run[-1] for (basis, ticker, _), run in first.items()}
    assert turns[True, "T1"] == "0"  # the run that started first lacks a quantile
    assert turns[True, "T0"] == "1"
    assert turns[False, "T0"] == "2"


def test_of_several_runs_the_volatility_of_the_first_counts(crowded: Lake) -> None:
    """The first run's variances are those of turn 1, though its identifier is not the first."""
    path: dict[str, list[tuple[date, float]]] = {}
    for ticker, day, close in crowded.read(BARS).select("ticker", "date", "close").iter_rows():
        path.setdefault(ticker, []).append((day, math.log(close)))
    ratios: list[float] = []
    for bars in path.values():
        for (day, before), (_, after) in pairwise(bars):
            if day < date(2024, 1, 1) + timedelta(days=BARS_EACH - 2):
                ratios.append((after - before) ** 2 / (0.02 * 1.1) ** 2)
    found = crowded.select("volatility_scores", basis="runs", slice="all", model="garch_pool", step=1)
    assert found["forecasts"].to_list() == [len(ratios)]
    assert found["variance_ratio"].item() == pytest.approx(sum(ratios) / len(ratios))


def test_the_leaderboard_skips_windows_that_overlap(crowded: Lake) -> None:
    """In a ticker's row, dates are counted whose windows do not overlap; T1's come from the second run of each date."""
    scored = crowded.query("FROM scored_forecasts WHERE basis = 'runs'")
    for ticker in ("T0", "T1", "T2"):
        for step in (1, HORIZON):
            own = scored.filter(ticker=ticker, step=step)
            model, base = (own.filter(model=name).sort("cutoff") for name in ("ensemble", "martingale"))
            gains, known = [], date.min
            for own_row, base_row in zip(model.iter_rows(named=True), base.iter_rows(named=True), strict=True):
                if own_row["cutoff"] >= known:
                    known = own_row["target_date"]
                    gains.append((base_row["error"] ** 2 - own_row["error"] ** 2) / base_row["sigma"] ** 2)
            found = crowded.select(
                "model_leaderboard", basis="runs", slice="ticker", value=ticker, step=step, model="ensemble"
            ).row(0, named=True)
            assert found["dates"] == len(gains)
            assert found["gain_t"] == pytest.approx(np.mean(gains) / np.std(gains, ddof=1) * len(gains) ** 0.5)
