"""The outcome of a forecast is a bar counted from the origin, whatever day the bar was promised for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.lake import Lake
from pm.resources import sql_dir
from pm.settings import load_settings
from pm.tables.catalogue import TABLES
from pm.tables.forecast import FORECASTS
from pm.tables.pipeline import RUNS
from pm.tables.quality import BARS
from pm.tables.quantiles import QUANTILES, quantile_column
from pm.tables.signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pm.lake import Transaction
    from pm.tables.declaration import Table

ORIGIN = date(2024, 3, 1)
"""A Friday, on which every ticker has a bar."""
STEPS = (1, 5, 20)

LATER_BARS = {
    "PUNCTUAL": [7 * (n // 5) + n % 5 + 3 for n in range(20)],
    "HOLIDAYS": [7 * (n // 5) + n % 5 + 12 for n in range(20)],  # a closure of nine days that nobody promised
    "SATURDAYS": [7 * (n // 6) + n % 6 + 1 for n in range(20)],  # bars come sooner than promised
    "SPARSE": [2 * n + 3 for n in range(20)],
    "HALTED": [60 + n for n in range(20)],
    "ENDED": [3, 4],
}
"""Days from the origin to each later bar. Promised are Mondays to Fridays."""

LATEST = 14
"""Days after the promised one, besides one for each step, on which an outcome can come at the latest."""


def _completed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    given = set(frame.columns)
    return table.conform(
        frame.select(pl.col(name) if name in given else pl.lit(None).alias(name) for name in table.polars_schema)
    )


def promised(step: int) -> date:
    return ORIGIN + timedelta(days=7 * ((step - 1) // 5) + (step - 1) % 5 + 3)


def until(step: int, late: int) -> list[int]:
    """Return the days from the origin to bars of which that of a step comes so many days after the promised one."""
    last = (promised(step) - ORIGIN).days + late
    return list(range(last - step + 1, last + 1))


for number in STEPS:
    LATER_BARS[f"LATE {number}"] = until(number, LATEST + number)
    LATER_BARS[f"TOO LATE {number}"] = until(number, LATEST + number + 1)


@pytest.fixture(scope="module")
def closes() -> dict[str, list[tuple[date, float]]]:
    """Return each ticker's bars from the origin on, after three older ones."""
    rng = np.random.default_rng(1)
    return {
        ticker: [
            (ORIGIN + timedelta(days=days), float(50 * np.exp(rng.normal(0, 0.1)))) for days in (-3, -2, -1, 0, *later)
        ]
        for ticker, later in LATER_BARS.items()
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, closes: dict[str, list[tuple[date, float]]]) -> Iterator[Lake]:
    bars = pl.DataFrame(
        [(ticker, *bar) for ticker, own in closes.items() for bar in own],
        schema=["ticker", "date", "close"],
        orient="row",
    ).with_columns(adj_factor=pl.lit(0.5), batch_id=pl.lit("b"))
    forecasts = pl.DataFrame(
        [(ticker, step, promised(step)) for ticker in closes for step in STEPS],
        schema=["ticker", "step", "target_date"],
        orient="row",
    ).with_columns(
        run_id=pl.lit("run"), model=pl.lit("naive"), origin_date=ORIGIN, cutoff=ORIGIN, mean_log_return=0.0,
        origin_close=100.0, sigma=0.1, **{quantile_column("q", level): 80 + 40 * level for level in QUANTILES},
    )  # fmt: skip
    own = forecasts.filter(ticker="PUNCTUAL")
    evaluated = [own.with_columns(run_id=pl.lit("older")), own.filter(step=5).with_columns(run_id=pl.lit("newer"))]
    signals = forecasts.filter(step=20).with_columns(horizon="step", action=pl.lit("HOLD"))
    again = [signals.filter(ticker="PUNCTUAL").with_columns(run_id=pl.lit(name)) for name in ("older", "newer")]
    signals = pl.concat([signals, *again])
    runs = pl.DataFrame(
        {
            "run_id": ["run", "older", "newer"],
            "kind": ["run", "evaluate", "evaluate"],
            "started_at": [date(2024, 3, day) for day in (1, 2, 3)],
        }
    ).with_columns(status=pl.lit("done"))

    def write(transaction: Transaction) -> None:
        for table, frame in (
            (BARS, bars),
            (FORECASTS, pl.concat([forecasts, *evaluated])),
            (SIGNALS, signals),
            (RUNS, runs),
        ):
            transaction.append(table, _completed(table, frame))

    root: Path = tmp_path_factory.mktemp("outcomes") / "lake"
    with Lake(root, load_settings().lake, TABLES, views=[sql_dir()]) as opened:
        opened.commit("rows", write)
        yield opened


def test_the_outcome_is_the_bar_that_is_so_many_bars_later(
    lake: Lake, closes: dict[str, list[tuple[date, float]]]
) -> None:
    found = {
        (row["ticker"], row["step"]): (row["target_date"], row["outcome_date"], row["actual"])
        for row in lake.query("FROM forecast_outcomes WHERE basis = 'runs'").iter_rows(named=True)
    }
    expected = {}
    for ticker, bars in closes.items():
        start = [day for day, _ in bars].index(ORIGIN)
        for step in STEPS:
            day, close = bars[start + step] if start + step < len(bars) else (date.max, 0.0)
            if (day - promised(step)).days <= LATEST + step:
                expected[ticker, step] = (promised(step), day, pytest.approx(100 * close / bars[start][1]))
    assert found == expected
    assert {"PUNCTUAL", "HOLIDAYS", "SATURDAYS", "SPARSE"} <= {ticker for ticker, step in found if step == 20}
    assert "HALTED" not in {ticker for ticker, _ in found}


def test_a_promised_day_without_a_bar_loses_no_outcome(lake: Lake) -> None:
    late = lake.query("SELECT ticker FROM forecast_outcomes WHERE step = 1 AND outcome_date = target_date + 9")
    assert late["ticker"].to_list() == ["HOLIDAYS"]
    early = lake.query("SELECT DISTINCT ticker FROM forecast_outcomes WHERE outcome_date < target_date")
    assert early["ticker"].to_list() == ["SATURDAYS"]


@pytest.mark.parametrize("step", STEPS)
def test_a_bar_too_long_after_its_day_is_no_outcome(lake: Lake, step: int) -> None:
    """The bound is two weeks, and a day more for each step."""
    found = lake.query("SELECT ticker FROM forecast_outcomes WHERE step = ?", [step])["ticker"].to_list()
    assert f"LATE {step}" in found
    assert f"TOO LATE {step}" not in found


def test_a_signal_ends_at_the_last_bar_of_its_horizon_or_at_the_last_price_of_what_stopped(
    lake: Lake, closes: dict[str, list[tuple[date, float]]]
) -> None:
    """The newest bar of all is after the bound of each signal, so that every signal has a result."""
    rows = lake.query("FROM signal_outcomes WHERE basis = 'runs'").iter_rows(named=True)
    found = {row["ticker"]: row for row in rows}
    assert found.keys() == closes.keys()
    bound = promised(20) + timedelta(days=LATEST + 20)
    assert max(day for own in closes.values() for day, _ in own) > bound
    for ticker, row in found.items():
        later = [(day, close) for day, close in closes[ticker] if ORIGIN < day <= bound][:20]
        day, close = later[-1]
        assert (row["last_date"], row["complete"], row["stopped"]) == (day, True, len(later) < 20)
        assert row["realised_return"] == pytest.approx(close / dict(closes[ticker])[ORIGIN] - 1)
    assert {ticker for ticker, row in found.items() if row["stopped"]} >= {"ENDED", "HALTED", "TOO LATE 20"}


def test_of_several_evaluations_of_a_date_the_newest_of_each_step_is_pooled(lake: Lake) -> None:
    rows = lake.query("SELECT step, run_id FROM scored_forecasts WHERE basis = 'evaluations' ORDER BY step").rows()
    assert rows == [(1, "older"), (5, "newer"), (20, "older")]
    single = lake.query("SELECT basis, count(*) FROM scored_forecasts WHERE run_id <> 'run' GROUP BY basis").rows()
    assert set(single) == {("older", 3), ("newer", 1), ("evaluations", 3)}


def test_a_signal_of_several_evaluations_is_pooled_once(lake: Lake) -> None:
    rows = lake.query("SELECT basis, signals FROM signal_scores WHERE slice = 'all' ORDER BY basis").rows()
    assert rows == [("evaluations", 1), ("newer", 1), ("older", 1), ("runs", len(LATER_BARS))]
