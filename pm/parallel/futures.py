"""A joblib backend over anything that gives futures.

The backends that come with joblib and Ray do not do here (joblib 1.6, Dask 2026.8, Ray 2.60): Dask's waits for ever
when a worker was killed too often, and hands out its input as data that dies with the worker that holds it; Ray's gives
no results before the last, and ends with the first worker killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joblib.parallel import ParallelBackendBase

from pm.parallel.crew import WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FuturesBackend"]


class FuturesBackend(ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """Hands work to a cluster.

    Parameters
    ----------
    submit
        Takes a function of nothing and what is to be called when its future is done; gives the future.
    result
        Gives a done future's result, or raises what the work raised.
    cancel
        Takes futures whose results nobody wants.
    lost
        Errors by which `result` says that the worker died, each time it was tried.
    """

    supports_retrieve_callback = True

    def __init__(
        self,
        submit: Callable[[Any, Callable[[Any], None]], Any],
        result: Callable[[Any], Any],
        cancel: Callable[[list[Any]], None],
        lost: tuple[type[Exception], ...],
    ) -> None:
        super().__init__(nesting_level=0)
        self.submitted = 0
        self._submit = submit
        self._result = result
        self._cancel = cancel
        self._lost = lost
        self._open: dict[int, Any] = {}

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Give at least two: joblib does the work of one in this process."""
        return max(n_jobs, 2)

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401 - joblib's
        """Hand a piece of work to the cluster."""
        place = self.submitted
        self.submitted += 1
        future = self._submit(func, lambda future: callback((place, future)))
        self._open[place] = future
        return future

    def retrieve_result_callback(self, out: tuple[int, Any]) -> Any:  # noqa: ANN401 - the work's result
        """Give a done future's result."""
        place, future = out
        try:
            return self._result(future)
        except self._lost:
            raise WorkerLost(place) from None
        finally:
            self._open.pop(place, None)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop what is not done."""
        del ensure_ready
        self._cancel(list(self._open.values()))
        self._open.clear()
