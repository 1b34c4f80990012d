"""Measure by how much the log-probabilities of equal questions differ with the batch and the state of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.llm.scoring import score

if TYPE_CHECKING:
    from pm.llm.native import Native

__all__ = ["measured_noise"]

_PREFIX = "The outlook of a share, in one word.\n"
_SUFFIXES = (
    "The price rose in three of four weeks. Outlook:",
    "Sales fell, and costs rose. Outlook:",
    "Nothing changed. Outlook:",
    "The company pays a higher dividend, though its debt has doubled since last year. Outlook:",
    "Outlook:",
    "A judge stopped the merger. Outlook:",
    "Orders: 12.4% above those of the quarter before. Outlook:",
)
_LABELS = (" up", " down", " flat")
_BATCHES = (1, 2, len(_SUFFIXES))
"""Sizes of batches that are compared."""


def measured_noise(native: Native) -> float:
    """Return the largest difference of the log-probability of a label between equal questions.

    They are asked one by one with an empty cache, then in batches of several sizes with the prefix in the cache, in
    another order, and with a rest of another prefix before them.
    """
    size = min(len(_SUFFIXES), native.sequences)
    asked: list[tuple[int, bool, bool]] = [(min(batch, size), False, True) for batch in _BATCHES]
    asked += [(size, True, False), (1, False, False)]
    found = []
    for batch, is_reversed, is_cleared in asked:
        if is_cleared:
            native.clear()
        suffixes = _SUFFIXES[::-1] if is_reversed else _SUFFIXES
        scored = score(native, _PREFIX, suffixes, _LABELS, batch_size=batch, on_first=lambda: None)
        values = scored.values[::-1] if is_reversed else scored.values
        found.append([value for row in values if row is not None for value in row])
    native.clear()
    return float(max(max(column) - min(column) for column in zip(*found, strict=True)))
