"""Engine `local`: processes on this machine, by loky."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from typing import Any

import psutil
from joblib.externals.loky import process_executor
from joblib.parallel import LokyBackend

from pm.parallel.pool import WorkerDied, WorkerPool

__all__ = ["local_pool"]

_IDLE_SECONDS = 3600
"""Seconds that idle workers are kept. If loky ends one just as new work arrives, it warns in its own thread; where
warnings are errors that thread ends, and the work would be waited for without end."""
_PARENT_CHECK_SECONDS = 1.0
"""Seconds between two checks of a worker that its parent is alive."""


class _Backend(LokyBackend):  # type: ignore[misc] # joblib has no types
    """Loky's backend, with one thread for polars too, which tells a worker's death from an error of the work."""

    MAX_NUM_THREADS_VARS = (*LokyBackend.MAX_NUM_THREADS_VARS, "POLARS_MAX_THREADS")

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - joblib's
        super().__init__(inner_max_num_threads=1, **options)
        self.submitted = 0

    def configure(self, *args: Any, **options: Any) -> int:  # noqa: ANN401 - joblib's
        ours = {
            "idle_worker_timeout": _IDLE_SECONDS,
            "initializer": _prepare_worker,
            "initargs": (os.getpid(),),
        }
        return int(super().configure(*args, **ours | options))

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401 - joblib's
        self.submitted += 1
        return super().submit(func, callback)

    def retrieve_result_callback(self, out: Any) -> Any:  # noqa: ANN401 - joblib's
        try:
            return super().retrieve_result_callback(out)
        except process_executor.TerminatedWorkerError:
            raise WorkerDied from None


def local_pool(jobs: int) -> WorkerPool:
    """Return a pool of processes, which start with the first work and are shared by consecutive calls."""
    return WorkerPool(jobs, partial(_Backend))


def _prepare_worker(parent: int) -> None:
    """Make this worker exit once its parent was killed, and stay however much memory it comes to use.

    Loky would replace a worker whose memory has grown by 300 MB since its first chunk, which the import of the
    forecasting libraries can do. It would warn of that in its own thread: see `_IDLE_SECONDS`.
    """
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize  # noqa: SLF001 - there is no setting for it
    threading.Thread(target=_wait_for_end_of_parent, args=(parent,), daemon=True).start()


def _wait_for_end_of_parent(parent: int) -> None:
    try:
        process = psutil.Process(parent)
        # On Windows the parent's number does not change when it ends; elsewhere a dead parent that nobody has waited
        # for is still listed.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(_PARENT_CHECK_SECONDS)
    except psutil.NoSuchProcess:
        pass
    os._exit(1)
