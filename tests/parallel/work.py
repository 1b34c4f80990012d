"""What the tests have workers do. Each worker imports this module, so it imports only what the work needs."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil

from pm.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["fail_for_two", "grow", "killed_always", "killed_once", "private_memory_mib", "solve", "threads"]


def threads(_: int) -> tuple[int, int, int, set[int]]:
    """Return the id of this process and the numbers of threads of polars, numba and the linear algebra."""
    import numba
    import polars as pl
    from threadpoolctl import threadpool_info

    # Wine has a vcomp of its own, which does not ask for OMP_NUM_THREADS, and which nothing here uses.
    pools = {pool["num_threads"] for pool in threadpool_info() if pool["prefix"] != "vcomp"}
    return os.getpid(), pl.thread_pool_size(), numba.get_num_threads(), pools


def solve(seed: int) -> bytes:
    """Return the solution of a random system of equations, to the last bit."""
    rng = np.random.default_rng(seed)
    design: NDArray[np.float64] = rng.normal(size=(300, 60))
    return np.linalg.solve(design.T @ design, design.T @ rng.normal(size=300)).tobytes()


def fail_for_two(number: int) -> int:
    """Return the number; refuse two."""
    if number == 2:
        raise InputError("Two is refused.", where="test", hint="ask for three")
    return number


def killed_once(folder: Path, number: int) -> int:
    """Record each attempt in a file; the first attempt of 6 is killed, as by a system out of memory."""
    attempts = len(list(folder.glob(f"{number}.*")))
    (folder / f"{number}.{attempts}").touch()
    if number == 6 and attempts == 0:
        psutil.Process().kill()
    time.sleep(0.05)
    return number


def killed_always(number: int) -> int:
    """Return the number; two kills its process."""
    if number == 2:
        psutil.Process().kill()
    return number


_HELD: list[bytes] = []


def grow(mib: int) -> int:
    """Hold as much memory more as said, or none for 0; return the id of this process."""
    _HELD[:] = [*_HELD, bytes(bytearray(b"x") * (mib << 20))] if mib else []
    time.sleep(1.05)  # memory is looked at once a second
    return os.getpid()


def private_memory_mib(values: NDArray[np.float64]) -> float:
    """Return this process's memory while it holds a copy, without what it shares with others, as Ray's object store."""
    import psutil

    more = values + 1
    assert more.sum() > 0
    memory = psutil.Process().memory_info()
    if sys.platform == "win32":
        return float(memory.private) / 2**20
    return float(memory.rss - memory.shared) / 2**20
