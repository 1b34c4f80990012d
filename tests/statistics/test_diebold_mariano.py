from __future__ import annotations

import math

import numpy as np
import pytest
from dieboldmariano import dm_test
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.diebold_mariano import diebold_mariano


@given(seed=st.integers(0, 10_000), n=st.integers(8, 60), overlap=st.integers(1, 5), one_sided=st.booleans())
def test_the_test_equals_that_of_another_package(seed: int, n: int, overlap: int, one_sided: bool) -> None:
    rng = np.random.default_rng(seed)
    # Moving averages have positive autocovariances, like the errors of overlapping windows.
    base, other = (np.convolve(rng.normal(size=n + overlap), np.ones(overlap), "valid")[:n] for _ in range(2))
    zeros = [0.0] * n
    differential = base**2 - other**2
    centred = differential - differential.mean()
    gamma = [centred @ centred] + [2 * (centred[k:] @ centred[: n - k]) for k in range(1, overlap)]
    # The other package raises if the long-run variance is negative (ours has a test of its own). Where it is a small
    # difference of large autocovariances, rounding errors of both packages grow by the ratio of the two.
    if sum(gamma) <= 1e-4 * sum(map(abs, gamma)):
        return
    theirs = dm_test(zeros, list(other), list(base), h=overlap, one_sided=one_sided)
    ours = diebold_mariano(differential, overlap=overlap, alternative="greater" if one_sided else "two-sided")
    # At most 1e4 (above) times the rounding of sums of 60 terms, 1e-14.
    assert ours.statistic == pytest.approx(-theirs[0], rel=1e-9, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs[1], rel=1e-6, abs=1e-9)


def test_a_negative_long_run_variance_is_replaced_by_that_with_bartletts_weights() -> None:
    differential = np.array([1.0, -0.9] * 6)
    n, mean = 12, 0.05
    gamma = [0.95**2, -(0.95**2) * 11 / 12]
    assert gamma[0] + 2 * gamma[1] < 0
    variance = gamma[0] + 2 * 0.5 * gamma[1]
    expected = mean / math.sqrt(variance / n) * math.sqrt((n + 1 - 4 + 2 / n) / n)
    assert diebold_mariano(differential, overlap=2).statistic == pytest.approx(expected)


def test_too_few_and_constant_differentials() -> None:
    for differential, overlap in ((np.ones(2), 1), (np.array([]), 1), (np.arange(4.0), 4)):
        test = diebold_mariano(differential, overlap=overlap)
        assert math.isnan(test.statistic)
        assert math.isnan(test.p_value)
    same = diebold_mariano(np.zeros(10), alternative="greater")
    assert (same.statistic, same.p_value) == (0.0, 0.5)
    assert diebold_mariano(np.zeros(10)).p_value == 1.0
    always = diebold_mariano(np.full(10, 0.1), alternative="greater")
    assert (always.statistic, always.p_value) == (np.inf, 0.0)
    never = diebold_mariano(np.full(10, -0.1), alternative="greater")
    assert (never.statistic, never.p_value) == (-np.inf, 1.0)


@pytest.mark.parametrize("overlap", [1, 3])
def test_the_test_rejects_true_hypotheses_at_its_level(overlap: int) -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        shocks = rng.normal(size=16 + overlap - 1) ** 2 - rng.normal(size=16 + overlap - 1) ** 2
        series = np.convolve(shocks, np.ones(overlap), "valid")
        rejected += diebold_mariano(series, overlap=overlap, alternative="greater").p_value < 0.05
    # In the tables of Harvey, Leybourne and Newbold the test is above its level too, with overlap and few origins.
    assert rejected / 2000 < (0.06 if overlap == 1 else 0.12)
