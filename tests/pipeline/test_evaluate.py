from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.errors import InputError, StageError
from pm.pipeline import Request, evaluate_history, open_lake
from pm.pipeline.origin_dates import QUIET_DAYS, ChosenDates, common_sessions, origin_dates
from pm.pipeline.replay import ReplayProgress, replay
from pm.pipeline.stages.forecast import late_tickers
from pm.tables.catalogue import TABLES
from pm.workspace import init_workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.runner import RunResult

WRITTEN = (
    "forecasts",
    "volatility",
    "volatility_members",
    "volatility_fits",
    "panel_fits",
    "panel_market",
    "model_weights",
    "relative_tests",
    "signals",
)
STAMP = ("run_id", "snapshot_id")


@pytest.fixture
def evaluate(settings_with: Callable[..., Any]) -> Callable[..., RunResult]:
    """Evaluate in a folder: `evaluate(folder, origins, steps, tickers=…, as_of=…)`."""

    def run(folder: Path, origins: int | None, steps: list[int], **asked: Any) -> RunResult:  # noqa: ANN401
        workspace, chosen = init_workspace(folder), settings_with()
        told: list[object] = asked.pop("heard", [])
        dates = ChosenDates(origins, asked.pop("every", None), asked.pop("first", None), asked.pop("last", None))
        with open_lake(workspace, chosen) as lake:
            request = Request(**asked)
            return evaluate_history(lake, workspace, chosen, told.append, request=request, steps=steps, dates=dates)

    return run


def of(frame: pl.DataFrame, run: RunResult, day: date) -> pl.DataFrame:
    """Return what a run computed as of a day, without the benchmarks that only evaluations have."""
    rows = unstamped(frame.filter(run_id=run.run_id, cutoff=day))
    benchmarks = ["garch_hs", "garch_pool", "panel"]
    return rows.filter(~pl.col("model").is_in(benchmarks)) if "spread" in rows.columns else rows


def unstamped(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop(name for name in frame.columns if name.endswith(STAMP))


def test_an_evaluation_stores_what_a_run_on_that_date_would_have(
    checked_copy: Path,
    evaluate: Callable[..., RunResult],
    run_pipeline: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
) -> None:
    tickers = ("AAPL", "FB", "IBM")
    evaluated = evaluate(checked_copy, 3, [1, 3], tickers=tickers)
    days = read_table(checked_copy, "forecasts")["cutoff"].unique().sort().to_list()
    assert len(days) == 3
    for day in days[1:]:
        past_run = run_pipeline(checked_copy, tickers=tickers, as_of=day, upto="signals")
        for name in WRITTEN:
            stored = read_table(checked_copy, name)
            expected = of(stored, past_run, day)
            if "step" in expected.columns and name != "panel_fits":
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
    past_run = run_pipeline(tmp_path, as_of=day, upto="signals")
    for name in (*WRITTEN, "exclusions"):
        stored = read_table(tmp_path, name)
        expected = of(stored, past_run, day)
        if name == "exclusions":
            expected = expected.filter(pl.col("stage").is_in(["volatility", "forecast", "signals"]))
        if "step" in expected.columns and name != "panel_fits":
            expected = expected.filter(pl.col("step").is_in([1, 5]))
        assert not expected.is_empty()
        assert_frame_equal(of(stored, evaluated, day), expected, check_row_order=False, check_exact=True)
    said = of(read_table(tmp_path, "exclusions"), evaluated, day).filter(stage="forecast")
    assert {("PAUSES", "late"), ("STALE", "stale")} <= set(said.select("ticker", "reason").iter_rows())
    came = ask(tmp_path, f"FROM forecast_outcomes WHERE basis = '{evaluated.run_id}' AND model = 'ensemble'")
    assert set(came.select("ticker", "step").iter_rows()) == {
        *(("ALIVE", 1), ("ALIVE", 5), ("STOPS", 1), ("PAUSES", 1), ("PAUSES", 5), ("HALTS", 1))
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
    checked_copy: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    evaluate(checked_copy, 4, [2, 6], tickers=("IBM",))
    bars = read_table(checked_copy, "bars").filter(ticker="IBM")["date"].sort().to_list()
    rows = read_table(checked_copy, "forecasts").filter(model="ensemble").sort("origin_date", "step")
    places = [
        (bars.index(origin), bars.index(target))
        for origin, target in rows.select("origin_date", "target_date").iter_rows()
    ]
    last = len(bars) - 1
    assert places == [(last - 6 * n, last - 6 * n + step) for n in (4, 3, 2, 1) for step in (2, 6)]
    assert rows["step"].to_list() == [2, 6] * 4


def test_a_later_day_is_not_looked_at(
    checked_copy: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    as_of = date(2010, 6, 30)
    evaluate(checked_copy, 2, [5], tickers=("IBM", "MSFT"), as_of=as_of)
    assert read_table(checked_copy, "forecasts")["target_date"].max() == as_of


def test_the_same_again_is_skipped_and_others_are_kept(
    checked_copy: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    first = evaluate(checked_copy, 2, [5], tickers=("IBM",))
    again = evaluate(checked_copy, 2, [5], tickers=("IBM",))
    other = evaluate(checked_copy, 2, [5], tickers=("MSFT",))
    assert not again.worked
    assert again.outputs["evaluate"] == first.run_id
    assert set(read_table(checked_copy, "forecasts")["run_id"]) == {first.run_id, other.run_id}


def test_a_history_too_short_is_said(checked_copy: Path, evaluate: Callable[..., RunResult]) -> None:
    with pytest.raises(InputError, match="There are 196 sessions up to 2013-03-01; "):
        evaluate(checked_copy, 3, [20], tickers=("FB",))


def test_room_for_fewer_origins_is_told(checked_copy: Path, evaluate: Callable[..., RunResult]) -> None:
    heard: list[Any] = []
    evaluate(checked_copy, 500, [20], tickers=("IBM",), as_of=date(2001, 6, 29), heard=heard)
    assert any("room for 4 of 500 origins" in str(event) for event in heard)


def test_a_market_of_seven_days_does_not_set_the_dates() -> None:
    days = pl.date_range(date(2020, 1, 1), date(2021, 12, 31), eager=True)
    worked = days.filter(days.dt.weekday() <= 5)
    parts = [pl.DataFrame({"ticker": ticker, "date": worked}) for ticker in ("A", "B", "C")]
    crypto = pl.DataFrame({"ticker": "COIN", "date": days})
    mixed = origin_dates(pl.concat([*parts, crypto]), days[-1], 7, ChosenDates(10))
    assert mixed == origin_dates(parts[0], days[-1], 7, ChosenDates(10))
    # Where that market is all there is, its weekends count.
    assert origin_dates(crypto, days[-1], 7, ChosenDates(2)) == [days[-15], days[-8]]
    # A ticker that has not begun, or has ended, has no say.
    late = pl.concat([crypto, *(part.filter(pl.col("date") > date(2021, 12, 20)) for part in parts)])
    assert any(day.weekday() > 4 for day in origin_dates(late, days[-1], 5, ChosenDates(60)))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**31), st.integers(1, 119))
def test_whether_a_day_is_a_session_does_not_depend_on_later_bars(seed: int, place: int) -> None:
    """Tickers begin, are suspended for weeks, go on and end; the sessions are those that a loop finds."""
    days = pl.date_range(date(2020, 1, 1), date(2020, 4, 29), eager=True).to_list()
    generator = np.random.default_rng(seed)
    rows: list[tuple[str, date]] = []
    for ticker in "ABCDE":
        first, last = sorted(generator.integers(0, len(days), 2))
        gap, length = generator.integers(0, len(days)), generator.integers(0, 50)
        kept = [day for at, day in enumerate(days) if first <= at <= last and not gap <= at < gap + length]
        rows += [(ticker, day) for day in kept if generator.random() < 0.7]
    bars = pl.DataFrame(rows, schema={"ticker": pl.String, "date": pl.Date}, orient="row")
    cut = common_sessions(bars.filter(pl.col("date") <= days[place]))
    assert [day for day in common_sessions(bars) if day <= days[place]] == cut
    for day in days[: place + 1]:
        traded = {ticker for ticker, on in rows if on == day}
        living = {ticker for ticker, on in rows if day - timedelta(QUIET_DAYS) <= on <= day}
        assert (day in cut) == (bool(traded) and 2 * len(traded) >= len(living))


def test_the_progress_of_a_replay_never_goes_back() -> None:
    """Each stage goes through its tickers twice."""
    told: list[tuple[int, int]] = []
    progress = ReplayProgress(lambda done, total: told.append((done, total)), 6)
    for part in range(6):
        for _ in range(2):
            for done in range(5):
                progress.of(part)(done, 4)
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


MANY_DAYS = pl.date_range(date(2020, 1, 1), date(2021, 12, 31), eager=True)


def dates_of(**chosen: Any) -> list[date]:  # noqa: ANN401
    return origin_dates(pl.DataFrame({"ticker": "A", "date": MANY_DAYS}), MANY_DAYS[-1], 20, ChosenDates(**chosen))


def test_dates_are_chosen_by_spacing_and_bounds() -> None:
    days, last = MANY_DAYS.to_list(), MANY_DAYS[-21]
    start = date(2021, 3, 1)
    assert dates_of() == days[-21 - 19 * 20 :: 20][:20]
    assert dates_of(every=5, origins=3) == [days[-31], days[-26], days[-21]]
    assert dates_of(last=date(2021, 10, 1), origins=2) == [date(2021, 9, 11), date(2021, 10, 1)]
    assert dates_of(first=start, every=50) == [day for day in days if start <= day <= last][::50]
    assert dates_of(first=start, every=50, origins=2) == [start, start + timedelta(days=50)]
    assert len(dates_of(first=start, every=1)) == (last - start).days + 1
    assert dates_of(first=date(2000, 1, 1), every=100)[0] == days[249]
    assert dates_of(last=date(2030, 1, 1), origins=1) == [last]


@pytest.mark.parametrize(
    "chosen", [{"first": MANY_DAYS[-20]}, {"last": MANY_DAYS[248]}, {"first": MANY_DAYS[300], "last": MANY_DAYS[299]}]
)
def test_bounds_without_a_possible_date_are_refused_with_the_possible_ones(chosen: dict[str, date]) -> None:
    with pytest.raises(InputError, match="There is no date to forecast from between") as caught:
        dates_of(**chosen)
    assert f"choose dates from {MANY_DAYS[249]} to {MANY_DAYS[-21]}" in str(caught.value)


def test_later_bars_only_add_dates_after_a_first_one(
    checked_copy: Path, evaluate: Callable[..., RunResult], read_table: Callable[..., pl.DataFrame]
) -> None:
    first = date(2012, 1, 3)
    found = []
    for as_of in (date(2012, 12, 3), date(2013, 3, 1)):
        run = evaluate(checked_copy, None, [1], tickers=("IBM",), as_of=as_of, first=first, every=60)
        found.append(read_table(checked_copy, "forecasts", f"run_id = '{run.run_id}'")["cutoff"].unique().sort())
    assert found[0][0] == first
    assert found[1].to_list()[: len(found[0])] == found[0].to_list()
    assert len(found[1]) > len(found[0])


def test_an_evaluation_of_named_tickers_depends_on_the_panel_model_that_it_reads(
    checked_copy: Path,
    evaluate: Callable[..., RunResult],
    run_pipeline: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
) -> None:
    asked: dict[str, Any] = {"tickers": ("IBM",), "as_of": date(2012, 6, 1)}
    alone = evaluate(checked_copy, 1, [1], **asked)
    assert not evaluate(checked_copy, 1, [1], **asked).worked
    day = read_table(checked_copy, "forecasts", f"run_id = '{alone.run_id}'")["cutoff"].unique().item()
    whole = run_pipeline(checked_copy, upto="volatility", as_of=day)
    again = evaluate(checked_copy, 1, [1], **asked)
    assert again.worked
    sources = read_table(checked_copy, "panel_fits").group_by("run_id").agg(pl.col("source").first())
    assert dict(sources.iter_rows()) == {alone.run_id: "named", whole.run_id: "run", again.run_id: whole.run_id}
    assert not evaluate(checked_copy, 1, [1], **asked).worked


class _CutError(Exception):
    """Stands for whatever ends the process in the middle."""


def test_an_interrupted_evaluation_continues_after_the_dates_that_were_done(
    checked_copy: Path,
    evaluate: Callable[..., RunResult],
    run_pipeline: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An undisturbed evaluation has the same rows; what was done is not computed again, and is removed in the end."""
    whole = evaluate(checked_copy, 4, [1, 5], tickers=("IBM", "MSFT"), as_of=date(2012, 6, 1))
    stored = {name: read_table(checked_copy, name, f"run_id = '{whole.run_id}'") for name in WRITTEN}
    other = checked_copy.parent / "other"
    run_pipeline(other, upto="check")
    computed: list[date] = []

    def cut_short(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        for day, tables in replay(*arguments, **options):
            if len(computed) == 2:
                raise _CutError
            computed.append(day)
            yield day, tables

    asked = {"tickers": ("IBM", "MSFT"), "as_of": date(2012, 6, 1)}
    monkeypatch.setattr("pm.pipeline.stages.evaluate.replay", cut_short)
    with pytest.raises(StageError):
        evaluate(other, 4, [1, 5], **asked)
    assert read_table(other, "forecasts").is_empty()
    kept = [folder for folder in (other / "lake" / "kept").glob("*/*") if folder.name == str(computed[1])]
    next(kept[0].glob("forecasts.parquet")).write_bytes(b"PAR1")  # a file that a power cut left without its content
    monkeypatch.undo()
    heard: list[Any] = []
    resumed = evaluate(other, 4, [1, 5], **asked, heard=heard)
    assert any("1 of 4 dates were done" in str(event) for event in heard)
    for name in WRITTEN:
        rows = read_table(other, name)
        assert {run for column in rows.columns if column.endswith("run_id") for run in rows[column]} == {resumed.run_id}
        assert_frame_equal(
            unstamped(rows).drop("last_bar_batch_id", strict=False),  # the bars of the two lakes landed apart
            unstamped(stored[name]).drop("last_bar_batch_id", strict=False),
            check_row_order=False,
            check_exact=True,
        )
    assert list((other / "lake" / "kept").iterdir()) == []


def test_an_evaluation_is_not_resumed_as_a_run(
    checked_copy: Path, evaluate: Callable[..., RunResult], run_pipeline: Callable[..., RunResult]
) -> None:
    evaluated = evaluate(checked_copy, 1, [1], tickers=("IBM",))
    with pytest.raises(InputError, match="kind 'evaluate'"):
        run_pipeline(checked_copy, resume=evaluated.run_id)
