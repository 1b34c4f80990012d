"""A joblib backend over anything that gives futures.

The backends that come with joblib and Ray do not do here (joblib 1.6, Dask 2026.8, Ray 2.60): Dask's waits for ever
when a worker was killed too often, and hands out its input as data that dies with the worker that holds it; Ray's gives
no results before the last, and ends with the first worker killed.
"""

from __future__ import annotations

from functools import partial
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
        self._waiting: dict[int, Any] = {}
        self._futures: dict[int, Any] = {}

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Give at least two: joblib does the work of one in this process."""
        return max(n_jobs, 2)

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401 - joblib's
        """Hand a piece of work to the cluster."""
        place = self.submitted
        self.submitted += 1
        self._waiting[place] = callback  # before the cluster has it, for it may be done at once
        future = self._submit(func, partial(self._done, place))
        self._futures[place] = future
        return future

    def retrieve_result_callback(self, out: tuple[Any, BaseException | None]) -> Any:  # noqa: ANN401 - the result
        """Give the result of what is done, or raise its error."""
        result, error = out
        if error is not None:
            raise error
        return result

    def give_up(self, error: Exception) -> None:
        """End all work that is not done by this error."""
        for place in list(self._waiting):
            self._tell(place, None, error)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Drop what is not done."""
        del ensure_ready
        unwanted = [self._futures[place] for place in list(self._waiting) if place in self._futures]
        self._waiting.clear()
        self._futures.clear()
        self._cancel(unwanted)

    def _done(self, place: int, future: Any) -> None:  # noqa: ANN401 - the engine's
        # The result is fetched here, not where joblib asks for it: there joblib holds its lock, and a result that died
        # with its worker may be long in coming.
        try:
            result = self._result(future)
        except self._lost:
            self._tell(place, None, WorkerLost(place))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._tell(place, None, error)
        else:
            self._tell(place, result, None)

    def _tell(self, place: int, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - the result
        """Let joblib know, once."""
        callback = self._waiting.pop(place, None)
        self._futures.pop(place, None)
        if callback is not None:
            callback((result, error))
