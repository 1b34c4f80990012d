from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.errors import InputError, StageError
from pm.lake import Lake
from pm.parallel import Workers
from pm.pipeline import Request
from pm.pipeline.chunks import serve
from pm.pipeline.stage import Context
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TICKERS = [f"T{place}" for place in range(7)]


def context(told: list[str] | None = None, seen: list[tuple[int, int]] | None = None, *, jobs: int = 1) -> Context:
    return Context(
        lake=None,  # type: ignore[arg-type] # a room touches no lake
        settings=None,  # type: ignore[arg-type]
        workspace=None,  # type: ignore[arg-type]
        request=Request("sample"),
        run_id="run",
        snapshot=1,
        outputs={},
        workers=Workers(jobs=jobs),
        recipe="",
        progress=lambda done, total: (seen if seen is not None else []).append((done, total)),
        tell=(told if told is not None else []).append,
    )


def chunks(sizes: list[int]) -> list[tuple[pl.DataFrame, ...]]:
    """Two frames a chunk: two rows a ticker, and one."""
    names = iter(TICKERS)
    parts: list[tuple[pl.DataFrame, ...]] = []
    for size in sizes:
        own = [next(names) for _ in range(size)]
        parts.append((pl.DataFrame({"ticker": own * 2}), pl.DataFrame({"ticker": own, "value": range(size)})))
    return parts


def room(first: pl.DataFrame, second: pl.DataFrame, *, bad: frozenset[str] = frozenset()) -> list[str]:
    assert set(first["ticker"]) == set(second["ticker"])
    for ticker in second["ticker"]:
        if ticker in bad:
            raise ZeroDivisionError(f"no {ticker}")
    return second["ticker"].to_list()


class Room:
    """A room over which the tickers named fail."""

    def __init__(self, *bad: str) -> None:
        self.bad = frozenset(bad)

    def __call__(self, *frames: pl.DataFrame) -> list[str]:
        return room(*frames, bad=self.bad)


@settings(deadline=None)  # the first chunk loads numba
@given(bad=st.sets(st.sampled_from(TICKERS), max_size=6), sizes=st.sampled_from([[7], [3, 4], [1, 5, 1], [2, 2, 3]]))
def test_the_tickers_to_blame_fail_and_all_others_are_served_in_order(bad: set[str], sizes: list[int]) -> None:
    served = serve(context(), "forecast", Room(*bad), chunks(sizes))
    assert [name for result in served.results for name in result] == [name for name in TICKERS if name not in bad]
    assert served.exclusions["ticker"].to_list() == [name for name in TICKERS if name in bad]
    for row in served.exclusions.iter_rows(named=True):
        assert (row["stage"], row["reason"]) == ("forecast", "failed")
        assert row["detail"].startswith(f"ZeroDivisionError: no {row['ticker']} (test_chunks.py:")
    assert str(served) == (f", {len(bad)} FAILED (see exclusions)" if bad else "")


def test_workers_do_it_too_and_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    served = serve(context(seen=seen, jobs=2), "forecast", Room("T1", "T5"), chunks([3, 3, 1]))
    assert served.exclusions["ticker"].to_list() == ["T1", "T5"]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_room_that_fails_over_every_ticker_has_failed() -> None:
    with pytest.raises(StageError, match="failed over every ticker, 7 in all; over T0: ZeroDivisionError: no T0"):
        serve(context(), "forecast", Room(*TICKERS), chunks([3, 4]))


def test_a_room_that_fails_only_over_many_tickers_is_not_kept_quiet_about() -> None:
    def crowded(first: pl.DataFrame, _: pl.DataFrame) -> int:
        if first["ticker"].n_unique() > 2:
            raise ValueError("too many at once")
        return first["ticker"].n_unique()

    told: list[str] = []
    served = serve(context(told), "volatility", crowded, chunks([7]))
    assert sum(served.results) == 7
    assert served.exclusions.is_empty()
    assert told
    assert all("too many at once" in line for line in told)


@pytest.mark.parametrize("error", [InputError("yours"), UserWarning("look")])
def test_an_error_of_the_users_and_a_warning_are_not_held_back(error: Exception) -> None:
    def raises(*_: pl.DataFrame) -> None:
        raise error

    with pytest.raises(type(error), match=str(error.args[0])):
        serve(context(), "forecast", raises, chunks([7]))


def test_a_failed_ticker_is_a_row_of_the_night_and_its_summary_says_so(
    tmp_path: Path, run_night: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pm import volatility

    fit = volatility.fit_volatility

    def faulty(returns: pl.DataFrame, **options: Any) -> Any:  # noqa: ANN401 - as the room's own
        if "IBM" in returns["ticker"]:
            raise FloatingPointError("a fault of pm")
        return fit(returns, **options)

    monkeypatch.setattr(volatility, "fit_volatility", faulty)
    heard: list[Any] = []
    run_night(tmp_path, run={"jobs": 1, "chunk_size": 5}, heard=heard)
    with Lake(Workspace(tmp_path).lake, load_settings().lake, TABLES, read_only=True) as lake:
        failed = lake.rows("SELECT stage, ticker, detail FROM exclusions WHERE reason = 'failed'")
        assert [(row["stage"], row["ticker"]) for row in failed] == [("volatility", "IBM")]
        assert failed[0]["detail"].startswith("FloatingPointError: a fault of pm (test_chunks.py:")
        assert lake.scalar("SELECT count(DISTINCT ticker) FROM latest_signals") == 4
    assert [event.summary for event in heard if getattr(event, "summary", "").endswith("1 FAILED (see exclusions)")]


def test_what_does_the_work_is_no_part_of_what_is_asked() -> None:
    asked = Request("sample", ("AAPL",))
    busy = replace(asked, jobs=3, engine="dask", address="tcp://127.0.0.1:8786")
    assert busy.asked == asked
    assert asked.done_as(busy) == busy
