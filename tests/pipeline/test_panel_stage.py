from __future__ import annotations

from typing import TYPE_CHECKING

from polars.testing import assert_frame_equal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from pm.pipeline.runner import RunResult

STAMP = ("run_id", "snapshot_id", "source")


def rows(table: pl.DataFrame, run: RunResult) -> pl.DataFrame:
    return table.filter(run_id=run.run_id).drop(name for name in STAMP if name in table.columns)


def test_a_run_that_names_a_ticker_says_of_it_what_the_run_of_all_said(
    checked_copy: Path,
    run_pipeline: Callable[..., RunResult],
    read_table: Callable[..., pl.DataFrame],
) -> None:
    alone = run_pipeline(checked_copy, tickers=("IBM",), upto="volatility")
    whole = run_pipeline(checked_copy, upto="volatility")
    named = run_pipeline(checked_copy, tickers=("IBM",), upto="volatility")
    fits = read_table(checked_copy, "panel_fits")
    assert {run.run_id: set(fits.filter(run_id=run.run_id)["source"]) for run in (alone, whole, named)} == {
        alone.run_id: {"named"},
        whole.run_id: {"run"},
        named.run_id: {whole.run_id},
    }
    for name in ("volatility", "volatility_members", "panel_fits", "panel_market"):
        table = read_table(checked_copy, name)
        expected, found = rows(table, whole), rows(table, named)
        if "ticker" in table.columns:
            expected = expected.filter(ticker="IBM")
        assert not expected.is_empty()
        assert_frame_equal(found, expected, check_row_order=False, check_exact=True)
    young = read_table(checked_copy, "volatility").filter(run_id=whole.run_id, ticker="FB")
    assert set(young["model"]) == {"panel"}
