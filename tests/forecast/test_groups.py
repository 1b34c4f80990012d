from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pm.forecast.groups import chunks_of_groups, related_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray


def as_frame(series: dict[str, NDArray[np.float64]], first: dict[str, int] | None = None) -> pl.DataFrame:
    parts = []
    for ticker, values in series.items():
        begin = (first or {}).get(ticker, 0)
        days = [date(2010, 1, 1) + timedelta(days=begin + day) for day in range(len(values))]
        parts.append(pl.DataFrame({"ticker": ticker, "date": days, "log_return": values}))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def sectors() -> dict[str, NDArray[np.float64]]:
    """Simulate three sectors of four tickers that share 80% of their variance, and two unrelated tickers."""
    rng = np.random.default_rng(4)
    series: dict[str, NDArray[np.float64]] = {}
    for sector in "ABC":
        factor = rng.normal(0, 0.02, 600)
        series |= {f"{sector}{n}": factor + rng.normal(0, 0.01, 600) for n in range(4)}
    return series | {"L0": rng.normal(0, 0.02, 600), "L1": rng.normal(0, 0.02, 600)}


def test_sectors_are_found_and_unrelated_tickers_have_no_group(sectors: dict[str, NDArray[np.float64]]) -> None:
    groups = related_groups(as_frame(sectors), correlation=0.6, size=8)
    assert groups.rows() == [(f"{sector}{n}", f"{sector}0") for sector in "ABC" for n in range(4)]


def test_a_group_has_at_most_size_tickers(sectors: dict[str, NDArray[np.float64]]) -> None:
    groups = related_groups(as_frame(sectors), correlation=0.6, size=3)
    assert max(groups.group_by("group").len()["len"].to_list()) <= 3
    assert all(ticker[0] == group[0] for ticker, group in groups.iter_rows())
    assert related_groups(as_frame(sectors), correlation=0.6, size=1).is_empty()


def test_a_group_of_identical_series_is_split_too() -> None:
    same = np.random.default_rng(1).normal(0, 0.01, 100)
    groups = related_groups(as_frame({f"T{n:02d}": same for n in range(12)}), correlation=0.9, size=5)
    assert max(groups.group_by("group").len()["len"].to_list()) <= 5


def test_tickers_with_few_common_sessions_are_not_related(sectors: dict[str, NDArray[np.float64]]) -> None:
    early, late = sectors["A0"][:300], sectors["A1"][250:]
    frame = as_frame({"A0": early, "A1": late}, first={"A1": 250})
    assert related_groups(frame, correlation=0.6, size=8).is_empty()


def test_groups_depend_neither_on_order_nor_on_scale(sectors: dict[str, NDArray[np.float64]]) -> None:
    frame = as_frame(sectors)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=3).with_columns(pl.col("log_return") * 50)
    whole = related_groups(frame, correlation=0.6, size=8)
    assert_frame_equal(related_groups(shuffled, correlation=0.6, size=8), whole)


def test_constant_and_missing_series_have_no_groups() -> None:
    frame = as_frame({"A": np.zeros(100), "B": np.zeros(100)})
    assert related_groups(frame, correlation=0.6, size=8).is_empty()
    assert related_groups(frame.clear(), correlation=0.6, size=8).is_empty()


@hypothesis_settings(max_examples=100, deadline=None)
@given(labels=st.lists(st.integers(0, 9), max_size=40), size=st.integers(1, 12))
def test_chunks_contain_every_ticker_once_and_divide_no_group(labels: list[int], size: int) -> None:
    tickers = [f"T{n:02d}" for n in range(len(labels))]
    groups = {ticker: str(label) for ticker, label in zip(tickers, labels, strict=True) if label < 7}
    chunks = chunks_of_groups(tickers, groups, size)
    assert sorted(ticker for chunk in chunks for ticker in chunk) == tickers
    for label in set(groups.values()):
        assert sum(any(groups.get(ticker) == label for ticker in chunk) for chunk in chunks) == 1
    for chunk in chunks:
        kinds = {groups.get(ticker, ticker) for ticker in chunk}
        assert len(chunk) <= size or len(kinds) == 1
