from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import InputError
from pm.pipeline import Request, evaluate_history, open_lake
from pm.pipeline.stages.evaluate import _origin_dates
from pm.pipeline.stages.forecast import late_tickers
from pm.tables.catalogue import TABLES
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult

WRITTEN = ("forecasts", "volatility", "volatility_fits", "model_weights")
STAMP = ["run_id", "snapshot_id"]


@pytest.fixture
def evaluate(settings_with: Callable[..., Any]) -> Callable[..., RunResult]:
    """Evaluate in a folder: `evaluate(folder, origins, steps, tickers=…, as_of=…)`."""

    def run(folder: Path, origins: int, steps: list[int], **asked: Any) -> RunResult:  # noqa: ANN401
        workspace, settings = init_workspace(folder), settings_with()
        told: list[object] = asked.pop("heard", [])
        with open_lake(workspace, settings) as lake:
            request = Request(**asked)
            return evaluate_history(
                lake, workspace, settings, told.append, request=request, origins=origins, steps=steps
            )

    return run


def of(frame: pl.DataFrame, run: RunResult, day: date) -> pl.DataFrame:
    return frame.filter(run_id=run.run_id, cutoff=day).drop(STAMP)


def test_an_evaluation_stores_what_a_run_on_that_date_would_have(
    tmp_path: Path,
    evaluate: Callable[..., RunResult],
    run_pipeline: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
) -> None:
    tickers = ("AAPL", "FB", "IBM")
    evaluated = evaluate(tmp_path, 3, [1, 3], tickers=tickers)
    days = read_table(tmp_path, "forecasts")["cutoff"].unique().sort().to_list()
    assert len(days) == 3
    for day in days[1:]:
        past_run = run_pipeline(tmp_path, tickers=tickers, as_of=day)
        for name in WRITTEN:
            stored = read_table(tmp_path, name)
            expected = of(stored, past_run, day)
            if "step" in expected.columns:
                expected = expected.filter(pl.col("step").is_in([1, 3]))
            assert not expected.is_empty()
            assert_frame_equal(of(stored, evaluated, day), expected, check_row_order=False, check_exact=True)


def test_tickers_that_pause_or_stop_are_evaluated_as_a_run_would(
    tmp_path: Path,
    evaluate: Callable[..., RunResult],
    run_pipeline: Callable[..., RunResult],
    import_files: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
    ask: Callable[..., pl.DataFrame],
) -> None:
    days = pl.date_range(date(2019, 1, 1), date(2020, 12, 31), eager=True)
    days = days.filter(days.dt.weekday() <= 5)
    day = days[-1 - 5]
    traded = {
        "ALIVE": pl.repeat(value=True, n=len(days), eager=True),
        "STOPS": days <= days[-1 - 3],
        "PAUSES": ~days.is_between(days[-1 - 7], day),
        "HALTS": ~days.is_between(days[-1 - 4], days[-1 - 2]),
        "STALE": days <= days[-1 - 30],
    }
    rng = np.random.default_rng(3)
    for ticker, there in traded.items():
        close = pl.Series("close", 100 * np.exp(np.cumsum(rng.normal(0, 0.01, len(days)))))
        pl.DataFrame({"date": days, "close": close}).filter(there).write_csv(tmp_path / f"{ticker}.csv")
    import_files(tmp_path, *(tmp_path / f"{ticker}.csv" for ticker in traded))
    evaluated = evaluate(tmp_path, 1, [1, 5])
    past_run = run_pipeline(tmp_path, as_of=day)
    for name in (*WRITTEN, "exclusions"):
        stored = read_table(tmp_path, name)
        expected = of(stored, past_run, day)
        if name == "exclusions":
            expected = expected.filter(pl.col("stage").is_in(["volatility", "forecast"]))
        if "step" in expected.columns:
            expected = expected.filter(pl.col("step").is_in([1, 5]))
        assert not expected.is_empty()
        assert_frame_equal(of(stored, evaluated, day), expected, check_row_order=False, check_exact=True)
    said = of(read_table(tmp_path, "exclusions"), evaluated, day).filter(stage="forecast")
    assert {("PAUSES", "late"), ("STALE", "stale")} <= set(said.select("ticker", "reason").iter_rows())
    came = ask(tmp_path, "FROM forecast_outcomes WHERE basis <> 'runs' AND model = 'ensemble'")
    assert set(came.select("ticker", "step").iter_rows()) == {
        *(("ALIVE", 1), ("ALIVE", 5), ("STOPS", 1), ("PAUSES", 5), ("HALTS", 5))
    }


def test_no_key_is_doubled_by_a_ticker_that_stopped(
    tmp_path: Path,
    evaluate: Callable[..., RunResult],
    import_files: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
) -> None:
    days = pl.date_range(date(2019, 1, 1), date(2020, 12, 31), eager=True)
    days = days.filter(days.dt.weekday() <= 5)
    for ticker, last in (("ALIVE", len(days)), ("STOPPED", len(days) - 90)):
        walk = 100 * np.exp(np.cumsum(np.random.default_rng(last).normal(0, 0.01, last)))
        pl.DataFrame({"date": days[:last], "close": walk}).write_csv(tmp_path / f"{ticker}.csv")
    import_files(tmp_path, tmp_path / "ALIVE.csv", tmp_path / "STOPPED.csv")
    evaluate(tmp_path, 3, [1])
    for name in (*WRITTEN, "exclusions"):
        stored = read_table(tmp_path, name)
        assert not stored.select(TABLES[name].key).is_duplicated().any(), name
    assert read_table(tmp_path, "volatility").filter(ticker="STOPPED")["cutoff"].n_unique() == 3


def test_a_market_that_is_closed_is_not_late() -> None:
    friday, sunday = date(2024, 3, 1), date(2024, 3, 3)
    origins = {"SHARE": friday, "COIN": sunday, "HALTED": date(2024, 2, 29), "LONE": friday}
    targets = [
        ("SHARE", date(2024, 3, 4)),
        ("COIN", date(2024, 3, 4)),
        ("HALTED", friday),
        ("HALTED", date(2024, 3, 4)),
        ("LONE", date(2024, 3, 2)),
    ]
    said = late_tickers(
        pl.DataFrame({"ticker": list(origins), "origin_date": list(origins.values())}),
        pl.DataFrame(targets, schema=["ticker", "target_date"], orient="row"),
        sunday,
    )
    assert said.select("ticker", "detail").rows() == [
        ("HALTED", "last bar 2024-02-29, sessions since then up to 2024-03-03: 1; forecast from there"),
        ("LONE", "last bar 2024-03-01, sessions since then up to 2024-03-03: 1 or more; forecast from there"),
    ]


def test_windows_do_not_overlap_and_end_on_the_newest_bar(
    tmp_path: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    evaluate(tmp_path, 4, [2, 6], tickers=("IBM",))
    bars = read_table(tmp_path, "bars").filter(ticker="IBM")["date"].sort().to_list()
    rows = read_table(tmp_path, "forecasts").filter(model="ensemble").sort("origin_date", "step")
    places = [
        (bars.index(origin), bars.index(target))
        for origin, target in rows.select("origin_date", "target_date").iter_rows()
    ]
    last = len(bars) - 1
    assert places == [(last - 6 * n, last - 6 * n + step) for n in (4, 3, 2, 1) for step in (2, 6)]
    assert rows["step"].to_list() == [2, 6] * 4


def test_a_later_day_is_not_looked_at(
    tmp_path: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    as_of = date(2010, 6, 30)
    evaluate(tmp_path, 2, [5], tickers=("IBM", "MSFT"), as_of=as_of)
    assert read_table(tmp_path, "forecasts")["target_date"].max() == as_of


def test_the_same_again_is_skipped_and_others_are_kept(
    tmp_path: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    first = evaluate(tmp_path, 2, [5], tickers=("IBM",))
    again = evaluate(tmp_path, 2, [5], tickers=("IBM",))
    other = evaluate(tmp_path, 2, [5], tickers=("MSFT",))
    assert not again.worked
    assert again.outputs["evaluate"] == first.run_id
    assert set(read_table(tmp_path, "forecasts")["run_id"]) == {first.run_id, other.run_id}


def test_a_history_too_short_is_said(tmp_path: Path, evaluate: Callable[..., RunResult]) -> None:
    with pytest.raises(InputError, match="There are 196 sessions up to 2013-03-01; "):
        evaluate(tmp_path, 3, [20], tickers=("FB",))


def test_room_for_fewer_origins_is_told(tmp_path: Path, evaluate: Callable[..., RunResult]) -> None:
    heard: list[Any] = []
    evaluate(tmp_path, 500, [20], tickers=("IBM",), as_of=date(2001, 6, 29), heard=heard)
    assert any("room for 4 of 500 origins" in str(event) for event in heard)


def test_a_market_of_seven_days_does_not_set_the_dates() -> None:
    days = pl.date_range(date(2020, 1, 1), date(2021, 12, 31), eager=True)
    worked = days.filter(days.dt.weekday() <= 5)
    parts = [pl.DataFrame({"ticker": ticker, "date": worked}) for ticker in ("A", "B", "C")]
    crypto = pl.DataFrame({"ticker": "COIN", "date": days})
    mixed = _origin_dates(pl.concat([*parts, crypto]), days[-1], origins=10, horizon=7)
    assert mixed == _origin_dates(parts[0], days[-1], origins=10, horizon=7)
    # Where that market is all there is, its weekends count.
    assert _origin_dates(crypto, days[-1], origins=2, horizon=7) == [days[-15], days[-8]]
    # A ticker that has not begun, or has ended, has no say.
    late = pl.concat([crypto, *(part.filter(pl.col("date") > date(2021, 12, 20)) for part in parts)])
    assert any(day.weekday() > 4 for day in _origin_dates(late, days[-1], origins=60, horizon=5))


def test_an_evaluation_is_not_resumed_as_a_run(
    tmp_path: Path, evaluate: Callable[..., RunResult], run_pipeline: Callable[..., RunResult]
) -> None:
    evaluated = evaluate(tmp_path, 1, [1], tickers=("IBM",))
    with pytest.raises(InputError, match="kind 'evaluate'"):
        run_pipeline(tmp_path, resume=evaluated.run_id)
