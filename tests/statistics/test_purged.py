"""Nothing that shares time with a test is learnt from, nothing else is left out, and no test is shortened."""

from __future__ import annotations

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm.statistics.purged import contiguous_groups, path_of_groups, purged_folds, purged_training

windows = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 25)), min_size=6, max_size=40).filter(
    lambda found: len({start for start, _ in found}) >= 6
)
"""Start and length of each window; lengths differ, as those of tickers with other sessions."""


@given(found=windows, tested=st.integers(1, 3), embargo=st.integers(0, 10))
def test_what_is_learnt_from_shares_no_time_with_a_test(
    found: list[tuple[int, int]], tested: int, embargo: int
) -> None:
    starts = np.array([start for start, _ in found])
    ends = starts + np.array([length for _, length in found])
    groups = contiguous_groups(starts, 6)
    folds = purged_folds(starts, ends, groups, tested=tested, embargo=embargo)
    assert len(folds) == comb(6, tested)
    for fold in folds:
        assert fold.test.tolist() == [group in fold.groups for group in groups.tolist()]  # whole groups
        for i in range(len(found)):
            clear = all(
                ends[i] <= starts[j] or starts[i] >= ends[j] + embargo for j in range(len(found)) if fold.test[j]
            )
            assert fold.training[i] == (clear and not fold.test[i])


@given(found=windows)
def test_groups_are_of_equal_numbers_of_starts_in_order(found: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in found])
    groups = contiguous_groups(starts, 6)
    of_start = dict(zip(starts.tolist(), groups.tolist(), strict=True))
    ordered = [of_start[start] for start in sorted(of_start)]
    assert all(later - earlier in {0, 1} for earlier, later in pairwise(ordered))
    sizes = [ordered.count(group) for group in range(6)]
    assert max(sizes) - min(sizes) <= 1


def test_every_test_is_used_once_in_the_paths() -> None:
    starts = np.arange(60)
    folds = purged_folds(starts, starts + 5, contiguous_groups(starts, 6), tested=2)
    paths = path_of_groups(folds, 6)
    assert len(paths) == 5  # of López de Prado's example: C(6, 2) = 15 splits, 5 paths
    used = [(group, fold) for path in paths for group, fold in path.items()]
    assert len(set(used)) == len(used) == 15 * 2
    assert all(group in folds[fold].groups for group, fold in used)


def test_a_model_that_only_remembers_looks_skilful_without_the_purge_and_not_with_it() -> None:
    """Outcomes over 20 sessions of a random walk; the forecast is the outcome of the nearest start learnt from."""
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.standard_normal(2020))
    starts = np.arange(2000)
    outcome = walk[starts + 20] - walk[starts]

    def correlation(*, purge: bool) -> float:
        forecasts, realised = [], []
        for i in range(100, 1900, 60):
            test = starts == i
            training = purged_training(starts, starts + 20, test, embargo=5) if purge else ~test
            known = np.flatnonzero(training)
            forecasts.append(outcome[known[np.abs(known - i).argmin()]])
            realised.append(outcome[i])
        return float(np.corrcoef(forecasts, realised)[0, 1])

    assert correlation(purge=False) > 0.8
    assert abs(correlation(purge=True)) < 0.5


def test_windows_that_could_not_be_purged_are_refused() -> None:
    starts = np.arange(5)
    with pytest.raises(ValueError, match="embargo of -1"):
        purged_training(starts, starts + 2, starts == 2, embargo=-1)
    with pytest.raises(ValueError, match="does not end after"):
        purged_training(starts, starts, starts == 2)


def test_fewer_dates_than_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="3 different starts"):
        contiguous_groups(np.array([1, 2, 3, 3]), 4)
    starts = np.arange(3)
    assert purged_training(starts, starts + 1, np.zeros(3, dtype=bool)).all()
