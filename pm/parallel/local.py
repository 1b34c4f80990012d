"""Engine `local`: processes on this machine, by loky."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import Any

from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import LokyBackend

from pm.parallel.crew import Crew, WorkerLost

__all__ = ["local_crew"]

_IDLE_SECONDS = 3600
"""How long idle workers stay: long, for when loky lets one go just as new work comes, it warns in its own thread; and
where warnings are errors, that thread ends, and the work is waited for without end."""
_PARENT_SECONDS = 1.0
"""How often a worker looks whether its parent lives."""


class _Backend(LokyBackend):  # type: ignore[misc] # joblib has no types
    """Loky's own, with one thread for polars too, that tells a worker's death from an error of the work."""

    MAX_NUM_THREADS_VARS = (*LokyBackend.MAX_NUM_THREADS_VARS, "POLARS_MAX_THREADS")

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - joblib's
        super().__init__(inner_max_num_threads=1, **options)
        self.submitted = 0

    def configure(self, *args: Any, **options: Any) -> int:  # noqa: ANN401 - joblib's
        ours = {"idle_worker_timeout": _IDLE_SECONDS, "initializer": _leave_with, "initargs": (os.getpid(),)}
        return int(super().configure(*args, **ours | options))

    def submit(self, func: Any, callback: Any = None) -> Any:  # noqa: ANN401 - joblib's
        self.submitted += 1
        return super().submit(func, callback)

    def retrieve_result_callback(self, out: Any) -> Any:  # noqa: ANN401 - joblib's
        try:
            return super().retrieve_result_callback(out)
        except TerminatedWorkerError:
            raise WorkerLost from None


def local_crew(jobs: int) -> Crew:
    """Give so many processes; they start with the first work, and are shared by calls that follow one another."""
    return Crew(jobs, partial(_Backend))


def _leave_with(parent: int) -> None:
    """Have this process, a worker, end when its parent was killed: nobody else would tell it to."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    os._exit(1)
