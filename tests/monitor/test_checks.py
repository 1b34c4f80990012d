"""What each check makes of the numbers of tables, by its rule."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from pm.monitor import Finding, worst
from pm.monitor.bars import check_freshness, check_refusals
from pm.monitor.calibration import check_intervals, check_signals, check_value_at_risk
from pm.monitor.ledger import check_ledger
from pm.monitor.model import check_model
from pm.monitor.nights import check_last_night, check_schedule, check_times
from pm.monitor.storage import check_storage
from pm.tables.vocabulary import HealthStatus

TODAY = date(2026, 1, 30)
HEALTHY, NO_DATA, DEGRADED, FAILING = (
    HealthStatus.HEALTHY, HealthStatus.NO_DATA, HealthStatus.DEGRADED, HealthStatus.FAILING,
)  # fmt: skip


def health(*rows: tuple[str, str, str, date | None, int | None]) -> pl.DataFrame:
    schema = {"ticker": pl.String, "source": pl.String, "status": pl.String, "last_date": pl.Date, "lag": pl.Int64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


@pytest.mark.parametrize(
    ("rows", "status", "words"),
    [
        ((), NO_DATA, "there are no bars"),
        ((("AAPL", "sample", "active", date(2013, 3, 1), 3000),), NO_DATA, "only the embedded sample"),
        (
            (("AAPL", "yahoo", "active", TODAY, 0), ("IBM", "yahoo", "active", TODAY, 1)),
            HEALTHY,
            "2 tickers up to date",
        ),
        ((("AAPL", "yahoo", "active", TODAY, 0), ("IBM", "yahoo", "active", TODAY, 2)), DEGRADED, "IBM"),
        ((("AAPL", "yahoo", "active", TODAY, 0), ("IBM", "yahoo", "active", None, None)), DEGRADED, "1 ticker of 2"),
        (
            (("AAPL", "yahoo", "active", TODAY, 0), ("IBM", "yahoo", "delisted", date(2020, 1, 2), 9)),
            HEALTHY,
            "1 ticker",
        ),
        ((("AAPL", "files", "active", date(2026, 1, 1), 20),), FAILING, "none of 1 ticker"),
    ],
)
def test_freshness(rows: tuple[Any, ...], status: HealthStatus, words: str) -> None:
    found = check_freshness(health(*rows), TODAY, max_age_days=10)
    assert (found.status, words in found.detail) == (status, True), found.detail


def landings(*rows: tuple[int, int, int]) -> pl.DataFrame:
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(len(rows))]
    frame = pl.DataFrame(rows, schema={"landed": pl.Int64, "refused": pl.Int64, "unbalanced": pl.Int64}, orient="row")
    return frame.insert_column(0, pl.Series("day", days, pl.Date))


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ((), NO_DATA),
        (((1000, 0, 0), (500, 1, 0)), HEALTHY),
        (((1000, 0, 0), (500, 20, 0)), DEGRADED),
        (((1000, 40, 0), (500, 20, 0)), HEALTHY),  # as many as ever
        (((1000, 0, 1), (500, 0, 0)), FAILING),
    ],
)
def test_refusals(rows: tuple[Any, ...], status: HealthStatus) -> None:
    assert check_refusals(landings(*rows)).status is status


def run(status: str, **values: object) -> dict[str, object]:
    start = datetime(2026, 1, 29, 22, 30)  # noqa: DTZ001 - as the lake stores times
    end = None if status == "running" else start + timedelta(seconds=90)
    return {
        "run_id": "r1",
        "kind": "run",
        "status": status,
        "started_at": start,
        "finished_at": end,
        "error": None,
    } | values


@pytest.mark.parametrize(
    ("row", "code", "writing", "status", "words"),
    [
        (None, None, False, NO_DATA, "pm run"),
        (run("done"), None, False, HEALTHY, "90 s"),
        (run("done"), 0, False, HEALTHY, "90 s"),
        (run("done"), 17, False, DEGRADED, "could not be fetched"),
        (run("done"), 137, False, FAILING, "137"),
        (run("running"), None, True, HEALTHY, "under way"),
        (run("running"), None, False, FAILING, "cut off"),
        (run("failed", error="The disk is full.\n  where: x"), None, False, FAILING, "The disk is full."),
    ],
)
def test_last_night(row: Any, code: int | None, writing: bool, status: HealthStatus, words: str) -> None:  # noqa: ANN401
    found = check_last_night(row, code, being_written=writing)
    assert (found.status, words in found.detail) == (status, True), found.detail


def stages(*seconds: float) -> pl.DataFrame:
    return pl.DataFrame(
        [{"run_id": f"r{number}", "stage": "forecast", "seconds": took} for number, took in enumerate(seconds)],
        schema={"run_id": pl.String, "stage": pl.String, "seconds": pl.Float64},
    )


def test_times_are_compared_with_the_median_of_earlier_runs() -> None:
    assert check_times(stages()).status is NO_DATA
    assert "after 3 more nights" in check_times(stages(10, 10, 10)).detail
    assert check_times(stages(10, 11, 12, 13, 900, 30)).status is HEALTHY  # 18 s more than usual
    assert check_times(stages(100, 110, 120, 130, 900, 299)).status is HEALTHY  # not three times
    assert check_times(stages(100, 110, 120, 130, 900, 400)).status is DEGRADED


def test_a_schedule() -> None:
    assert check_schedule([], 0).status is NO_DATA
    assert check_schedule([], 1).status is HEALTHY
    assert check_schedule(["The night of … did not take place."], 1).status is FAILING


def shares(values: list[float]) -> pl.DataFrame:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(len(values))]
    return pl.DataFrame({"origin_date": days, "share": values}, schema={"origin_date": pl.Date, "share": pl.Float64})


def covered(probability: float, dates: int, seed: int = 1) -> list[float]:
    return list(np.random.default_rng(seed).binomial(20, probability, dates) / 20)


def test_intervals_are_tested_for_their_level_and_for_drift() -> None:
    few = check_intervals(shares(covered(0.9, 12)), date(2026, 2, 2), TODAY)
    assert few.status is NO_DATA
    assert "12 dates" in few.detail
    assert "18 more sessions" in few.detail
    assert "due on 2026-02-02" in few.detail
    assert check_intervals(shares(covered(0.9, 200)), None, TODAY).status is HEALTHY
    assert check_intervals(shares(covered(0.8, 200)), None, TODAY).status is DEGRADED
    drifted = check_intervals(shares([*covered(0.94, 140), *covered(0.80, 60)]), None, TODAY)
    assert drifted.status is DEGRADED
    assert drifted.values["p_drift"] < 0.01


def test_intervals_that_are_right_seldom_alarm() -> None:
    alarms = sum(
        check_intervals(shares(covered(0.9, 150, seed)), None, TODAY).status is DEGRADED for seed in range(400)
    )
    assert alarms <= 20  # two tests of 1%: 8 expected, more than 20 has a probability below 0.0002


def backtest(**values: object) -> dict[str, object]:
    row = {"portfolio": "model", "level": 0.975, "forecasts": 250, "exceptions": 6, "share": 0.024, "kupiec_p": 0.9}
    return row | {"zone": "green"} | values


def test_value_at_risk() -> None:
    assert check_value_at_risk([], None, TODAY).status is NO_DATA
    assert "60 more sessions" in check_value_at_risk([backtest(forecasts=40)], TODAY, TODAY).detail
    assert check_value_at_risk([backtest()], None, TODAY).status is HEALTHY
    assert check_value_at_risk([backtest(), backtest(zone="yellow")], None, TODAY).status is DEGRADED
    assert check_value_at_risk([backtest(kupiec_p=0.001)], None, TODAY).status is DEGRADED
    assert check_value_at_risk([backtest(zone="red")], None, TODAY).status is FAILING


def test_signals_say_when_there_will_be_outcomes() -> None:
    none = check_signals([], date(2026, 2, 20), TODAY, {"no edge": 5})
    assert none.status is NO_DATA
    assert "2026-02-20" in none.detail
    assert "5 tickers no edge" in none.detail
    assert "newer bars" in check_signals([], date(2013, 4, 1), TODAY, {}).detail
    row = {"action": "BUY", "signals": 12, "came_true": 0.5, "confidence": 0.6, "net_return": 0.01}
    assert check_signals([row], None, TODAY, {}).status is HEALTHY


def test_the_ledger() -> None:
    quiet: dict[str, Any] = {"accounts": 1, "halt": None, "differences": [], "unknown_orders": 0, "chain_fault": None}
    row = {"account": "main", "ticker": "AAPL", "ledger_value": 1, "broker_value": 2}
    assert check_ledger(**quiet).status is HEALTHY
    assert check_ledger(**quiet | {"accounts": 0}).status is NO_DATA
    assert check_ledger(**quiet | {"halt": "by command"}).status is DEGRADED
    assert check_ledger(**quiet | {"unknown_orders": 1}).status is DEGRADED
    assert check_ledger(**quiet | {"differences": [row]}).status is FAILING
    assert check_ledger(**quiet | {"chain_fault": "A row of fills was changed."}).status is FAILING


def calls(p95: float) -> dict[str, object]:
    row = {"model": "m", "role": "analyst", "calls": 9, "p50_seconds": 1.0, "p95_seconds": p95}
    return row | {"tokens_per_second": 30.0, "deadline_misses": 0}


def test_the_language_model() -> None:
    good = {"degraded": None, "status": "good"}
    assert check_model([calls(2)], good, enabled=False).status is NO_DATA
    assert check_model([], None, enabled=True).status is NO_DATA
    assert check_model([calls(2)], good, enabled=True).status is HEALTHY
    assert check_model([calls(6)], good, enabled=True).status is DEGRADED
    assert check_model([calls(2)], {"degraded": None, "status": "invalid"}, enabled=True).status is DEGRADED
    assert (
        check_model([calls(2)], {"degraded": "llm: no memory", "status": "degraded"}, enabled=True).status is DEGRADED
    )


def test_storage() -> None:
    gib = 1024**3
    assert check_storage(files=3, size=10**6, snapshots=9, free=20 * gib).status is HEALTHY
    assert check_storage(files=3, size=10**6, snapshots=9, free=None).status is HEALTHY
    assert check_storage(files=3, size=8 * gib, snapshots=9, free=20 * gib).status is DEGRADED
    assert check_storage(files=3, size=10**6, snapshots=20_000, free=20 * gib).status is DEGRADED
    assert check_storage(files=3, size=10**6, snapshots=9, free=gib // 2).status is FAILING


def test_no_data_counts_only_where_nothing_else_is_known() -> None:
    def finding(status: HealthStatus) -> Finding:
        return Finding("x", status, "", "")

    assert worst([]) is NO_DATA
    assert worst([finding(NO_DATA), finding(HEALTHY)]) is HEALTHY
    assert worst([finding(FAILING), finding(DEGRADED), finding(NO_DATA)]) is FAILING
