"""The bounds hold whatever bars come: against the deviation itself, and flags of the whole history."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.quality import could_be_flagged, deviations, flag_bars, flag_bounds
from pm.quality.bounds import MOST_AHEAD
from pm.settings import load_settings
from pm.statistics.robust import MAD_TO_SIGMA
from pm.tables.quality import BARS, REBASINGS
from pm.tables.sources import RAW_ACTIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY = load_settings().quality
NO_REFUSED = pl.DataFrame(schema={"ticker": pl.String, "date": pl.Date, "batch_id": pl.String, "rule": pl.String})


def bars(moves: NDArray[np.float64], ticker: str = "A") -> pl.DataFrame:
    close = 100 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    days = [date(2020, 1, 1) + timedelta(days=place) for place in range(close.size)]
    frame = pl.DataFrame(
        {
            "ticker": ticker, "date": days, "open": close, "high": close * 1.002, "low": close * 0.998, "close": close,
            "volume": 1000.0, "adj_factor": 1.0, "source": "s", "fetched_at": None, "batch_id": "b", "row": 1,
        },
        schema_overrides=BARS.unstamped_schema,
    )  # fmt: skip
    return frame.select(BARS.unstamped_schema.names())


def flags(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    found = flag_bars(
        frame,
        actions=RAW_ACTIONS.polars_schema.to_frame(),
        rebasings=REBASINGS.polars_schema.to_frame(),
        refused=NO_REFUSED,
        exchanges={},
        settings=QUALITY,
    )
    return found.filter(pl.col("rule").is_in(["jump", "split"])).rows()


def deviation(moves: NDArray[np.float64]) -> float:
    return MAD_TO_SIGMA * float(np.median(np.abs(moves - np.median(moves))))


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.one_of(st.integers(20, 400), st.integers(2_000, 5_000)),
    st.lists(st.floats(-0.5, 0.5), max_size=3 * MOST_AHEAD),
    st.sampled_from([0.0, 0.01, 0.03]),
)
def test_flags_of_the_past_and_the_deviation_stay_within_bounds(
    seed: int, count: int, more: list[float], tails: float
) -> None:
    chance = np.random.default_rng(seed)
    moves = chance.normal(0, 0.01, count)
    large = chance.random(count) < tails
    moves[large] = chance.choice([-np.log(2), np.log(1.5), 0.3, -0.12, 0.1, 0.9], large.sum())
    before = bars(moves)
    bounds = flag_bounds(before, QUALITY)
    if bounds.is_empty():
        return
    row = bounds.row(0, named=True)
    new = np.array(more)
    together = np.concatenate([moves, new])
    is_within = row["sigma_low"] * (1 - 1e-9) <= deviation(together) <= row["sigma_high"] * (1 + 1e-9)
    assert is_within or new.size > row["bars_ahead"]
    found = deviations(pl.concat([bars(moves, "A"), bars(together, "B")])).sort("ticker")["sigma"].to_list()
    assert found == pytest.approx([deviation(moves), deviation(together)], rel=1e-9)
    if not is_within:
        return
    low = pl.lit(row["sigma_low"])
    if new.size and pl.DataFrame({"move": new}).select(could_be_flagged(pl.col("move"), low, QUALITY).any()).item():
        return
    assert flags(bars(together)) == flags(before)


def test_most_tickers_have_bounds_and_those_with_a_jump_where_its_sentence_stays_as_it_is() -> None:
    chance = np.random.default_rng(1)
    frames = [bars(chance.normal(0, 0.01, 500), f"T{number}") for number in range(50)]
    assert flag_bounds(pl.concat(frames), QUALITY).height == 50
    with_bounds = {}
    for count in (130, 5_000):
        frames = []
        for number in range(50):
            moves = chance.normal(0, 0.011, count)
            moves[100] = 0.9
            frames.append(bars(moves, f"T{number}"))
        assert sum(flag[2] == "jump" for flag in flags(pl.concat(frames))) == 50
        with_bounds[count] = flag_bounds(pl.concat(frames), QUALITY).height
    assert with_bounds[130] < 10
    assert with_bounds[5_000] > 25
    assert flag_bounds(bars(chance.normal(0, 0.01, 5)), QUALITY).is_empty()
