from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import InputError, StageError
from pm.lake import Lake
from pm.pipeline import Request
from pm.pipeline.chunks import map_chunks
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.pipeline.stage import Context

    Make = Callable[..., Context]

TICKERS = [f"T{place}" for place in range(7)]


def chunks(sizes: list[int]) -> list[tuple[pl.DataFrame, ...]]:
    """Two frames a chunk: two rows a ticker, and one."""
    names = iter(TICKERS)
    parts: list[tuple[pl.DataFrame, ...]] = []
    for size in sizes:
        own = [next(names) for _ in range(size)]
        parts.append((pl.DataFrame({"ticker": own * 2}), pl.DataFrame({"ticker": own, "value": range(size)})))
    return parts


def names_of(first: pl.DataFrame, second: pl.DataFrame, *, bad: frozenset[str] = frozenset()) -> list[str]:
    assert set(first["ticker"]) == set(second["ticker"])
    for ticker in second["ticker"]:
        if ticker in bad:
            raise ZeroDivisionError(f"no {ticker}")
    return second["ticker"].to_list()


class FailingOn:
    """A picklable function that fails on some tickers."""

    def __init__(self, *bad: str) -> None:
        self.bad = frozenset(bad)

    def __call__(self, *frames: pl.DataFrame) -> list[str]:
        return names_of(*frames, bad=self.bad)


@settings(deadline=None)  # the first chunk loads numba
@given(bad=st.sets(st.sampled_from(TICKERS), max_size=6), sizes=st.sampled_from([[7], [3, 4], [1, 5, 1], [2, 2, 3]]))
def test_tickers_that_fail_are_excluded_and_all_others_computed_in_order(
    make_context: Make, bad: set[str], sizes: list[int]
) -> None:
    computed = map_chunks(make_context(), FailingOn(*bad), chunks(sizes))
    assert [name for result in computed.results for name in result] == [name for name in TICKERS if name not in bad]
    assert computed.exclusions["ticker"].to_list() == [name for name in TICKERS if name in bad]
    for row in computed.exclusions.iter_rows(named=True):
        assert (row["stage"], row["reason"]) == ("forecast", "failed")
        assert row["detail"].startswith(f"ZeroDivisionError: no {row['ticker']} (test_chunks.py:")
    assert computed.failures == (f", {len(bad)} FAILED (see exclusions)" if bad else "")


def test_worker_processes_do_the_same_and_progress_is_reported(make_context: Make) -> None:
    seen: list[tuple[int, int]] = []
    context = make_context(jobs=2, progress=lambda done, total: seen.append((done, total)))
    computed = map_chunks(context, FailingOn("T1", "T5"), chunks([3, 3, 1]))
    assert computed.exclusions["ticker"].to_list() == ["T1", "T5"]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_function_that_fails_over_every_ticker_fails_the_stage(make_context: Make) -> None:
    with pytest.raises(StageError, match="failed over every ticker, 7 in all; over T0: ZeroDivisionError: no T0"):
        map_chunks(make_context(), FailingOn(*TICKERS), chunks([3, 4]))


def test_a_panic_of_a_library_over_a_ticker_excludes_that_ticker_only(make_context: Make) -> None:
    panic = type("PanicException", (BaseException,), {})

    def panics(first: pl.DataFrame, _: pl.DataFrame) -> int:
        if "T2" in first["ticker"].to_list():
            raise panic("index out of bounds")
        return first["ticker"].n_unique()

    computed = map_chunks(make_context(), panics, chunks([7]))
    assert sum(computed.results) == 6
    assert computed.exclusions["ticker"].to_list() == ["T2"]


def test_a_failure_over_several_tickers_but_none_alone_is_reported(make_context: Make) -> None:
    def crowded(first: pl.DataFrame, _: pl.DataFrame) -> int:
        if first["ticker"].n_unique() > 2:
            raise ValueError("too many at once")
        return first["ticker"].n_unique()

    notices: list[str] = []
    computed = map_chunks(make_context(notify=notices.append), crowded, chunks([7]))
    assert sum(computed.results) == 7
    assert computed.exclusions.is_empty()
    assert notices
    assert all("too many at once" in line for line in notices)


@pytest.mark.parametrize("error", [InputError("yours"), UserWarning("look")])
def test_an_error_of_the_users_and_a_warning_are_raised(make_context: Make, error: Exception) -> None:
    def raises(*_: pl.DataFrame) -> None:
        raise error

    with pytest.raises(type(error), match=str(error.args[0])):
        map_chunks(make_context(), raises, chunks([7]))


def test_a_failed_ticker_is_a_row_of_exclusions_and_in_the_summary(
    tmp_path: Path, run_pipeline: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pm import volatility

    fit = volatility.fit_tickers

    def faulty(returns: pl.DataFrame, **options: Any) -> Any:  # noqa: ANN401 - as the original
        if "IBM" in returns["ticker"]:
            raise FloatingPointError("a fault of pm")
        return fit(returns, **options)

    monkeypatch.setattr(volatility, "fit_tickers", faulty)
    heard: list[Any] = []
    run_pipeline(tmp_path, run={"jobs": 1, "chunk_size": 5}, heard=heard, upto="signals")
    with Lake(Workspace(tmp_path).lake, load_settings().lake, TABLES, read_only=True) as lake:
        failed = lake.rows("SELECT stage, ticker, detail FROM exclusions WHERE reason = 'failed'")
        assert [(row["stage"], row["ticker"]) for row in failed] == [("volatility", "IBM")]
        assert failed[0]["detail"].startswith("FloatingPointError: a fault of pm (test_chunks.py:")
        assert lake.scalar("SELECT count(DISTINCT ticker) FROM latest_signals") == 4
    assert [event.summary for event in heard if getattr(event, "summary", "").endswith("1 FAILED (see exclusions)")]


def test_what_does_the_work_is_not_part_of_the_scope() -> None:
    request = Request("sample", ("AAPL",))
    busy = replace(request, jobs=3, engine="dask", address="tcp://127.0.0.1:8786")
    assert busy.scope == request
    assert request.with_workers_of(busy) == busy
