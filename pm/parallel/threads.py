"""One numeric thread, wherever the work is done."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OneThread", "one_numeric_thread"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_numeric_thread() -> Iterator[None]:
    """Let BLAS, OpenMP and numba use one thread inside."""
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
class OneThread(Generic[Item, Result]):
    """A function of a chunk that works with one numeric thread; gives the chunk's place with the result."""

    function: Callable[[Item], Result]

    def __call__(self, place: int, chunk: Item) -> tuple[int, Result]:
        """Do the work."""
        with one_numeric_thread():
            return place, self.function(chunk)
