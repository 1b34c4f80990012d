"""What a policy chooses between: how many components are signal, and how many bars they are learnt from."""

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
        Newest bars to learn from and to draw the trend through, where the last change is not nearer.
    """

    rank: RankRule
    window: int

    def __str__(self) -> str:
        rank = "Gavish-Donoho" if self.rank == GAVISH_DONOHO else f"rank {self.rank}"
        return f"{rank}, {self.window} bars"


FIXED = Action(4, 250)
"""What is done without a policy: two cycles beside the trend, learnt from a year."""

ACTIONS = (FIXED, *(Action(rank, window) for rank in (2, 4, GAVISH_DONOHO) for window in (125, 250, 500)
                    if (rank, window) != (FIXED.rank, FIXED.window)))  # fmt: skip
"""All there is to choose from; the fixed one first, so that it wins every tie."""
