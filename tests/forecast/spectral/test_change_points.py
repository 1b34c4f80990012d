from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm.forecast.spectral.change_points import RUN_LENGTHS, ChangeDetector, ChangePoint, run_lengths, threshold_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHANGE = 450
DETECTOR = ChangeDetector()


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
def test_a_change_is_found_soon_and_put_near_its_place(kind: str, delay: int) -> None:
    for seed in range(10):
        first = DETECTOR.change_points(changed(kind, seed)[None])[0]
        assert CHANGE <= first.alarm <= CHANGE + delay
        assert CHANGE - DETECTOR.rows <= first.change <= first.alarm


def test_a_wave_that_goes_on_raises_no_more_alarms_than_noise() -> None:
    runs = [DETECTOR.change_points(wave(np.full(1000, 26.0), seed)[None]) for seed in range(40)]
    expected = 40 * (1000 - DETECTOR.base) / RUN_LENGTHS[DETECTOR.threshold]
    assert sum(len(found) for found in runs) < expected + 2 * np.sqrt(expected)


def test_several_series_under_strong_noise_are_watched_together() -> None:
    period = np.where(np.arange(700) < CHANGE, 26.0, 13.0)
    for seed in range(10):
        series = np.stack([wave(period, 100 * seed + i, noise=0.5) for i in range(8)])
        assert CHANGE <= DETECTOR.change_points(series)[0].alarm <= CHANGE + 150


@pytest.mark.parametrize("threshold", [4.0, 6.0])
def test_the_table_of_run_lengths_is_what_other_noise_gives(threshold: float) -> None:
    # About 500 and 300 alarms: a standard error of 5 and 7%, as they come in clusters somewhat more.
    simulated = run_lengths([threshold], DETECTOR, runs=350, bars=2500, seed=17)[threshold]
    assert simulated == pytest.approx(RUN_LENGTHS[threshold], rel=0.25)


def test_a_higher_threshold_and_more_series_run_longer() -> None:
    assert list(RUN_LENGTHS.values()) == sorted(RUN_LENGTHS.values())
    one = run_lengths([2.0], DETECTOR, runs=40, bars=1500, seed=3)[2.0]
    assert run_lengths([2.0], DETECTOR, series=3, runs=40, bars=1500, seed=3)[2.0] > 2 * one


def test_the_threshold_for_a_run_length_is_the_lowest_that_has_it() -> None:
    assert threshold_for(2500) == DETECTOR.threshold == 6.0
    assert threshold_for(0) == min(RUN_LENGTHS)
    with pytest.raises(ValueError, match="no tabulated threshold"):
        threshold_for(1e9)


def twin(series: NDArray[np.float64], detector: ChangeDetector) -> list[tuple[int, int]]:
    """Do the same bar by bar, with the subspace's complement as I − UUᵀ."""
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
def test_equals_a_loop_over_bars(kind: str, threshold: float) -> None:
    detector = ChangeDetector(threshold=threshold, base=140)
    series = np.stack([changed(kind, 3), changed(kind, 4)])
    found = [(point.alarm, point.change) for point in detector.change_points(series)]
    assert found
    assert found == twin(series, detector)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cut=st.integers(1, 700),
    count=st.integers(1, 3),
    threshold=st.sampled_from([0.5, 2.0, 6.0]),
)
def test_an_alarm_knows_nothing_that_came_later(seed: int, cut: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(count, 700)) * np.where(np.arange(700) < rng.integers(100, 700), 1.0, 1.6)
    detector = ChangeDetector(threshold=threshold)
    spoilt = np.concatenate([whole[:, :cut], 100 * rng.normal(size=(count, 700 - cut))], axis=1)
    known = [point for point in detector.change_points(whole) if point.alarm < cut]
    assert detector.change_points(whole[:, :cut]) == known
    assert [point for point in detector.change_points(spoilt) if point.alarm < cut] == known


def test_a_constant_is_no_change_and_what_breaks_it_is() -> None:
    flat = np.full((1, 500), 4.6)
    assert DETECTOR.change_points(flat) == []
    flat[0, 300:] = 4.7
    assert DETECTOR.change_points(flat)[0] == ChangePoint(300, 300)


def test_units_do_not_matter() -> None:
    series = changed("frequency", 5)[None]
    assert DETECTOR.change_points(1000 * series - 7) == DETECTOR.change_points(series) != []


@pytest.mark.parametrize("bars", [0, 5, 136])
def test_too_few_bars_have_no_change(bars: int) -> None:
    assert DETECTOR.change_points(np.random.default_rng(0).normal(size=(1, bars))) == []
