from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.spectral.detrending import Differencing, Line, LineRemoval, shrunk_mean

if TYPE_CHECKING:
    from pm.typing import FloatArray

WALK: FloatArray = 4.6 + np.cumsum(np.random.default_rng(8).normal(0.0004, 0.012, 400))


@pytest.mark.parametrize("kind", [Differencing, LineRemoval])
def test_restoring_a_perfect_forecast_gives_the_log_prices(kind: type[Differencing | LineRemoval]) -> None:
    # Except for the difference between the mean return and the drift, which is shrunk.
    fitted = kind.fit(WALK[:300])
    origins, steps = np.array([120, 350]), np.arange(1, 21)
    places = origins[:, None] + steps - fitted.lost
    restored = fitted.restore(fitted.remove(WALK)[places], WALK, origins)
    if isinstance(fitted, Differencing):
        restored += (fitted.mean - fitted.drift) * steps
    # Sums of 20 numbers below 10, each rounded to 1e-15.
    np.testing.assert_allclose(restored, WALK[origins[:, None] + steps], atol=1e-12)


def test_the_line_is_the_least_squares_line() -> None:
    slope, intercept = np.polyfit(np.arange(WALK.size), WALK, 1)
    fitted = Line.fit(WALK)
    assert fitted.slope == pytest.approx(slope)
    assert fitted.at(0) == pytest.approx(intercept)
    assert fitted.at(WALK.size + 9) == pytest.approx(intercept + slope * (WALK.size + 9))


def test_the_line_through_a_single_value_is_constant() -> None:
    assert Line.fit(np.array([4.6])).at(np.arange(3)).tolist() == [4.6] * 3


def test_a_hundredfold_jump_counts_as_a_large_return() -> None:
    jumped = WALK.copy()
    jumped[200:] += np.log(100)
    calm, struck = Differencing.fit(WALK), Differencing.fit(jumped)
    assert np.abs(struck.remove(jumped)).max() < 0.12
    assert struck.mean == pytest.approx(calm.mean, abs=0.0004)


def test_a_mostly_constant_series_keeps_its_changes() -> None:
    still = np.asarray(4.6 + 0.1 * (np.arange(200) // 50), dtype=np.float64)
    assert np.count_nonzero(np.abs(Differencing.fit(still).remove(still)) > 0.09) == 3


def test_a_mean_is_shrunk_by_its_t_statistic() -> None:
    values = np.tile([1.0, -1.0], 50)
    assert shrunk_mean(values) == 0
    assert shrunk_mean(values + 0.19) == 0  # t is 1.9
    assert shrunk_mean(values + 0.4) == pytest.approx(0.4 * (1 - 4 / 16))  # t is 4
    assert shrunk_mean(np.full(9, 0.5)) == 0.5
    assert shrunk_mean(np.zeros(9)) == 0
