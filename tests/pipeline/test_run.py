from __future__ import annotations

import os
import shutil
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import InputError, SourceError, UnknownTickerError
from pm.lake import Lake
from pm.pipeline.events import Notice, StageEnded
from pm.pipeline.run_stages import RUN_STAGES
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.pipeline import RUNS, STAGE_EVENTS
from pm.tables.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Transaction
    from pm.pipeline.events import Event
    from pm.pipeline.runner import RunResult

    Run = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]
    Contents = Callable[..., dict[str, pl.DataFrame]]

# Stage texts is skipped, since there is no key of a vendor of news.
STAGES = ["land", "check", "features", "volatility", "forecast", "signals"]
STAGES += ["ledger", "risk", "portfolio", "orders", "llm", "report"]
RUN_TABLES = ("volatility", "forecasts", "model_weights", "exclusions", "signals")


def worked(events: list[Event]) -> list[str]:
    return [event.stage for event in events if isinstance(event, StageEnded) and event.status == "done"]


def test_every_stage_is_one_commit_named_after_the_run(first_run: Path, ask: Read) -> None:
    runs = ask(first_run, "SELECT run_id FROM runs")["run_id"].to_list()
    commits = ask(
        first_run,
        "SELECT commit_message, commit_extra_info->>'stage' AS stage FROM lake.snapshots() "
        "WHERE commit_extra_info->>'run_id' IS NOT NULL ORDER BY snapshot_id",
    )
    assert commits["stage"].to_list() == ["begin", *STAGES, "end"]
    assert commits["commit_message"].to_list() == [f"{runs[0]} {stage}" for stage in commits["stage"]]


def test_rows_and_their_record_are_the_same_commit(first_run: Path, read_table: Read) -> None:
    signalled = read_table(first_run, "stage_events", "stage = 'signals'").row(0, named=True)
    assert read_table(first_run, "signals", at=signalled["snapshot_id"]).is_empty()
    assert "signals" not in read_table(first_run, "stage_events", at=signalled["snapshot_id"])["stage"]
    assert read_table(first_run, "signals", at=signalled["snapshot_id"] + 1).height == 5
    assert "signals" in read_table(first_run, "stage_events", at=signalled["snapshot_id"] + 1)["stage"]


def test_a_second_run_with_nothing_new_changes_no_table_but_the_record(run_copy: Path, run_pipeline: Run) -> None:
    def versions() -> dict[str, int]:
        with Lake(run_copy / "lake", load_settings().lake, TABLES, read_only=True) as lake:
            return lake.versions(set(TABLES) - {"runs", "stage_events"})

    before = versions()
    heard: list[Event] = []
    result = run_pipeline(run_copy, heard=heard)
    assert not result.worked
    assert [event.status for event in heard if isinstance(event, StageEnded)] == ["skipped"] * len(RUN_STAGES)
    assert versions() == before


def test_a_changed_setting_runs_the_stages_that_depend_on_it_and_those_after_them(
    run_copy: Path, run_pipeline: Run
) -> None:
    # Which settings move which stage is proven in test_code.py; here, that what follows is computed again too.
    heard: list[Event] = []
    run_pipeline(run_copy, heard=heard, forecast={"models": ["naive"]}, run={"chunk_size": 2, "jobs": 1})
    assert worked(heard) == ["forecast", "signals", "portfolio", "orders", "llm", "report"]


def test_changed_rules_check_everything_from_scratch(run_copy: Path, run_pipeline: Run, read_table: Read) -> None:
    heard: list[Event] = []
    run_pipeline(run_copy, upto="check", heard=heard, quality={"jump_return": 0.05, "jump_sigmas": 2.0})
    assert worked(heard)[0] == "check"
    assert read_table(run_copy, "reconciliation")["landed"].sum() == 12_154
    assert read_table(run_copy, "bar_flags", "rule = 'jump'").height > 10


def test_settings_changed_and_changed_back_give_the_first_bars_again(
    run_copy: Path, run_pipeline: Run, contents: Contents
) -> None:
    kept = ("bars", "bar_flags", "quarantine", "reconciliation", "features")
    before = contents(run_copy, *kept)
    changed = {"jump_return": 0.05, "jump_sigmas": 2.0}
    run_pipeline(run_copy, upto="features", quality=changed)
    assert contents(run_copy, "bar_flags")["bar_flags"].height > before["bar_flags"].height
    run_pipeline(run_copy, upto="features")
    after = contents(run_copy, *kept)
    for name in kept:
        assert_frame_equal(after[name], before[name])


def test_the_newest_report_is_of_the_newest_run(run_copy: Path, run_pipeline: Run) -> None:
    results = [run_pipeline(run_copy), run_pipeline(run_copy, signals={"threshold": 0.52}), run_pipeline(run_copy)]
    latest = (run_copy / "reports" / "latest.html").read_text("utf-8")
    of_last = (run_copy / "reports" / f"{results[-1].outputs['report']}.html").read_text("utf-8")
    assert latest == of_last
    assert results[0].outputs["signals"] == results[2].outputs["signals"] != results[1].outputs["signals"]


def test_a_report_that_was_removed_is_made_again_and_only_it(run_copy: Path, run_pipeline: Run) -> None:
    for file in (run_copy / "reports").iterdir():
        file.unlink()
    heard: list[Event] = []
    result = run_pipeline(run_copy, heard=heard)
    assert worked(heard) == ["report"]
    assert (run_copy / "reports" / f"{result.outputs['report']}.html").is_file()


@pytest.mark.posix
def test_a_full_disk_leaves_the_newest_report(run_copy: Path, run_pipeline: Run) -> None:
    latest = run_copy / "reports" / "latest.html"
    before = latest.read_bytes()
    (run_copy / "reports" / "latest.html.part").symlink_to("/dev/full")  # every write to it finds no space
    heard: list[Event] = []
    run_pipeline(run_copy, heard=heard, report={"max_rows": 7})
    assert [event for event in heard if isinstance(event, Notice) and "No space left" in event.line]
    assert latest.read_bytes() == before


def test_a_newest_report_that_cannot_be_replaced_is_told_and_replaced_by_the_next_run(
    run_copy: Path, run_pipeline: Run
) -> None:
    reports = run_copy / "reports"
    latest = reports / "latest.html"
    latest.unlink()
    (latest / "held").mkdir(parents=True)  # a folder can no more be replaced than a file that is open on Windows
    heard: list[Event] = []
    run_pipeline(run_copy, heard=heard)
    assert [event for event in heard if isinstance(event, Notice) and "latest.html stays as it was" in event.line]
    assert not list(reports.glob("*.part"))
    shutil.rmtree(latest)
    latest.write_text("an older report", encoding="utf-8")
    heard.clear()
    result = run_pipeline(run_copy, heard=heard)
    assert worked(heard) == ["report"]
    assert latest.read_bytes() == (reports / f"{result.outputs['report']}.html").read_bytes()


def test_an_old_report_that_cannot_be_deleted_is_told(run_copy: Path, run_pipeline: Run) -> None:
    old = run_copy / "reports" / "20000101T000000-0000.html"
    old.mkdir()
    os.utime(old, (0, 0))
    heard: list[Event] = []
    run_pipeline(run_copy, report={"keep": 1}, heard=heard)
    assert [event for event in heard if isinstance(event, Notice) and old.name in event.line]


def test_no_bar_after_the_day_is_seen(
    tmp_path: Path, stocks: pl.DataFrame, run_pipeline: Run, import_files: Run, contents: Contents, ask: Read
) -> None:
    day = date(2009, 6, 15)
    two = stocks.filter(pl.col("ticker").is_in(["AAPL", "IBM"]), pl.col("date") > date(2004, 1, 1))
    settings: dict[str, Any] = {
        "forecast": {"models": ["naive", "drift", "auto_arima", "theta", "auto_ets"], "origins": 2, "horizon": 20},
    }
    two.write_parquet(tmp_path / "all.parquet")
    two.filter(pl.col("date") <= day).write_parquet(tmp_path / "past.parquet")
    for name in ("all", "past"):
        import_files(tmp_path / name, tmp_path / f"{name}.parquet")
        run_pipeline(tmp_path / name, as_of=day, **settings)
    seen, known = (contents(tmp_path / name, *RUN_TABLES) for name in ("all", "past"))
    for table in RUN_TABLES:
        assert_frame_equal(seen[table], known[table], check_exact=True)
    assert seen["forecasts"]["origin_date"].unique().to_list() == [day]
    assert seen["model_weights"]["last_target"].max() == day

    # What came later is on record without any job having run: each forecast meets its bar.
    later = two.filter(pl.col("date") > day, ticker="AAPL")["date"].sort().to_list()
    steps = seen["forecasts"]["step"].n_unique()
    outcomes = ask(tmp_path / "all", "FROM forecast_outcomes WHERE ticker = 'AAPL' AND model = 'ensemble'").sort("step")
    assert outcomes["outcome_date"].to_list() == later[:steps]
    assert ask(tmp_path / "past", "FROM forecast_outcomes").is_empty()
    last = outcomes.tail(1).row(0, named=True)
    prices = dict(two.filter(ticker="AAPL").select("date", "adj_close").iter_rows())
    came = prices[last["outcome_date"]] / prices[day]
    assert last["actual"] == pytest.approx(last["origin_close"] * came, rel=1e-12)
    measured = ask(tmp_path / "all", "FROM signal_outcomes WHERE ticker = 'AAPL'").row(0, named=True)
    since = prices[measured["last_date"]] / prices[day] - 1
    assert measured["realised_return"] == pytest.approx(since, rel=1e-9)


def test_holidays_are_skipped_where_no_exchange_is_known(
    tmp_path: Path, import_files: Callable[..., RunResult], run_pipeline: Run, read_table: Read, stocks: pl.DataFrame
) -> None:
    days = (date(2012, 12, 21), date(2012, 12, 24), *(date(2012, 12, day) for day in range(26, 32)), date(2013, 1, 2))
    stocks.filter(pl.col("date") >= date(2005, 1, 1), ticker="IBM").write_csv(tmp_path / "IBM.csv")
    import_files(tmp_path, tmp_path / "IBM.csv")
    result = run_pipeline(tmp_path, as_of=days[0], upto="forecast")
    targets = read_table(tmp_path, "forecasts", f"run_id = '{result.run_id}'").filter(model="ensemble")["target_date"]
    assert targets.sort().to_list() == [day for day in days[1:] if day.weekday() < 5][: len(targets)]


def test_a_day_in_the_past_sees_no_later_bar_of_the_sample(run_copy: Path, run_pipeline: Run, read_table: Read) -> None:
    day = date(2008, 9, 14)  # a Sunday
    result = run_pipeline(run_copy, as_of=day, upto="forecast")
    forecasts = read_table(run_copy, "forecasts", f"run_id = '{result.run_id}'")
    assert set(forecasts["ticker"]) == {"AAPL", "GOOG", "IBM", "MSFT"}  # FB had no bar yet
    assert forecasts["origin_date"].unique().to_list() == [date(2008, 9, 12)]
    assert forecasts["target_date"].min() == date(2008, 9, 15)
    assert forecasts["cutoff"].unique().to_list() == [day]


def test_a_ticker_alone_gets_the_numbers_it_gets_in_company(
    run_copy: Path, run_pipeline: Run, read_table: Read
) -> None:
    together = read_table(run_copy, "runs")["run_id"][0]
    alone = run_pipeline(run_copy, tickers=("AAPL", "FB")).run_id
    stamps = [
        "run_id", "snapshot_id",
        "forecast_run_id", "forecast_snapshot_id", "volatility_run_id", "volatility_snapshot_id",
    ]  # fmt: skip
    for name in RUN_TABLES:
        both = [
            read_table(run_copy, name, f"run_id = '{run}' AND ticker IN ('AAPL', 'FB')").drop(stamps, strict=False)
            for run in (together, alone)
        ]
        assert not both[0].is_empty()
        assert_frame_equal(*both, check_exact=True)
        assert read_table(run_copy, name, f"run_id = '{alone}' AND ticker NOT IN ('AAPL', 'FB')").is_empty()


def test_numbers_depend_neither_on_processes_nor_on_chunks(
    tmp_path: Path, checked_copy: Path, first_run: Path, run_pipeline: Run, contents: Contents
) -> None:
    expected = contents(first_run)
    for jobs, size in ((2, 1), (1, 2)):
        folder = shutil.copytree(checked_copy, tmp_path / f"{jobs}_{size}")
        run_pipeline(folder, jobs=jobs, run={"chunk_size": size})
        for name, frame in contents(folder).items():
            assert_frame_equal(frame, expected[name], check_exact=True)


def test_a_run_that_went_on_after_its_inputs_changed_takes_a_new_name(
    run_copy: Path, run_pipeline: Run, ask: Read
) -> None:
    cut = cut_off_before(run_copy, "signals", ask)
    run_pipeline(run_copy, forecast={"models": ["naive"]})
    runs = dict(ask(run_copy, "SELECT run_id, status FROM runs").iter_rows())
    assert runs.pop(cut) == "abandoned"
    assert list(runs.values()) == ["done"]
    doubled = "SELECT run_id, ticker, model, target_date FROM forecasts GROUP BY ALL HAVING count(*) > 1"
    assert ask(run_copy, doubled).is_empty()
    assert set(ask(run_copy, "FROM latest_forecasts")["model"]) == {"naive", "ensemble", "martingale"}


def test_a_run_that_was_cut_off_goes_on_under_its_name(run_copy: Path, run_pipeline: Run, ask: Read) -> None:
    cut = cut_off_before(run_copy, "signals", ask)
    heard: list[Event] = []
    result = run_pipeline(run_copy, heard=heard)
    assert result.run_id == cut
    assert worked(heard) == ["signals", "ledger", "risk", "portfolio", "orders", "llm", "report"]
    assert ask(run_copy, "SELECT status, attempts FROM runs").rows() == [("done", 2)]


def test_a_run_asked_otherwise_abandons_the_one_cut_off(run_copy: Path, run_pipeline: Run, ask: Read) -> None:
    cut = cut_off_before(run_copy, "signals", ask)
    other = run_pipeline(run_copy, tickers=("IBM",)).run_id
    statuses = dict(ask(run_copy, "SELECT run_id, status FROM runs").iter_rows())
    assert statuses == {cut: "abandoned", other: "done"}
    assert run_pipeline(run_copy, resume=cut).run_id == cut
    assert ask(run_copy, f"SELECT status FROM runs WHERE run_id = '{cut}'").item() == "done"


def cut_off_before(folder: Path, stage: str, ask: Read) -> str:
    """Take the lake back to where the first run was about to do a stage, as if it had been killed there."""
    done = STAGES[: STAGES.index(stage)]
    run: str = ask(folder, "SELECT run_id FROM runs")["run_id"][0]

    def undo(transaction: Transaction) -> None:
        transaction.delete(STAGE_EVENTS, "stage NOT IN (SELECT unnest(?::VARCHAR[]))", [done])
        transaction.delete(SIGNALS, "true")
        transaction.merge(RUNS, lake.read(RUNS).with_columns(status=pl.lit("running"), as_of=None))

    with Lake(folder / "lake", load_settings().lake, TABLES) as lake:
        lake.commit("undo", undo)
    return run


@pytest.mark.parametrize("is_fresh", [False, True], ids=["after a run", "before the sample has landed"])
@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"tickers": ("AAPLE", "IBM")}, UnknownTickerError, "Unknown ticker: AAPLE.* Did you mean 'AAPL'"),
        ({"tickers": ("nope",)}, UnknownTickerError, "use one of: AAPL, FB, GOOG, IBM, MSFT"),
        ({"tickers": ("ibm",)}, UnknownTickerError, "Did you mean 'IBM'"),
        ({"tickers": ("IBM",), "source": "files"}, SourceError, "no usable bars from 'files'"),
        ({"as_of": date(1999, 1, 1)}, InputError, "before the first bar, 2000-03-01"),
        ({"as_of": date(2005, 1, 3), "tickers": ("FB",)}, InputError, "before the first bar, 2012-05-18"),
    ],
    ids=str,
)
def test_what_no_stage_could_do_is_refused_before_any_stage(
    first_run: Path,
    tmp_path: Path,
    run_pipeline: Run,
    read_table: Read,
    options: dict[str, Any],
    error: type[Exception],
    said: str,
    *,
    is_fresh: bool,
) -> None:
    folder = tmp_path if is_fresh else first_run
    heard: list[Event] = []
    with pytest.raises(error, match=f"(?s){said}"):
        run_pipeline(folder, heard=heard, **options)
    assert not heard
    assert read_table(folder, "runs").height == (0 if is_fresh else 1)


def test_tickers_of_a_sample_that_has_not_landed_yet_are_known(tmp_path: Path, run_pipeline: Run, ask: Read) -> None:
    run_pipeline(tmp_path, tickers=("FB",), forecast={"models": ["naive"]})
    assert ask(tmp_path, "SELECT DISTINCT ticker FROM latest_signals")["ticker"].to_list() == ["FB"]


def test_a_day_long_after_the_last_bar_forecasts_nothing_and_says_why(
    run_copy: Path, run_pipeline: Run, ask: Read
) -> None:
    run = run_pipeline(run_copy, as_of=date(2014, 1, 1), upto="signals").run_id
    assert ask(run_copy, f"FROM signals WHERE run_id = '{run}'").is_empty()
    left_out = ask(run_copy, f"FROM exclusions WHERE stage = 'forecast' AND run_id = '{run}'")
    assert set(left_out["ticker"]) == {"AAPL", "FB", "GOOG", "IBM", "MSFT"}


def test_files_without_a_usable_bar_are_an_error_that_says_so(
    tmp_path: Path, run_pipeline: Run, import_files: Run
) -> None:
    (tmp_path / "X.csv").write_text("date,close\n2020-01-02,-1\n")
    import_files(tmp_path / "w", tmp_path / "X.csv")
    with pytest.raises(SourceError, match="no usable bars"):
        run_pipeline(tmp_path / "w")


def test_a_signals_lineage_stays_when_its_bar_is_restated(
    tmp_path: Path, import_files: Run, run_pipeline: Run, ask: Read
) -> None:
    lines = [f"2020-{1 + n // 28:02d}-{1 + n % 28:02d},{100 + n % 7}" for n in range(300)]
    (tmp_path / "ABC.csv").write_text("\n".join(["date,close", *lines]))
    import_files(tmp_path, tmp_path / "ABC.csv")
    run_pipeline(tmp_path, upto="signals")
    before = ask(tmp_path, "FROM signal_lineage")
    assert before["path"].to_list() == [str(tmp_path / "ABC.csv")]
    last = lines[-1].split(",")[0]
    (tmp_path / "fix.csv").write_text(f"ticker,date,close\nABC,{last},103.5\n")
    import_files(tmp_path, tmp_path / "fix.csv")
    assert_frame_equal(ask(tmp_path, "FROM signal_lineage"), before)


def test_only_reports_of_runs_are_forgotten_and_the_newest_is_made_again(run_copy: Path, run_pipeline: Run) -> None:
    reports = run_copy / "reports"
    mine = reports / "mine.html"
    mine.write_text("a user's own")
    for rows in (2, 3, 4):
        result = run_pipeline(run_copy, report={"keep": 2, "max_rows": rows})
    names = {file.name for file in reports.iterdir()}
    assert len(names) == 4
    assert {"mine.html", "latest.html", f"{result.outputs['report']}.html"} < names
    (reports / "latest.html").unlink()
    run_pipeline(run_copy, report={"keep": 2, "max_rows": 4})
    assert (reports / "latest.html").exists()
