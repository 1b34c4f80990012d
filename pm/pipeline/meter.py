"""Measure a piece of work: wall time and the highest memory of this process and its workers."""

from __future__ import annotations

import threading
import time
from typing import Self

import psutil

__all__ = ["Meter"]

_INTERVAL = 0.05
_MIB = 1024**2


class Meter:
    """A context that measures what runs inside it.

    Attributes
    ----------
    seconds
        Wall time.
    peak_memory_mb
        Highest sum of resident memory over the process and its children, sampled every 50 ms, in MiB. Pages that
        processes share are counted once for each.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_memory_mb = 0.0
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.read()

    def read(self) -> tuple[float, float]:
        """Return the seconds since the start and the peak memory in MiB, both up to now."""
        self._sample()
        self.seconds = time.perf_counter() - self._start
        return self.seconds, self.peak_memory_mb

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._sample()

    def _sample(self) -> None:
        total = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
        self.peak_memory_mb = max(self.peak_memory_mb, total / _MIB)
