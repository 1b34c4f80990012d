"""Limit numeric libraries to one thread."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["SingleThreaded", "single_threaded"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS, OpenMP and numba to one thread inside the block."""
    import numba
    import scipy.linalg  # noqa: F401 - loads its BLAS: one that is loaded later would not be limited
    from threadpoolctl import threadpool_limits

    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        numba.set_num_threads(before)


@dataclass(frozen=True)
class SingleThreaded(Generic[Item, Result]):
    """A function of a chunk that runs with one numeric thread, and returns the chunk's place with the result."""

    function: Callable[[Item], Result]

    def __call__(self, place: int, chunk: Item) -> tuple[int, Result]:
        """Apply the function to a chunk."""
        with single_threaded():
            return place, self.function(chunk)
