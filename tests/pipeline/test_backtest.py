"""Backtests: they know nothing of later bars, decide as a night does, and are recorded whatever becomes of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import InputError
from pm.pipeline import Request, backtest, evaluate_history, open_lake
from pm.pipeline.events import StageEnded
from pm.pipeline.origin_dates import ChosenDates
from pm.pipeline.past_forecasts import bars_hashes
from pm.pipeline.runner import Runner
from pm.pipeline.stages.backtest import TrialRequest, backtesting
from pm.pipeline.stages.past_forecasts import PastReader
from pm.pipeline.writes import Result
from pm.tables.sources import UNIVERSE, UNIVERSE_CHANGES
from pm.tables.vocabulary import RunKind
from pm.validation.ledger import RecordedTrials, verify_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.pipeline.runner import RunResult
    from pm.pipeline.stage import Context
    from pm.workspace import Workspace

    Backtest = Callable[..., RunResult]
    Read = Callable[..., pl.DataFrame]

STEP = 15
PATHS = {"validation": {"paths": 0}, "risk": {"paths": 1000}}
"""As few paths as are allowed, in backtests and in nights alike."""


def bars() -> pl.DataFrame:
    """Return 340 sessions of tickers of which one stops, one begins late, one pauses, and one has closes alone."""
    days = pl.date_range(date(2019, 1, 1), date(2021, 1, 1), eager=True)
    days = days.filter(days.dt.weekday() <= 5)[:340]
    generator = np.random.default_rng(15)
    market = generator.normal(0.0003, 0.008, len(days))
    frames = []
    for ticker, spread in (("CLOSES", 0.01), ("LATE", 0.012), ("PAUSES", 0.009), ("STEADY", 0.006), ("STOPS", 0.011)):
        closes = 50 * np.exp(np.cumsum(market + generator.normal(0, spread, len(days))))
        opens = closes * np.exp(generator.normal(0, 0.003, len(days)))
        frames.append(
            pl.DataFrame(
                {"ticker": ticker, "date": days, "open": opens, "high": np.maximum(opens, closes) * 1.001,
                 "low": np.minimum(opens, closes) * 0.999, "close": closes, "volume": 1e6}
            )
        )  # fmt: skip
    whole = pl.concat(frames)
    place = pl.col("date").rank("dense") - 1
    keep = (
        pl.when(ticker="STOPS").then(place < 290)
        .when(ticker="LATE").then(place >= 5)
        .when(ticker="PAUSES").then(~place.is_between(300, 303))
        .otherwise(True)
    )  # fmt: skip
    only_close = pl.col("ticker") == "CLOSES"
    return whole.filter(keep).with_columns(
        pl.when(~only_close).then(name).alias(name) for name in ("open", "high", "low")
    )


def with_later_actions(split: date, dividend: date) -> pl.DataFrame:
    """Return the bars with a split of STEADY, 2 for 1, and a later dividend of 3%, and adjusted closes."""
    steady, day = pl.col("ticker") == "STEADY", pl.col("date")
    halves = pl.when(steady & (day >= split)).then(0.5).otherwise(1.0)
    factor = pl.when(steady & (day < split)).then(0.5).otherwise(1.0)
    factor *= pl.when(steady & (day < dividend)).then(0.97).otherwise(1.0)
    traded = bars().with_columns(pl.col("open", "high", "low", "close") * halves)
    return traded.with_columns(adj_close=pl.col("close") * factor)


@pytest.fixture(scope="module", name="run_backtest")
def give_run_backtest(settings_with: Callable[..., Any], workspace_in: Callable[[Path], Workspace]) -> Backtest:
    """Run a backtest in a folder: `run_backtest(folder, heard=[…], tickers=…, as_of=…, **request)`."""

    def run(folder: Path, **asked: Any) -> RunResult:  # noqa: ANN401 - parts of a trial and of a request
        heard: list[object] = asked.pop("heard", [])
        sections = PATHS | asked.pop("sections", {})
        request = Request(tickers=asked.pop("tickers", None), as_of=asked.pop("as_of", None))
        settings, workspace = settings_with(**sections), workspace_in(folder)
        with open_lake(workspace, settings) as lake:
            return backtest(
                lake, workspace, settings, heard.append, request=request, trial=TrialRequest(**({"step": STEP} | asked))
            )

    return run


@pytest.fixture(scope="module", name="tested")
def give_tested(
    tmp_path_factory: pytest.TempPathFactory, import_files: Callable[..., object], run_backtest: Backtest
) -> Path:
    """Return a folder with the bars and one trial. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("tested")
    bars().write_csv(folder / "bars.csv")
    import_files(folder, folder / "bars.csv")
    run_backtest(folder, name="first")
    return folder


@pytest.fixture
def copy(tested: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tested, tmp_path / "copy")


def states(read_table: Read, folder: Path) -> list[str]:
    return read_table(folder, "trials").sort("sequence")["state"].to_list()


def test_nothing_depends_on_later_bars(
    tested: Path,
    tmp_path: Path,
    import_files: Callable[..., object],
    run_backtest: Backtest,
    read_table: Read,
) -> None:
    """With bars up to a day alone, all decisions, fills and returns up to it are equal, bit for bit."""
    days = bars()["date"].unique().sort()
    day = days[310]
    (tmp_path / "cut").mkdir()
    bars().filter(pl.col("date") <= day).write_csv(tmp_path / "cut.csv")
    import_files(tmp_path / "cut", tmp_path / "cut.csv")
    run_backtest(tmp_path / "cut", name="first")
    for table, column, key in (
        ("trial_targets", "cutoff", ["cutoff", "ticker"]),
        ("trial_fills", "date", ["fill"]),
        ("trial_returns", "date", ["date"]),
    ):
        whole, cut = (
            read_table(folder, table).sort(key).drop("trial_id", "forecast_run_id", strict=False)
            for folder in (tested, tmp_path / "cut")
        )
        assert cut.height > 0
        # The decision on the last day of the cut bars has no session to be filled in.
        assert_frame_equal(whole.filter(pl.col(column) <= (cut[column].max())), cut, check_exact=True)
        assert whole.height > cut.height

    # Later bars only add decisions: the forecasts of the others are found, though a dividend and a split rescale all
    # adjusted prices before them, and change decisions and returns by rounding alone.
    with_later_actions(days[320], days[330]).write_csv(tmp_path / "later.csv")
    import_files(tmp_path / "cut", tmp_path / "later.csv")
    heard: list[Any] = []
    newest = run_backtest(tmp_path / "cut", name="first", heard=heard).run_id
    known, every = (read_table(folder, "trial_targets")["cutoff"].n_unique() for folder in (tmp_path / "cut", tested))
    lines = [event.line for event in heard if hasattr(event, "line")]
    assert known == every
    assert any(f"has those from {every - 1} of {every} dates" in line for line in lines), lines
    for table, column, key in (("trial_targets", "cutoff", ["cutoff", "ticker"]), ("trial_returns", "date", ["date"])):
        first, again = (
            read_table(folder, table).filter(pl.col(column) <= day).sort(key) for folder in (tested, tmp_path / "cut")
        )
        own = again.filter(trial_id=newest).drop("trial_id", "forecast_run_id", strict=False)
        assert_frame_equal(first.drop("trial_id", "forecast_run_id", strict=False), own, rel_tol=0, abs_tol=1e-7)
    factors = read_table(tmp_path / "cut", "bars").filter(ticker="STEADY").sort("date")["adj_factor"]
    assert factors[0] == pytest.approx(0.5 * 0.97)


def test_the_hash_of_a_date_covers_what_was_known_on_it() -> None:
    days = bars()["date"].unique().sort()
    dates = [days[place] for place in (100, 200, 300)]
    prices = ("open", "high", "low", "close")
    frame = bars().select("ticker", "date", *prices, adj_factor=pl.lit(1.0))
    hashes = bars_hashes(frame, dates, "code")
    assert len(set(hashes.values())) == 3
    cut = frame.filter(pl.col("date") <= dates[1])
    assert bars_hashes(cut, dates[:2], "code") == {day: hashes[day] for day in dates[:2]}
    dividend = pl.when(pl.col("date") < days[250]).then(0.97).otherwise(1.0)
    paid = bars_hashes(frame.with_columns(adj_factor=dividend), dates, "code")
    assert [paid[day] == hashes[day] for day in dates] == [True, True, False]
    restated = pl.when(pl.col("date") == days[150]).then(pl.col("close") + 0.01).otherwise("close")
    changed = bars_hashes(frame.with_columns(close=restated), dates, "code")
    assert [changed[day] == hashes[day] for day in dates] == [True, False, False]
    wider = pl.when(pl.col("date") == days[250]).then(pl.col("high") + 0.01).otherwise("high")
    ranged = bars_hashes(frame.with_columns(high=wider), dates, "code")
    assert [ranged[day] == hashes[day] for day in dates] == [True, True, False]
    assert not set(bars_hashes(frame, dates, "other code").values()) & set(hashes.values())


def test_a_decision_is_that_of_a_night(copy: Path, run_pipeline: Callable[..., RunResult], read_table: Read) -> None:
    decided = read_table(copy, "trial_targets")
    day = decided["cutoff"].min()
    night = run_pipeline(copy, as_of=day, upto="portfolio", risk=PATHS["risk"])
    targets = read_table(copy, "targets").filter(run_id=night.run_id)
    columns = ["ticker", "weight", "previous_weight", "core_weight", "tilt", "shares", "reason"]
    first = decided.filter(cutoff=day)
    assert targets.height == first.height > 0
    assert_frame_equal(first.select(columns).sort("ticker"), targets.select(columns).sort("ticker"), check_exact=True)


def test_fills_are_at_the_next_open_and_say_what_they_are(tested: Path, read_table: Read) -> None:
    fills = read_table(tested, "trial_fills").sort("fill")
    days = bars()["date"].unique().sort().to_list()
    prices = {(row["ticker"], row["date"]): row for row in bars().iter_rows(named=True)}
    for row in fills.filter(pl.col("kind") != "stopped").iter_rows(named=True):
        assert row["date"] == days[days.index(row["decided_on"]) + 1]
        bar = prices[row["ticker"], row["date"]]
        assert row["kind"] == ("close" if row["ticker"] == "CLOSES" else "open")
        assert row["price"] == pytest.approx(bar["open"] or bar["close"])
        assert row["shares"] == pytest.approx(round(row["shares"]))  # whole shares, since nothing was split
    stopped = fills.filter(kind="stopped")
    assert stopped["ticker"].to_list() == ["STOPS"]
    (row,) = stopped.iter_rows(named=True)
    assert row["decided_on"] is None
    assert row["price"] == pytest.approx(prices["STOPS", days[289]]["close"])
    assert (row["date"] - days[289]).days > 10  # forecast.max_age_days: nobody knew before
    assert set(fills["ticker"]) == {"CLOSES", "LATE", "PAUSES", "STEADY", "STOPS"}


def test_returns_follow_from_fills_and_closes(tested: Path, read_table: Read) -> None:
    """Every day is valued again from the fills alone."""
    returns, fills = read_table(tested, "trial_returns").sort("date"), read_table(tested, "trial_fills").sort("fill")
    cash, held, known, before = 100_000.0, dict[str, float](), dict[str, float](), 100_000.0
    by_day = bars().partition_by("date", as_dict=True)
    for row in returns.iter_rows(named=True):
        cost = 0.0
        for fill in fills.filter(date=row["date"]).iter_rows(named=True):
            cash -= fill["shares"] * fill["price"] + fill["cost"]
            cost += fill["cost"]
            held[fill["ticker"]] = held.get(fill["ticker"], 0.0) + fill["shares"]
        known |= dict(by_day[(row["date"],)].select("ticker", "close").iter_rows())
        equity = cash + sum(shares * known[ticker] for ticker, shares in held.items())
        assert row["equity"] == pytest.approx(equity, rel=1e-9)
        assert row["net"] == pytest.approx(equity / before - 1, abs=1e-12)
        assert row["gross"] - row["cost"] == pytest.approx(row["net"], abs=1e-12)
        assert row["cost"] == pytest.approx(cost / before, abs=1e-12)
        before = equity
    traded = (fills["shares"] * fills["price"]).abs()
    assert fills["cost"].to_list() == pytest.approx((0.001 * traded).to_list())


def test_a_second_trial_finds_the_forecasts_and_names_the_first_as_its_parent(
    copy: Path, run_backtest: Backtest, read_table: Read, ask: Read
) -> None:
    heard: list[object] = []
    first = read_table(copy, "trials")["trial_id"][0]
    again = run_backtest(copy, heard=heard)
    other = run_backtest(copy, cost=0.0, name="free")
    ended = {event.stage: event.status for event in heard if isinstance(event, StageEnded)}
    assert ended["past_forecasts"] == "skipped"
    rows = {row["trial_id"]: row for row in read_table(copy, "trials").sort("sequence").iter_rows(named=True)}
    assert rows[again.run_id]["parent"] == first
    assert rows[again.run_id]["returns_hash"] == rows[first]["returns_hash"]
    assert (rows[other.run_id]["parent"], rows[other.run_id]["costs"]) == (None, "none")
    returns = read_table(copy, "trial_returns").filter(trial_id=other.run_id)
    assert (returns["cost"] == 0).all()
    tests = read_table(copy, "trial_tests").filter(run_id=other.run_id)
    assert tests["trials"].to_list() == [3, 3, 3]
    assert "without costs" in tests.filter(trial_id=other.run_id)["reasons"][0]
    assert ask(copy, "SELECT count(*) FROM trial_verdicts WHERE verdict IS NOT NULL").item() == 3
    assert set(ask(copy, "FROM overfitting")["trial_id"]) == set(rows)


def test_an_evaluation_serves_a_backtest(
    tmp_path: Path,
    import_files: Callable[..., object],
    run_backtest: Backtest,
    settings_with: Callable[..., Any],
    workspace_in: Callable[[Path], Workspace],
) -> None:
    bars().write_csv(tmp_path / "bars.csv")
    import_files(tmp_path, tmp_path / "bars.csv")
    settings, workspace = settings_with(**PATHS), workspace_in(tmp_path)
    first = bars()["date"].unique().sort()[290]
    with open_lake(workspace, settings) as lake:
        evaluate_history(
            lake, workspace, settings, lambda _: None, request=Request(), steps=[1, 5],
            dates=ChosenDates(None, STEP, first, None),
        )  # fmt: skip
    heard: list[Any] = []
    run_backtest(tmp_path, first=first, heard=heard)
    said = [event.line for event in heard if hasattr(event, "line")]
    assert any(
        "has those from 3 of 4 dates" in line for line in said
    )  # an evaluation needs the horizon after its dates


def test_decisions_are_about_the_tickers_that_were_on_the_watch_list_then(
    copy: Path,
    run_backtest: Backtest,
    read_table: Read,
    settings_with: Callable[..., Any],
    workspace_in: Callable[[Path], Workspace],
) -> None:
    """The record begins with the second decision; PAUSES is added at the third, and STEADY removed at the last."""
    names = ["CLOSES", "LATE", "PAUSES", "STEADY", "STOPS"]
    days = read_table(copy, "trial_targets")["cutoff"].unique().sort().to_list()
    assert len(days) >= 4
    changes = [(ticker, True, days[1]) for ticker in names if ticker != "PAUSES"]
    changes += [("PAUSES", True, days[2]), ("STEADY", False, days[-1])]
    listed = [ticker for ticker in names if ticker != "STEADY"]
    now = [dict.fromkeys(UNIVERSE.polars_schema) | {"ticker": t, "source": "files", "status": "active"} for t in listed]
    rows = [
        {"ticker": ticker, "watched": watched, "recorded_at": datetime.combine(day, time(20)), "run_id": f"{day}"}
        for ticker, watched, day in changes
    ]
    settings, workspace = settings_with(**PATHS), workspace_in(copy)
    frames = {UNIVERSE: pl.DataFrame(now, schema=UNIVERSE.polars_schema)}
    frames[UNIVERSE_CHANGES] = pl.DataFrame(rows, schema=UNIVERSE_CHANGES.polars_schema)
    with open_lake(workspace, settings) as lake:
        lake.commit("a watch list", lambda to: [to.append(table, frame) for table, frame in frames.items()])
    heard: list[Any] = []
    trial = run_backtest(copy, heard=heard).run_id
    # The same tickers with the same sources: forecasts are those of before.
    assert {e.stage: e.status for e in heard if isinstance(e, StageEnded)}["past_forecasts"] == "skipped"
    targets = read_table(copy, "trial_targets").filter(trial_id=trial)
    decided = {day: set(targets.filter(cutoff=day, reason="traded")["ticker"]) for day in days}
    about = {
        day: set(targets.filter(pl.col("cutoff") == day, pl.col("reason") != "not_traded")["ticker"]) for day in days
    }
    before = read_table(copy, "trial_targets").filter(pl.col("trial_id") != trial)
    assert about[days[0]] == set(before.filter(cutoff=days[0])["ticker"])
    assert "PAUSES" not in about[days[1]]
    assert "PAUSES" in about[days[2]]
    assert "STEADY" in about[days[-2]]
    assert "STEADY" not in decided[days[-1]] | about[days[-1]]
    row = read_table(copy, "trials").filter(trial_id=trial, state="done").to_dicts()[0]
    assert row["universe_known_from"] == days[1]
    assert row["tickers"] == 5
    assert row["parent"] is None
    # A test by names is about those that the user has chosen, whatever was watched.
    named = run_backtest(copy, tickers=tuple(names)).run_id
    assert read_table(copy, "trials").filter(trial_id=named)["universe_known_from"].to_list() == [None, None]


def recorded(folder: Path, read_table: Read) -> RecordedTrials:
    """Return what the lake of a workspace has of trials."""
    frames = ("trial_returns", "trial_fills", "trial_targets", "trial_tests", "overfitting_tests")
    returns, fills, targets, tests, splits = (read_table(folder, name) for name in frames)
    rows, judgements = (read_table(folder, name).to_dicts() for name in ("trials", "trial_judgements"))
    return RecordedTrials(rows, returns, fills, targets, judgements, tests, splits)


def test_the_chain_shows_a_change(tested: Path, read_table: Read) -> None:
    found = recorded(tested, read_table)
    end, fault = verify_trials(found)
    assert (end.sequence, fault) == (3, None)
    cheaper = [dict(row, cost=0.5) if row["sequence"] == 1 else row for row in found.trials]
    for changed in (
        replace(found, trials=cheaper),
        replace(found, trials=found.trials[1:]),
        replace(found, judgements=[]),
        replace(found, returns=found.returns.with_columns(net=pl.col("net") + 1e-12)),
        replace(found, fills=found.fills.head(-1)),
        replace(found, targets=found.targets.with_columns(weight=pl.col("weight") + 1e-12)),
        replace(found, tests=found.tests.with_columns(verdict=pl.lit("proven"))),
    ):
        assert verify_trials(changed)[1] is not None


def test_a_trial_that_was_killed_counts_and_its_row_says_so(
    copy: Path,
    run_backtest: Backtest,
    read_table: Read,
    settings_with: Callable[..., Any],
    workspace_in: Callable[..., Workspace],
) -> None:
    settings, workspace = settings_with(**PATHS), workspace_in(copy)
    stage = backtesting(TrialRequest(step=STEP), PastReader(None, STEP))

    def cut_off(context: Context) -> Iterator[Result]:
        pieces = stage.compute(context)
        assert not isinstance(pieces, Result)
        yield next(pieces)  # and nothing after the first commit

    killed = replace(stage, compute=cut_off)
    with open_lake(workspace, settings) as lake:
        Runner(lake, settings, workspace, lambda _: None).run((killed,), Request(), kind=RunKind.BACKTEST)
    assert states(read_table, copy) == ["started", "done", "started"]
    run_backtest(copy)
    assert states(read_table, copy) == ["started", "done", "started", "killed", "started", "done"]
    assert set(read_table(copy, "trial_tests").sort("run_id").tail(1)["trials"]) == {3}
    assert verify_trials(recorded(copy, read_table))[1] is None


def test_a_trial_that_fails_counts_too(
    copy: Path, run_backtest: Backtest, read_table: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pm.validation.walk.walk_forward", fail)
    with pytest.raises(KeyboardInterrupt):
        run_backtest(copy)
    assert states(read_table, copy) == ["started", "done", "started", "failed"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"benchmark": "NOBODY"}, "no benchmark 'NOBODY'"),
        ({"benchmark": "steady"}, "Did you mean 'STEADY'"),
        ({"deposits": ((date(2019, 1, 5), 10.0),)}, "A deposit on 2019-01-05 cannot be made"),
        ({"first": date(2030, 1, 1)}, "no date to forecast from"),
        ({"as_of": date(2019, 3, 1)}, "needs 251 sessions; up to 2019-03-01 the bars have 44"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    copy: Path, run_backtest: Backtest, read_table: Read, asked: dict[str, Any], words: str
) -> None:
    heard: list[object] = []
    with pytest.raises(InputError, match=words):
        run_backtest(copy, **asked, step=7, heard=heard)
    assert states(read_table, copy) == ["started", "done"]  # it does not count as a trial
    # Nothing is forecast before it is refused.
    assert [event.stage for event in heard if isinstance(event, StageEnded)] == ["land", "check", "past_forecasts"]


def test_a_benchmark_can_be_a_ticker_that_the_trial_is_not_about(
    copy: Path, run_backtest: Backtest, read_table: Read
) -> None:
    first = bars()["date"].unique().sort()[320]
    trial = run_backtest(copy, tickers=("LATE", "STEADY"), benchmark="CLOSES", first=first).run_id
    own = read_table(copy, "trial_returns").filter(trial_id=trial).sort("date")
    closes = bars().filter(pl.col("date") >= first, ticker="CLOSES").sort("date")["close"].pct_change().drop_nulls()
    assert own["benchmark"].to_list() == pytest.approx(closes.to_list())
    assert "CLOSES" not in read_table(copy, "trial_fills").filter(trial_id=trial)["ticker"]


def test_a_deposit_is_no_return(copy: Path, run_backtest: Backtest, read_table: Read) -> None:
    day = bars()["date"].unique().sort()[300]
    trial = run_backtest(copy, deposits=((day, 50_000.0),)).run_id
    own = read_table(copy, "trial_returns").filter(trial_id=trial).sort("date")
    assert (own["net"].abs() < 0.05).all()
    before, after = (own.filter(pl.col("date") < day)["equity"][-1], own.filter(date=day)["equity"][0])
    assert after - before == pytest.approx(50_000, rel=0.1)


def test_more_than_there_is_cannot_be_taken_out(copy: Path, run_backtest: Backtest, read_table: Read) -> None:
    day = bars()["date"].unique().sort()[300]
    with pytest.raises(InputError, match=f"taken out on {day}"):
        run_backtest(copy, deposits=((day, -1e6),))
    assert states(read_table, copy) == ["started", "done", "started", "failed"]


def test_one_ticker_a_ticker_that_stopped_before_and_a_horizon_longer_than_the_history(
    tmp_path: Path, import_files: Callable[..., object], run_backtest: Backtest, read_table: Read, ask: Read
) -> None:
    gone = bars().filter(ticker="STEADY").head(60).with_columns(ticker=pl.lit("GONE"))
    pl.concat([bars(), gone]).write_csv(tmp_path / "bars.csv")
    import_files(tmp_path, tmp_path / "bars.csv")
    first = bars()["date"].unique().sort()[300]
    run_backtest(tmp_path, first=first, tickers=("GONE", "STEADY"), name="two")
    fills = read_table(tmp_path, "trial_fills")
    assert set(fills["ticker"]) == {"STEADY"}
    idle = {"forecast": {"horizon": 400}, "portfolio": {"minimum_order": 1e9}}
    nothing = run_backtest(tmp_path, first=first, tickers=("STEADY",), sections=idle).run_id
    rows = read_table(tmp_path, "trials").filter(trial_id=nothing, state="done")
    assert rows.select("fills", "sharpe").rows() == [(0, None)]  # not a ratio of 0
    (row,) = ask(tmp_path, f"FROM trial_verdicts WHERE trial_id = '{nothing}'").to_dicts()
    assert (row["verdict"], row["annual_sharpe"]) == ("not_proven", None)
    assert "no trade" in row["reasons"]
