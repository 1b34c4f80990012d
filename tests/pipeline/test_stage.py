"""The contract of a stage: it computes, the runner writes; it reads and writes only what it declares."""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pm.errors import LakeBusyError, StageError, StorageError
from pm.lake import Lake
from pm.pipeline import writes
from pm.pipeline.request import Request
from pm.pipeline.run_stages import RUN_STAGES
from pm.pipeline.runner import Runner
from pm.pipeline.stage import Context, Stage, UndeclaredAccessError
from pm.pipeline.writes import Append, Delete, Merge, Result, Spool
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.quality import BAR_FLAGS, BARS, QUARANTINE
from pm.tables.sources import RAW_BARS, UNIVERSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pm.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path, workspace_in: Callable[[Path], Workspace]) -> Workspace:
    return workspace_in(tmp_path / "workspace")


@pytest.fixture
def lake(workspace: Workspace) -> Iterator[Lake]:
    with Lake(workspace.lake, load_settings().lake, TABLES, views=[sql_dir()]) as opened:
        yield opened


@pytest.fixture
def run(lake: Lake, workspace: Workspace) -> Callable[..., Any]:
    """Run stages on the lake: `run(stage, …)`."""

    def run_stages(*stages: Stage) -> Any:  # noqa: ANN401 - a RunResult
        return Runner(lake, load_settings(), workspace, lambda _: None).run(stages, Request())

    return run_stages


def watched(*tickers: str) -> pl.DataFrame:
    rows = [{"ticker": ticker, "source": "files", "run_id": "r"} for ticker in tickers]
    return pl.DataFrame(rows, schema=UNIVERSE.polars_schema)


def test_a_stage_may_read_only_what_it_declares(lake: Lake, make_context: Callable[..., Context]) -> None:
    stage = Stage("s", lambda _: Result([], ""), reads=(BARS,), writes=(BAR_FLAGS,))
    context = make_context(stage, lake)
    assert context.read(BARS).is_empty()
    assert context.read(BAR_FLAGS).is_empty()  # what it writes it may read
    assert context.query("SELECT ticker FROM bars WHERE ticker = ?", ["A"]).is_empty()
    assert context.query("FROM bars SEMI JOIN wanted USING (ticker)", wanted=pl.DataFrame({"ticker": ["A"]})).is_empty()
    with pytest.raises(UndeclaredAccessError, match=r"Stage s reads raw\.bars and does not declare it"):
        context.read(RAW_BARS)
    for sql in (
        "FROM quarantine",
        "SELECT * FROM bars WHERE ticker IN (SELECT ticker FROM quarantine)",
        "WITH q AS (FROM quarantine) FROM bars JOIN q USING (ticker)",
        "SELECT (SELECT count(*) FROM quarantine) FROM bars",
    ):
        with pytest.raises(UndeclaredAccessError, match="reads quarantine and does not declare it"):
            context.query(sql)
        with pytest.raises(UndeclaredAccessError, match="reads quarantine and does not declare it"):
            context.rows(sql)
    with pytest.raises(UndeclaredAccessError, match="reads view adjusted_bars and does not declare it"):
        context.query("FROM adjusted_bars")


def test_a_stage_may_write_only_what_it_declares(run: Callable[..., Any], lake: Lake) -> None:
    stage = Stage("s", lambda _: Result([Append(UNIVERSE, watched("A"))], ""), writes=(BARS,))
    with pytest.raises(StageError, match="Stage s writes universe and does not declare it"):
        run(stage)
    assert lake.read(UNIVERSE).is_empty()


def test_a_stage_that_never_had_anything_to_do_is_skipped_with_its_reason(run: Callable[..., Any], lake: Lake) -> None:
    idle = ["no key"]
    stage = Stage(
        "s",
        lambda _: Result([Append(UNIVERSE, watched("A"))], "done"),
        writes=(UNIVERSE,),
        depends=lambda _: None,
        idle=lambda _: idle[0] if idle else None,
    )
    first = run(stage)
    assert (first.worked, first.outputs) == (False, {"s": first.run_id})
    events = "SELECT status, output_run_id, summary FROM stage_events ORDER BY finished_at"
    assert lake.query(events).rows() == [("skipped", first.run_id, "no key")]
    idle.clear()
    second = run(stage)
    assert second.worked
    idle.append("nothing is due")
    assert run(stage).outputs == {"s": second.run_id}
    assert lake.query("SELECT ticker FROM universe").rows() == [("A",)]


def test_a_degraded_stage_is_done_again_by_the_next_run_but_not_by_one_that_continues(
    lake: Lake, workspace: Workspace
) -> None:
    lacking, breaks, computed = ["the model died", None], [True], []

    def part(_: Context) -> Result:
        computed.append("part")
        return Result([], "3 texts", lacking[0])

    def later(_: Context) -> Result:
        computed.append("later")
        if breaks:
            raise RuntimeError("cut off")
        return Result([], "")

    def run(resume: str | None = None) -> Any:  # noqa: ANN401 - a RunResult
        stages = (Stage("part", part, writes=(BARS,)), Stage("later", later, reads=(BARS,)))
        return Runner(lake, load_settings(), workspace, lambda _: None).run(stages, Request(), resume=resume)

    with pytest.raises(StageError):
        run()
    (first,) = lake.query("SELECT run_id FROM runs").to_series()
    breaks.clear()
    assert run(first).run_id == first
    assert computed == ["part", "later", "later"]  # the same run is not begun anew for it
    events = "SELECT status, degraded, summary FROM stage_events WHERE stage = 'part' ORDER BY finished_at"
    assert lake.query(events).rows()[0] == (
        "done",
        "the model died",
        "3 texts; the model died; the next run tries again",
    )
    lacking.pop(0)
    assert run().worked
    assert computed[3:] == ["part"]
    assert lake.query(events).rows()[-1] == ("done", None, "3 texts")
    assert not run().worked


def test_the_tables_beneath_declared_views_are_declared_too(lake: Lake) -> None:
    for stage in RUN_STAGES:
        declared = {table.qualified for table in (*stage.reads, *stage.past, *stage.writes)}
        for view in stage.views:
            beneath = lake.tables_read_by(f"FROM {view}")
            assert beneath
            assert beneath <= declared, stage.name


def test_a_stage_computes_once_though_its_commit_is_tried_again(
    run: Callable[..., Any], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def compute(context: Context) -> Result:
        computed.append(context.run_id)
        return Result([Append(UNIVERSE, watched("A"))], "done")

    tries: list[str] = []
    atomically = Lake._atomically

    def busy_twice(self: Lake, work: Callable[[], Any], note: str, *, record: bool) -> Any:  # noqa: ANN401 - the work's
        def work_and_lose() -> Any:  # noqa: ANN401 - likewise
            result = work()
            if " only" in note and len(tries) < 2:
                tries.append(note)
                raise LakeBusyError("Another commit came first.")
            return result

        return atomically(self, work_and_lose, note, record=record)

    monkeypatch.setattr(Lake, "_atomically", busy_twice)
    result = run(Stage("only", compute, writes=(UNIVERSE,), depends=lambda _: None))
    assert len(tries) == 2
    assert computed == [result.run_id]
    assert lake.read(UNIVERSE)["ticker"].to_list() == ["A"]


def test_changes_are_applied_in_order_in_one_commit_and_counted(run: Callable[..., Any], lake: Lake) -> None:
    def compute(_: Context) -> Result:
        return Result(
            [
                Append(UNIVERSE, watched("A", "B", "C")),
                Merge(UNIVERSE, watched("B").with_columns(source=pl.lit("sample"))),
                Delete(UNIVERSE, "ticker IN (SELECT ticker FROM gone)", frames={"gone": watched("A")}),
                Delete(UNIVERSE, "ticker = ?", ["C"]),
            ],
            "changed",
        )

    before = lake.snapshot
    result = run(Stage("only", compute, writes=(UNIVERSE,)))
    assert lake.read(UNIVERSE).select("ticker", "source").rows() == [("B", "sample")]
    event = lake.rows("SELECT rows, summary, status FROM stage_events WHERE run_id = ?", [result.run_id])
    assert event == [{"rows": 4, "summary": "changed", "status": "done"}]
    messages = [
        row["commit_message"]
        for row in lake.rows("SELECT commit_message FROM lake.snapshots() WHERE snapshot_id > ?", [before])
    ]
    assert messages == [f"{result.run_id} {stage}" for stage in ("begin", "only", "end")]


def test_rows_beyond_memory_go_through_files_and_are_the_same(
    run: Callable[..., Any], lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "_ROWS_IN_MEMORY", 5)
    tickers = [f"T{place:02d}" for place in range(13)]
    files: list[int] = []

    def compute(context: Context) -> Result:
        spool = context.spool(UNIVERSE)
        for start in range(0, 13, 3):
            assert spool.add(watched(*tickers[start : start + 3])) == len(tickers[start : start + 3])
        change = spool.append()
        files.append(len(list(context.spool_folder.glob("*.parquet"))))
        assert spool.rows == 13
        return Result([change], "")

    result = run(Stage("only", compute, writes=(UNIVERSE,)))
    assert files == [3]
    assert_frame_equal(lake.read(UNIVERSE), watched(*tickers))
    assert lake.rows("SELECT rows FROM stage_events WHERE run_id = ?", [result.run_id]) == [{"rows": 13}]
    assert not workspace.spool.exists() or not list(workspace.spool.rglob("*.parquet"))


def test_what_a_killed_run_left_on_its_way_is_removed(run: Callable[..., Any], workspace: Workspace) -> None:
    left = workspace.spool / "land" / "raw.bars-000000.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    run(Stage("only", lambda _: Result([], ""), writes=(UNIVERSE,)))
    assert not left.exists()


def test_two_spools_of_a_table_keep_their_rows_apart(
    run: Callable[..., Any], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "_ROWS_IN_MEMORY", 1)

    def compute(context: Context) -> Result:
        spools = context.spool(UNIVERSE), context.spool(UNIVERSE)
        for spool, ticker in zip((*spools, *spools), "ABCD", strict=True):
            spool.add(watched(ticker))
        return Result([spool.append() for spool in spools], "done")

    run(Stage("only", compute, writes=(UNIVERSE,)))
    assert lake.read(UNIVERSE)["ticker"].to_list() == ["A", "B", "C", "D"]


def test_a_stage_reads_one_snapshot(run: Callable[..., Any], lake: Lake, workspace: Workspace) -> None:
    seen = []

    def compute(context: Context) -> Result:
        for _ in range(2):
            seen.append((context.read(UNIVERSE).height, len(context.rows("FROM universe")), context.snapshot))
            with Lake(workspace.lake, load_settings().lake, TABLES) as other:
                other.commit("more", lambda tx: tx.append(UNIVERSE, watched(f"T{len(seen)}")))
        with pytest.raises(RuntimeError, match="Nothing can be committed"):
            lake.commit("inside", lambda tx: tx.append(UNIVERSE, watched("X")))
        return Result([], "done")

    run(Stage("only", compute, reads=(UNIVERSE,)))
    assert seen[0] == seen[1] == (0, 0, seen[0][2])
    assert lake.read(UNIVERSE)["ticker"].to_list() == ["T1", "T2"]


def test_a_stage_that_talks_to_the_network_computes_outside_of_a_transaction(run: Callable[..., Any]) -> None:
    times = []

    def compute(context: Context) -> Result:
        for _ in range(2):  # inside a transaction the time stands still
            times.append(context.lake.scalar("SELECT now()"))
            time.sleep(0.01)
        return Result([], "done")

    run(Stage("only", compute, network=True))
    assert len(times) == len(set(times)) == 2


def test_what_has_an_effect_outside_is_done_once_by_two_stages(run: Callable[..., Any], lake: Lake) -> None:
    """Intents are committed, then carried out under the intent's key, by which the receiver knows an order it has."""
    requests: list[str] = []
    orders: set[str] = set()
    broken = True

    def intend(_: Context) -> Result:
        return Result([Merge(UNIVERSE, watched("A", "B"))], "two orders")

    def carry_out(context: Context) -> Result:
        done = context.read(BAR_FLAGS)["ticker"].to_list()
        sent = [ticker for ticker in context.read(UNIVERSE)["ticker"] if ticker not in done]
        requests.extend(sent)
        orders.update(sent)
        if broken:
            raise OSError("the power failed between the effect and the commit")
        return Result([Append(BAR_FLAGS, flags(*sent))], f"{len(sent)} sent")

    intents = Stage("intend", intend, writes=(UNIVERSE,))
    effects = Stage("carry_out", carry_out, reads=(UNIVERSE,), writes=(BAR_FLAGS,))
    with pytest.raises(StageError, match="the power failed"):
        run(intents, effects)
    assert lake.read(UNIVERSE)["ticker"].to_list() == ["A", "B"]
    broken = False
    run(intents, effects)
    run(intents, effects)
    assert requests == ["A", "B"] * 2  # again after the failure, and not once they were recorded
    assert orders == {"A", "B"}
    assert lake.read(BAR_FLAGS)["ticker"].to_list() == ["A", "B"]


def flags(*tickers: str) -> pl.DataFrame:
    rows = [{"ticker": ticker, "date": date(2020, 1, 1), "rule": "sent"} for ticker in tickers]
    return pl.DataFrame(rows, schema=BAR_FLAGS.polars_schema)


def test_an_empty_spool_adds_nothing(tmp_path: Path) -> None:
    spool = Spool(UNIVERSE, tmp_path / "spool")
    assert spool.add(watched()) == 0
    assert_frame_equal(spool.append().rows, watched())  # type: ignore[arg-type]
    assert not (tmp_path / "spool").exists()


def test_a_spool_that_cannot_be_written_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "_ROWS_IN_MEMORY", 1)
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="Rows for the lake cannot be written to disk"):
        Spool(UNIVERSE, tmp_path / "spool").add(watched("A"))


@pytest.mark.parametrize("kind", [ZeroDivisionError, type("PanicException", (BaseException,), {})])
def test_a_stage_that_fails_leaves_nothing_of_its_own(
    run: Callable[..., Any], lake: Lake, kind: type[BaseException]
) -> None:
    def fails(_: Context) -> Result:
        raise kind("a bug")

    good = Stage("good", lambda _: Result([Append(UNIVERSE, watched("A"))], ""), writes=(UNIVERSE,))
    bad = Stage("bad", fails, reads=(UNIVERSE,), writes=(QUARANTINE,))
    with pytest.raises(StageError, match=f"Stage bad failed: {kind.__name__}: a bug"):
        run(good, bad)
    assert lake.read(UNIVERSE)["ticker"].to_list() == ["A"]
    statuses = {row["stage"]: row["status"] for row in lake.rows("SELECT stage, status FROM stage_events")}
    assert statuses == {"good": "done", "bad": "failed"}
    assert lake.rows("SELECT status FROM runs") == [{"status": "failed"}]


def test_the_output_of_earlier_stages_is_read_by_their_runs(lake: Lake, make_context: Callable[..., Context]) -> None:
    from pm.tables.pipeline import EXCLUSIONS

    rows = [
        {"run_id": run_id, "stage": stage, "ticker": ticker, "reason": "late"}
        for run_id, stage, ticker in [("r1", "a", "OLD"), ("r2", "a", "A"), ("r1", "b", "B"), ("r2", "c", "OTHER")]
    ]
    frame = pl.DataFrame(rows, schema=EXCLUSIONS.polars_schema)
    lake.commit("rows", lambda transaction: transaction.append(EXCLUSIONS, frame))
    stage = Stage("s", lambda _: Result([], ""), reads=(EXCLUSIONS,))
    context = make_context(stage, lake, outputs={"a": "r2", "b": "r1"}, producers={"exclusions": ("a", "b")})
    assert set(context.read_outputs(EXCLUSIONS)["ticker"]) == {"A", "B"}
    assert context.read_outputs(EXCLUSIONS, "ticker = ?", ["A"])["ticker"].to_list() == ["A"]
    assert make_context(stage, lake).read_outputs(EXCLUSIONS).is_empty()
