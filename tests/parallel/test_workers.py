from __future__ import annotations

import os
import pickle
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pm.errors import InputError
from pm.parallel import cores, map_chunks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


# Workers cannot import a test module, so that these functions are pickled by value.
def _solve(seeds: Sequence[int]) -> list[NDArray[np.float64]]:
    solutions = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        design = rng.normal(size=(400, 60))
        solutions.append(
            np.asarray(np.linalg.solve(design.T @ design, design.T @ rng.normal(size=400)), dtype=np.float64)
        )
    return solutions


def _slow_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0)
    return number


def _fail_for_two(number: int) -> int:
    if number == 2:
        raise InputError("Two is refused.", where="test", hint="ask for three")
    return number


def _process_id(_: int) -> int:
    return os.getpid()


def test_results_are_bitwise_equal_for_any_number_of_jobs_and_size_of_chunks() -> None:
    seeds = list(range(24))
    one = [value for part in map_chunks(_solve, [seeds], jobs=1) for value in part]
    for jobs, size in [(1, 5), (2, 5), (2, 1)]:
        chunks = [seeds[start : start + size] for start in range(0, len(seeds), size)]
        found = [value for part in map_chunks(_solve, chunks, jobs=jobs) for value in part]
        assert [value.tobytes() for value in found] == [value.tobytes() for value in one]
    # With all threads of BLAS sums have another order. The matrices' condition numbers are about 5, so that a solution
    # has an error of some hundred eps of its largest element.
    expected = np.array(_solve(seeds))
    np.testing.assert_allclose(one, expected, rtol=0, atol=1000 * np.finfo(float).eps * np.abs(expected).max())


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_have_the_order_of_the_chunks(jobs: int) -> None:
    assert list(map_chunks(_slow_first, range(6), jobs=jobs)) == list(range(6))


@pytest.mark.parametrize("jobs", [1, 2])
def test_errors_reach_the_caller_unchanged(jobs: int) -> None:
    with pytest.raises(InputError) as caught:
        list(map_chunks(_fail_for_two, [1, 2, 3], jobs=jobs))
    assert (caught.value.what, caught.value.where, caught.value.hint) == ("Two is refused.", "test", "ask for three")


def test_one_job_or_one_chunk_is_done_in_this_process() -> None:
    assert set(map_chunks(_process_id, [1, 2, 3], jobs=1)) == {os.getpid()}
    assert set(map_chunks(_process_id, [1], jobs=4)) == {os.getpid()}
    assert os.getpid() not in set(map_chunks(_process_id, [1, 2, 3], jobs=2))


def test_no_chunks_give_no_results() -> None:
    assert list(map_chunks(_process_id, [], jobs=2)) == []


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1
    assert pickle.loads(pickle.dumps(_process_id))(0) == os.getpid()  # noqa: S301 - our own bytes
