"""What every engine provides: a pool of workers, and the signal that one of them died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ONE_THREAD", "WorkerDied", "WorkerPool"]

ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Environment variables with which a new process has one thread of each kind."""


@dataclass(frozen=True)
class WorkerPool:
    """Workers that are ready.

    Parameters
    ----------
    size
        Number of chunks that they work on at the same time.
    backend
        Returns a new joblib backend over the workers, for one call. It counts the submitted chunks in `submitted`,
        returns a result from `retrieve_result_callback`, and raises `WorkerDied` there if the worker died.
    count_workers
        Returns the number of workers that are alive; None if the backend itself notices that they are gone. The backend
        of a pool that has it also has `fail_pending`.
    """

    size: int
    backend: Callable[[], Any]
    count_workers: Callable[[], int] | None = None


class WorkerDied(Exception):  # noqa: N818 - a signal and not an error: the chunk is tried again
    """A worker died while it worked on a chunk.

    Parameters
    ----------
    place
        Place of the chunk among those submitted, if the engine knows it and has itself tried the chunk again; else
        None.
    """

    def __init__(self, place: int | None = None) -> None:
        super().__init__(place)
        self.place = place
