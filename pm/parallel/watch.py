"""End work that waits for workers that are gone, for the engines would wait for new ones for ever."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from pm.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.parallel.crew import Crew

__all__ = ["watched"]

_INTERVAL = 1.0
"""Seconds between looks."""


@contextmanager
def watched(crew: Crew, backend: Any, patience: float) -> Iterator[None]:  # noqa: ANN401 - joblib has no types
    """Have a backend give up its work inside once the crew has had no workers for so many seconds.

    Workers that are killed and started again are missing for some seconds, and so they may be.
    """
    if crew.alive is None:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(crew, backend, patience, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _watch(crew: Crew, backend: Any, patience: float, over: threading.Event) -> None:  # noqa: ANN401 - as above
    assert crew.alive is not None  # noqa: S101 - as its only caller has seen
    seen = monotonic()
    while not over.wait(min(_INTERVAL, patience / 4)):
        if crew.alive():
            seen = monotonic()
        elif monotonic() - seen > patience:
            backend.give_up(
                EngineError(
                    f"No worker of the cluster has been heard of for {patience:g} seconds.",
                    where="run.address or --address",
                    hint="look whether the cluster is up and has workers (docs/parallel.md), then run again",
                )
            )
            return
