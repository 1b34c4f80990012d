from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.forecast.spectral.detrending import Differencing, LineRemoval, shrunk_mean

if TYPE_CHECKING:
    from pm.typing import FloatArray

WALK: FloatArray = 4.6 + np.cumsum(np.random.default_rng(8).normal(0.0004, 0.012, 400))


@pytest.mark.parametrize("kind", [Differencing, LineRemoval])
def test_what_was_removed_is_put_back(kind: type[Differencing | LineRemoval]) -> None:
    # A perfect forecast of the series without trend is a perfect forecast of the price, but for the drift's caution.
    fitted = kind.fit(WALK[:300])
    origins, steps = np.array([120, 350]), np.arange(1, 21)
    places = origins[:, None] + steps - fitted.lost
    restored = fitted.restore(fitted.remove(WALK)[places], WALK, origins)
    if isinstance(fitted, Differencing):
        restored += (fitted.mean - fitted.drift) * steps
    np.testing.assert_allclose(restored, WALK[origins[:, None] + steps], atol=1e-12)


def test_the_line_is_the_least_squares_one() -> None:
    slope, level = np.polyfit(np.arange(WALK.size), WALK, 1)
    fitted = LineRemoval.fit(WALK)
    assert fitted.slope == pytest.approx(slope)
    assert fitted.level == pytest.approx(level)


def test_a_hundredfold_jump_weighs_no_more_than_a_large_return() -> None:
    jumped = WALK.copy()
    jumped[200:] += np.log(100)
    calm, struck = Differencing.fit(WALK), Differencing.fit(jumped)
    assert np.abs(struck.remove(jumped)).max() < 0.12
    assert struck.mean == pytest.approx(calm.mean, abs=0.0004)


def test_a_series_that_mostly_stands_still_keeps_its_moves() -> None:
    still = np.asarray(4.6 + 0.1 * (np.arange(200) // 50), dtype=np.float64)
    assert np.count_nonzero(np.abs(Differencing.fit(still).remove(still)) > 0.09) == 3


def test_a_mean_is_kept_in_the_measure_of_its_evidence() -> None:
    values = np.tile([1.0, -1.0], 50)
    assert shrunk_mean(values) == 0
    assert shrunk_mean(values + 0.19) == 0  # t is 1.9
    assert shrunk_mean(values + 0.4) == pytest.approx(0.4 * (1 - 4 / 16))  # t is 4
    assert shrunk_mean(np.full(9, 0.5)) == 0.5
    assert shrunk_mean(np.zeros(9)) == 0
