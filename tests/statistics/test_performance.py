"""Performance measures against those that empyrical and quantstats gave for the S&P 500 that package arch contains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from arch.data import sp500
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.performance import deepest_drawdowns, drawdowns, performance
from pm.statistics.sharpe import probabilistic_sharpe, sharpe_of

if TYPE_CHECKING:
    from pm.typing import FloatArray


def simple_returns(values: FloatArray) -> FloatArray:
    return np.asarray(values[1:] / values[:-1] - 1, dtype=np.float64)


def test_twenty_years_of_an_index() -> None:
    returns = simple_returns(sp500.load()["Adj Close"].to_numpy())
    found = performance(returns)
    assert found.observations == 5030
    assert found.total_return == pytest.approx(1.04124269, abs=1e-8)
    assert found.annual_return == pytest.approx(0.03639554, abs=1e-8)
    assert found.annual_volatility == pytest.approx(0.19098207, abs=1e-8)
    assert found.sharpe == pytest.approx(0.28273923, abs=1e-8)
    assert found.sortino == pytest.approx(0.39861403, abs=1e-8)
    assert found.downside == pytest.approx(0.13546468, abs=1e-8)
    assert found.max_drawdown == pytest.approx(-0.56775388, abs=1e-8)
    assert found.calmar == pytest.approx(0.06410444, abs=1e-8)
    assert found.omega == pytest.approx(1.05448882, abs=1e-8)
    assert found.tail_ratio == pytest.approx(0.93462161, abs=1e-8)
    # quantstats divides by one less than the number of returns.
    assert found.ulcer * math.sqrt(5031 / 5029) == pytest.approx(0.20261063, abs=1e-8)
    assert probabilistic_sharpe(sharpe_of(returns)) == pytest.approx(0.89658, abs=1e-5)


def test_the_two_deepest_drawdowns_of_an_index() -> None:
    closes = sp500.load()["Adj Close"]
    days = [day.date().isoformat() for day in closes.index[1:]]
    first, second = deepest_drawdowns(simple_returns(closes.to_numpy()), 2)
    assert [first.depth, second.depth] == pytest.approx([-0.56775388, -0.49146948], abs=1e-8)
    # quantstats names the first and the last day below the peak: 2007-10-10 and 2013-03-27.
    assert first.recovered is not None
    assert [days[place] for place in (first.peak, first.valley, first.recovered)] == [
        "2007-10-09", "2009-03-09", "2013-03-28",
    ]  # fmt: skip


def test_a_short_path_by_hand() -> None:
    values = np.array([100, 120, 90, 95, 130, 104, 110.0])
    returns = simple_returns(values)
    assert performance(returns).max_drawdown == pytest.approx(-0.25)
    assert performance(returns).ulcer == pytest.approx(0.155642, abs=5e-7)
    assert [(fall.peak, fall.valley, fall.recovered) for fall in deepest_drawdowns(returns)] == [
        (0, 1, 3),
        (3, 4, None),
    ]


@given(st.lists(st.floats(-0.5, 0.5), max_size=40))
def test_drawdowns_are_those_of_a_loop(values: list[float]) -> None:
    growth, highest, known = 1.0, 1.0, []
    for value in values:
        growth *= 1 + value
        highest = max(highest, growth)
        known.append(growth / highest - 1)
    assert drawdowns(np.array(values, dtype=float)).tolist() == pytest.approx(known)


def test_what_is_not_defined_is_not_a_number() -> None:
    assert math.isnan(performance(np.full(40, 0.01)).sharpe)
    assert math.isnan(performance(np.full(40, 0.01)).sortino)
    assert math.isnan(performance(np.zeros(40)).sharpe)
    assert math.isnan(performance(np.empty(0)).total_return)
    assert performance(np.array([0.1, -1.0])).annual_return == -1
