from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.discoveries import q_values

PAPER = [
    *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
    *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
]
"""The example of Benjamini and Hochberg (1995), of which their procedure rejects four at 5%."""


def rejected_step_up(p_values: list[float], rate: float) -> set[int]:
    """Return the places that the procedure rejects, as the paper states it."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    count = len(p_values)
    largest = max((k for k, place in enumerate(order, start=1) if p_values[place] <= rate * k / count), default=0)
    return set(order[:largest])


def test_the_example_of_the_paper() -> None:
    assert (q_values(PAPER) <= 0.05).sum() == 4


@given(st.lists(st.floats(0, 1), max_size=40), st.sampled_from([0.05, 0.1, 0.3]))
def test_what_is_at_most_the_rate_is_what_the_step_up_procedure_rejects(p_values: list[float], rate: float) -> None:
    # Rounding can decide for values at the bound itself, which the procedure compares in another order.
    if any(abs(p - rate * k / len(p_values)) < 1e-12 for p in p_values for k in range(1, len(p_values) + 1)):
        return
    assert set(np.flatnonzero(q_values(p_values) <= rate)) == rejected_step_up(p_values, rate)


@pytest.mark.parametrize("bad", [[0.1, float("nan")], [-0.1], [1.1]])
def test_a_p_value_that_cannot_be_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="p-value"):
        q_values(bad)
