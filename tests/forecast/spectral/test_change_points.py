from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.forecast.spectral.change_points import ChangeDetector, ChangePoint

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANGE = 450
DETECTOR = ChangeDetector()

# Average run lengths in the docstring of ChangeDetector: threshold → bars of white noise for each false alarm, from
# 3,000 simulations of 2,500 bars with `run_length`.
RUN_LENGTHS = {4.0: 1560.0, 6.0: 2740.0, 10.0: 6540.0}


def run_length(detector: ChangeDetector, *, series: int = 1, runs: int, bars: int, seed: int) -> float:
    """Simulate the average number of bars of white noise for each false alarm; detection continues after an alarm."""
    alarms, watched = 0, 0
    for noise in np.random.default_rng(seed).normal(size=(runs, series, bars)):
        first = detector.base
        for found in detector.change_points(noise):
            alarms += 1
            watched += found.alarm + 1 - first
            first = max(found.change + detector.base, found.alarm + 1)
        watched += max(bars - first, 0)
    return watched / max(alarms, 1)


def wave(periods: NDArray[np.float64], seed: int, noise: float = 0.2) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return np.sin(rng.uniform(0, 6) + 2 * np.pi * np.cumsum(1 / periods)) + rng.normal(0, noise, periods.size)


def changed(kind: str, seed: int) -> NDArray[np.float64]:
    later = np.arange(800) >= CHANGE
    if kind == "frequency":
        return wave(np.where(later, 13.0, 26.0), seed)
    if kind == "level":
        return wave(np.full(800, 26.0), seed) + 2.0 * later
    return wave(np.full(800, 26.0), seed) + 0.03 * np.maximum(np.arange(800) - CHANGE, 0)


@pytest.mark.parametrize(("kind", "delay"), [("frequency", 40), ("level", 10), ("slope", 60)])
def test_a_change_is_detected_soon_and_dated_correctly(kind: str, delay: int) -> None:
    for seed in range(10):
        first = DETECTOR.change_points(changed(kind, seed)[None])[0]
        assert CHANGE <= first.alarm <= CHANGE + delay
        assert CHANGE - DETECTOR.rows <= first.change <= first.alarm


def test_a_continuing_wave_has_no_more_alarms_than_noise() -> None:
    runs = [DETECTOR.change_points(wave(np.full(1000, 26.0), seed)[None]) for seed in range(40)]
    expected = 40 * (1000 - DETECTOR.base) / RUN_LENGTHS[DETECTOR.threshold]
    assert sum(len(found) for found in runs) < expected + 2 * np.sqrt(expected)


def test_a_change_in_several_noisy_series_is_detected_together() -> None:
    period = np.where(np.arange(700) < CHANGE, 26.0, 13.0)
    for seed in range(10):
        series = np.stack([wave(period, 100 * seed + i, noise=0.5) for i in range(8)])
        assert CHANGE <= DETECTOR.change_points(series)[0].alarm <= CHANGE + 150


@pytest.mark.parametrize("threshold", [4.0, 6.0])
def test_the_documented_run_lengths_hold_for_other_noise(threshold: float) -> None:
    # About 500 and 300 alarms have a standard error of 5% and 7%, or somewhat more, because they occur in clusters.
    simulated = run_length(replace(DETECTOR, threshold=threshold), runs=350, bars=2500, seed=17)
    assert simulated == pytest.approx(RUN_LENGTHS[threshold], rel=0.25)


def test_several_series_have_fewer_false_alarms() -> None:
    detector = replace(DETECTOR, threshold=2.0)
    single = run_length(detector, runs=40, bars=1500, seed=3)
    assert run_length(detector, series=3, runs=40, bars=1500, seed=3) > 2 * single


def slow_change_points(series: NDArray[np.float64], detector: ChangeDetector) -> list[tuple[int, int]]:
    """Detect changes bar by bar, with I − UUᵀ for the complement of the subspace; return pairs of alarm and change."""
    found: list[tuple[int, int]] = []
    start, watched = 0, detector.base
    rows = detector.rows
    count = detector.base // rows

    def residual(signal: NDArray[np.float64], windows: list[NDArray[np.float64]]) -> float:
        return sum(float(w @ w - np.sum((signal.T @ w) ** 2)) for w in windows)

    def signal_of(columns: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        u, s, _ = np.linalg.svd(np.column_stack(columns), full_matrices=False)
        rank = next(r for r in range(1, s.size + 1) if np.sum(s[:r] ** 2) >= detector.energy * np.sum(s**2))
        return u[:, : min(rank, rows - 1)]

    bar = watched
    while bar < series.shape[1]:
        base = series[:, start : start + detector.base]
        mean, unit = base.mean(axis=1), base.std(axis=1)
        scaled = (series[:, start:] - mean[:, None]) / unit[:, None]
        first = detector.base - count * rows
        pieces = [[row[first + c * rows : first + (c + 1) * rows] for c in range(count)] for row in scaled]
        noise: list[float] = []
        for fold in np.array_split(np.arange(count), 4):
            others = signal_of([piece[c] for piece in pieces for c in range(count) if c not in fold])
            ends = range(first + (int(fold[0]) + 1) * rows, first + (int(fold[-1]) + 1) * rows + 1)
            noise += [residual(others, [row[end - rows : end] for row in scaled]) for end in ends]
        epsilon = float(np.mean(noise))
        signal = signal_of([column for piece in pieces for column in piece])
        y, quiet = 0.0, watched
        for bar in range(watched, series.shape[1]):
            windows = [row[bar - start - rows + 1 : bar - start + 1] for row in scaled]
            y = max(y + residual(signal, windows) / epsilon - 1 - detector.allowance, 0.0)
            if y == 0.0:
                quiet = bar + 1
            if y > detector.threshold:
                found.append((bar, quiet))
                start, watched = quiet, max(quiet + detector.base, bar + 1)
                break
        else:
            break
        bar = watched
    return found


@pytest.mark.parametrize("kind", ["frequency", "level", "slope"])
@pytest.mark.parametrize("threshold", [1.0, 6.0])
def test_changes_equal_those_of_a_loop_over_bars(kind: str, threshold: float) -> None:
    detector = ChangeDetector(threshold=threshold, base=140)
    series = np.stack([changed(kind, 3), changed(kind, 4)])
    found = [(point.alarm, point.change) for point in detector.change_points(series)]
    assert found
    assert found == slow_change_points(series, detector)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cut=st.integers(1, 700),
    count=st.integers(1, 3),
    threshold=st.sampled_from([0.5, 2.0, 6.0]),
)
def test_an_alarm_does_not_depend_on_later_bars(seed: int, cut: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(count, 700)) * np.where(np.arange(700) < rng.integers(100, 700), 1.0, 1.6)
    detector = ChangeDetector(threshold=threshold)
    spoilt = np.concatenate([whole[:, :cut], 100 * rng.normal(size=(count, 700 - cut))], axis=1)
    known = [point for point in detector.change_points(whole) if point.alarm < cut]
    assert detector.change_points(whole[:, :cut]) == known
    assert [point for point in detector.change_points(spoilt) if point.alarm < cut] == known


def test_a_constant_has_no_change_until_it_ends() -> None:
    flat = np.full((1, 500), 4.6)
    assert DETECTOR.change_points(flat) == []
    flat[0, 300:] = 4.7
    assert DETECTOR.change_points(flat)[0] == ChangePoint(300, 300)


def test_changes_do_not_depend_on_the_unit() -> None:
    series = changed("frequency", 5)[None]
    assert DETECTOR.change_points(1000 * series - 7) == DETECTOR.change_points(series) != []


@pytest.mark.parametrize("bars", [0, 5, 136])
def test_too_few_bars_have_no_changes(bars: int) -> None:
    assert DETECTOR.change_points(np.random.default_rng(0).normal(size=(1, bars))) == []
