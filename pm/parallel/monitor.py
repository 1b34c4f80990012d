"""Fail work whose workers are all gone: the engines would wait for new workers without end."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from pm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.parallel.pool import WorkerPool

__all__ = ["fail_without_workers"]

_INTERVAL_SECONDS = 1.0
"""Seconds between two counts of the workers."""


@contextmanager
def fail_without_workers(pool: WorkerPool, backend: Any, timeout: float) -> Iterator[None]:  # noqa: ANN401 - joblib has no types
    """Inside the block, fail the backend's pending work once the pool has had no workers for `timeout` seconds.

    Workers that were killed and are started again are missing for some seconds, which is no reason to fail.
    """
    if pool.count_workers is None:
        yield
        return
    finished = threading.Event()
    thread = threading.Thread(target=_monitor, args=(pool, backend, timeout, finished), daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()


def _monitor(pool: WorkerPool, backend: Any, timeout: float, finished: threading.Event) -> None:  # noqa: ANN401 - as above
    assert pool.count_workers is not None  # noqa: S101 - checked by the only caller
    last_seen = monotonic()
    while not finished.wait(min(_INTERVAL_SECONDS, timeout / 4)):
        if pool.count_workers():
            last_seen = monotonic()
        elif monotonic() - last_seen > timeout:
            backend.fail_pending(
                EngineError(
                    f"The cluster has had no workers for {timeout:g} seconds.",
                    where="run.address or --address",
                    hint="check that the cluster is up and has workers (docs/parallel.md), then run again",
                )
            )
            return
