"""A joblib backend over any library that returns futures.

The backends that come with joblib and Ray cannot be used (joblib 1.6, Dask 2026.8, Ray 2.60). Dask's waits without end
when a worker was killed too often, and distributes its input as data that is lost with the worker that holds it. Ray's
returns no result before the last one, and fails with the first worker that is killed.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from joblib.parallel import ParallelBackendBase

from pm.parallel.pool import WorkerDied

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FuturesBackend"]


class FuturesBackend(ParallelBackendBase):  # type: ignore[misc] # joblib has no types
    """A backend that submits work to a cluster.

    Parameters
    ----------
    submit
        Takes a function without arguments and a callback for when its future is done; returns the future.
    result
        Returns the result of a future that is done, or raises the error of the work.
    cancel
        Takes futures whose results are no longer needed.
    died
        Errors that `result` raises if the worker died in every attempt.
    """

    supports_retrieve_callback = True

    def __init__(
        self,
        submit: Callable[[Any, Callable[[Any], None]], Any],
        result: Callable[[Any], Any],
        cancel: Callable[[list[Any]], None],
        died: tuple[type[Exception], ...],
    ) -> None:
        super().__init__(nesting_level=0)
        self.submitted = 0
        self._submit = submit
        self._result = result
        self._cancel = cancel
        self._died = died
        self._callbacks: dict[int, Any] = {}
        self._futures: dict[int, Any] = {}

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return at least two, since joblib does the work of one job in this process."""
        return max(n_jobs, 2)

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401 - joblib's
        """Submit a piece of work to the cluster."""
        place = self.submitted
        self.submitted += 1
        self._callbacks[place] = callback  # set before the work is submitted, since it may be done at once
        future = self._submit(func, partial(self._done, place))
        self._futures[place] = future
        return future

    def retrieve_result_callback(self, out: tuple[Any, BaseException | None]) -> Any:  # noqa: ANN401 - the result
        """Return the result of work that is done, or raise its error."""
        result, error = out
        if error is not None:
            raise error
        return result

    def fail_pending(self, error: Exception) -> None:
        """Fail all work that is not done with an error."""
        for place in list(self._callbacks):
            self._report(place, None, error)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel all work that is not done."""
        del ensure_ready
        unwanted = [self._futures[place] for place in list(self._callbacks) if place in self._futures]
        self._callbacks.clear()
        self._futures.clear()
        self._cancel(unwanted)

    def _done(self, place: int, future: Any) -> None:  # noqa: ANN401 - the engine's
        # The result is fetched here, and not where joblib asks for it: there joblib holds its lock, and a result that
        # was lost with its worker may take long to be computed again.
        try:
            result = self._result(future)
        except self._died:
            self._report(place, None, WorkerDied(place))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            self._report(place, None, error)
        else:
            self._report(place, result, None)

    def _report(self, place: int, result: Any, error: BaseException | None) -> None:  # noqa: ANN401 - the result
        """Call joblib's callback, once."""
        callback = self._callbacks.pop(place, None)
        self._futures.pop(place, None)
        if callback is not None:
            callback((result, error))
