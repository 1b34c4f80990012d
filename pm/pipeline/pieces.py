"""Gather what comes over the network into pieces, a commit each."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

__all__ = ["Piece"]

Item = TypeVar("Item")

_SECONDS = 15.0
"""Time after which a piece is full: about the longest work that a refresh loses if it is killed."""


class Piece(Generic[Item]):
    """Answers and failures that wait for their commit.

    Parameters
    ----------
    items
        Number of items from which it is full.
    rows
        Number of rows from which it is full, since those of a commit are in memory together.
    """

    def __init__(self, items: int, rows: int) -> None:
        self._largest = items, rows
        self._items: list[Item] = []
        self._rows = 0
        self._since = time.monotonic()

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, item: Item, rows: int) -> None:
        """Add an item with a number of rows."""
        self._items.append(item)
        self._rows += rows

    @property
    def is_full(self) -> bool:
        """Whether it is to be committed: it is large, or has waited for 15 seconds."""
        if not self._items:
            return False
        items, rows = self._largest
        is_large = len(self._items) >= items or self._rows >= rows
        return is_large or time.monotonic() > self._since + _SECONDS

    def taken(self) -> list[Item]:
        """Return the items and begin the next piece."""
        items, self._items = self._items, []
        self._rows, self._since = 0, time.monotonic()
        return items
