"""The protocol of an allocator."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from pm.portfolio.problem import Problem
    from pm.typing import FloatArray

__all__ = ["Allocator"]


class Allocator(Protocol):
    """Computes weights.

    Attributes
    ----------
    name
        Name in the settings.
    keeps_long_only
        Whether it never sells short, whatever the limits allow.
    """

    name: ClassVar[str]
    keeps_long_only: ClassVar[bool]

    def allocate(self, problem: Problem) -> FloatArray:
        """Return the weights of a problem's tickers, shape (tickers,).

        They sum to the amount to invest or, if there is no reason to hold more, to less. They need not keep the other
        limits: `nearest` sees to those that an allocator does not know.

        Raises
        ------
        UnsolvedError
            No weights were found, or they are not optimal.
        """
        ...
