"""Measure a piece of work: wall time and the highest memory of this process and its workers."""

from __future__ import annotations

import threading
import time
from typing import Self

import psutil

__all__ = ["Meter", "pause_after"]

_MIN_PAUSE = 0.05
"""Shortest pause between two samples of the memory, in seconds."""
_MIN_PAUSE_OF_SEARCHES = 1.0
"""Shortest pause between two searches for new processes, in seconds."""
_SHARE = 0.01
"""Largest share of one core's time that samples may take, and that searches may take."""
_MIB = 1024**2


class Meter:
    """A context that measures what runs inside it.

    Attributes
    ----------
    seconds
        Wall time.
    peak_memory_mb
        Highest sum of resident memory over the process and its children, in MiB. It is sampled every 50 ms, or less
        often if a sample takes so long that this would keep one core busy for over 1% of the time. Processes that
        start meanwhile are looked for at intervals of a second or more, and at both ends: the operating system has to
        list all of its processes for that. Pages that processes share are counted once for each.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_memory_mb = 0.0
        self._process = psutil.Process()
        self._children: list[psutil.Process] = []
        self._sampling = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        self._search()
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.read()

    def read(self) -> tuple[float, float]:
        """Return the seconds since the start and the peak memory in MiB, both up to now."""
        self._search()
        self._sample()
        self.seconds = time.perf_counter() - self._start
        return self.seconds, self.peak_memory_mb

    def _watch(self) -> None:
        searched = time.perf_counter()
        pause, pause_of_searches = _MIN_PAUSE, _MIN_PAUSE_OF_SEARCHES
        while not self._stop.wait(pause):
            if time.perf_counter() - searched >= pause_of_searches:
                took = self._search()
                searched, pause_of_searches = time.perf_counter(), pause_after(took, at_least=_MIN_PAUSE_OF_SEARCHES)
            pause = pause_after(self._sample(), at_least=_MIN_PAUSE)

    def _search(self) -> float:
        """Find the processes that descend from this one, and return the processor time that it took in seconds."""
        before = time.thread_time()
        self._children = self._process.children(recursive=True)
        return time.thread_time() - before

    def _sample(self) -> float:
        """Add up the memory of the processes known, and return the processor time that it took in seconds."""
        before = time.thread_time()
        total = self._process.memory_info().rss
        for child in self._children:
            try:
                total += child.memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
        with self._sampling:
            self.peak_memory_mb = max(self.peak_memory_mb, total / _MIB)
        return time.thread_time() - before


def pause_after(seconds: float, *, at_least: float) -> float:
    """Return the seconds to pause after work that took some seconds, so that it takes 1% of the time at most."""
    return max(at_least, seconds * (1 - _SHARE) / _SHARE)
