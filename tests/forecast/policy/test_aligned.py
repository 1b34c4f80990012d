from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from pm.forecast.base import Panel
from pm.forecast.policy.actions import ACTIONS, FIXED, Action
from pm.forecast.policy.aligned import MIN_BARS, AlignedSeries, align_panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

HORIZON = 30


def wave(bars: int, period: float, slope: float = 0.001, noise: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    time = np.arange(bars)
    signal: NDArray[np.float64] = 4.6 + slope * time + 0.05 * np.sin(2 * np.pi * time / period)
    return signal + noise * np.random.default_rng(seed).normal(0, 1, bars)


@pytest.mark.parametrize("period", [12.0, 24.0, 25.0, 31.7])
@pytest.mark.parametrize("action", [action for action in ACTIONS if action.rank != 2], ids=str)
def test_a_wave_is_extrapolated_even_if_its_period_divides_the_window(period: float, action: Action) -> None:
    # Two components for the wave, and two for the difference of the least-squares line from the true one. The latter
    # have a double root at 1, which rounding errors of 1e-14 move by their square root, 1e-7. Damping then divides all
    # roots by up to 1 + 1e-7, which 30 steps turn into 3e-6 of a deviation of at most 0.05.
    series = wave(500 + HORIZON, period)
    path = AlignedSeries(series[None, :500]).path(0, 499, action, HORIZON)
    np.testing.assert_allclose(path, series[500:], atol=1e-6)


def test_a_line_is_extrapolated() -> None:
    line = 4.6 + 0.002 * np.arange(400.0)
    for action in ACTIONS:
        path = AlignedSeries(line[None, :370]).path(0, 369, action, HORIZON)
        np.testing.assert_allclose(path, line[370:], atol=1e-9)


def slow_path(series: NDArray[np.float64], own: int, bar: int, rank: int, window: int) -> NDArray[np.float64]:
    """Fit and extrapolate with polyfit, a loop over the windows, and lstsq for the recurrence."""
    recent = series[:, bar + 1 - window : bar + 1]
    time = np.arange(window)
    lines = [np.polyfit(time, row, 1) for row in recent]
    units = [np.std(row - np.polyval(line, time)) for row, line in zip(recent, lines, strict=True)]
    scaled = [(row - np.polyval(line, time)) / unit for row, line, unit in zip(recent, lines, units, strict=True)]
    columns = np.array([row[end - 24 : end + 1] for row in scaled for end in range(24, window)]).T
    u, s, vt = np.linalg.svd(columns, full_matrices=False)
    denoised = u[:, :rank] * s[:rank] @ vt[:rank]
    beta = np.linalg.lstsq(denoised[:-1].T, denoised[-1], rcond=1e-10)[0]
    largest = np.abs(np.roots(np.concatenate([[1.0], -beta[::-1]]))).max()
    beta = beta / max(largest, 1.0) ** np.arange(24, 0, -1)
    values = list(u[:, :rank] @ (u[:, :rank].T @ scaled[own][-25:]))
    for _ in range(HORIZON):
        values.append(float(beta @ values[-24:]))
    ahead = np.polyval(lines[own], np.arange(window, window + HORIZON))
    return np.asarray(ahead + units[own] * np.array(values[25:]))


@pytest.mark.parametrize("own", [0, 1])
def test_a_path_equals_that_of_a_slow_implementation(own: int) -> None:
    series = np.stack([wave(400, 21, noise=0.02, seed=1), wave(400, 21, slope=-0.002, noise=0.01, seed=2)])
    aligned = AlignedSeries(series)
    assert aligned.changes == []
    path = aligned.path(own, 380, FIXED, HORIZON)
    # The gap below the fourth singular value is 1/330 of the first one, so that rounding errors of 500·ε = 1e-13 are
    # amplified to about 4e-11, and in 30 steps to at most 1e-9.
    np.testing.assert_allclose(path, slow_path(series, own, 380, 4, 250), rtol=1e-8)


def test_training_bars_begin_at_the_last_detected_change() -> None:
    rng = np.random.default_rng(3)
    phase = np.cumsum(np.where(np.arange(700) < 400, 1 / 40, 1 / 9))
    series = 4.6 + 0.05 * np.sin(2 * np.pi * phase) + rng.normal(0, 0.004, 700)
    aligned = AlignedSeries(series[None])
    (point, *_) = aligned.changes
    assert 395 <= point.change <= 415
    assert aligned.start(point.alarm - 1, 500) == 0
    # At the alarm there are too few bars since the change; later, training bars begin exactly at the change.
    assert aligned.start(point.alarm, 500) == point.alarm + 1 - MIN_BARS
    assert aligned.start(point.change + 100, 500) == point.change
    assert aligned.start(point.change + 100, 70) == point.change + 31
    bar = point.change + 120
    shortened = AlignedSeries(series[None, point.change :])
    # The training bars are the same numbers at another address in memory, which may change the order of a sum.
    np.testing.assert_allclose(
        aligned.path(0, bar, FIXED, HORIZON), shortened.path(0, bar - point.change, FIXED, HORIZON), rtol=1e-9
    )


@pytest.mark.parametrize("cut", [130, 300, 451])
def test_a_path_does_not_depend_on_later_bars(cut: int) -> None:
    rng = np.random.default_rng(4)
    series = 4.6 + np.cumsum(rng.normal(0, np.where(np.arange(600) < 300, 0.01, 0.03), (2, 600)), axis=1)
    spoilt = np.concatenate([series[:, : cut + 1], 9 * rng.normal(size=(2, 599 - cut))], axis=1)
    for action in ACTIONS:
        path = AlignedSeries(series).path(1, cut, action, HORIZON)
        assert path.tolist() == AlignedSeries(spoilt).path(1, cut, action, HORIZON).tolist()
        assert path.tolist() == AlignedSeries(series[:, : cut + 1]).path(1, cut, action, HORIZON).tolist()


def test_related_series_reduce_the_error_of_a_noisy_one() -> None:
    def error(related: int) -> float:
        total = 0.0
        for seed in range(10):
            rows = [wave(300 + HORIZON, 23, noise=0.05, seed=100 * seed + i) for i in range(related + 1)]
            path = AlignedSeries(np.stack(rows)[:, :300]).path(0, 299, Action(2, 125), HORIZON)
            total += float(np.mean((path - wave(300 + HORIZON, 23)[300:]) ** 2))
        return total

    assert error(4) < 0.8 * error(0)


def test_a_constant_is_extrapolated_as_a_constant() -> None:
    for action in ACTIONS:
        np.testing.assert_allclose(AlignedSeries(np.full((1, 200), 4.6)).path(0, 199, action, 3), 4.6, rtol=1e-12)


def test_other_tickers_of_a_group_are_aligned_by_their_last_value() -> None:
    def rows(ticker: str, days: list[int], prices: list[float]) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "ticker": ticker,
                "date": [date(2020, 1, day) for day in days],
                "bar": range(len(days)),
                "log_price": prices,
            }
        )

    bars = pl.concat(
        [
            rows("A", [1, 2, 4, 6], [1.0, 2.0, 4.0, 6.0]),
            rows("B", [1, 3, 4, 5], [10.0, 30.0, 40.0, 50.0]),
            rows("LATE", [2, 4, 6], [0.2, 0.4, 0.6]),
            rows("TWIN", [1, 2, 4, 6], [1.5, 2.5, 4.5, 6.5]),
            rows("ALONE", [1, 2, 4, 6], [7.0, 7.0, 7.0, 7.0]),
        ]
    )
    found = align_panel(Panel(bars, groups={"A": "g", "B": "g", "LATE": "g", "TWIN": "g"}))
    expected = [[1.0, 2.0, 4.0, 6.0], [10.0, 10.0, 40.0, 50.0], [1.5, 2.5, 4.5, 6.5]]
    assert found["A"].aligned.values.tolist() == expected
    assert found["A"].log_prices.tolist() == expected[0]
    assert found["TWIN"].aligned is found["A"].aligned
    assert found["B"].log_prices.tolist() == [10.0, 30.0, 40.0, 50.0]
    assert found["B"].aligned.values.tolist()[0] == [1.0, 2.0, 4.0, 4.0]
    assert len(found["LATE"].aligned.values) == 4
    assert found["ALONE"].aligned.values.tolist() == [[7.0] * 4]
