"""Files of the user's own end the embedded sample: a lake is then as if the sample had never been in it."""

from __future__ import annotations

import shutil
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from pm.broker.positions_file import HeldPosition
from pm.errors import SourceError
from pm.lake import Lake
from pm.lake.maintenance import compact
from pm.pipeline import (
    Request,
    add_actions,
    add_to_universe,
    import_bars,
    open_lake,
    refresh_bars,
    remove_from_universe,
    snapshots_to_keep,
    trade,
)
from pm.pipeline.events import Notice
from pm.pipeline.runner import Runner
from pm.pipeline.stages import check, land, sample
from pm.pipeline.stages.account import NewAccount, importing_positions, opening
from pm.settings import load_settings
from pm.sources import ACTIONS_SCHEMA, OPENERS, inspect_files
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.ledger import CHAINED_TABLES
from pm.tables.pipeline import RUNS
from pm.tables.signals import SIGNALS
from pm.tables.sources import RAW_BARS
from pm.tables.validation import TRIAL_FILLS, TRIAL_RETURNS, TRIALS
from pm.tables.vocabulary import BrokerName, FailureReason, RunKind, TrialState
from pm.validation.ledger import TRIAL_CHAIN, TrialLedger, content_hash
from pm.workspace import init_workspace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from pm.pipeline.events import Event

    Build = Callable[[str, Callable[[Path], object]], Path]
    Run = Callable[..., Any]
    Read = Callable[..., pl.DataFrame]
    Contents = Callable[..., dict[str, pl.DataFrame]]
    Pm = Callable[..., subprocess.CompletedProcess[str]]

sys.path.insert(0, str(Path(__file__).parents[1] / "market"))  # a script of the tests, which is no package
import market
from market import Market, evening

ENDED = "Your own files end the embedded sample"
OF_VENDOR = "Your bars from 'yahoo' end the embedded sample"


@pytest.fixture(scope="session")
def imported(build_once: Build, stocks: pl.DataFrame, import_files: Run, run_pipeline: Run) -> Path:
    """Return a folder with an own file, `alone` into which nothing but it was imported, and `run` after a run on that.

    The file has bars of MSFT, which the sample has too, and of NEW, which it has not.
    """

    def make(folder: Path) -> None:
        msft = stocks.filter(pl.col("ticker") == "MSFT").tail(300).with_columns(pl.col("volume") + 1)
        pl.concat([msft, msft.with_columns(ticker=pl.lit("NEW"))]).write_parquet(folder / "own.parquet")
        import_files(folder / "alone", folder / "own.parquet")
        shutil.copytree(folder / "alone", folder / "run")
        assert run_pipeline(folder / "run").worked

    return build_once("own_file", make)


@pytest.fixture
def own(imported: Path, tmp_path: Path) -> Path:
    """Return a file with bars of MSFT and of NEW."""
    return Path(shutil.copy(imported / "own.parquet", tmp_path))


@pytest.fixture
def alone(imported: Path, tmp_path: Path) -> Path:
    """Return a workspace into which nothing but the own file was imported, which a test may change."""
    return shutil.copytree(imported / "alone", tmp_path / "alone")


@pytest.fixture
def alone_run(imported: Path) -> Path:
    """Return such a workspace after a run, to be read."""
    return imported / "run"


def heard_of(folder: Path, file: Path, settings: Any) -> list[str]:  # noqa: ANN401 - of the fixture settings_with
    """Import a file and return what the import told."""
    heard: list[Event] = []
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        import_bars(lake, workspace, settings, heard.append, files=inspect_files([file]))
    return [event.line for event in heard if isinstance(event, Notice)]


def import_as_before(folder: Path, file: Path, settings: Any) -> None:  # noqa: ANN401
    """Import a file as versions did that left the sample, or as one does that is cut off once it has landed."""
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        stages = land.importing(inspect_files([file]), [], keep_going=False, tickers=None), check.STAGE
        Runner(lake, settings, workspace, lambda _: None).run(stages, Request("files"), kind=RunKind.IMPORT)


def require_equal(folder: Path, other: Path, contents: Contents) -> None:
    """Check that two lakes have equal rows in every table, apart from the record of runs."""
    expected = contents(other)
    for name, found in contents(folder).items():
        assert found.equals(expected[name]), name


def test_an_import_leaves_no_trace_of_the_sample(
    run_copy: Path,
    alone: Path,
    alone_run: Path,
    own: Path,
    run_pipeline: Run,
    settings_with: Run,
    contents: Contents,
    ask: Read,
) -> None:
    old = ask(run_copy, "SELECT run_id FROM latest_run").item()
    told = [line for line in heard_of(run_copy, own, settings_with()) if "sample" in line]
    assert told == [f"{ENDED}: the bars of AAPL, FB, GOOG, IBM, MSFT, and what was computed from them will be removed."]
    require_equal(run_copy, alone, contents)
    assert ask(run_copy, "FROM latest_run").is_empty()
    assert ask(run_copy, "SELECT DISTINCT origin FROM raw.batches").rows() == [("files",)]
    assert not (run_copy / "reports" / "latest.html").exists()
    assert run_pipeline(run_copy).worked
    require_equal(run_copy, alone_run, contents)
    assert not run_pipeline(run_copy).worked
    assert ask(run_copy, f"SELECT scope FROM runs WHERE run_id = '{old}'").item() == "sample"
    assert ask(run_copy, "SELECT DISTINCT ticker FROM latest_signals ORDER BY ticker")["ticker"].to_list() == [
        "MSFT",
        "NEW",
    ]


def test_the_ledger_outlives_the_sample(run_copy: Path, own: Path, settings_with: Run, ask: Read) -> None:
    workspace, settings = init_workspace(run_copy), settings_with()
    new = NewAccount(
        "main", BrokerName.PAPER, None, "USD", Decimal(1000), "fifo", fractional=False, live=False, day=None
    )
    held = HeldPosition("AAPL", Decimal(3), Decimal(900), None, None)
    with open_lake(workspace, settings) as lake:
        for stage in (opening(new), importing_positions(None, [held], day=None, where="positions.csv")):
            trade(lake, workspace, settings, lambda _: None, stage=stage)
        before = {table.qualified: lake.read(table) for table in CHAINED_TABLES}
    heard_of(run_copy, own, settings)
    with open_lake(workspace, settings) as lake:
        after = {table.qualified: lake.read(table) for table in CHAINED_TABLES}
    assert all(after[name].equals(frame) for name, frame in before.items())
    assert ask(run_copy, "SELECT ticker, quantity, price FROM positions").rows() == [("AAPL", Decimal(3), None)]


def test_trials_on_the_sample_count_after_it(run_copy: Path, own: Path, settings_with: Run, pm: Pm) -> None:
    """A trial of the run of the sample, with a return: its chain is whole afterwards, and it counts."""
    workspace, settings = init_workspace(run_copy), settings_with()
    same = {"settings_hash": "s", "code_hash": "c", "universe_hash": "u", "step": 20, "costs": "settings",
            "from_date": date(2012, 1, 3), "to_date": date(2012, 1, 4), "cost": 0.001,
            "benchmark": "equal"}  # fmt: skip
    with open_lake(workspace, settings) as lake:
        run_id = lake.read(RUNS)["run_id"][0]
        ledger = TrialLedger([], run_id)
        started = ledger.start({"trial_id": run_id, "name": "sample", **same})
        row = {"trial_id": run_id, "date": date(2012, 1, 4), "gross": 0.0, "cost": 0.0, "net": 0.0, "benchmark": 0.0,
               "equal": 0.0, "equity": 1.0, "invested": 0.0}  # fmt: skip
        returns = pl.DataFrame([row], schema=TRIAL_RETURNS.polars_schema)
        ledger.end(started, TrialState.DONE, returns_hash=content_hash(returns, TRIAL_FILLS.polars_schema.to_frame()))
        made = {TRIALS: ledger.drain(), TRIAL_RETURNS: returns}
        lake.commit("a trial", lambda to: [to.append(table, frame) for table, frame in made.items()])
    heard_of(run_copy, own, settings)
    verified = pm(run_copy, "audit", "verify")
    assert "Trials: 2 rows, none changed." in verified.stdout, verified.stderr
    assert pm(run_copy, "trials", "judge").returncode == 0


def test_what_the_user_told_of_the_sample_ends_with_it_and_the_watch_list_gives_it_up(
    checked_copy: Path, alone: Path, own: Path, import_files: Run, settings_with: Run, contents: Contents
) -> None:
    settings = settings_with()

    def tell(folder: Path) -> None:
        actions = pl.DataFrame([("MSFT", date(2013, 1, 15), "split", 4.0, "user")], schema=ACTIONS_SCHEMA, orient="row")
        workspace = init_workspace(folder)
        with open_lake(workspace, settings) as lake:
            add_actions(lake, workspace, settings, lambda _: None, actions=actions, where="here")

    workspace = init_workspace(checked_copy)
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=["AAPL", "MSFT"], source="sample")
    tell(checked_copy)
    import_files(checked_copy, own)
    require_equal(checked_copy, alone, contents)
    assert contents(checked_copy, "universe")["universe"].is_empty()
    for folder in (checked_copy, alone):
        tell(folder)
    require_equal(checked_copy, alone, contents)
    assert contents(checked_copy, "raw.actions")["raw.actions"].height == 1


@pytest.fixture
def vendor() -> Iterator[Market]:
    """Return a vendor that stands for Yahoo while the test lasts; a clock that a test stops goes on after it."""
    openers, clock = dict(OPENERS), market.running_clock()
    market.install(made := Market("yahoo"))
    yield made
    OPENERS.clear()
    OPENERS.update(openers)
    market.start_clock(clock)


def watch(folder: Path, settings: Any, *tickers: str, source: str | None = None) -> None:  # noqa: ANN401
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        add_to_universe(lake, workspace, settings, lambda _: None, tickers=tickers, source=source)


def refreshed(folder: Path, settings: Any) -> list[str]:  # noqa: ANN401
    """Refresh a folder's tickers and return what the refresh told."""
    heard: list[Event] = []
    workspace = init_workspace(folder)
    with open_lake(workspace, settings) as lake:
        refresh_bars(lake, workspace, settings, heard.append, request=Request())
    return [event.line for event in heard if isinstance(event, Notice)]


def test_a_vendors_first_bars_end_the_sample(
    run_copy: Path, tmp_path: Path, run_pipeline: Run, settings_with: Run, contents: Contents, ask: Read, vendor: Market
) -> None:
    """The README's commands: a run on the sample, tickers for the watch list that it has too, and a refresh."""
    settings, alone = settings_with(), tmp_path / "alone"
    market.stop_clock(evening(date(2090, 1, 2)))  # after the run on the sample, whenever the test runs
    vendor.begin = date(2089, 1, 3)
    vendor.failures = dict.fromkeys(("AAPL", "NEW"), FailureReason.UNREACHABLE)
    for folder in (run_copy, alone):
        watch(folder, settings, "AAPL", "NEW")
    with pytest.raises(SourceError):  # the sample's AAPL does not take the place of what could not be had
        run_pipeline(run_copy)
    assert not any("sample" in line for line in refreshed(run_copy, settings))
    vendor.failures.clear()
    told = [line for line in refreshed(run_copy, settings) if "sample" in line]
    assert told == [
        f"{OF_VENDOR}: the bars of AAPL, FB, GOOG, IBM, MSFT, and what was computed from them will be removed."
    ]
    refreshed(alone, settings)
    require_equal_bars(run_copy, alone, contents)
    assert ask(run_copy, "FROM latest_run").is_empty()
    assert not (run_copy / "reports" / "latest.html").exists()
    market.stop_clock(evening(date(2090, 1, 2)) + timedelta(minutes=1))
    assert run_pipeline(run_copy).worked
    market.stop_clock(evening(date(2090, 1, 2)) + timedelta(minutes=2))
    assert not run_pipeline(run_copy).worked
    assert ask(run_copy, "SELECT DISTINCT ticker FROM latest_forecasts ORDER BY ticker")["ticker"].to_list() == [
        "AAPL",
        "NEW",
    ]
    workspace = init_workspace(run_copy)
    with open_lake(workspace, settings) as lake:  # an empty watch list does not bring the sample back
        remove_from_universe(lake, workspace, settings, lambda _: None, tickers=["AAPL", "NEW"])
    run_pipeline(run_copy, upto="check")
    assert ask(run_copy, "SELECT DISTINCT origin FROM raw.batches").rows() == [("yahoo",)]


def require_equal_bars(folder: Path, other: Path, contents: Contents) -> None:
    """Check that two lakes have equal bars, and nothing of the sample in any table that holds bars or results."""
    names = ("bars", "raw.bars", "raw.actions", "quarantine", "bar_flags", "ticker_sources", "forecasts", "signals")
    expected = contents(other, *names)
    assert not expected["bars"].is_empty()
    for name, found in contents(folder, *names).items():
        assert found.equals(expected[name]), name


def test_a_run_that_lands_a_vendors_first_bars_ends_the_sample_unless_it_is_asked_for(
    run_copy: Path, run_pipeline: Run, settings_with: Run, ask: Read, vendor: Market
) -> None:
    settings = settings_with()
    market.stop_clock(evening(date(2090, 1, 2)))
    vendor.begin = date(2089, 1, 3)
    watch(run_copy, settings, "AAPL")
    watch(run_copy, settings, "IBM", source="sample")  # after a vendor's ticker: it is asked for beside it
    origins = "SELECT DISTINCT ticker, origin FROM bars JOIN raw.batches USING (batch_id) ORDER BY ticker"
    run_pipeline(run_copy)
    assert set(ask(run_copy, origins).rows()) >= {("AAPL", "yahoo"), ("IBM", "sample")}
    workspace = init_workspace(run_copy)
    with open_lake(workspace, settings) as lake:
        remove_from_universe(lake, workspace, settings, lambda _: None, tickers=["IBM"])
    market.stop_clock(evening(date(2090, 1, 3)))
    heard: list[Event] = []
    run = run_pipeline(run_copy, heard=heard)
    assert sum(isinstance(event, Notice) and OF_VENDOR in event.line for event in heard) == 1
    assert ask(run_copy, origins).rows() == [("AAPL", "yahoo")]
    assert ask(run_copy, f"SELECT DISTINCT ticker FROM signals WHERE run_id = '{run.run_id}'").rows() == [("AAPL",)]
    assert (run_copy / "reports" / "latest.html").exists()


def test_files_without_a_usable_close_leave_the_sample(
    checked_copy: Path, own: Path, settings_with: Run, read_table: Read
) -> None:
    before = read_table(checked_copy, "bars")
    (broken := own.with_name("BROKEN.csv")).write_text("date,close\n2012-06-28,-5\n2012-06-29,0\n2190-01-02,5\n")
    assert not any("sample" in line for line in heard_of(checked_copy, broken, settings_with()))
    assert read_table(checked_copy, "bars").equals(before)
    assert any(ENDED in line for line in heard_of(checked_copy, own, settings_with()))
    assert set(read_table(checked_copy, "bars")["ticker"]) == {"MSFT", "NEW"}


def test_what_was_computed_from_the_sample_is_still_found_by_its_snapshot(
    run_copy: Path, own: Path, import_files: Run, read_table: Read
) -> None:
    before = {table: read_table(run_copy, table.qualified) for table in (RAW_BARS, FORECASTS, SIGNALS)}
    import_files(run_copy, own)
    forgetful = load_settings().lake.model_copy(update={"expire_after_days": 0})
    with Lake(run_copy / "lake", forgetful, TABLES) as lake:
        compact(lake, keep=snapshots_to_keep(lake), grace=timedelta(0))
        snapshot = lake.scalar("SELECT snapshot_id FROM stage_events WHERE stage = 'sample'")
        for table, rows in before.items():
            past = lake.read(table, at=snapshot)
            if table is RAW_BARS:  # the own file had landed already
                assert past.height == rows.height + 600
                past = past.join(rows.select("batch_id").unique(), on="batch_id", how="semi")
            assert past.sort(table.key).equals(rows.sort(table.key).select(past.columns)), table.qualified


@pytest.mark.parametrize("is_asked_for", [False, True], ids=["by an older version", "by --source sample"])
def test_a_run_ends_a_sample_that_was_left_beside_own_files(  # noqa: PLR0913 - fixtures
    run_copy: Path,
    alone_run: Path,
    own: Path,
    run_pipeline: Run,
    import_files: Run,
    settings_with: Run,
    contents: Contents,
    ask: Read,
    *,
    is_asked_for: bool,
) -> None:
    if is_asked_for:
        import_files(run_copy, own)
        run_pipeline(run_copy, source="sample", upto="check")  # it lands again, though it had landed before
    else:
        import_as_before(run_copy, own, settings_with())
    of_bars = "SELECT DISTINCT ticker, origin FROM bars JOIN raw.batches USING (batch_id) ORDER BY ticker"
    assert ask(run_copy, of_bars).rows() == [
        *((ticker, "sample") for ticker in ("AAPL", "FB", "GOOG", "IBM")),
        ("MSFT", "files"),
        ("NEW", "files"),
    ]
    heard: list[Event] = []
    run_pipeline(run_copy, heard=heard)
    assert sum(isinstance(event, Notice) and ENDED in event.line for event in heard) == 1
    require_equal(run_copy, alone_run, contents)
    assert not run_pipeline(run_copy).worked


def test_a_run_on_the_sample_that_was_cut_off_is_not_continued_with_own_files(
    checked_copy: Path, own: Path, import_files: Run, run_pipeline: Run, ask: Read
) -> None:
    with Lake(checked_copy / "lake", load_settings().lake, TABLES) as lake:
        cut_off = lake.read(RUNS).with_columns(
            status=pl.lit("running"), finished_at=pl.lit(None, pl.Datetime("us")), scope=pl.lit(None, pl.String)
        )
        lake.commit("cut off", lambda transaction: transaction.merge(RUNS, cut_off))
    import_files(checked_copy, own)
    run = run_pipeline(checked_copy).run_id
    assert run not in cut_off["run_id"].to_list()
    scopes = ask(checked_copy, "SELECT run_id, status, scope FROM runs WHERE kind = 'run' ORDER BY started_at").rows()
    assert scopes == [(cut_off["run_id"].item(), "abandoned", None), (run, "done", "whole")]


def test_commands_say_what_ends_and_what_to_do(run_copy: Path, own: Path, contents: Contents, pm: Pm) -> None:
    old = pm(run_copy, "sql", "SELECT run_id FROM latest_run", "--format", "csv").stdout.split()[1]
    before = contents(run_copy)
    (own.parent / "bad.csv").write_text("ticker,date,close\nMSFT,2020-01-02,five\n")
    assert pm(run_copy, "import", own, own.parent / "bad.csv").returncode == 5
    rehearsed = pm(run_copy, "import", own, "--dry-run")
    assert rehearsed.returncode == 0
    assert ENDED in rehearsed.stderr
    assert pm(run_copy, "signals").returncode == 0
    after = contents(run_copy)
    assert all(after[name].equals(rows) for name, rows in before.items())

    for day in ("2012-06-01", "2012-06-04"):
        assert pm(run_copy, "actions", "add", "MSFT", day, "--split", "2:1").returncode == 0
    assert pm(run_copy, "actions", "remove", "MSFT", "2012-06-04").returncode == 0
    imported = pm(run_copy, "import", own)
    assert imported.returncode == 0
    assert imported.stderr.count(ENDED) == 1
    assert "; 1 dividend or split that you told of them will be removed." in " ".join(imported.stderr.split())
    for words in (("signals",), ("forecast", "MSFT")):
        refused = pm(run_copy, *words)
        assert (refused.returncode, refused.stdout) == (16, "")
        assert "no results of your own bars yet" in refused.stderr
        assert "pm run" in refused.stderr
        by_name = pm(run_copy, *words, "--run", old)
        assert (by_name.returncode, by_name.stdout) == (16, "")
        assert "were removed" in by_name.stderr
    assert "asks 'yahoo'" in pm(run_copy, "universe", "add", "AAPL").stdout
    assert pm(run_copy, "universe", "add", "AAPL", "--source", "sample").returncode == 0
    told = pm(run_copy, "run")  # of the watch list, which asks for the sample now
    assert (told.returncode, ENDED in told.stderr) == (0, False)
    assert "AAPL" in told.stdout


def test_each_table_is_cleared_of_the_sample() -> None:
    derived = {name for name, table in TABLES.items() if {"run_id", "batch_id"} & table.polars_schema.keys()}
    of_vendors = {"raw.texts", "fetches", "text_fetches", "splices", "folders"}  # nothing in them is of the sample
    audited = {table.qualified for table in (*CHAINED_TABLES, *TRIAL_CHAIN)}  # nothing of them is ever deleted
    audited |= {"limit_events", "trial_tests", "overfitting_tests"}
    assert {table.qualified for table in sample.STAGE.writes} == (derived | {"universe"}) - of_vendors - audited
