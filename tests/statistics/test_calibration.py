from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.calibration import brier_parts, reliability

FORECASTS = np.array([0.1] * 5 + [0.5] * 4 + [0.8] * 5 + [0.9] * 2)
OUTCOMES = np.array([float(digit) for digit in "0000110101110111"])


def test_the_parts_of_a_known_score() -> None:
    parts = brier_parts(FORECASTS, OUTCOMES)
    assert parts.score == pytest.approx(0.166875)
    assert parts.reliability == pytest.approx(0.004375)
    assert parts.resolution == pytest.approx(0.08359375)
    assert parts.uncertainty == pytest.approx(0.24609375)


@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=80))
def test_parts_add_up_and_frequencies_never_fall(pairs: list[tuple[int, bool]]) -> None:
    given_, happened = (np.array([pair[place] for pair in pairs], dtype=float) for place in (0, 1))
    parts, found = brier_parts(given_ / 10, happened), reliability(given_ / 10, happened)
    assert parts.score == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty)
    assert found.score == pytest.approx(parts.score)
    assert found.score == pytest.approx(found.miscalibration - found.discrimination + found.uncertainty)
    assert found.miscalibration >= -1e-12
    assert found.discrimination >= -1e-12
    assert (np.diff(found.frequencies) >= -1e-12).all()


def test_frequencies_are_those_of_the_best_rising_function() -> None:
    """Of all rising functions on a grid of values, none has a smaller score than isotonic regression."""
    generator = np.random.default_rng(1)
    given_ = np.repeat([0.2, 0.5, 0.7], 6)
    happened = (generator.random(18) < 0.5).astype(float)
    found = reliability(given_, happened)
    grid = np.linspace(0, 1, 31)
    best = min(
        ((np.repeat([a, b, c], 6) - happened) ** 2).mean()
        for a in grid
        for b in grid[grid >= a]
        for c in grid[grid >= b]
    )
    assert ((np.repeat(found.frequencies, 6) - happened) ** 2).mean() <= best + 1e-12


def test_calibrated_probabilities_have_little_miscalibration() -> None:
    generator = np.random.default_rng(2)
    given_ = generator.random(20_000)
    right = reliability(given_, (generator.random(20_000) < given_).astype(float))
    wrong = reliability(given_, (generator.random(20_000) < given_**2).astype(float))
    assert right.miscalibration < 0.002
    assert wrong.miscalibration == pytest.approx(np.mean((given_ - given_**2) ** 2), abs=0.003)


def test_without_a_forecast_there_is_no_diagram() -> None:
    with pytest.raises(ValueError, match="no forecast"):
        reliability(np.empty(0), np.empty(0))
