from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.spectral.recurrence import DegenerateError
from pm.forecast.spectral.stack import fit_stack

if TYPE_CHECKING:
    from pm.forecast.spectral.rank import RankRule
    from pm.typing import FloatArray

AHEAD = 40


def pair(period: float, bars: int) -> list[FloatArray]:
    t = np.arange(float(bars + AHEAD))
    wave = 2 * np.pi * t / period
    return [np.sin(wave), 2 * np.cos(wave) + 0.01 * t]


def largest_error(series: list[FloatArray], bars: int, *, rank: RankRule, lags: int | None = None) -> float:
    stack = fit_stack([values[:bars] for values in series], rank=rank, lags=lags)
    ends = np.array([bars - 1])
    errors = [stack.forecast(i, values, ends, AHEAD)[0] - values[bars:] for i, values in enumerate(series)]
    return float(np.abs(errors).max())


# Bounds for series without noise: the relative error of a recurrence is about max(shape)·ε times the ratio of the
# largest to the smallest singular value of the signal (about 100 in the first case), and 40 steps multiply it by the
# sum of the impulse response. `test_recurrence.rounding_bound` computes 2e-10 for the first case.


def test_two_waves_and_a_trend_are_extrapolated_up_to_rounding() -> None:
    assert largest_error(pair(23, 200), 200, rank=4, lags=19) < 2e-10


def test_two_waves_and_a_trend_are_extrapolated_with_the_chosen_rank_and_lags() -> None:
    assert largest_error(pair(23, 200), 200, rank="gavish_donoho") < 1e-9


@pytest.mark.parametrize(("rank", "reason"), [(4, "only 3 components"), ("gavish_donoho", "but not between them")])
def test_a_period_that_divides_the_given_number_of_rows_is_refused(rank: RankRule, reason: str) -> None:
    with pytest.raises(DegenerateError, match=reason):
        largest_error(pair(20, 200), 200, rank=rank, lags=19)


@pytest.mark.parametrize("rank", [4, "gavish_donoho"])
@pytest.mark.parametrize("period", [20, 10, 5])
def test_another_number_of_rows_is_used_if_a_period_divides_it(rank: RankRule, period: int) -> None:
    # √(2 · 722 / 4) = 19 lags, 20 rows.
    series = pair(period, 722)
    assert largest_error(series, 722, rank=rank) < 1e-8
    assert fit_stack([values[:722] for values in series], rank=rank).recurrence.rows != 20


def slow_twin(series: list[FloatArray], lags: int, rank: int, order: int, horizon: int) -> list[FloatArray]:
    """Compute the algorithm literally: cell by cell, β by a regression, and one step after the other."""
    rows = lags + 1
    means, spreads = [y.mean() for y in series], [y.std() for y in series]
    scaled = [(y - m) / s for y, m, s in zip(series, means, spreads, strict=True)]
    columns = [
        [y[len(y) - rows * (count - k) + i] for i in range(rows)]
        for y in scaled
        for count in [len(y) // rows]
        for k in range(count)
    ]
    left, values, right = np.linalg.svd(np.array(columns).T, full_matrices=False)
    denoised = sum(values[j] * np.outer(left[:, j], right[j]) for j in range(rank))
    beta, *_ = np.linalg.lstsq(denoised[:-1].T, denoised[-1], rcond=1e-10)
    forecasts, first = [], 0
    for y, mean, spread in zip(scaled, means, spreads, strict=True):
        count = len(y) // rows
        signal = [cell for k in range(count) for cell in denoised[:, first + k]]
        first += count
        residual = [value - part for value, part in zip(y[len(y) - rows * count :], signal, strict=True)]
        lagged = [[residual[t - lag] for lag in range(1, order + 1)] for t in range(order, len(residual))]
        phi, *_ = np.linalg.lstsq(np.array(lagged), np.array(residual[order:]), rcond=None)
        for _ in range(horizon):
            signal.append(sum(beta[i] * signal[len(signal) - lags + i] for i in range(lags)))
            residual.append(sum(phi[i] * residual[-1 - i] for i in range(order)))
        forecasts.append(np.array([mean + spread * (signal[k] + residual[k]) for k in range(-horizon, 0)]))
    return forecasts


def test_the_forecast_equals_a_literal_implementation() -> None:
    rng = np.random.default_rng(11)
    series = []
    for bars, size in ((400, 1.0), (311, 50.0)):
        noise = np.zeros(bars)
        for t in range(1, bars):
            noise[t] = 0.5 * noise[t - 1] + 0.1 * rng.normal()
        series.append(size * (np.sin(2 * np.pi * np.arange(bars) / 23) + noise))
    stack = fit_stack(series, rank=2, lags=18, max_order=1)
    assert [fitted.order for fitted in stack.autoregressions] == [1, 1]
    assert stack.recurrence.spectral_radius() < 1.005  # damping changed no root
    for i, (values, expected) in enumerate(zip(series, slow_twin(series, 18, 2, 1, 25), strict=True)):
        ours = stack.forecast(i, values, np.array([values.size - 1]), 25)[0]
        # Values up to 50; the gap below the two components amplifies rounding by less than 10, 25 steps by about 25.
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("period", [20, 40])
def test_another_number_of_rows_is_used_if_all_columns_of_a_wave_are_equal(period: int) -> None:
    # √(1444 / 4) = 19 lags. With a period of 40 every column is the negative of the one before.
    wave = np.sin(2 * np.pi * np.arange(1444.0 + AHEAD) / period + 0.7)
    assert largest_error([wave], 1444, rank="gavish_donoho") < 1e-9


def test_a_single_outlying_column_is_not_a_signal() -> None:
    values = np.random.default_rng(2).normal(size=1000)
    values[500] += 100
    stack = fit_stack([values])
    assert stack.recurrence.rank == 0
    assert np.abs(stack.forecast(0, values, np.array([999]), 10)).max() < 0.5


def test_noise_is_forecast_by_its_mean() -> None:
    values = 7 + np.random.default_rng(3).normal(size=1000)
    forecast = fit_stack([values]).forecast(0, values, np.array([700, 999]), 10)
    # Nothing is extrapolated: the forecast is 0 · unit + mean.
    np.testing.assert_allclose(forecast, values.mean(), rtol=1e-15)


def test_signal_and_residual_are_both_forecast() -> None:
    # The best forecast continues the known wave and lets the known AR(1) decay; ours should be close to it.
    rng = np.random.default_rng(4)
    noise = np.zeros(4040)
    for t in range(1, noise.size):
        noise[t] = 0.8 * noise[t - 1] + 0.1 * rng.normal()
    wave = np.sin(2 * np.pi * np.arange(noise.size) / 23)
    values = wave + noise
    ends, steps = np.arange(2000, 4000, 20), np.arange(1, 11)
    places = ends[:, None] + steps
    ours = fit_stack([values[:2000]], rank=2, stretch=2.0).forecast(0, values, ends, 10)
    best = wave[places] + noise[ends][:, None] * 0.8**steps

    def error(forecast: FloatArray) -> float:
        return float(np.sqrt(np.mean((forecast - values[places]) ** 2)))

    assert error(ours) < 1.15 * error(best)
    assert error(ours) < 0.45 * error(values[ends][:, None])


def test_related_series_help_a_short_one() -> None:
    rng = np.random.default_rng(5)
    t = np.arange(1020)
    series = [np.sin(2 * np.pi * t / 17 + phase) + 0.8 * rng.normal(size=t.size) for phase in range(6)]
    short = series[0][-220:]
    target = np.sin(2 * np.pi * t / 17)[-20:]
    ends = np.array([199])
    alone = fit_stack([short[:200]]).forecast(0, short, ends, 20)[0]
    stacked = fit_stack([short[:200], *(values[:1000] for values in series[1:])]).forecast(0, short, ends, 20)[0]
    assert np.sqrt(np.mean((stacked - target) ** 2)) < 0.7 * np.sqrt(np.mean((alone - target) ** 2))


def test_a_series_with_large_values_does_not_dominate_another() -> None:
    series = pair(23, 400)
    huge = [series[0], 1e6 * series[1]]
    assert largest_error(huge, 400, rank=4) < 1e-4
    small = fit_stack([values[:400] for values in huge], rank=4).forecast(0, huge[0], np.array([399]), AHEAD)[0]
    assert np.abs(small - huge[0][400:]).max() < 1e-9


def test_later_values_change_neither_parameters_nor_earlier_forecasts() -> None:
    values = np.sin(np.arange(600) / 3) + 0.1 * np.random.default_rng(6).normal(size=600)
    stack = fit_stack([values[:500]])
    changed = values.copy()
    changed[550:] = 9.0
    ends = np.array([499, 549])
    np.testing.assert_array_equal(stack.forecast(0, values, ends, 10), stack.forecast(0, changed, ends, 10))


def test_too_few_values_are_refused() -> None:
    with pytest.raises(DegenerateError, match="has no recurrence"):
        fit_stack([np.array([1.0])])
