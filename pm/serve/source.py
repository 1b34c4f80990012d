"""Read the lake for many visitors: one reader, and what was made of a snapshot kept until there is a newer one."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pm.lake import Lake

__all__ = ["Source"]

_LOOK_SECONDS = 1.0
"""Seconds for which the number of the newest snapshot is taken as known."""
_KEPT = 512
"""Number of pages that are kept."""


@dataclass
class _Kept:
    snapshot: int
    body: bytes


class Source:
    """The lake of a workspace, read by one thread at a time.

    While a page is made anew for a newer snapshot, other visitors get the one before: so a run, which commits a dozen
    times, does not make them wait.

    Parameters
    ----------
    workspace
        Folder of the workspace.
    """

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._reader: Reader | None = None
        self._lock = threading.Lock()
        self._looked = (-1, float("-inf"))
        self._pages: OrderedDict[str, _Kept] = OrderedDict()
        self._under_way: set[str] = set()
        self._guard = threading.Lock()

    def kept(self, key: str) -> bytes | None:
        """Return a page without waiting, if it is known to be of the newest snapshot or is being made anew."""
        page = self._pages.get(key)
        if page is None:
            return None
        snapshot, at = self._looked
        is_fresh = page.snapshot == snapshot and time.monotonic() - at < _LOOK_SECONDS
        return page.body if is_fresh or key in self._under_way else None

    def page(self, key: str, make: Callable[[Reader, Lake], bytes]) -> bytes:
        """Return a page, made from one snapshot of the lake unless it was already.

        Parameters
        ----------
        key
            Name of the page.
        make
            Function that makes it.
        """
        with self._guard:
            page = self._pages.get(key)
            if page is not None and key in self._under_way:
                return page.body
            self._under_way.add(key)
        try:
            with self._lock:
                reader, lake = self._open()
                snapshot = self._newest(lake)
                page = self._pages.get(key)
                if page is not None and page.snapshot == snapshot:
                    return page.body
                with lake.reading():
                    body = make(reader, lake)
                    self._keep(key, _Kept(lake.snapshot, body))
                return body
        finally:
            with self._guard:
                self._under_way.discard(key)

    def read(self, work: Callable[[Reader, Lake], bytes]) -> bytes:
        """Return what work makes of the newest snapshot, without keeping it."""
        with self._lock:
            reader, lake = self._open()
            with lake.reading():
                return work(reader, lake)

    def close(self) -> None:
        """Close the lake."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def _open(self) -> tuple[Reader, Lake]:
        """Return the reader; it is opened when the first page is asked for, and anew after an error."""
        if self._reader is None:
            self._reader = Reader(self._workspace)
        return self._reader, self._reader.lake

    def _newest(self, lake: Lake) -> int:
        snapshot, at = self._looked
        if time.monotonic() - at >= _LOOK_SECONDS:
            try:
                snapshot = lake.snapshot
            except Exception:
                self._reader = None  # the lake was replaced or is gone: it is opened anew for the next page
                raise
            self._looked = snapshot, time.monotonic()
        return snapshot

    def _keep(self, key: str, page: _Kept) -> None:
        self._looked = page.snapshot, time.monotonic()
        self._pages[key] = page
        self._pages.move_to_end(key)
        while len(self._pages) > _KEPT:
            self._pages.popitem(last=False)
