"""Actions of a policy: the number of components that are signal, and the number of training bars."""

from __future__ import annotations

from dataclasses import dataclass

from pm.forecast.spectral import GAVISH_DONOHO, RankRule

__all__ = ["ACTIONS", "FIXED", "Action"]


@dataclass(frozen=True)
class Action:
    """A rank and a window.

    Attributes
    ----------
    rank
        See `RankRule`.
    window
        Maximum number of training bars, which both the recurrence and the trend line are fitted to. There are fewer if
        the last change is more recent.
    """

    rank: RankRule
    window: int

    def __str__(self) -> str:
        rank = "Gavish-Donoho" if self.rank == GAVISH_DONOHO else f"rank {self.rank}"
        return f"{rank}, {self.window} bars"


FIXED = Action(4, 250)
"""Action that is used without a policy: two waves about the trend, estimated from one year."""

ACTIONS = (FIXED, *(Action(rank, window) for rank in (2, 4, GAVISH_DONOHO) for window in (125, 250, 500)
                    if (rank, window) != (FIXED.rank, FIXED.window)))  # fmt: skip
"""All actions; the fixed one is first, so that it is chosen in a tie."""
