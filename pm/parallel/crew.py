"""What an engine gives: workers that take chunks, and the news of one that is gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ONE_THREAD", "Crew", "WorkerLost"]

ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Variables by which a new process gets one thread of each kind."""


@dataclass(frozen=True)
class Crew:
    """Workers that are ready.

    Parameters
    ----------
    size
        Chunks they work on at the same time.
    backend
        Gives a joblib backend over them, for one call. It counts what it was handed in `submitted`, gives a result in
        `retrieve_result_callback`, and raises `WorkerLost` there when the worker died.
    alive
        Counts the workers there are now; None where the backend notices by itself that they are gone. A backend of a
        crew that has it also has `give_up`.
    """

    size: int
    backend: Callable[[], Any]
    alive: Callable[[], int] | None = None


class WorkerLost(Exception):  # noqa: N818 - news, not an error: the work is tried again
    """A worker died over its work.

    Parameters
    ----------
    place
        Which of the work handed in, by its order, where the engine knows it and has tried it again itself; else None.
    """

    def __init__(self, place: int | None = None) -> None:
        super().__init__(place)
        self.place = place
